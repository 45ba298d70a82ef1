"""Many races for one name: a file appears at the destination while the rename runs, in another process."""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path

from dupkit.moves import rename
from tests.faults.traps import trap

_STOP = 2**40
_OURS, _THEIRS = b"ours", b"theirs"


def race(place: Path, n_races: int, *, seed: int = 0) -> tuple[int, int, list[str]]:
    """Return how many races we and they won, and the faults: a file overwritten, or lost."""
    place.mkdir(parents=True, exist_ok=True)
    # The number of the race that is on; how far the other process is; the last one that it made the target of.
    shared = mmap.mmap(-1, 24)
    folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    pid = os.fork()
    if pid == 0:
        try:
            _other(shared, folder)
        finally:
            os._exit(0)
    won = lost = 0
    faults: list[str] = []
    try:
        for number in range(1, n_races + 1):
            source, target = b"s%d" % number, b"t%d" % number
            _write(folder, source, _OURS)
            struct.pack_into("q", shared, 0, number)
            for _ in range((number * 7919 + seed) % 4):
                os.sched_yield()
            try:
                rename.rename_no_replace(folder, source, folder, target)
            except FileExistsError:
                renamed = False
            else:
                renamed = True
            while struct.unpack_from("q", shared, 8)[0] < number:
                os.sched_yield()
            found = _read(folder, target)
            if renamed:
                won += 1
                made = struct.unpack_from("q", shared, 16)[0] == number
                if made:  # both made the name: one of the two files is gone
                    faults.append(f"race {number}: what they had written was overwritten")
                if found != _OURS:
                    faults.append(f"race {number}: renamed, but {found!r} is there")
            else:
                lost += 1
                if found != _THEIRS or _read(folder, source) != _OURS:
                    faults.append(f"race {number}: refused, but {found!r} is there")
                os.unlink(source, dir_fd=folder)
            os.unlink(target, dir_fd=folder)
    finally:
        struct.pack_into("q", shared, 0, _STOP)
        os.waitpid(pid, 0)
        os.close(folder)
    return won, lost, faults


def _other(shared: mmap.mmap, folder: int) -> None:
    """Make the target of each race as soon as it is on, and say so."""
    last = 0
    while True:
        number = struct.unpack_from("q", shared, 0)[0]
        if number == _STOP:
            return
        if number == last:
            os.sched_yield()
            continue
        last = number
        target = b"t%d" % number
        try:
            descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600, dir_fd=folder)
        except FileExistsError:
            pass
        else:
            os.write(descriptor, _THEIRS)
            struct.pack_into("q", shared, 16, number)
            os.close(descriptor)
        struct.pack_into("q", shared, 8, number)


def _write(folder: int, name: bytes, data: bytes) -> None:
    descriptor = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600, dir_fd=folder)
    os.write(descriptor, data)
    os.close(descriptor)


def _read(folder: int, name: bytes) -> bytes:
    descriptor = os.open(name, os.O_RDONLY, dir_fd=folder)
    try:
        return os.read(descriptor, 100)
    finally:
        os.close(descriptor)


@trap
def races(place: Path) -> list[str]:
    return race(place, 3000)[2]
