"""A small tree of files with a stored plan, rebuilt in milliseconds, and the oracle that no message can fool."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from dupkit.files import DESTINATIONS
from dupkit.moves import journal
from dupkit.moves.journal import Move, Plan

PLAN_ID = "faultplan1"
Facts = tuple[str, int, int, int, int]  # content hash, mode, mtime_ns, inode, device


def content(number: int) -> bytes:
    return (b"picture %d " % number) * (200 + number)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# Two byte-identical copies, one with a side file, one of a mirrored picture, one at the root, one in a deep folder.
FILES: dict[bytes, bytes] = {
    b"keep/a.jpg": content(1),
    b"keep/m.jpg": content(2),
    b"2019/a.jpg": content(1),
    b"2019/a.xmp": b"<xmp>mine</xmp>",
    b"a copy.jpg": content(1),
    b"2019/may/na\xc3\xafve\xff.jpg": content(3),
    b"other/not in the plan.jpg": content(4),
    b"other/notes.txt": b"text",
    b"z.jpg": content(5),
    b"z2.jpg": content(6),
}
FOLDERS = (b"empty folder",)


def _move(move_id: int, source: bytes, top: bytes, keeper: bytes) -> Move:
    data, kept = FILES[source], FILES[keeper]
    return Move(move_id, source, top + b"/" + source, len(data), digest(data), keeper, digest(kept))


MOVES = (
    _move(0, b"2019/a.jpg", b"exact duplicates", b"keep/a.jpg"),
    replace(_move(1, b"2019/a.xmp", b"exact duplicates", b"keep/a.jpg"), keeper_hash="", side_of=0),
    _move(2, b"2019/may/na\xc3\xafve\xff.jpg", b"maybe duplicates", b"keep/m.jpg"),
    _move(3, b"a copy.jpg", b"exact duplicates", b"keep/a.jpg"),
)


@dataclass
class Album:
    """One root with a state folder; both are rebuilt for each point."""

    place: Path
    across: bool = False
    files: dict[bytes, bytes] = field(default_factory=lambda: dict(FILES))
    moves: tuple[Move, ...] = MOVES

    def __post_init__(self) -> None:
        self.root = self.place / "root"
        self.state = self.place / "state"
        self.template = self.place / "template"

    def build(self) -> None:
        """Make the tree and the state folder anew."""
        os.environ["DUPKIT_STATE"] = str(self.state)
        if not self.template.exists():
            shutil.rmtree(self.state, ignore_errors=True)
            plan = Plan(PLAN_ID, os.fsencode(self.root), journal.now(), 100, self.across)
            with journal.opened_journal() as connection:
                journal.store_plan(connection, plan, self.moves)
            shutil.copytree(self.state, self.template)
        shutil.rmtree(self.state, ignore_errors=True)
        shutil.copytree(self.template, self.state)
        self.build_files()
        self.before = snapshot(self.root)

    def build_files(self) -> None:
        if self.root.exists():
            for entry in os.scandir(os.fsencode(self.root)):
                _clear(entry.path)
        root = os.fsencode(self.root)
        for path, data in self.files.items():
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "wb") as stream:
                stream.write(data)
            os.utime(full, ns=(1_500_000_000_123_456_789, 1_500_000_000_987_654_321))
            os.chmod(full, 0o640)
        for path in FOLDERS:
            os.makedirs(os.path.join(root, path), exist_ok=True)
        if (self.root / "keep").is_dir():
            os.chmod(self.root / "keep", 0o700)

    def statuses(self) -> dict[int, Move]:
        with journal.opened_journal() as connection:
            return {move.move_id: move for move in journal.read_moves(connection, PLAN_ID)}

    def busy(self) -> str:
        with journal.opened_journal() as connection:
            return journal.read_plan(connection, PLAN_ID).busy

    def check(self, notes: str = "") -> list[str]:
        """Return what is wrong with the disk and the journal after a recovery; nothing is wrong where it is empty."""
        faults = []
        after = snapshot(self.root)
        moves = self.statuses()
        places: dict[bytes, bytes] = {}  # where each file lies now -> where it lay before
        for move in moves.values():
            if move.status in (journal.MOVING, journal.UNDOING):
                faults.append(f"move {move.move_id} is still {move.status}")
            if move.status == journal.MOVED:
                places[move.destination] = move.source
            elif move.status == journal.UNDONE:
                places[move.back_to] = move.source
            else:
                places[move.source] = move.source
        if self.busy():
            faults.append(f"the plan is still {self.busy()}")
        planned = {move.source for move in moves.values()}
        expected = {path: facts for path, facts in self.before.items() if path not in planned}
        for now, was in places.items():
            expected[now] = self.before[was]
        tops = {path.split(b"/")[0] for path, was in places.items() if path != was}
        lost = Counter(f[0] for f in self.before.values()) - Counter(f[0] for f in after.values())
        if +lost:
            faults.append(f"contents lost: {lost}")
        for path, facts in expected.items():
            found = after.get(path)
            if found is None:
                faults.append(f"{path!r} is not where the journal says")
            elif facts[0] == "folder" or (found[0] == facts[0] and "not kept on the other device" in notes):
                continue
            elif found[:3] != facts[:3]:
                faults.append(f"{path!r}: bytes, mode or time changed: {facts} -> {found}")
            elif found[3:] != facts[3:] and not (self.across and path in places):
                faults.append(f"{path!r}: another inode")
        allowed = set(expected) | {top + b"/moved.csv" for top in tops}
        for path in expected:
            parts = path.split(b"/")
            allowed |= {b"/".join(parts[:depth]) for depth in range(1, len(parts))}
        leftovers = set(after) - allowed - self.mount_points()
        if leftovers:
            faults.append(f"left over: {sorted(leftovers)}")
        for top in tops:
            text = (self.root / os.fsdecode(top) / "moved.csv").read_bytes() if top + b"/moved.csv" in after else b""
            n_lines = text.count(b"\n") - 1
            wanted = sum(path.startswith(top + b"/") for path in places)
            if n_lines != wanted:
                faults.append(f"{top!r}/moved.csv has {n_lines} lines, not {wanted}")
        for move in moves.values():
            if move.keeper not in after:
                faults.append(f"keeper {move.keeper!r} is gone")
        return faults

    def mount_points(self) -> set[bytes]:
        return {path for path in DESTINATIONS if os.path.ismount(os.path.join(os.fsencode(self.root), path))}


def snapshot(root: Path) -> dict[bytes, Facts]:
    """Return every file and folder below a root with what must not change."""
    found: dict[bytes, Facts] = {}
    top = os.fsencode(root)
    stack = [b""]
    while stack:
        folder = stack.pop()
        for entry in os.scandir(os.path.join(top, folder)):
            path = os.path.join(folder, entry.name) if folder else entry.name
            facts = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(facts.st_mode):
                stack.append(path)
                found[path] = ("folder", facts.st_mode, 0, 0, 0)
            elif stat.S_ISREG(facts.st_mode):
                with open(entry.path, "rb") as stream:
                    hashed = digest(stream.read())
                found[path] = (hashed, facts.st_mode, facts.st_mtime_ns, facts.st_ino, facts.st_dev)
            else:
                found[path] = ("other", facts.st_mode, 0, facts.st_ino, facts.st_dev)
    return found


def _clear(path: bytes) -> None:
    facts = os.lstat(path)
    if not stat.S_ISDIR(facts.st_mode):
        os.unlink(path)
        return
    for entry in os.scandir(path):
        _clear(entry.path)
    if not os.path.ismount(path):
        os.rmdir(path)
