"""The program behind ``dupkit selftest``: moves files of its own, is killed, meets errors, looks what is left.

Run as ``python -m dupkit.moves.trial FOLDER`` with a state folder of its own; prints JSON.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, ParamSpec, TypeVar

from dupkit.moves import journal, rename
from dupkit.moves.apply import apply_plan
from dupkit.moves.failures import RootLockedError, describe_failure
from dupkit.moves.journal import Move, Plan
from dupkit.moves.recovery import recover
from dupkit.moves.tree import Tree
from dupkit.moves.undo import undo_plan

N_RACES, N_KILLS, N_ERRORS = 1_000, 40, 40
"""How often: enough to see a file system that does not hold, in a few seconds on a slow disk."""

_CALLS = ("open", "lstat", "fstat", "mkdir", "rmdir", "unlink", "link", "fsync", "read", "write")
"""Calls of the operating system between which a kill or an error is tried; renames come on top."""

_NAMES = (b"plain.jpg", b"-dash.jpg", "café.jpg".encode(), "cafe\u0301.jpg".encode(), b"new\nline.jpg", b"\xff.jpg")

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
            except OSError as error:
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

    def disturbed(self, disturb: Callable[[], object], act: Callable[[str], object]) -> str:
        """Let a child act while something disturbs it, recover, undo; return what is wrong then."""
        plan_id = self.build()
        pid = os.fork()
        if pid == 0:
            try:
                disturb()
                act(plan_id)
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
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
        ("a kill -9 loses nothing", lambda: _swept(trial, N_KILLS, kill=True)),
        ("an error of the disk loses nothing", lambda: _swept(trial, N_ERRORS, kill=False)),
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
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        way = rename.find_way(descriptor, "trial")
    finally:
        os.close(descriptor)
    return {rename.KERNEL: "the kernel refuses", rename.LINK: "by a hard link, which refuses"}[way]


def _races(place: Path) -> str:
    """Let another process make each target while it is being renamed to."""
    folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    way = rename.find_way(folder, "trial")
    first = 0
    for number in range(N_RACES):
        source, target = b"s%d" % number, b"t%d" % number
        _write(source, b"ours", folder)
        pid = os.fork()
        if pid == 0:
            with suppress(FileExistsError):
                _write(target, b"theirs", folder)
            os._exit(0)
        for _ in range(number * 37 % 3000):
            pass
        try:
            rename.rename_no_replace(folder, source, folder, target, way=way)
        except FileExistsError:
            wanted = b"theirs"
        else:
            wanted, first = b"ours", first + 1
        os.waitpid(pid, 0)
        _expect(_read(target, folder) == wanted, f"in race {number} a file was overwritten")
        for name in (source, target):
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
    os.close(folder)
    return f"{N_RACES} races, {first} won"


def _synced(place: Path) -> str:
    with Tree(os.fsencode(place)) as tree:
        tree.touched(b"")
        failures = tree.sync()
    _expect(not failures, "; ".join(failures.values()))
    return "fsync of a folder works"


def _locked(place: Path) -> str:
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        _hold(place, told)
    os.read(ready, 1)
    try:
        Tree(os.fsencode(place), wait_s=0).close()
    except RootLockedError:
        refused = True
    else:
        refused = False
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(ready)
    os.close(told)
    _expect(refused, "two processes hold the lock")
    Tree(os.fsencode(place), wait_s=0).close()
    return "flock works"


def _hold(place: Path, told: int) -> NoReturn:
    try:
        with Tree(os.fsencode(place), wait_s=0):
            os.write(told, b"x")
            signal.pause()
    finally:
        os._exit(1)


def _round_trip(trial: Trial) -> str:
    plan_id = trial.build()
    outcome = apply_plan(plan_id)
    bad = [move.message for move in outcome.moves if move.shown_status != journal.MOVED]
    _expect(not bad, "; ".join(bad))
    undo_plan(plan_id)
    _expect(_tree(trial.root) == trial.before, "the tree is another one")
    refused = f"; names that this disk refuses: {len(trial.refused_names)}" if trial.refused_names else ""
    return f"{len(outcome.moves)} files with odd names{refused}"


def _swept(trial: Trial, n_points: int, *, kill: bool) -> str:
    """Kill a child, or let a call of its fail, at points spread over a whole apply."""
    counter = _Counter(-1, kill=kill)
    plan_id = trial.build()
    counter.install()
    try:
        apply_plan(plan_id)
    finally:
        counter.remove()
    undo_plan(plan_id)
    points = sorted({index * counter.count // n_points for index in range(n_points)})
    for point in points:
        fault = trial.disturbed(_Counter(point, kill=kill).install, apply_plan)
        _expect(not fault, f"at call {point}: {fault}")
    return f"{len(points)} points of {counter.count} calls"


class _Counter:
    """Counts the calls of the operating system; at one of them kills its process or raises EIO."""

    def __init__(self, at: int, *, kill: bool) -> None:
        self.at, self.kill, self.count = at, kill, 0
        self.real = {name: getattr(os, name) for name in _CALLS}
        self.real_rename = rename._kernel_call

    def install(self) -> None:
        for name, real in self.real.items():
            setattr(os, name, self._counted(real))
        rename._kernel_call = self._counted(self.real_rename)

    def remove(self) -> None:
        for name, real in self.real.items():
            setattr(os, name, real)
        rename._kernel_call = self.real_rename

    def _counted(self, real: Callable[P, R]) -> Callable[P, R]:
        def call(*arguments: P.args, **named: P.kwargs) -> R:
            self.count += 1
            if self.count - 1 == self.at:
                if self.kill:
                    os.kill(os.getpid(), signal.SIGKILL)
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(*arguments, **named)

        return call


def _expect(condition: object, fault: str) -> None:
    if not condition:
        raise AssertionError(fault)


def _write(path: bytes, data: bytes, folder: int | None = None) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600, dir_fd=folder)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)


def _read(path: bytes, folder: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY, dir_fd=folder)
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


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run_trial(Path(sys.argv[1]))))
