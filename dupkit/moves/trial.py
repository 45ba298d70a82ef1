"""The program behind ``dupkit selftest``: moves files of its own, is killed, meets errors, looks what is left.

Run as ``python -m dupkit.moves.trial FOLDER`` with a state folder of its own; prints JSON. What is killed or raced
against is the same program with more arguments, in a process of its own, as on every system.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import IO, ParamSpec, TypeVar

from dupkit import at
from dupkit.moves import journal, rename
from dupkit.moves.apply import apply_plan
from dupkit.moves.failures import JournalError, RootLockedError, describe_failure
from dupkit.moves.journal import Move, Outcome, Plan
from dupkit.moves.recovery import recover
from dupkit.moves.tree import Tree
from dupkit.moves.undo import undo_plan

N_RACES, N_KILLS, N_ERRORS = 1_000, 40, 40
"""How often: enough to see a file system that does not hold, in ten seconds or so on a usual disk."""

_CALLS: dict[ModuleType, tuple[str, ...]] = {
    at: ("open_at", "lstat", "fstat", "mkdir", "rmdir", "unlink", "link"),
    os: ("fsync", "read", "write"),
    rename: ("_kernel_call",),
}
"""Calls of the operating system between which a kill or an error is tried."""

_NAMES = (b"plain.jpg", b"-dash.jpg", "café.jpg".encode(), "cafe\u0301.jpg".encode(), b"new\nline.jpg", b"\xff.jpg")

RACING, HOLDING, KILLED, FAILED = "race", "hold", "kill", "fail"
"""What a child does: make targets, hold the lock, apply and be killed at a call, apply and see a call fail."""

P = ParamSpec("P")
R = TypeVar("R")

Finding = tuple[str, str, str]
"""Name of a guarantee, fault ('' = it holds), what was seen."""


class Trial:
    """A small tree of files with a plan, made anew for each attempt."""

    def __init__(self, place: Path) -> None:
        self.root = place / "root"
        self.number = 0
        self.refused_names: list[str] = []

    def build(self) -> str:
        """Make the files and the plan anew; return the plan's id."""
        _clear(self.root)
        self.number += 1
        self.refused_names = []
        (self.root / "kept").mkdir(parents=True)
        (self.root / "copies").mkdir()
        moves: list[Move] = []
        for name in _NAMES:
            data = name * 500
            source, keeper = b"copies/" + name, b"kept/" + name
            try:
                for path in (source, keeper):
                    _write(os.fsencode(self.root) + b"/" + path, data)
            except (OSError, UnicodeError) as error:  # Windows: a name that is no UTF-8
                self.refused_names.append(describe_failure(error))
                continue
            digest = hashlib.sha256(data).hexdigest()
            where = b"exact duplicates/" + source
            moves.append(Move(len(moves), source, where, len(data), digest, keeper, digest))
        plan = Plan(f"trial{self.number}", os.fsencode(self.root), journal.now(), 1000)
        with journal.opened_journal() as connection:
            journal.store_plan(connection, plan, moves)
        self.before = _tree(self.root)
        return plan.plan_id

    def disturbed(self, what: str, point: int) -> str:
        """Let a child apply while something disturbs it, recover, undo; return what is wrong then."""
        plan_id = self.build()
        child = subprocess.run(_child(self.root, what, str(point), plan_id), check=False, capture_output=True)
        if what == KILLED and not child.returncode:
            return "it was not killed"
        recover()
        undo_plan(plan_id)
        after = _tree(self.root)
        return (
            ""
            if after == self.before
            else f"the tree is another one: {sorted(after.items() ^ self.before.items())[:3]}"
        )


def run_trial(place: Path) -> list[Finding]:
    """Return what was tried in a folder and found."""
    trial = Trial(place)
    steps: tuple[tuple[str, Callable[[], str]], ...] = (
        ("a rename never overwrites", lambda: _way(place)),
        ("nor where a file appears in that moment", lambda: _races(place)),
        ("names are made durable", lambda: _synced(place)),
        ("one mover at a time, and a dead one frees the way", lambda: _locked(place)),
        ("apply and undo lead back to the same tree", lambda: _round_trip(trial)),
        ("a kill -9 loses nothing", lambda: _swept(trial, N_KILLS, KILLED)),
        ("an error of the disk loses nothing", lambda: _swept(trial, N_ERRORS, FAILED)),
    )
    findings = []
    for name, step in steps:
        try:
            findings.append((name, "", step()))
        except (OSError, AssertionError, RuntimeError) as error:
            findings.append((name, describe_failure(error) or type(error).__name__, ""))
    _clear(trial.root)
    return findings


def _way(place: Path) -> str:
    descriptor = _folder(place)
    try:
        way = rename.find_way(descriptor, "trial")
    finally:
        os.close(descriptor)
    return {rename.KERNEL: "the kernel refuses", rename.LINK: "by a hard link, which refuses"}[way]


def _races(place: Path) -> str:
    """Let another process make each target while it is being renamed to."""
    folder = _folder(place)
    way = rename.find_way(folder, "trial")
    first = 0
    with _helper(place, RACING) as (told, answers, _):
        for number in range(N_RACES):
            source, target = b"s%d" % number, b"t%d" % number
            _write(source, b"ours", folder)
            told.write(b"x")
            told.flush()
            for _ in range(number * 37 % 3000):
                pass
            try:
                rename.rename_no_replace(folder, source, folder, target, way=way)
            except FileExistsError:
                wanted = b"theirs"
            else:
                wanted, first = b"ours", first + 1
            answers.read(1)
            _expect(_read(target, folder) == wanted, f"in race {number} a file was overwritten")
            for name in (source, target):
                with suppress(FileNotFoundError):
                    at.unlink(name, dir_fd=folder)
    os.close(folder)
    return f"{N_RACES} races, {first} won"


def _race(place: Path) -> None:
    """Make one target each time the parent says so."""
    folder = _folder(place)
    for number in range(N_RACES):
        os.read(0, 1)
        with suppress(FileExistsError):
            _write(b"t%d" % number, b"theirs", folder)
        os.write(1, b"x")


def _synced(place: Path) -> str:
    with Tree(os.fsencode(place)) as tree:
        tree.touched(b"")
        failures = tree.sync()
    _expect(not failures, "; ".join(failures.values()))
    return "fsync of a folder works"


def _locked(place: Path) -> str:
    with _helper(place, HOLDING) as (_, answers, child):
        answers.read(1)
        try:
            Tree(os.fsencode(place), wait_s=0).close()
        except RootLockedError:
            refused = True
        else:
            refused = False
        child.kill()
        child.wait()
    _expect(refused, "two processes hold the lock")
    Tree(os.fsencode(place), wait_s=0).close()
    return "a lock that dies with its holder"


def _hold(place: Path) -> None:
    with Tree(os.fsencode(place), wait_s=0):
        os.write(1, b"x")
        os.read(0, 1)  # until killed


def _round_trip(trial: Trial) -> str:
    plan_id = trial.build()
    outcome = _apply(plan_id)
    bad = [move.message for move in outcome.moves if move.shown_status != journal.MOVED]
    _expect(not bad, "; ".join(bad))
    undo_plan(plan_id)
    _expect(_tree(trial.root) == trial.before, "the tree is another one")
    refused = f"; names that this disk refuses: {len(trial.refused_names)}" if trial.refused_names else ""
    return f"{len(outcome.moves)} files with odd names{refused}"


def _swept(trial: Trial, n_points: int, what: str) -> str:
    """Kill a child, or let a call of its fail, at points spread over a whole apply."""
    counter = _Counter(-1, what)
    plan_id = trial.build()
    counter.install()
    try:
        _apply(plan_id)
    finally:
        counter.remove()
    undo_plan(plan_id)
    points = sorted({index * counter.count // n_points for index in range(n_points)})
    for point in points:
        fault = trial.disturbed(what, point)
        _expect(not fault, f"at call {point}: {fault}")
    return f"{len(points)} points of {counter.count} calls"


def _apply(plan_id: str) -> Outcome:
    return apply_plan(plan_id, disk_check=lambda _root: "")  # this is the check


class _Counter:
    """Counts the calls of the operating system; at one of them kills its process or raises EIO."""

    def __init__(self, point: int, what: str) -> None:
        self.point, self.what, self.count = point, what, 0
        self.real = [(module, name, getattr(module, name)) for module, names in _CALLS.items() for name in names]

    def install(self) -> None:
        for module, name, real in self.real:
            setattr(module, name, self._counted(real))

    def remove(self) -> None:
        for module, name, real in self.real:
            setattr(module, name, real)

    def _counted(self, real: Callable[P, R]) -> Callable[P, R]:
        def call(*arguments: P.args, **named: P.kwargs) -> R:
            self.count += 1
            if self.count - 1 == self.point:
                if self.what == KILLED:
                    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))  # Windows: its end at once
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(*arguments, **named)

        return call


def _expect(condition: object, fault: str) -> None:
    if not condition:
        raise AssertionError(fault)


def _folder(place: Path) -> int:
    return at.open_at(os.fsencode(place), os.O_RDONLY | at.O_DIRECTORY)


def _child(place: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "dupkit.moves.trial", str(place), *arguments]


@contextmanager
def _helper(place: Path, what: str) -> Iterator[tuple[IO[bytes], IO[bytes], subprocess.Popen[bytes]]]:
    """Give the ends of a child's pipes and the child, which is gone afterwards."""
    with subprocess.Popen(_child(place, what), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        try:
            if child.stdin is None or child.stdout is None:
                raise RuntimeError("no pipes")
            yield child.stdin, child.stdout, child
        finally:
            child.kill()


def _write(path: bytes, data: bytes, folder: int | None = None) -> None:
    descriptor = at.open_at(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600, dir_fd=folder)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)


def _read(path: bytes, folder: int) -> bytes:
    descriptor = at.open_at(path, os.O_RDONLY, dir_fd=folder)
    try:
        return os.read(descriptor, 100)
    finally:
        os.close(descriptor)


def _tree(root: Path) -> dict[Path, str]:
    """Return every path below a root with its content's hash; folders with none."""
    return {
        path.relative_to(root): "" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
    }


def _clear(root: Path) -> None:
    """Remove the trial's own tree."""
    for path in sorted(root.rglob("*"), reverse=True):
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()
    with suppress(FileNotFoundError):
        root.rmdir()


def main(place: str, what: str = "", point: str = "", plan_id: str = "") -> None:
    """Do the whole trial, or be one of its children."""
    if what == RACING:
        _race(Path(place))
    elif what == HOLDING:
        _hold(Path(place))
    elif what:
        _Counter(int(point), what).install()
        with suppress(OSError, JournalError):
            _apply(plan_id)
    else:
        sys.stdout.write(json.dumps(run_trial(Path(place))))


if __name__ == "__main__":
    main(*sys.argv[1:])
