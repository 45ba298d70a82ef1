"""From the files table to the images and histograms tables, in parallel through dask."""

from __future__ import annotations

import os

import dask
import numpy as np
import pandas as pd

from dupkit.scan.decode import SCALES
from dupkit.scan.reading import FileReader
from dupkit.scan.records import Record
from dupkit.schema import N_BINS, build_histograms, build_table, check_table, table_root


def compute_histograms(
    files: pd.DataFrame,
    *,
    sampling: str = "fast",
    scheduler: str | None = None,
    cache: str | None = None,
    progress: bool = True,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the images table (every file) and the histograms table (every readable one).

    Raises
    ------
    ValueError
        The sampling is unknown, or the table is not a files table.
    """
    check_table(files, "files")
    root = table_root(files, "files")
    if sampling not in SCALES:
        msg = f"sampling: expected 'fast' or 'original', but got {sampling!r}; leave it out for 'fast'"
        raise ValueError(msg)
    paths = list(files["path_bytes"])
    batches = [paths[start : start + 32] for start in range(0, len(paths), 32)]
    tasks = [dask.delayed(_scan_batch)(os.fsencode(root), batch, sampling) for batch in batches]
    results = dask.compute(*tasks, scheduler=scheduler)
    records = [record for batch in results for record in batch]
    return _tables(files, records, sampling)


def _scan_batch(root: bytes, paths: list[bytes], sampling: str) -> list[Record]:
    reader = FileReader(root)
    try:
        return [reader.record(path, sampling) for path in paths]
    finally:
        reader.close()


def _tables(files: pd.DataFrame, records: list[Record], sampling: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    images = build_table(
        "images",
        {
            **{str(name): files[name].to_numpy() for name in files.columns},
            "format": [record.format for record in records],
            "width": [record.width for record in records],
            "height": [record.height for record in records],
            "orientation": [record.orientation for record in records],
            "frames": [record.frames for record in records],
            "content_hash": [record.content_hash.hex() for record in records],
            "error": [record.error for record in records],
        },
        index=files.index,
        attrs={**files.attrs, "sampling": sampling},
    )
    readable = [row for row, record in enumerate(records) if not record.error]
    values = np.empty((len(readable), N_BINS), dtype=np.float32)
    for position, row in enumerate(readable):
        values[position] = np.frombuffer(records[row].counts, dtype="<u4") * np.float32(SCALES[sampling])
    histograms = build_histograms(
        values, index=files.index[readable], attrs={"root": files.attrs["root"], "sampling": sampling}
    )
    return images, histograms
