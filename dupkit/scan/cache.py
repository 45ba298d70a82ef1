"""The cache of decoded pictures: Parquet parts in a folder that can be deleted at any time.

Two levels. ``files``: a file's absolute path, inode, size and times -> the hash of its bytes. ``pictures``: the hash,
the sampling and the decoders' versions -> what one pass over the picture gave, or why it gave nothing. So a file that
was renamed or touched is hashed again, never decoded again, and one whose ctime changed is never taken for the old one.

Parts are added, never changed: each appears whole, under a name of its own, by a rename, so two runs may share a cache
and a crash costs at most the part that was being written. A part that cannot be trusted is renamed to ``*.set-aside``
and a warning says so. The folder may be any that fsspec opens (``s3://...``), which is how a cluster shares it.
"""

from __future__ import annotations

import hashlib
import os
import uuid
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fsspec
import numpy as np

from dupkit.folders import cache_folder
from dupkit.scan.parts import BadPartError, Columns, part_bytes, read_part
from dupkit.scan.versions import decoder_version

CacheLocation = str | os.PathLike[str] | bool | None
"""None: the user's cache folder; a path or fsspec URL: that one; False: no cache."""

_SUFFIX = ".parquet"
_ASIDE = ".set-aside"

_COARSE_NS, _FINE_NS = 2_000_000_000, 100_000_000
"""A file that changed this shortly before it was read may change again without its times changing: on file systems that
keep whole seconds, and on others (whose clock ticks at most every 10 ms). Such a file is hashed again the next time."""


class Cache:
    """The parts in one folder."""

    def __init__(self, location: CacheLocation = None) -> None:
        folder = str(cache_folder() / "scan") if location is None or isinstance(location, bool) else location
        self._file_system, self._folder = fsspec.core.url_to_fs(os.fspath(folder))
        self._local = "file" in np.atleast_1d(self._file_system.protocol)

    @property
    def place(self) -> str:
        """Where the cache lies."""
        return str(self._folder) if self._local else str(self._file_system.unstrip_protocol(self._folder))

    def names(self, kind: str) -> list[str]:
        """Return the parts of a kind, in no order that means anything."""
        folder = f"{self._folder}/{kind}"
        try:
            if self._local:
                found = os.listdir(folder)  # noqa: PTH208  (fsspec's list takes a stat for each)
            else:
                found = [str(name).rpartition("/")[2] for name in self._file_system.ls(folder, detail=False)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(name for name in found if name.endswith(_SUFFIX) and not name.startswith("."))

    def read(self, kind: str, name: str, columns: Sequence[str]) -> dict[str, Any] | None:
        """Return columns of a part; None where it is gone or cannot be trusted, and is then set aside."""
        path = f"{self._folder}/{kind}/{name}"
        try:
            if self._local:
                return read_part(path, kind, columns)
            with self._file_system.open(path, "rb") as file:
                return read_part(file, kind, columns)
        except FileNotFoundError:
            return None
        except BadPartError as error:
            self._set_aside(path, str(error))
            return None

    def write(self, kind: str, columns: Columns) -> None:
        """Add a part."""
        folder = f"{self._folder}/{kind}"
        self._file_system.makedirs(folder, exist_ok=True)
        name = f"{uuid.uuid4().hex}{_SUFFIX}"
        data = part_bytes(kind, columns)
        # An object store shows an object when it is whole; a folder shows a file when it is made.
        if self._local:
            temporary = Path(folder) / f".{name}"
            with temporary.open("wb") as file:
                file.write(data)
            temporary.rename(Path(folder) / name)
        else:
            self._file_system.pipe_file(f"{folder}/{name}", bytes(data))

    def set_aside(self, kind: str, name: str, reason: str) -> None:
        """Rename a part that cannot be trusted, and say so."""
        self._set_aside(f"{self._folder}/{kind}/{name}", reason)

    def _set_aside(self, path: str, reason: str) -> None:
        try:
            self._file_system.mv(path, path + _ASIDE, recursive=True)
        except OSError:
            return  # another run was first, or the folder may only be read; it is not used in any case
        msg = f"{path}: {reason}; set aside, its images are read again"
        warnings.warn(msg, stacklevel=4)

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Return the number of files and of bytes by kind, those set aside under ``set aside``."""
        totals: dict[str, tuple[int, int]] = {}
        try:
            found = self._file_system.find(self._folder, detail=True)
        except FileNotFoundError:
            return totals
        for path, facts in found.items():
            inside = path.removeprefix(self._folder).strip("/")
            kind = "set aside" if path.endswith(_ASIDE) else inside.partition("/")[0]
            count, size = totals.get(kind, (0, 0))
            totals[kind] = (count + 1, size + int(facts["size"] or 0))
        return totals

    def clear(self) -> None:
        """Delete everything in the cache."""
        if self._file_system.exists(self._folder):
            self._file_system.rm(self._folder, recursive=True)


def open_cache(location: CacheLocation) -> Cache | None:
    """Return the cache at a location; None for False, or, with a warning, where no folder can be made."""
    if location is False:
        return None
    try:
        return Cache(location)
    except OSError as error:
        warnings.warn(f"no cache: {error}; every image is decoded, now and the next time", stacklevel=3)
        return None


def pictures_kind(sampling: str) -> str:
    """Return the kind of the parts that hold pictures as the decoders here and now would decode them."""
    return f"pictures/{sampling}-{decoder_version()}"


def file_key(place: bytes, inode: int, size_bytes: int, mtime_ns: int, ctime_ns: int) -> bytes:
    """Return the 16 bytes that stand for a file's state in level one."""
    numbers = b"%d %d %d %d " % (inode, size_bytes, mtime_ns, ctime_ns)
    return hashlib.blake2b(numbers + place, digest_size=16).digest()


def settled(read_ns: int, mtime_ns: int, ctime_ns: int) -> bool:
    """Return whether a file's times would have shown a change after it was read."""
    latest = max(mtime_ns, ctime_ns)
    return read_ns - latest > (_COARSE_NS if latest % 1_000_000_000 == 0 else _FINE_NS)


def rows_of(hashes: np.ndarray) -> list[bytes]:
    """Return the rows of an array of shape (n, width), uint8, as bytes."""
    width = hashes.shape[1]
    data = hashes.tobytes()
    return [data[start : start + width] for start in range(0, len(data), width)]


def joined(rows: Sequence[bytes], width: int) -> np.ndarray:
    """Return rows of bytes as an array of shape (n, width), uint8."""
    return np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(len(rows), width)
