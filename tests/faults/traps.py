"""Situations made to lose a photo: each builds one, acts, and returns what went wrong (nothing, if dupkit is right)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dupkit.moves import carry
from dupkit.moves.journal import Move, Outcome
from tests.faults.album import Album

TRAPS: dict[str, Callable[[Path], list[str]]] = {}


def trap(function: Callable[[Path], list[str]]) -> Callable[[Path], list[str]]:
    TRAPS[function.__name__] = function
    return function


def fresh(place: Path, **changes: object) -> Album:
    """Return a built album in a folder of its own."""
    place.mkdir(parents=True, exist_ok=True)
    album = Album(place, **changes)  # type: ignore[arg-type]
    album.build()
    return album


def rewrite(path: Path, data: bytes) -> None:
    """Edit a file in place: same inode, same length where the data has it, modification time restored."""
    facts = path.stat()
    with open(path, "r+b") as stream:
        stream.write(data)
        stream.truncate()
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def replaced(path: Path, kind: str, elsewhere: Path) -> None:
    """Put something else in a file's place; the file itself goes elsewhere."""
    path.rename(elsewhere)
    if kind == "link":
        path.symlink_to(elsewhere)
    elif kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "file":
        path.write_bytes(b"x" * elsewhere.stat().st_size)


@contextmanager
def before_rename(action: Callable[[bytes], object], *, after: bool = False) -> Iterator[None]:
    """Do something in the window between the last check of a move and its rename, or right after the rename."""
    real = carry.rename_no_replace

    def hooked(source_folder: int, source: bytes, target_folder: int, target: bytes, *, way: str = "kernel") -> None:
        if after:
            real(source_folder, source, target_folder, target, way=way)
            action(target)
        else:
            action(target)
            real(source_folder, source, target_folder, target, way=way)

    carry.rename_no_replace = hooked
    try:
        yield
    finally:
        carry.rename_no_replace = real


def once(action: Callable[[], object]) -> Callable[[bytes], object]:
    done: list[bytes] = []

    def act(target: bytes) -> None:
        if not done:
            done.append(target)
            action()

    return act


def status_of(outcome: object, move_id: int) -> Move:
    assert isinstance(outcome, Outcome)
    return next(move for move in outcome.moves if move.move_id == move_id)


def expect(outcome: object, move_id: int, statuses: tuple[str, ...], *words: str) -> list[str]:
    move = status_of(outcome, move_id)
    faults = [] if move.shown_status in statuses else [f"move {move_id} is {move.shown_status}: {move.message}"]
    return faults + [f"{move.message!r} does not say {word!r}" for word in words if word not in move.message]


def same(path: Path, data: bytes) -> list[str]:
    with suppress(OSError):
        if path.read_bytes() == data:
            return []
    return [f"{path.name} does not hold what it should"]
