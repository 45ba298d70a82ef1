"""Plans and what became of them, in SQLite: an intent is durable before its rename, its end after the folders are.

Statuses on the disk: planned -> moving -> moved -> undoing -> undone; skipped (a check of ours said no), failed (the
operating system did), refused (the plan itself did; shown as skipped).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from dupkit.database import FILE_NAME, open_database, transaction
from dupkit.folders import STATE_VARIABLE
from dupkit.moves.failures import JournalError, UnknownPlanError, near_path

PLANNED, MOVING, MOVED = "planned", "moving", "moved"
UNDOING, UNDONE = "undoing", "undone"
SKIPPED, FAILED, REFUSED = "skipped", "failed", "refused"

APPLYING, UNDOING_PLAN = "applying", "undoing"
"""What a plan is busy with, from before its first change on the disk until after its last."""

_SHOWN = {MOVING: PLANNED, UNDOING: MOVED, REFUSED: SKIPPED}


@dataclass(frozen=True, slots=True)
class Move:
    """One file's way: from where to where, and what is kept in its place. Paths are relative to the root."""

    move_id: int
    source: bytes
    destination: bytes
    size_bytes: int
    content_hash: str
    keeper: bytes
    keeper_hash: str
    """'' for a side file that goes along with its picture and is nobody's copy."""
    side_of: int | None = None
    status: str = PLANNED
    message: str = ""
    back_to: bytes = b""
    """Where an undo takes it: its source, or beside it where that place was taken."""
    identity: str = ""
    """device:inode of the file that the intent is about."""
    copy_identity: str = ""
    """device:inode of our copy of it on another device, once complete."""

    @property
    def shown_status(self) -> str:
        """The status as tables show it: planned, moved, skipped, failed or undone."""
        return _SHOWN.get(self.status, self.status)


@dataclass(frozen=True, slots=True)
class Plan:
    """One plan's facts."""

    plan_id: str
    root: bytes
    made_at: str
    n_images: int
    across_devices: bool = False
    busy: str = ""
    root_identity: str = ""
    applied_at: str = ""
    undone_at: str = ""


@dataclass(frozen=True, slots=True)
class PlanSummary:
    """One line of ``dupkit undo --list``: a plan and how many of its moves have which shown status."""

    plan_id: str
    root: bytes
    made_at: str
    applied_at: str
    undone_at: str
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an apply or undo did."""

    plan_id: str
    root: bytes
    moves: tuple[Move, ...]
    """Every move of the plan, or those that were asked for, with status and message."""
    already_done: bool = False
    recovered: tuple[str, ...] = ()
    """What an earlier, interrupted run had left and what was done about it."""
    notes: tuple[str, ...] = ()
    """What else should be known."""

    def count(self, status: str) -> int:
        """Return how many moves have a shown status."""
        return sum(move.shown_status == status for move in self.moves)


@contextmanager
def opened_journal() -> Iterator[sqlite3.Connection]:
    """Give a connection to the journal, closed afterwards.

    Raises
    ------
    JournalError
        SQLite cannot read or write it; the state folder and the reason are named.
    """
    place = os.environ.get(STATE_VARIABLE) or "the user's state folder"
    try:
        with near_path(os.fsencode(place)):
            opened = open_database()
        with closing(opened) as connection:
            yield connection
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        msg = f"the journal {FILE_NAME} in {place} cannot be used: {name}: {error}"
        raise JournalError(msg) from error


def now() -> str:
    """Return the time, UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


_MOVE_COLUMNS = (
    "move_id, source, destination, size_bytes, content_hash, keeper, keeper_hash, side_of, status, message, back_to, "
    "identity, copy_identity"
)


def _values(move: Move) -> tuple[object, ...]:
    return (
        move.move_id,
        move.source,
        move.destination,
        move.size_bytes,
        move.content_hash,
        move.keeper,
        move.keeper_hash,
        move.side_of,
        move.status,
        move.message,
        move.back_to,
        move.identity,
        move.copy_identity,
    )


def store_plan(connection: sqlite3.Connection, plan: Plan, moves: Iterable[Move]) -> str:
    """Store a plan and return its id; a plan of this id that was never applied is replaced.

    Raises
    ------
    ValueError
        The plan was applied already, with other moves.
    """
    moves = tuple(moves)
    with transaction(connection):
        found = connection.execute("SELECT * FROM plan WHERE plan_id = ?", (plan.plan_id,)).fetchone()
        if found is not None:
            stored = _plan_of(found)
            before = read_moves(connection, plan.plan_id)
            if stored.root == plan.root and list(map(_planned, before)) == list(map(_planned, moves)):
                return plan.plan_id
            if stored.applied_at or stored.busy or any(move.status not in (PLANNED, REFUSED) for move in before):
                msg = f"plan {plan.plan_id} was applied already, with other moves; make a new plan with plan_moves"
                raise ValueError(msg)
            connection.execute("DELETE FROM move WHERE plan_id = ?", (plan.plan_id,))
            connection.execute("DELETE FROM plan WHERE plan_id = ?", (plan.plan_id,))
        connection.execute(
            "INSERT INTO plan (plan_id, root, made_at, n_images, across_devices) VALUES (?, ?, ?, ?, ?)",
            (plan.plan_id, plan.root, plan.made_at, plan.n_images, plan.across_devices),
        )
        marks = ", ".join("?" * (_MOVE_COLUMNS.count(",") + 2))
        connection.executemany(
            f"INSERT INTO move (plan_id, {_MOVE_COLUMNS}) VALUES ({marks})",
            ((plan.plan_id, *_values(move)) for move in moves),
        )
    return plan.plan_id


def _planned(move: Move) -> tuple[object, ...]:
    """Return what the plan said about a move, without what became of it."""
    return (move.move_id, move.source, move.destination, move.content_hash, move.keeper, move.keeper_hash, move.side_of)


def read_plan(connection: sqlite3.Connection, plan_id: str) -> Plan:
    """Return a plan.

    Raises
    ------
    UnknownPlanError
        There is none of this id.
    """
    row = connection.execute("SELECT * FROM plan WHERE plan_id = ?", (plan_id,)).fetchone()
    if row is None:
        msg = f"no plan {plan_id!r} in this state folder; `dupkit undo --list` shows the plans there are"
        raise UnknownPlanError(msg)
    return _plan_of(row)


def _plan_of(row: sqlite3.Row) -> Plan:
    return Plan(
        row["plan_id"],
        row["root"],
        row["made_at"],
        row["n_images"],
        bool(row["across_devices"]),
        row["busy"],
        row["root_identity"],
        row["applied_at"] or "",
        row["undone_at"] or "",
    )


def read_moves(connection: sqlite3.Connection, plan_id: str) -> tuple[Move, ...]:
    """Return a plan's moves in order."""
    rows = connection.execute(f"SELECT {_MOVE_COLUMNS} FROM move WHERE plan_id = ? ORDER BY move_id", (plan_id,))
    return tuple(Move(*row) for row in rows)


def read_plans(connection: sqlite3.Connection, *, root: bytes | None = None, busy: bool = False) -> list[Plan]:
    """Return the plans, the oldest first; of one root, or those only that were interrupted, where asked."""
    where = ["1"] + ["root = ?"] * (root is not None) + ["busy <> ''"] * busy
    rows = connection.execute(
        f"SELECT * FROM plan WHERE {' AND '.join(where)} ORDER BY rowid", () if root is None else (root,)
    )
    return [_plan_of(row) for row in rows]


def summarise_plans(connection: sqlite3.Connection) -> list[PlanSummary]:
    """Return every plan with its counts, the latest first."""
    counts: dict[str, dict[str, int]] = {}
    for plan_id, status, number in connection.execute("SELECT plan_id, status, count(*) FROM move GROUP BY 1, 2"):
        of_plan = counts.setdefault(plan_id, {})
        shown = _SHOWN.get(status, status)
        of_plan[shown] = of_plan.get(shown, 0) + number
    return [
        PlanSummary(
            plan.plan_id, plan.root, plan.made_at, plan.applied_at, plan.undone_at, counts.get(plan.plan_id, {})
        )
        for plan in reversed(read_plans(connection))
    ]


def begin(connection: sqlite3.Connection, plan: Plan, busy: str, root_identity: str) -> None:
    """Make durable that a plan is about to change the disk under this root."""
    with transaction(connection):
        connection.execute(
            "UPDATE plan SET busy = ?, root_identity = ? WHERE plan_id = ?", (busy, root_identity, plan.plan_id)
        )


def write_batch(
    connection: sqlite3.Connection,
    plan_id: str,
    *,
    ended: Iterable[Move],
    intents: Iterable[Move] = (),
    folders: Iterable[bytes] = (),
) -> None:
    """Make durable, in one transaction, how the last moves ended, which come next, and which folders they may make."""
    with transaction(connection):
        connection.executemany(
            "UPDATE move SET status = ?, message = ? WHERE plan_id = ? AND move_id = ?",
            ((move.status, move.message, plan_id, move.move_id) for move in ended),
        )
        connection.executemany(
            "UPDATE move SET status = ?, message = ?, back_to = ?, identity = ?, copy_identity = '' "
            "WHERE plan_id = ? AND move_id = ?",
            ((move.status, move.message, move.back_to, move.identity, plan_id, move.move_id) for move in intents),
        )
        _note_folders(connection, plan_id, folders)


def _note_folders(connection: sqlite3.Connection, plan_id: str, folders: Iterable[bytes]) -> None:
    connection.executemany(
        "INSERT OR IGNORE INTO made_folder (plan_id, path) VALUES (?, ?)", ((plan_id, path) for path in folders)
    )


def note_copy(connection: sqlite3.Connection, plan_id: str, move_id: int, copy_identity: str) -> None:
    """Make durable which file is our complete copy on another device, before it gets its name."""
    with transaction(connection):
        connection.execute(
            "UPDATE move SET copy_identity = ? WHERE plan_id = ? AND move_id = ?", (copy_identity, plan_id, move_id)
        )


def end(connection: sqlite3.Connection, plan_id: str, *, gone_folders: Iterable[bytes], finished: bool) -> None:
    """Make durable that a plan has changed the disk for the last time, if so; what it did decides its dates."""
    with transaction(connection):
        connection.executemany(
            "DELETE FROM made_folder WHERE path = ? AND plan_id IN "
            "(SELECT plan_id FROM plan WHERE root = (SELECT root FROM plan WHERE plan_id = ?))",
            ((path, plan_id) for path in gone_folders),
        )
        kinds = {row[0] for row in connection.execute("SELECT DISTINCT status FROM move WHERE plan_id = ?", (plan_id,))}
        connection.execute(
            "UPDATE plan SET busy = CASE WHEN ? THEN '' ELSE busy END, "
            "applied_at = CASE WHEN ? THEN coalesce(applied_at, ?) ELSE applied_at END, "
            "undone_at = CASE WHEN ? THEN ? END WHERE plan_id = ?",
            (
                finished and not kinds & {MOVING, UNDOING},
                PLANNED not in kinds,
                now(),
                UNDONE in kinds and not kinds & {MOVED, UNDOING, MOVING},
                now(),
                plan_id,
            ),
        )


def made_folders(connection: sqlite3.Connection, root: bytes) -> list[bytes]:
    """Return the folders that plans of a root made or were about to make, the innermost first."""
    rows = connection.execute("SELECT DISTINCT path FROM made_folder JOIN plan USING (plan_id) WHERE root = ?", (root,))
    return sorted((row[0] for row in rows), key=lambda path: (-path.count(b"/"), path))


def moved_below(connection: sqlite3.Connection, root: bytes, folder: bytes) -> list[tuple[str, Move]]:
    """Return, with their plan's id, the moves whose file now lies in a destination folder, by destination."""
    prefix = folder + b"/"
    rows = connection.execute(
        f"SELECT plan_id, {_MOVE_COLUMNS} FROM move JOIN plan USING (plan_id) "
        "WHERE root = ? AND status = 'moved' AND substr(destination, 1, ?) = ? ORDER BY destination",
        (root, len(prefix), prefix),
    )
    return [(row[0], Move(*tuple(row)[1:])) for row in rows]


def listing_hashes(connection: sqlite3.Connection, root: bytes, path: bytes) -> set[str]:
    """Return the contents, as hashes, that dupkit itself has given a listing: what may be replaced."""
    rows = connection.execute("SELECT content_hash FROM listing WHERE root = ? AND path = ?", (root, path))
    return {row[0] for row in rows}


def note_listing(connection: sqlite3.Connection, root: bytes, path: bytes, content_hash: str, *, only: bool) -> None:
    """Make durable that a listing has, or is about to have, a content; ``only``: it has no other one any more."""
    with transaction(connection):
        if only:
            connection.execute("DELETE FROM listing WHERE root = ? AND path = ?", (root, path))
        if content_hash:
            connection.execute("INSERT OR IGNORE INTO listing VALUES (?, ?, ?)", (root, path, content_hash))


def ended(move: Move, status: str, message: str = "") -> Move:
    """Return a move as it ended."""
    return replace(move, status=status, message=message)
