"""Where a duplicate goes: its sub-path below a destination folder, under a name that is free and fits."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from dupkit.files import DESTINATIONS

EXACT_FOLDER, MAYBE_FOLDER = DESTINATIONS
"""Folders under the root for duplicates that RMS 0 ties to their keeper, and for all others."""

LISTING = b"moved.csv"
"""What dupkit writes into each destination for people; no picture may take its name there."""

OWN_PREFIX = b".dupkit-"
"""Start of the names of dupkit's temporary files."""

NAME_MAX = 255
"""Longest name of a file, bytes: Linux, macOS and their file systems agree on it."""

_EXTENSION_MAX = 32
"""What follows the last dot and is longer than this, bytes, is no extension but part of the name."""

_CONTINUATION_MAX = 3
"""A UTF-8 character has at most this many bytes after its first."""


def split_name(name: bytes) -> tuple[bytes, bytes]:
    """Return a name's stem and its extension with the dot; the two together are the name.

    Examples
    --------
    >>> split_name(b"a.b.JPG"), split_name(b".jpg"), split_name(b"a")
    ((b'a.b', b'.JPG'), (b'.jpg', b''), (b'a', b''))
    """
    stem, extension = os.path.splitext(name)  # noqa: PTH122  (pathlib knows no bytes)
    return (stem, extension) if len(extension) <= _EXTENSION_MAX else (name, b"")


def numbered_names(stem: bytes, ends: Sequence[bytes], number: int, *, word: bytes = b"") -> list[bytes]:
    """Return ``stem (number)`` + end for each end; one stem for all, cut so that the longest fits 255 bytes.

    The cut never falls inside a UTF-8 character. ``word`` comes before the number (``(restored 2)``).

    Examples
    --------
    >>> numbered_names(b"IMG_1", [b".jpg", b".xmp"], 2)
    [b'IMG_1 (2).jpg', b'IMG_1 (2).xmp']
    >>> [len(name) for name in numbered_names(b"x" * 251, [b".jpg"], 2)]
    [255]
    """
    inside = b" ".join(part for part in (word, b"%d" % number if number else b"") if part)
    mark = b" (" + inside + b")"
    room = NAME_MAX - len(mark) - max(len(end) for end in ends)
    kept = _cut(stem, room)
    return [kept + mark + end for end in ends]


def _cut(stem: bytes, room: int) -> bytes:
    if len(stem) <= room:
        return stem
    end = max(room, 0)
    # Step back over the bytes that continue a character; invalid UTF-8 has no boundary to find.
    for back in range(_CONTINUATION_MAX + 1):
        if end - back >= 0 and stem[end - back] & 0xC0 != 0x80:
            return stem[: end - back]
    return stem[:end]


def place_files(
    folder: bytes, names: Sequence[bytes], stem: bytes, is_taken: Callable[[bytes], bool]
) -> tuple[bytes, ...]:
    """Return free paths in a folder for files that belong together, all with the same number where one is needed.

    Parameters
    ----------
    folder : bytes
        Relative to the root.
    names : sequence of bytes
        The picture's name first, then its side files'; each starts with ``stem``.
    stem : bytes
        What the names share; the number goes behind it.
    is_taken : callable
        Whether a path relative to the root is taken.
    """
    ends = [name[len(stem) :] for name in names]
    number = 1
    wanted = list(names)
    while True:
        paths = tuple(folder + b"/" + name for name in wanted)
        if len(set(paths)) == len(paths) and not any(map(is_taken, paths)):
            return paths
        number += 1
        wanted = numbered_names(stem, ends, number)


def is_reserved(path: bytes) -> bool:
    """Return whether a path in a destination is dupkit's own: the listing or a temporary file.

    Examples
    --------
    >>> is_reserved(b"exact duplicates/moved.csv"), is_reserved(b"exact duplicates/2019/moved.csv")
    (True, False)
    """
    folder, _, name = path.rpartition(b"/")
    return (name == LISTING and folder in DESTINATIONS) or name.startswith(OWN_PREFIX)


def part_name(plan_id: str, what: str) -> bytes:
    """Return the name of a temporary file of a plan, so that recovery knows which to look for.

    Examples
    --------
    >>> part_name("3f9a", "7")
    b'.dupkit-3f9a-7.part'
    """
    return OWN_PREFIX + f"{plan_id}-{what}.part".encode()
