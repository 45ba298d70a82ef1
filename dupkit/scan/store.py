"""Pictures that were decoded before, found again by file and by content, and those that are decoded now, kept."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from dupkit.scan.cache import Cache, CacheLocation, file_key, joined, open_cache, pictures_kind, rows_of, settled
from dupkit.scan.decode import SCALES
from dupkit.scan.records import N_COUNTS, Record
from dupkit.schema import CHANNEL_SUM, THUMBNAIL_SIDE

FACTS = ("format", "width", "height", "orientation", "frames", "error")
"""Columns of the images table that follow from a file's content."""

COUNTS = {"fast": "<u2", "original": "<u4"}
"""Type of the counts of a record and of a part, by sampling: 30,000 pixels fit into 16 bits, 480,000 do not."""

_FILES = "files"
_PART_IMAGES = 2048
"""Images of a part: 12 MB, written in 20 ms."""

_PART_SECONDS = 10.0
"""A part is written after this time however few images it holds, so that a stop costs little."""

_THUMBNAIL_BYTES = THUMBNAIL_SIDE * THUMBNAIL_SIDE


@dataclass
class Found:
    """Where the pictures of some files lie in one part: `rows` of the part are at `positions` of the caller's list."""

    positions: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)


class PictureStore:
    """The cache for one sampling, read at the start of a run and added to during it; without a cache, empty."""

    def __init__(self, location: CacheLocation, root: bytes, sampling: str) -> None:
        self._cache: Cache | None = open_cache(location)
        self._root = root
        self._scale = SCALES[sampling]
        self._counts = COUNTS[sampling]
        self._kind = pictures_kind(sampling)
        self._places: dict[bytes, tuple[str, int]] | None = None
        self._by_size: dict[int, set[bytes]] = {}
        self._pending: list[tuple[bytes, Record]] = []
        self._last_part = time.monotonic()
        self._writer: ThreadPoolExecutor | None = None
        self._writing: list[Future[None]] = []

    def hashes_of(self, files: pd.DataFrame) -> list[bytes]:
        """Return the hash of each file whose state on the disk is one that was hashed before, else b''."""
        if self._cache is None:
            return [b""] * len(files)
        hashes: dict[bytes, bytes] = {}
        for name in self._cache.names(_FILES):
            part = self._cache.read(_FILES, name, ("key", "size_bytes", "content_hash"))
            if part is not None:
                contents = rows_of(part["content_hash"])
                hashes.update(zip(rows_of(part["key"]), contents, strict=True))
                for size, content in zip(part["size_bytes"].tolist(), contents, strict=True):
                    self._by_size.setdefault(size, set()).add(content)
        if not hashes:
            return [b""] * len(files)
        states = zip(
            *(files[name].tolist() for name in ("path_bytes", "inode", "size_bytes", "mtime_ns", "ctime_ns")),
            strict=True,
        )
        prefix = self._root + b"/"
        return [hashes.get(file_key(prefix + path, *state), b"") for path, *state in states]

    def known_of_size(self, size_bytes: int) -> set[bytes]:
        """Return the hashes of files of a size whose pictures are in the cache: what a new file may turn out to be."""
        return {content for content in self._by_size.get(size_bytes, ()) if content in self._index()}

    def find(self, hashes: Sequence[bytes]) -> dict[str, Found]:
        """Return, by part, where the pictures of some hashes lie; a hash that is b'' or not cached is left out."""
        found: dict[str, Found] = {}
        index = self._index()
        for position, content in enumerate(hashes):
            place = index.get(content)
            if place is not None:
                there = found.setdefault(place[0], Found())
                there.positions.append(position)
                there.rows.append(place[1])
        return found

    def read(self, name: str) -> dict[str, Any] | None:
        """Return content_hash, facts and counts of a part; None where it cannot be trusted."""
        assert self._cache is not None
        part = self._cache.read(self._kind, name, ("content_hash", *FACTS, "counts"))
        if part is None:
            return None
        readable = np.array([not error for error in part["error"]], dtype=bool)
        part["counts"] = part["counts"].view(self._counts)
        sums = part["counts"].reshape(-1, 3, N_COUNTS // 3).sum(axis=2, dtype=np.int64)
        if (sums != np.where(readable, CHANNEL_SUM // self._scale, 0)[:, np.newaxis]).any():
            self._cache.set_aside(self._kind, name, "its histograms do not add up")
            return None
        return part

    def read_thumbnails(self, name: str) -> np.ndarray | None:
        """Return the thumbnails of a part, an array of shape (n, 4096), uint8; None where it cannot be trusted."""
        assert self._cache is not None
        part = self._cache.read(self._kind, name, ("thumbnail",))
        return None if part is None else part["thumbnail"]

    def add(self, path: bytes, record: Record) -> None:
        """Keep what was found out about a file; it is in the cache some seconds later, or after :meth:`close`."""
        if self._cache is None or not record.content_hash:
            return
        self._pending.append((path, record))
        if len(self._pending) >= _PART_IMAGES or time.monotonic() - self._last_part > _PART_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Start writing what was added; another thread does it, so that decoding goes on."""
        if self._cache is None or not self._pending:
            return
        pending, self._pending = self._pending, []
        self._last_part = time.monotonic()
        if self._writer is None:
            self._writer = ThreadPoolExecutor(1, thread_name_prefix="dupkit-cache")
        self._writing.append(self._writer.submit(self._write, pending))

    def close(self) -> None:
        """Wait until everything is written; what cannot be written is a warning, for the scan has its result."""
        self.flush()
        if self._writer is None:
            return
        self._writer.shutdown()
        errors = {str(future.exception()) for future in self._writing if future.exception() is not None}
        if errors:
            warnings.warn(f"the cache could not be written: {', '.join(sorted(errors))}", stacklevel=3)

    def _index(self) -> dict[bytes, tuple[str, int]]:
        if self._places is None:
            self._places = {}
            for name in self._cache.names(self._kind) if self._cache is not None else ():
                assert self._cache is not None
                part = self._cache.read(self._kind, name, ("content_hash",))
                if part is not None:
                    self._places.update(
                        (content, (name, row)) for row, content in enumerate(rows_of(part["content_hash"]))
                    )
        return self._places

    def _write(self, pending: list[tuple[bytes, Record]]) -> None:
        assert self._cache is not None
        self._cache.write(_FILES, dict(self._file_columns(pending)))
        decoded = {record.content_hash: record for _, record in pending if not record.known}
        if decoded:
            self._cache.write(self._kind, _picture_columns(list(decoded.values()), self._counts))

    def _file_columns(self, pending: list[tuple[bytes, Record]]) -> Iterator[tuple[str, Any]]:
        kept = [(path, record) for path, record in pending if settled(record.read_ns, record.mtime_ns, record.ctime_ns)]
        keys = [
            file_key(self._root + b"/" + path, record.inode, record.size_bytes, record.mtime_ns, record.ctime_ns)
            for path, record in kept
        ]
        yield "key", joined(keys, 16)
        yield "size_bytes", np.array([record.size_bytes for _, record in kept], dtype=np.int64)
        yield "content_hash", joined([record.content_hash for _, record in kept], 32)


def _picture_columns(records: Sequence[Record], kind: str) -> dict[str, Any]:
    n_bytes = N_COUNTS * np.dtype(kind).itemsize
    counts = b"".join(record.counts or bytes(n_bytes) for record in records)
    thumbnails = b"".join(record.thumbnail or bytes(_THUMBNAIL_BYTES) for record in records)
    return {
        "content_hash": joined([record.content_hash for record in records], 32),
        "format": [record.format for record in records],
        "error": [record.error for record in records],
        **{
            name: np.array([getattr(record, name) for record in records], dtype=np.int64)
            for name in ("width", "height", "orientation", "frames")
        },
        "counts": np.frombuffer(counts, dtype=np.uint8).reshape(len(records), n_bytes),
        "thumbnail": np.frombuffer(thumbnails, dtype=np.uint8).reshape(len(records), _THUMBNAIL_BYTES),
    }


def cache_info(cache: CacheLocation = None) -> str:
    """Return what the cache holds, in words, one line a kind."""
    store = open_cache(cache)
    if store is None:
        return "no cache"
    lines = [f"{kind}: {count:,} files, {size / 1e6:,.1f} MB" for kind, (count, size) in sorted(store.sizes().items())]
    return "\n".join([f"{store.place}", *(lines or ["empty"])])


def clear_cache(cache: CacheLocation = None) -> None:
    """Delete everything in the cache; the next scan decodes every picture anew. Decisions and journals stay."""
    store = open_cache(cache)
    if store is not None:
        store.clear()
