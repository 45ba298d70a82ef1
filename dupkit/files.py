"""Open a regular file without following links, hash its bytes, show its path to people.

A path is bytes to the operating system and text to people: :func:`display_path` is the text (in tables, CSV, pages),
:func:`path_from_display` the way back. The standard library only: the mover imports this room.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from dupkit import at

DESTINATIONS = (b"exact duplicates", b"maybe duplicates")
"""Folders under a root that dupkit moves duplicates to, and never scans, at any depth."""

_KEPT_FORMAT_CHARACTERS = "\u200c\u200d"
"""Zero-width joiners: emoji and several scripts need them, and they reorder nothing."""

_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Zl", "Zp"})
"""Unicode categories that a person does not see or that change how their neighbours are read."""

_ESCAPE = re.compile(r"\\(\\|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")

# O_NONBLOCK: opening a FIFO returns instead of waiting for a writer. Some systems lack some of these flags.
_READ_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_FOLDER_FLAGS = _READ_FLAGS | at.O_DIRECTORY


class NotARegularFileError(OSError):
    """The path names a folder, link, FIFO, socket or device, which dupkit never opens."""


def display_path(path: bytes) -> str:
    r"""Return the text that stands for a path in every table, page and CSV; different paths give different texts.

    Bytes that are no UTF-8 become ``\xNN``, control and invisible characters ``\xNN``, ``\uNNNN`` or ``\UNNNNNNNN``,
    a backslash two.

    Parameters
    ----------
    path : bytes
        As the operating system has it, ``/`` between parts.

    Examples
    --------
    >>> display_path("holiday/été.jpg".encode())
    'holiday/été.jpg'
    >>> display_path(b"a\nb\xff.jpg")
    'a\\x0ab\\xff.jpg'
    >>> display_path(b"a\\x0ab")  # a real backslash in the name
    'a\\\\x0ab'
    """
    text = path.decode("utf-8", "surrogateescape")
    if text.isprintable() and "\\" not in text:
        return text  # nothing hidden, no stray byte: true of nearly every name, and ten times as fast to find out
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    code = ord(character)
    if character == "\\":
        return "\\\\"
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if character in _KEPT_FORMAT_CHARACTERS or unicodedata.category(character) not in _HIDDEN_CATEGORIES:
        return character
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def path_from_display(text: str) -> bytes:
    r"""Return the path that a text of :func:`display_path` stands for.

    Examples
    --------
    >>> path_from_display("a\\x0ab\\xff.jpg")
    b'a\nb\xff.jpg'
    """
    parts: list[bytes] = []
    end = 0
    for match in _ESCAPE.finditer(text):
        parts.append(text[end : match.start()].encode("utf-8", "surrogateescape"))
        escape = match.group(1)
        if escape == "\\":
            parts.append(b"\\")
        elif escape[0] == "x":
            parts.append(bytes([int(escape[1:], 16)]))
        else:
            parts.append(chr(int(escape[1:], 16)).encode())
        end = match.end()
    parts.append(text[end:].encode("utf-8", "surrogateescape"))
    return b"".join(parts)


def open_regular(path: bytes, *, dir_fd: int | None = None) -> int:
    """Return a descriptor of a regular file opened for reading, following no link in the last part of the path.

    Parameters
    ----------
    path : bytes
        Absolute, or relative to ``dir_fd``.
    dir_fd : int, optional
        Descriptor of an open folder.

    Raises
    ------
    NotARegularFileError
        It is a folder, link, FIFO, socket or device.
    OSError
        It is not there or may not be read.
    """
    try:
        descriptor = at.open_at(path, _READ_FLAGS, dir_fd=dir_fd)
    except OSError as error:
        try:
            mode = os.lstat(path).st_mode if dir_fd is None else at.lstat(path, dir_fd=dir_fd).st_mode
        except OSError:
            raise error from None
        if stat.S_ISREG(mode):
            raise
        raise _not_regular(path, mode) from error
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise _not_regular(path, mode)
    return descriptor


def _not_regular(path: bytes, mode: int) -> NotARegularFileError:
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFLNK: "a link",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    kind = kinds.get(stat.S_IFMT(mode), "no regular file")
    return NotARegularFileError(f"{display_path(path)} is {kind}, not a regular file")


@contextmanager
def opened_folder(root: int | bytes, path: bytes = b"") -> Iterator[int]:
    """Give a descriptor of the folder ``path`` below ``root``, following a link in no part of ``path``.

    Parameters
    ----------
    root : int or bytes
        Descriptor of an open folder, or its absolute path (which may itself lie behind links: it is the user's word).
    path : bytes
        Relative, ``/`` between parts; empty: the root itself.

    Raises
    ------
    OSError
        A part is not there, is no folder, or is a link.
    """
    root_flags = _FOLDER_FLAGS & ~getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.dup(root) if isinstance(root, int) else at.open_at(root, root_flags)
    try:
        for part in path.split(b"/"):
            if part in (b"", b"."):
                continue
            parent, descriptor = descriptor, at.open_at(part, _FOLDER_FLAGS, dir_fd=descriptor)
            os.close(parent)
        yield descriptor
    finally:
        os.close(descriptor)


def hash_descriptor(descriptor: int) -> str:
    """Return the SHA-256 of an open file's bytes, 64 hex digits; reads from the start, leaves the file open."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    with os.fdopen(os.dup(descriptor), "rb", buffering=0) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def in_destination(path: bytes) -> bool:
    """Return whether a relative path lies in one of the folders that dupkit moves duplicates to, at any depth.

    Examples
    --------
    >>> in_destination(b"2019/exact duplicates/a.jpg"), in_destination(b"exact duplicates.jpg")
    (True, False)
    """
    return any(part in DESTINATIONS for part in path.split(b"/")[:-1])


def size_words(size_bytes: int) -> str:
    """Return a number of bytes for people, in powers of ten.

    Examples
    --------
    >>> size_words(999), size_words(1000), size_words(1_234_000_000)
    ('999 bytes', '1.0 kB', '1.2 GB')
    """
    if size_bytes < 1000:
        return f"{size_bytes} bytes"
    size = float(size_bytes)
    for unit in ("kB", "MB", "GB", "TB"):
        size /= 1000
        if size < 999.95 or unit == "TB":
            break
    return f"{size:,.1f} {unit}"
