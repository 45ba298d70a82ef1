"""Disks of every kind: small, full, read-only in the middle, with attributes that forbid, and other users."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dupkit.moves.recovery import recover
from tests.faults.album import PLAN_ID, Album, snapshot
from tests.faults.sweep import apply, undo
from tests.faults.syscalls import run_traced
from tests.faults.traps import before_rename, expect


def can_mount() -> bool:
    return sys.platform == "linux" and os.geteuid() == 0


@contextmanager
def mounted(place: Path, kind: str, size: str = "16m") -> Iterator[Path]:
    """Give a mounted file system: tmpfs, or an image file of another kind on a loop device."""
    point = place / "mount"
    point.mkdir(parents=True)
    if kind == "tmpfs":
        _run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", point)
    else:
        image = place / "image"
        with open(image, "wb") as stream:
            stream.truncate(int(size.removesuffix("m")) << 20)
        _run(f"mkfs.{kind}", "-q", *(["-F"] if kind == "ext4" else []), image)
        _run("mount", "-o", "loop", image, point)
    try:
        yield point
    finally:
        _run("umount", "-l", point)


def _run(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True)


def album_on(point: Path, state: Path, **changes: object) -> Album:
    """Return a built album whose root lies on a mount and whose state elsewhere."""
    album = Album(point, **changes)  # type: ignore[arg-type]
    album.state, album.template = state / "state", state / "template"
    state.mkdir(parents=True, exist_ok=True)
    album.build()
    return album


def round_trip_on(place: Path, kind: str) -> list[str]:
    """Apply and undo on a file system of its own."""
    with mounted(place / kind, kind, "32m") as point:
        album = album_on(point, place / f"state {kind}")
        outcome = apply()
        faults = [fault for move in album.moves for fault in expect(outcome, move.move_id, ("moved",))]
        faults += album.check()
        undo()
        faults += [] if snapshot(album.root) == album.before else ["undo did not lead back to the first tree"]
    return [f"{kind}: {fault}" for fault in faults]


def full_disk(place: Path) -> list[str]:
    """No block and no inode is left: a rename may need one for its folder."""
    with mounted(place / "full", "tmpfs", "1m") as point:
        album = album_on(point, place / "state full")
        with suppress(OSError):
            (point / "filler").write_bytes(b"x" * (4 << 20))
        outcome = apply()
        faults = [
            fault
            for move in album.moves
            for fault in expect(outcome, move.move_id, ("failed", "moved"))
            if "ENOSPC" not in next(m for m in outcome.moves if m.move_id == move.move_id).message  # type: ignore[attr-defined]
        ]
        (point / "filler").unlink()
        recover()
        faults += album.check()
        apply()
        faults += album.check()
    return faults


def read_only_in_the_middle(place: Path) -> list[str]:
    """The mount turns read-only between two moves of a batch; later it can be written again."""
    with mounted(place / "ro", "tmpfs") as point:
        album = album_on(point, place / "state ro")
        seen: list[bytes] = []

        def turn(target: bytes) -> None:
            seen.append(target)
            if len(seen) == 3:
                _run("mount", "-o", "remount,ro", point)

        with before_rename(turn):
            outcome = apply()
        faults = expect(outcome, 0, ("moved",)) + expect(outcome, 2, ("failed",), "EROFS")
        _run("mount", "-o", "remount,rw", point)
        recover()
        faults += album.check()
        apply()
        faults += album.check()
        faults += [f"{m.source!r} is {m.status}" for m in album.statuses().values() if m.status != "moved"]
    return faults


def forbidding_attributes(place: Path) -> list[str]:
    """A file that may not change (chattr +i), a folder that may only grow (chattr +a)."""
    faults = []
    with mounted(place / "attributes", "ext4", "32m") as point:
        album = album_on(point, place / "state attributes")
        for flag, path, move_id in (("i", album.root / "a copy.jpg", 3), ("a", album.root / "2019" / "may", 2)):
            album.build()
            _run("chattr", f"+{flag}", path)
            try:
                outcome = apply()
                faults += expect(outcome, move_id, ("failed",), "EPERM") + album.check()
            finally:
                _run("chattr", f"-{flag}", path)
    return faults


NOBODY = 65534


def another_user(place: Path) -> list[str]:
    """A user who may not write under the root moves nothing and hears why."""
    album = album_on(place / "user", place / "state user")
    for folder in (place, place / "user", place / "state user"):
        folder.chmod(0o755)
    _run("chown", "-R", f"{NOBODY}:{NOBODY}", album.state)
    answer, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            moves = apply().moves  # type: ignore[attr-defined]
            os.write(told, "\n".join(f"{move.status}: {move.message}" for move in moves).encode())
        finally:
            os._exit(0)
    os.close(told)
    os.waitpid(pid, 0)
    with open(answer, encoding="utf-8") as stream:
        lines = stream.read().splitlines()
    faults = [line for line in lines if not line.startswith(("failed", "skipped")) or "EACCES" not in line]
    faults += [] if len(lines) == len(album.moves) else [f"{len(lines)} answers"]
    _run("chown", "-R", "0:0", album.state)
    recover()
    return faults + album.check()


COMMAND = [sys.executable, "-c", "import sys; from dupkit.cli import main; sys.exit(main())", "apply", PLAN_ID]


def killed_from_outside(place: Path, when: int) -> list[str]:
    """The real command line in a process of its own, killed at its n-th rename; run again, it ends the work."""
    album = album_on(place / "outside", place / "state outside")

    def start() -> None:
        os.chdir(Path(__file__).parents[2])
        os.execv(COMMAND[0], COMMAND)

    run = run_traced(start, kill_at=when, only=frozenset({"renameat2"}))
    faults = [] if run.killed else ["not killed"]
    recover()
    return faults + album.check() + _finished_from_outside(album)


def failed_from_outside(place: Path, call: str, error: str, when: int) -> list[str]:
    """The real command line under strace: its n-th call fails, it says so; run again, it ends the work."""
    album = album_on(place / "outside", place / "state outside")
    # The filter in the kernel lets only this call stop the program.
    traced = ["strace", "-f", "--seccomp-bpf", "-qq", "-o", str(place / "trace"), "-e", f"trace={call}"]
    inject = ["-e", f"inject={call}:error={error}:when={when}"]
    result = subprocess.run(
        [*traced, *inject, *COMMAND], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2]
    )
    faults = [] if error in result.stdout + result.stderr else [f"nothing said: {result.stdout} {result.stderr}"]
    recover()
    return faults + album.check() + _finished_from_outside(album)


def _finished_from_outside(album: Album) -> list[str]:
    subprocess.run(COMMAND, capture_output=True, check=False, cwd=Path(__file__).parents[2])
    # Move 2 has a keeper that is no real picture: the real decoder refuses it.
    left = [f"{m.source!r}: {m.status}" for m in album.statuses().values() if m.move_id != 2 and m.status != "moved"]
    return album.check() + left


ROOT_ONLY = {
    "tmpfs": lambda place: round_trip_on(place, "tmpfs"),
    "ext4 on a loop device": lambda place: round_trip_on(place, "ext4"),
    "full disk": full_disk,
    "read-only in the middle": read_only_in_the_middle,
    "forbidding attributes": forbidding_attributes,
    "another user": another_user,
}
"""What needs root on Linux."""

OUTSIDE = {
    "killed at a rename": lambda place: killed_from_outside(place, 3),
    "rename fails": lambda place: failed_from_outside(place, "renameat2", "EIO", 4),
}
"""The command line as users run it; needs strace and ptrace."""
