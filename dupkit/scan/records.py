"""What is found out about one file, and how it travels through a pipe. The standard library only."""

from __future__ import annotations

import struct
from typing import NamedTuple

N_COUNTS = 768
"""Numbers of a histogram; the same as ``schema.N_BINS``, which a worker does not import."""

_FIXED = struct.Struct("<5q32s?3q2i4H")
_LENGTHS_MAX = 1 << 16


class Record(NamedTuple):
    """One file, read: its state on the disk when it was read, its hash, and its picture or the reason why not.

    ``counts`` holds 768 little-endian numbers of 16 or 32 bits (times the sampling's scale: pixels of 480,000) and
    ``thumbnail`` 64 x 64 grey bytes; both are empty where ``error`` is not. A tuple: one is made for each image in a
    worker and again in the parent, and a dataclass takes four times as long to make.
    """

    size_bytes: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0
    device: int = 0
    inode: int = 0
    content_hash: bytes = b""
    known: bool = False
    width: int = 0
    height: int = 0
    read_ns: int = 0
    orientation: int = 1
    frames: int = 0
    format: str = ""
    error: str = ""
    counts: bytes = b""
    thumbnail: bytes = b""

    def failed(self, reason: str) -> Record:
        """Return the record of a file that cannot be used, for a reason."""
        return self._replace(
            error=reason, format="", width=0, height=0, orientation=1, frames=0, counts=b"", thumbnail=b""
        )


def pack(record: Record) -> bytes:
    """Return a record as bytes."""
    texts = (record.format.encode(), record.error.encode(), record.counts, record.thumbnail)
    assert all(len(text) < _LENGTHS_MAX for text in texts)
    fixed = _FIXED.pack(
        record.size_bytes,
        record.mtime_ns,
        record.ctime_ns,
        record.device,
        record.inode,
        record.content_hash,
        record.known,
        record.width,
        record.height,
        record.read_ns,
        record.orientation,
        record.frames,
        *map(len, texts),
    )
    return b"".join((fixed, *texts))


def unpack(data: bytes) -> Record:
    """Return the record that :func:`pack` made bytes of.

    Raises
    ------
    ValueError
        They are not a record: the worker that sent them is not to be trusted any more.
    """
    if len(data) < _FIXED.size:
        msg = f"a record has at least {_FIXED.size} bytes, but got {len(data)}"
        raise ValueError(msg)
    *numbers, n_format, n_error, n_counts, n_thumbnail = _FIXED.unpack_from(data)
    size, mtime, ctime, device, inode, content_hash, known, width, height, read_ns, orientation, frames = numbers
    at = _FIXED.size
    ends = [at := at + length for length in (n_format, n_error, n_counts, n_thumbnail)]
    good_counts = n_counts in (0, 2 * N_COUNTS, 4 * N_COUNTS) and (n_counts == 0) == (n_thumbnail == 0)
    if ends[-1] != len(data) or not good_counts:
        msg = f"a record of {ends[-1]} bytes was announced, but got {len(data)}, {n_counts} of them counts"
        raise ValueError(msg)
    return Record(
        size,
        mtime,
        ctime,
        device,
        inode,
        content_hash if any(content_hash) else b"",
        known,
        width,
        height,
        read_ns,
        orientation,
        frames,
        data[_FIXED.size : ends[0]].decode(),
        data[ends[0] : ends[1]].decode(),
        data[ends[1] : ends[2]],
        data[ends[2] : ends[3]],
    )
