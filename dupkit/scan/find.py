"""Find the image files in a folder: names, sizes and times, nothing decoded."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike

import pandas as pd

from dupkit.files import DESTINATIONS, display_path, open_regular
from dupkit.scan.formats import HEAD_BYTES, IMAGE_EXTENSIONS, extension, is_image
from dupkit.schema import build_table

_Row = tuple[bytes, int, int, int, int, int]
"""path_bytes, size_bytes, mtime_ns, ctime_ns, device, inode."""


def scan_folder(
    folder: str | bytes | PathLike[str],
    *,
    exclude: Sequence[str] = (),
    recursive: bool = True,
    reference: Sequence[str | bytes | PathLike[str]] = (),
) -> pd.DataFrame:
    """Return the files table of a folder: each file that is an image by its name or by its first bytes.

    Links are never followed. ``exact duplicates`` and ``maybe duplicates``, where dupkit moves files to, are never
    scanned, at any depth. Whatever has an image's extension gets a row, so that nothing that looks like a picture is
    passed over in silence: what is no regular file (a link, a folder, a FIFO) or holds something else gets its reason
    in :func:`compute_histograms`. Nothing is written.

    Parameters
    ----------
    folder : path
        The root. A link to a folder is taken for that folder.
    exclude : sequence of str
        Shell patterns (``*``, ``?``, ``[...]``; ``*`` matches ``/`` too). A file or folder whose name, or path relative
        to the root, matches one is left out, a folder with all that is in it.
    recursive : bool
        Whether the folders in the folder are scanned too.
    reference : sequence of path
        Folders whose images are compared but never moved, such as an archive that was sorted before. A relative one
        is looked for in the current folder, then in the root. One outside the root is scanned too: its images have
        paths like ``../archive/x.jpg``.

    Returns
    -------
    DataFrame
        The files table, in order of ``path_bytes``. ``attrs``: ``root``, ``other_files`` (regular files that are no
        images), ``unreadable_folders`` (skipped, with a warning), ``reference`` (their paths in display form).

    Raises
    ------
    ValueError
        The folder or a reference folder is absent, is no folder or may not be read; there is no image in it; a
        reference folder holds the root itself.
    """
    root = _real_folder(folder, "folder")
    references = _reference_paths(root, reference)
    search = _Search(root=root, exclude=_pattern(exclude), recursive=recursive)
    search.walk(b"")
    for path in references:
        if path.startswith(b".."):
            search.walk(path)
    if search.unreadable:
        example = display_path(search.unreadable[0])
        msg = f"{len(search.unreadable)} folders could not be read and were left out, for instance {example!r}"
        warnings.warn(msg, stacklevel=2)
    if not search.rows:
        msg = (
            f"{display_path(root)}: no image in this folder, among {search.other_files} other files; dupkit looks for "
            "JPEG, PNG, GIF, WebP, TIFF, BMP, AVIF and HEIF files: pass the folder that holds the pictures"
        )
        raise ValueError(msg)
    rows = sorted(search.rows)
    columns = list(zip(*rows, strict=True))
    return build_table(
        "files",
        {
            "path": [display_path(path) for path in columns[0]],
            "path_bytes": list(columns[0]),
            "size_bytes": list(columns[1]),
            "mtime_ns": list(columns[2]),
            "ctime_ns": list(columns[3]),
            "device": list(columns[4]),
            "inode": list(columns[5]),
        },
        attrs={
            "root": os.fsdecode(root),
            "other_files": search.other_files,
            "unreadable_folders": len(search.unreadable),
            "reference": tuple(display_path(path) for path in references),
        },
    )


def signed(number: int) -> int:
    """Return a device or inode number as the tables hold it: some file systems use all 64 bits, int64 has 63.

    Examples
    --------
    >>> signed(7), signed(2**64 - 1)
    (7, -1)
    """
    return number if number < 1 << 63 else number - (1 << 64)


@dataclass
class _Search:
    """One walk over the root and its reference folders, and what it has met so far."""

    root: bytes
    exclude: re.Pattern[str] | None
    recursive: bool
    rows: list[_Row] = field(default_factory=list)
    other_files: int = 0
    unreadable: list[bytes] = field(default_factory=list)
    seen_folders: set[tuple[int, int]] = field(default_factory=set)

    def walk(self, start: bytes) -> None:
        folders = [start]
        while folders:
            path = folders.pop()
            place = os.path.join(self.root, path) if path else self.root  # noqa: PTH118  (bytes)
            try:
                # A bind mount can put a folder below itself, a reference folder can lie in another one.
                status = os.stat(place, follow_symlinks=path == b"")  # noqa: PTH116
                if (status.st_dev, status.st_ino) in self.seen_folders and status.st_ino:
                    continue
                self.seen_folders.add((status.st_dev, status.st_ino))
                with os.scandir(place) as entries:
                    for entry in entries:
                        self.meet(entry, path + b"/" + entry.name if path else entry.name, folders)
            except OSError:
                self.unreadable.append(path or b".")

    def meet(self, entry: os.DirEntry[bytes], path: bytes, folders: list[bytes]) -> None:
        if self.exclude is not None and self.is_excluded(entry.name, path):
            return
        try:
            is_folder = entry.is_dir(follow_symlinks=False)
            status = entry.stat(follow_symlinks=False) if os.name != "nt" else os.lstat(entry.path)
        except OSError:
            return  # it went away while the folder was read
        if is_folder and entry.name in DESTINATIONS:
            return
        if is_folder and self.recursive:
            folders.append(path)
        row = (
            path,
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
            signed(status.st_dev),
            signed(status.st_ino),
        )
        if extension(entry.name) in IMAGE_EXTENSIONS:
            self.rows.append(row)
        elif stat.S_ISREG(status.st_mode):
            if status.st_size and is_image(_head(entry.path)):
                self.rows.append(row)
            else:
                self.other_files += 1

    def is_excluded(self, name: bytes, path: bytes) -> bool:
        assert self.exclude is not None
        return bool(self.exclude.match(os.fsdecode(path)) or self.exclude.match(os.fsdecode(name)))


def _head(place: bytes) -> bytes:
    """Return a file's first bytes; nothing where it may not be read."""
    try:
        descriptor = open_regular(place)
    except OSError:
        return b""
    try:
        return os.read(descriptor, HEAD_BYTES)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _pattern(exclude: Sequence[str]) -> re.Pattern[str] | None:
    if isinstance(exclude, str):
        msg = f"exclude: expected a sequence of patterns, but got the text {exclude!r}; pass [{exclude!r}]"
        raise TypeError(msg)
    patterns = [fnmatch.translate(pattern.rstrip("/")) for pattern in exclude]
    return re.compile("|".join(patterns)) if patterns else None


def _real_folder(folder: str | bytes | PathLike[str], what: str) -> bytes:
    """Return the absolute path of a folder that can be listed, behind all links."""
    place = os.path.realpath(os.path.expanduser(os.fsencode(folder)))  # noqa: PTH111  (bytes)
    shown = display_path(place)
    if not os.path.lexists(place):
        msg = f"{what}: {shown} is not there; pass a folder that exists"
        raise ValueError(msg)
    if not os.path.isdir(place):  # noqa: PTH112  (bytes)
        msg = f"{what}: {shown} is not a folder; pass the folder that holds the pictures"
        raise ValueError(msg)
    try:
        os.scandir(place).close()
    except OSError as error:
        msg = f"{what}: {shown} cannot be read ({error.strerror}); ask its owner for the right to read it"
        raise ValueError(msg) from error
    return place


def _reference_paths(root: bytes, reference: Sequence[str | bytes | PathLike[str]]) -> list[bytes]:
    """Return the reference folders relative to the root, in order, each once."""
    if isinstance(reference, (str, bytes, PathLike)):
        msg = f"reference: expected a sequence of folders, but got {reference!r}; pass [{reference!r}]"
        raise TypeError(msg)
    paths: set[bytes] = set()
    for folder in reference:
        given = os.path.expanduser(os.fsencode(folder))  # noqa: PTH111  (bytes)
        inside = os.path.join(root, given)  # noqa: PTH118  (bytes)
        place = _real_folder(given if os.path.lexists(given) else inside, "reference")
        path = os.path.relpath(place, root).replace(os.fsencode(os.sep), b"/")
        if path == b"." or not path.strip(b"./"):
            msg = (
                f"reference: {display_path(place)} holds the folder to scan, {display_path(root)}, so nothing in it "
                "could be moved; pass a folder beside it or in it"
            )
            raise ValueError(msg)
        paths.add(path)
    return sorted(paths)
