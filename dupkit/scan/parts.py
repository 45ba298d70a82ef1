"""One part of the cache: a small Parquet file that is written once, whole, and believed only if it proves sound.

Each column's bytes have a SHA-256 in the file's metadata, checked for the columns that are read, so that a part that
was cut, altered or written by something else is found out whatever Parquet itself makes of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

LAYOUT = 1
"""Version of the columns; a part of another one is not read."""

_METADATA = b"dupkit"

Columns = Mapping[str, Any]
"""Column name to a list of texts, or to an array: one dimension of numbers, two of bytes."""


class BadPartError(Exception):
    """A part of the cache cannot be trusted; the message says why."""


def part_bytes(kind: str, columns: Columns) -> memoryview:
    """Return the bytes of a part.

    Parameters
    ----------
    kind : str
        What the part holds; another kind is not read in its place.
    columns : mapping
        Lists of str, or arrays of shape (n,), numbers, or (n, width), uint8.
    """
    arrays = {name: _to_arrow(values) for name, values in columns.items()}
    digests = {name: _digest(values) for name, values in columns.items()}
    metadata = {"layout": LAYOUT, "kind": kind, "digests": digests}
    table = pa.table(arrays).replace_schema_metadata({_METADATA: json.dumps(metadata).encode()})
    sink = pa.BufferOutputStream()
    # Histograms and thumbnails hardly shrink, and the time of a rescan is the time to read this.
    pq.write_table(table, sink, compression="none", use_dictionary=False, write_statistics=False)
    return memoryview(sink.getvalue())


def read_part(data: Any, kind: str, names: Sequence[str]) -> dict[str, Any]:
    """Return columns of a part, as they were given to :func:`part_bytes`.

    Parameters
    ----------
    data : path or file object
    kind : str
    names : sequence of str
        Columns to read.

    Raises
    ------
    BadPartError
        It is no part of this kind and layout, or what is read is not what was written.
    FileNotFoundError
        It is gone: someone has cleared the cache.
    """
    try:
        file = pq.ParquetFile(data)
        metadata = json.loads((file.schema_arrow.metadata or {}).get(_METADATA, b"{}"))
        if not isinstance(metadata, dict) or metadata.get("kind") != kind or metadata.get("layout") != LAYOUT:
            layout = metadata.get("layout") if isinstance(metadata, dict) else None
            newer = isinstance(layout, int) and layout > LAYOUT
            msg = "written by a newer dupkit" if newer else "not a part of this cache"
            raise BadPartError(msg)
        table = file.read(columns=list(names))
        columns = {name: _from_arrow(table.column(name)) for name in names}
        digests = metadata["digests"]
        wrong = [name for name in names if _digest(columns[name]) != digests[name]]
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, AttributeError, MemoryError) as error:
        msg = f"cannot be read ({type(error).__name__})"
        raise BadPartError(msg) from error
    if wrong:
        msg = f"the column {wrong[0]!r} is not as it was written"
        raise BadPartError(msg)
    return columns


def _to_arrow(values: Any) -> pa.Array:
    if isinstance(values, list):
        return pa.array(values, type=pa.string())
    if values.ndim == 1:
        return pa.array(values)
    flat = np.ascontiguousarray(values, dtype=np.uint8).reshape(-1)
    return pa.Array.from_buffers(pa.binary(values.shape[1]), len(values), [None, pa.py_buffer(flat)])


def _from_arrow(column: pa.ChunkedArray) -> Any:
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], type=column.type)
    if array.null_count:
        msg = "missing values"
        raise ValueError(msg)
    if pa.types.is_string(array.type):
        return array.to_pylist()
    if pa.types.is_fixed_size_binary(array.type):
        width = array.type.byte_width
        whole = np.frombuffer(array.buffers()[1], dtype=np.uint8)
        return whole[array.offset * width : (array.offset + len(array)) * width].reshape(-1, width)
    return array.to_numpy(zero_copy_only=True)


def _digest(values: Any) -> str:
    if isinstance(values, list):
        data: Any = "\x00".join(values).encode("utf-8", "surrogatepass") + b"%d" % len(values)
    else:
        data = np.ascontiguousarray(values).data
    return hashlib.sha256(data).hexdigest()
