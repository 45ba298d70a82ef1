"""Traps for the journal, recovery, undo and crowds of processes."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import sqlite3
from contextlib import suppress
from pathlib import Path
from random import Random

from dupkit import at as names
from dupkit.database import open_database
from dupkit.moves import carry, journal, rename
from dupkit.moves.apply import apply_plan
from dupkit.moves.failures import RootLockedError
from dupkit.moves.recovery import recover
from tests.faults.album import PLAN_ID, Album, content, snapshot
from tests.faults.sweep import Scenario, apply, undo, without_kernel_rename
from tests.faults.syscalls import run_traced
from tests.faults.traps import before_rename, expect, fresh, once, rewrite, same, trap


@trap
def intent_before_rename_before_end(place: Path) -> list[str]:
    """Every rename follows its durable intent; both folders are synced between it and its durable end."""
    album = fresh(place)
    events: list[tuple[str, object]] = []
    real_write, real_sync, real_rename = journal.write_batch, os.fsync, carry.rename_no_replace

    def write(connection: sqlite3.Connection, plan_id: str, **changes: object) -> None:
        real_write(connection, plan_id, **changes)  # type: ignore[arg-type]
        if connection.execute("PRAGMA synchronous").fetchone()[0] != 2:
            events.append(("not durable", ""))
        rows = connection.execute("SELECT status, destination FROM move").fetchall()
        events.append(("wrote", {bytes(row["destination"]).rpartition(b"/")[2]: row["status"] for row in rows}))

    def sync(descriptor: int) -> None:
        real_sync(descriptor)
        events.append(("synced", os.fstat(descriptor).st_ino))

    def move(source_folder: int, source: bytes, target_folder: int, target: bytes, *, way: str = "kernel") -> None:
        real_rename(source_folder, source, target_folder, target, way=way)
        folders = {os.fstat(source_folder).st_ino, os.fstat(target_folder).st_ino}
        events.append(("renamed", (target, folders)))

    journal.write_batch, os.fsync, carry.rename_no_replace = write, sync, move
    try:
        apply()
    finally:
        journal.write_batch, os.fsync, carry.rename_no_replace = real_write, real_sync, real_rename
    faults = [kind for kind, _ in events if kind == "not durable"]
    for number, (kind, what) in enumerate(events):
        if kind != "renamed":
            continue
        name, folders = what  # type: ignore[misc]
        known = next((e[1] for e in reversed(events[:number]) if e[0] == "wrote"), {})
        if known.get(name) != "moving":  # type: ignore[attr-defined]
            faults.append(f"{name!r} was renamed while the journal said {known.get(name)}")  # type: ignore[attr-defined]
        synced: set[object] = set()
        for later_kind, later in events[number:]:
            if later_kind == "synced":
                synced.add(later)
            elif later_kind == "wrote" and later.get(name) == "moved":  # type: ignore[attr-defined]
                if not folders <= synced:
                    faults.append(f"{name!r} ended before its folders were synced")
                break
        else:
            faults.append(f"{name!r} never ended")
    del album
    return faults


@trap
def killed_about_the_renames(place: Path) -> list[str]:
    place.mkdir(parents=True, exist_ok=True)
    album = Album(place)
    scenario = Scenario("apply", album, apply)
    calls = scenario.calls()
    at = [k for k, call in enumerate(calls) if call in ("renameat2", "mkdirat", "unlinkat")]
    return [fault for k in sorted({*at, *(k + 1 for k in at)}) for fault in scenario.kill(k)]


@trap
def undo_killed_about_the_renames(place: Path) -> list[str]:
    place.mkdir(parents=True, exist_ok=True)
    scenario = Scenario("undo", Album(place), undo, apply, undoing=True)
    at = [k for k, call in enumerate(scenario.calls()) if call in ("renameat2", "unlinkat")]
    return [fault for k in sorted({*at, *(k + 1 for k in at)}) for fault in scenario.kill(k)]


@trap
def second_name_cannot_be_removed(place: Path) -> list[str]:
    """Where link and unlink stand for a rename, an unlink that fails must undo the link."""
    album = fresh(place)
    real = os.unlink

    def refuse(path: object, *, dir_fd: int | None = None) -> None:
        if path == b"a copy.jpg" and dir_fd is not None and os.path.samestat(os.fstat(dir_fd), album.root.stat()):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), path)
        real(path, dir_fd=dir_fd)  # type: ignore[arg-type]

    names.unlink = refuse
    try:
        with without_kernel_rename():
            outcome = apply()
    finally:
        names.unlink = real
    return [*expect(outcome, 3, ("failed",), "EPERM"), *album.check()]


@trap
def foreign_file_at_the_destination_after_a_kill(place: Path) -> list[str]:
    """Recovery must not take another file for the moved one."""
    album = fresh(place)
    run_traced(apply, kill_at=0, only=frozenset({"renameat2"}))
    targets = [album.root / os.fsdecode(album.moves[number].destination) for number in (0, 2)]
    for target in targets:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"somebody else's")
    recover()
    statuses = {number: album.statuses()[number].status for number in (0, 2)}
    faults = [fault for target in targets for fault in same(target, b"somebody else's")]
    return faults + [f"recovery says {status}" for status in statuses.values() if status != "planned"]


@trap
def place_taken_when_undone(place: Path) -> list[str]:
    faults = []
    for kind in ("file", "dangling link", "folder"):
        album = fresh(place)
        apply()
        taken = album.root / "a copy.jpg"
        if kind == "file":
            taken.write_bytes(b"new")
        elif kind == "folder":
            taken.mkdir()
        else:
            taken.symlink_to("nowhere")
        outcome = undo()
        faults += [f"{kind}: {f}" for f in expect(outcome, 3, ("undone",), "a copy (restored).jpg")]
        faults += same(album.root / "a copy (restored).jpg", content(1))
        if not os.path.lexists(taken):
            faults.append(f"{kind} in its place is gone")
        if kind == "file":
            faults += same(taken, b"new")
    return faults


@trap
def place_taken_while_undone(place: Path) -> list[str]:
    album = fresh(place)
    apply()
    taken = album.root / "a copy.jpg"
    with before_rename(once(lambda: taken.write_bytes(b"new"))):
        outcome = undo()
    return [
        *expect(outcome, 3, ("failed",), "EEXIST"),
        *same(taken, b"new"),
        *same(album.root / "exact duplicates" / "a copy.jpg", content(1)),
    ]


@trap
def edited_since_the_move(place: Path) -> list[str]:
    album = fresh(place)
    apply()
    rewrite(album.root / "exact duplicates" / "a copy.jpg", b"edited")
    outcome = undo()
    return [*expect(outcome, 3, ("undone",), "edited"), *same(album.root / "a copy.jpg", b"edited")]


@trap
def folder_gone_when_undone(place: Path) -> list[str]:
    album = fresh(place)
    apply()
    for name in ("may", ""):
        (album.root / "2019" / name).rmdir()
    outcome = undo()
    return [*expect(outcome, 2, ("undone",)), *same(album.root / "2019" / "a.jpg", content(1))]


@trap
def copy_reads_back_differently(place: Path) -> list[str]:
    """A device that changes what is written to it: the copy is not taken for the file."""
    album = fresh(place, across=True)
    real_sync, real_rename = os.fsync, rename._kernel_call

    def spoil(descriptor: int) -> None:
        real_sync(descriptor)
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith(("-0.part", "-2.part", "-3.part")):
            os.pwrite(descriptor, b"#", 5)

    def other_device(source_folder: int, source: bytes, target_folder: int, target: bytes) -> int:
        if source_folder != target_folder:
            return errno.EXDEV
        return real_rename(source_folder, source, target_folder, target)

    os.fsync, rename._kernel_call = spoil, other_device
    try:
        outcome = apply()
    finally:
        os.fsync, rename._kernel_call = real_sync, real_rename
    return [*expect(outcome, 0, ("failed",)), *expect(outcome, 2, ("failed",)), *album.check()]


@trap
def unlink_that_worked_says_it_failed(place: Path) -> list[str]:
    """A lost answer of a network mount: the source is gone, so the copy is the file and must stay."""
    album = fresh(place, across=True)
    real_unlink, real_rename = os.unlink, rename._kernel_call

    def unlink(path: object, *, dir_fd: int | None = None) -> None:
        real_unlink(path, dir_fd=dir_fd)  # type: ignore[arg-type]
        if isinstance(path, bytes) and not path.startswith(b".dupkit"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    def other_device(source_folder: int, source: bytes, target_folder: int, target: bytes) -> int:
        if source_folder != target_folder:
            return errno.EXDEV
        return real_rename(source_folder, source, target_folder, target)

    os.unlink, rename._kernel_call = unlink, other_device
    try:
        apply()
    finally:
        os.unlink, rename._kernel_call = real_unlink, real_rename
    recover()
    return album.check()


@trap
def journal_planted_among_the_photos(place: Path) -> list[str]:
    """Nothing in a photo folder is read as instructions."""
    album = fresh(place)
    apply()
    (album.root / "2019" / "dupkit.sqlite3").write_bytes((album.state / "dupkit.sqlite3").read_bytes())
    (album.root / "exact duplicates" / "moved.csv").write_text("file,moved_from\na copy.jpg,../../../etc/passwd\n")
    outcome = undo()
    return [
        *expect(outcome, 3, ("undone",)),
        *same(album.root / "a copy.jpg", content(1)),
        *([] if outcome.notes else ["nothing was said of the foreign moved.csv"]),  # type: ignore[attr-defined]
    ]


@trap
def crowd(place: Path, *, n_processes: int = 4, seed: int = 0) -> list[str]:
    """Several processes apply, then undo, the same plan at once."""
    album = fresh(place)
    faults = []
    for act, status in (("apply", "moved"), ("undo", "undone")):
        codes = _at_once([act] * n_processes, seed)
        faults += [f"{act}: a process ended with {code}" for code in codes if code != 0]
        faults += album.check()
        faults += [f"{act}: {m.source!r} is {m.status}" for m in album.statuses().values() if m.status != status]
    if snapshot(album.root) != album.before:
        faults.append("undo did not lead back to the first tree")
    return faults


def _at_once(acts: list[str], seed: int) -> list[int]:
    barrier = multiprocessing.get_context("fork").Barrier(len(acts))
    pids = []
    for number, act in enumerate(acts):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                signal.alarm(60)
                random = Random(seed * 100 + number)
                barrier.wait()
                with suppress(RootLockedError):
                    for _ in range(random.randrange(2000)):
                        pass
                    {"apply": apply, "undo": undo}[act]()
                code = 0
            finally:
                os._exit(code)
        pids.append(pid)
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


@trap
def killed_holder_frees_the_lock(place: Path) -> list[str]:
    album = fresh(place)
    run_traced(apply, kill_at=2, only=frozenset({"renameat2"}))
    outcome = apply_plan(PLAN_ID, decode_check=lambda _root, _path: "", wait_s=0)
    return [*album.check(), *expect(outcome, 3, ("moved",))]


@trap
def database_is_kept_durable(place: Path) -> list[str]:
    fresh(place)
    connection = open_database()
    try:
        synchronous = connection.execute("PRAGMA synchronous").fetchone()[0]
        mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
    finally:
        connection.close()
    return [] if (synchronous, mode) in ((2, "wal"), (2, "delete")) else [f"synchronous {synchronous}, mode {mode}"]


@trap
def second_mover_waits(place: Path) -> list[str]:
    """While one process moves, another one is told so."""
    fresh(place)
    codes: list[int] = []

    def second() -> None:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                apply_plan(PLAN_ID, decode_check=lambda _root, _path: "", wait_s=0)
            except RootLockedError:
                code = 0
            finally:
                os._exit(code)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    with before_rename(once(second)):
        outcome = apply()
    return [*expect(outcome, 3, ("moved",)), *([] if codes == [0] else ["the second one moved too"])]


@trap
def interrupted_at_the_keyboard(place: Path) -> list[str]:
    """Ctrl-C between a rename and its end: settled at once, without waiting for the next start."""
    faults = []
    for after in (False, True):
        album = fresh(place)

        def stop() -> None:
            raise KeyboardInterrupt

        with before_rename(once(stop), after=after):
            try:
                apply()
            except KeyboardInterrupt:
                pass
            else:
                faults.append("the interruption was swallowed")
        faults += album.check()
    return faults
