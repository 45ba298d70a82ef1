"""From the files table to the images and histograms tables: from the cache, and the rest by the decode workers."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from dupkit.scan.batches import Replies, Scheduler, check_scheduler, read_in_batches
from dupkit.scan.cache import CacheLocation
from dupkit.scan.decode import SCALES
from dupkit.scan.records import Record, unpack
from dupkit.scan.store import COUNTS, FACTS, PictureStore
from dupkit.scan.worker import RESULT
from dupkit.scan.workers import CRASHED, TOO_MUCH_CPU, ask
from dupkit.schema import N_BINS, build_histograms, build_table, check_table, table_root

_STATE = ("size_bytes", "mtime_ns", "ctime_ns", "device", "inode")
"""Columns of the files table that say which state of a file was seen."""


def compute_histograms(
    files: pd.DataFrame,
    *,
    sampling: str = "fast",
    scheduler: Scheduler = None,
    cache: CacheLocation = None,
    progress: bool = True,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the images table (every file) and the histograms table (the readable ones) of a files table.

    Each file is read once; hash, dimensions, histogram and thumbnail come from that one pass. Files are decoded in
    worker processes that dask tasks feed: a file that makes a decoder crash, loop or eat memory costs itself only.
    What the cache knows is not decoded again. Interrupted, the next call goes on from there.

    Parameters
    ----------
    files : DataFrame
        The files table of :func:`scan_folder`.
    sampling : {"fast", "original"}
        How a picture becomes a histogram, see :mod:`dupkit.scan.decode`. ``original``: all pixels, resized to 800 x 600
        with Lanczos, as the original script did, to the bit.
    scheduler : str or distributed.Client, optional
        ``threads``, ``synchronous``, ``processes``, an address, or a client; the active one where not given, threads
        where there is none. The result is the same for each.
    cache : path, URL or False, optional
        Where the cache lies; the user's cache folder where not given, none for False.
    progress : bool
        Whether there is a progress bar.

    Returns
    -------
    images : DataFrame
        The images table, one row for each of `files`, its index and order. ``error`` is the reason where there is no
        histogram. A file that changed since `files` was made has its new size and times.
    histograms : DataFrame
        The histograms table, in the same order. The same files give the same values, from the cache or not.

    Raises
    ------
    TypeError, ValueError
        `files` is no files table, or sampling or scheduler is none of the above.
    """
    check_table(files, "files")
    root = os.fsencode(table_root(files, "files"))
    if sampling not in SCALES:
        msg = f"sampling: expected 'fast' or 'original', but got {sampling!r}; leave it out for 'fast'"
        raise ValueError(msg)
    check_scheduler(scheduler)
    store = PictureStore(cache, root, sampling)
    run = _Run(files, sampling)
    try:
        hashes = store.hashes_of(files)
        run.take_from(store, range(len(files)), hashes)
        with tqdm(
            total=len(files), initial=run.n_done, desc="Histograms", unit="image", disable=not progress
        ) as run.bar:
            while missing := run.missing():
                run.read(root, missing, store, scheduler)
    finally:
        store.close()
    return run.tables()


class _Run:
    """The columns of the two tables, filled from the cache and by the workers in any order."""

    def __init__(self, files: pd.DataFrame, sampling: str) -> None:
        self.files = files
        self.sampling = sampling
        self.paths: list[bytes] = files["path_bytes"].tolist()
        self.state: dict[str, Any] = {name: files[name].to_numpy(copy=True) for name in _STATE}
        self.facts: dict[str, Any] = {
            "format": [""] * len(files),
            "error": [""] * len(files),
            **{name: np.zeros(len(files), dtype=np.int64) for name in FACTS if name not in ("format", "error")},
        }
        self.hashes = [b""] * len(files)
        self.done = np.zeros(len(files), dtype=bool)
        self.values = np.empty((len(files), N_BINS), dtype=np.float32)
        self.n_done = 0
        self.n_bad = 0
        self.trusts_cache = True
        self.bar: Any = None

    def missing(self) -> list[int]:
        """Return the positions of the files of which nothing is known yet."""
        return [] if self.n_done == len(self.done) else np.flatnonzero(~self.done).tolist()

    def take_from(self, store: PictureStore, positions: Any, hashes: list[bytes]) -> None:
        """Fill in what the cache knows about files whose hashes are known."""
        positions = np.asarray(positions)
        for name, found in store.find(hashes).items():
            part = store.read(name)
            if part is None:
                continue
            to, rows = positions[found.positions], np.asarray(found.rows)
            self.values[to] = part["counts"][rows]
            self.values[to] *= np.float32(SCALES[self.sampling])
            for column, values in self.facts.items():
                if isinstance(values, list):
                    for position, row in zip(to.tolist(), found.rows, strict=True):
                        values[position] = part[column][row]
                else:
                    values[to] = part[column][rows]
            for position, there in zip(to.tolist(), found.positions, strict=True):
                self.hashes[position] = hashes[there]
            self.done[to] = True
            self._count(to.tolist())

    def read(self, root: bytes, missing: list[int], store: PictureStore, scheduler: Scheduler) -> None:
        """Have files read; what turns out to be in the cache under another name is taken from there at the end."""
        sizes = self.state["size_bytes"]
        known: list[tuple[int, Record]] = []

        def options(batch: list[int]) -> dict[str, object]:
            hashes: set[bytes] = set()
            if self.trusts_cache:
                hashes = hashes.union(*(store.known_of_size(int(sizes[missing[number]])) for number in batch))
            return {"sampling": self.sampling, "known": sorted(value.hex() for value in hashes)}

        def on_replies(batch: list[int], replies: Replies) -> None:
            positions = [missing[number] for number in batch]
            readable: list[tuple[int, Record]] = []
            for position, (kind, data) in zip(positions, replies, strict=True):
                record = unpack(data) if kind == RESULT else _died(root, self.paths[position], data.decode())
                store.add(self.paths[position], record)
                self._keep_state(position, record)
                if record.known:
                    known.append((position, record))
                else:
                    self._keep_facts(position, record)
                    if not record.error:
                        readable.append((position, record))
            self._keep_counts(readable)
            self._count(position for position in positions if self.done[position])

        files = [(self.paths[position], int(sizes[position])) for position in missing]
        read_in_batches("record", root, files, on_replies, scheduler=scheduler, options=options)
        if known:
            self.take_from(store, [position for position, _ in known], [record.content_hash for _, record in known])
            # A part that cannot be trusted, or that someone cleared, leaves some; they are decoded after all.
            self.trusts_cache = False

    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the two tables."""
        readable = np.array([not error for error in self.facts["error"]], dtype=bool)
        images = build_table(
            "images",
            {
                "path": self.files["path"].array,
                "path_bytes": self.files["path_bytes"].array,
                **self.state,
                **self.facts,
                "content_hash": [content.hex() for content in self.hashes],
            },
            index=self.files.index,
            attrs={str(name): value for name, value in self.files.attrs.items()} | {"sampling": self.sampling},
        )
        attrs = {"root": self.files.attrs["root"], "sampling": self.sampling}
        values = self.values if readable.all() else _without_gaps(self.values, readable)
        return images, build_histograms(values, index=self.files.index[readable], attrs=attrs)

    def _keep_counts(self, readable: list[tuple[int, Record]]) -> None:
        if readable:
            counts = np.frombuffer(b"".join(record.counts for _, record in readable), dtype=COUNTS[self.sampling])
            rows = counts.reshape(len(readable), N_BINS) * np.float32(SCALES[self.sampling])
            self.values[[position for position, _ in readable]] = rows

    def _keep_facts(self, position: int, record: Record) -> None:
        for column, values in self.facts.items():
            values[position] = getattr(record, column)
        self.hashes[position] = record.content_hash
        self.done[position] = True

    def _keep_state(self, position: int, record: Record) -> None:
        if record.read_ns:
            for name, values in self.state.items():
                values[position] = getattr(record, name)

    def _count(self, positions: Any) -> None:
        new = list(positions)
        self.n_done += len(new)
        self.n_bad += sum(1 for position in new if self.facts["error"][position])
        if self.bar is not None:
            self.bar.set_postfix_str(f"{self.n_bad:,} unreadable", refresh=False)
            self.bar.update(len(new))


def _died(root: bytes, path: bytes, reason: str) -> Record:
    """Return the record of a file that ended its worker; its hash lets the cache remember, unless the clock decided."""
    record = Record()
    if reason in (CRASHED, TOO_MUCH_CPU):
        kind, data = ask("hash", root, [path])[0]
        if kind == RESULT:
            record = unpack(data)
    return record.failed(reason)


def _without_gaps(values: np.ndarray, readable: np.ndarray) -> np.ndarray:
    """Return the readable rows, moved up in place: a second array of this size may not fit."""
    end = 0
    step = 4096
    for start in range(0, len(values), step):
        rows = values[start : start + step][readable[start : start + step]]
        values[end : end + len(rows)] = rows
        end += len(rows)
    return values[:end]
