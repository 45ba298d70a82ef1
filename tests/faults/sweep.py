"""Kill every system call of a move, and fail it, in turn; recover; ask the disk."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from dupkit.moves import journal, rename
from dupkit.moves.apply import apply_plan
from dupkit.moves.failures import JournalError, describe_failure
from dupkit.moves.recovery import recover
from dupkit.moves.undo import undo_plan
from tests.faults.album import PLAN_ID, Album, snapshot
from tests.faults.syscalls import ERRNOS, Run, run_traced

CHANGING = frozenset(
    ["write", "fsync", "mkdirat", "unlinkat", "linkat", "renameat2", "fchmod", "pwrite64", "fdatasync", "ftruncate"]
)
"""Calls that change something or make it durable; a network mount may do them and lose the answer."""

SLOW_TO_FAIL = "fcntl"
"""SQLite waits up to 20 s for a lock that fails: a few such points are enough."""


def apply() -> object:
    return apply_plan(PLAN_ID, decode_check=lambda _root, _path: "", batch_moves=2)


def undo() -> object:
    return undo_plan(PLAN_ID, batch_moves=2)


@dataclass
class Scenario:
    """One action over one album in one state."""

    name: str
    album: Album
    act: Callable[[], object]
    prepare: Callable[[], object] = lambda: None
    undoing: bool = False

    def set_up(self) -> None:
        self.album.build()
        self.prepare()

    def calls(self) -> list[str]:
        """Return the names of the calls of an undisturbed run."""
        self.set_up()
        return run_traced(self.act).calls

    def kill(self, k: int) -> list[str]:
        """Kill before the k-th call, recover, return the faults."""
        self.set_up()
        run = run_traced(self.act, kill_at=k)
        return self._where(k, run.stopped_at, [] if run.killed else ["not killed"], self._aftermath(k))

    def kill_twice(self, k: int, random: Random) -> list[str]:
        """Kill, then kill the recovery too, then recover; return the faults."""
        self.set_up()
        first = run_traced(self.act, kill_at=k)
        second = run_traced(recover, kill_at=random.randrange(150))
        return self._where(k, f"{first.stopped_at}, then recovery at {second.stopped_at}", self._aftermath(k))

    def fail(self, k: int, code: int, *, lie: bool = False) -> list[str]:
        """Fail the k-th call, recover, return the faults; a failure that nobody heard of is one."""
        self.set_up()
        run = run_traced(self.act, fail_at=k, code=code, lie=lie)
        name = errno.errorcode[code]
        return self._where(k, f"{run.stopped_at} {name}", self._unreported(run, name), self._aftermath(k, _notes(run)))

    def _where(self, k: int, stopped_at: str, *faults: list[str]) -> list[str]:
        return [f"{self.name}, call {k} ({stopped_at}): {fault}" for some in faults for fault in some]

    def _unreported(self, run: Run, name: str) -> list[str]:
        value = run.value
        if isinstance(value, JournalError):
            return [] if "SQLITE" in str(value) or name in str(value) else [f"no reason: {value}"]
        if isinstance(value, OSError):
            words = describe_failure(value)
            return [] if name in words and value.filename else [f"no path or errno: {words}"]
        if isinstance(value, BaseException):
            return [f"raised {value!r}"]
        if not isinstance(value, journal.Outcome):
            return []
        wanted = "undone" if self.undoing else "moved"
        return [
            f"move {move.move_id} is {move.status} and says {move.message!r}"
            for move in value.moves
            if move.shown_status != wanted and not (name in move.message and _names_a_path(move.message))
        ]

    def _aftermath(self, k: int, notes: str = "") -> list[str]:
        """Recover, ask the disk; every fifth time go on to the end and back, which must lead to the first tree."""
        album = self.album
        recover()
        faults = album.check(notes)
        if k % 5 == 0 and not faults and not notes:
            if not self.undoing:
                apply()
                faults += album.check()
            undo()
            faults += album.check()
            if _without_inodes(album) != _without_inodes(album, before=True):
                faults.append("undo did not lead back to the first tree")
        return faults


def _notes(run: Run) -> str:
    return "; ".join(run.value.notes) if isinstance(run.value, journal.Outcome) else ""


def _names_a_path(message: str) -> bool:
    """Return whether a message starts with a path of the album: a file, a folder, or `.` for the root itself."""
    return message.removeprefix("its new folder went away: ").startswith(
        ("2019", "a copy", "keep", "exact duplicates", "maybe duplicates", ".:", ".dupkit")
    )


def _without_inodes(album: Album, *, before: bool = False) -> dict[bytes, object]:
    tree = album.before if before else snapshot(album.root)
    keep = 3 if album.across else 5
    return {path: facts[:keep] for path, facts in tree.items()}


def scenarios(place: Path, across: Album | None = None) -> list[Scenario]:
    """Return what is swept: apply, undo and recovery, on one device and, where mounted, to another one."""
    album = Album(place)
    place.mkdir(parents=True, exist_ok=True)
    found = [
        Scenario("apply", album, apply),
        Scenario("undo", album, undo, apply, undoing=True),
        Scenario("recover", album, recover, lambda: _kill_at_rename(apply, 5)),
        Scenario("recover undo", album, recover, lambda: (apply(), _kill_at_rename(undo, 3)), undoing=True),
    ]
    if across is not None:
        found += [
            Scenario("apply across devices", across, apply),
            Scenario("undo across devices", across, undo, apply, undoing=True),
            Scenario("recover across devices", across, recover, lambda: _kill_at_rename(apply, 7)),
        ]
    return found


def _kill_at_rename(act: Callable[[], object], nth: int) -> None:
    run_traced(act, kill_at=nth, only=frozenset({"renameat2", "unlinkat"}))


@contextmanager
def without_kernel_rename() -> Iterator[None]:
    """Let every mount look like one that knows no rename without overwriting: link and unlink are used."""
    real = rename._kernel_call
    rename._kernel_call = lambda *_: errno.ENOSYS
    try:
        yield
    finally:
        rename._kernel_call = real


@contextmanager
def mounted_across(place: Path) -> Iterator[Album]:
    """Give an album whose two destinations are mounts of their own (root only)."""
    album = Album(place, across=True)
    tops = [album.root / "exact duplicates", album.root / "maybe duplicates"]
    mounted = []
    try:
        for top in tops:
            top.mkdir(parents=True, exist_ok=True)
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", top], check=True, capture_output=True)
            mounted.append(top)
        yield album
    finally:
        for top in mounted:
            subprocess.run(["umount", "-l", top], check=True)


def sample(random: Random, n: int, wanted: int | None) -> list[int]:
    """Return all of range(n), or a seeded share of it in order."""
    return list(range(n)) if wanted is None or wanted >= n else sorted(random.sample(range(n), wanted))


def sweep_kills(scenario: Scenario, random: Random, wanted: int | None = None) -> tuple[int, list[str]]:
    """Kill at every call, or a share; every third recovery is killed in turn; return points and faults."""
    points = sample(random, len(scenario.calls()), wanted)
    faults: list[str] = []
    for number, k in enumerate(points):
        faults += scenario.kill_twice(k, random) if number % 3 == 2 else scenario.kill(k)
    return len(points), faults


def sweep_failures(scenario: Scenario, random: Random, wanted: int | None = None) -> tuple[int, list[str]]:
    """Fail every call with every errno, or a share of these; return injections and faults."""
    calls = scenario.calls()
    every = [(k, code) for k, call in enumerate(calls) if call != SLOW_TO_FAIL for code in ERRNOS]
    points = [every[index] for index in sample(random, len(every), wanted)]
    faults: list[str] = []
    for k, code in points:
        faults += scenario.fail(k, code)
    return len(points), faults


def sweep_lies(scenario: Scenario, random: Random, wanted: int | None = None) -> tuple[int, list[str]]:
    """Let every call that changes something happen and say that it failed, or a share; return points and faults."""
    every = [k for k, call in enumerate(scenario.calls()) if call in CHANGING]
    points = [every[index] for index in sample(random, len(every), wanted)]
    faults: list[str] = []
    for k in points:
        faults += scenario.fail(k, errno.EIO, lie=True)
    return len(points), faults
