"""Decisions on disk: rows are only ever added, durably, and the latest of a pair counts.

What one key or button decides is one batch: it is written in one transaction and undone as one step. An undo adds
rows too: what stood before (each row remembers it in ``was`` and ``keeper_was``), or ``undone``.
"""

from __future__ import annotations

import getpass
import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from dupkit.database import FILE_NAME, open_database, transaction
from dupkit.folders import state_folder
from dupkit.schema import table_root

DECISION_WORDS = ("", "approved", "rejected", "skipped", "undone")
"""The words of the column ``decision``; their places are the codes in memory. '' is undecided and never written."""

_VIEW_PATIENCE_MS = 50
"""How long remembering the view waits for another process: it is a convenience, the slider must not wait for it."""

_COLUMNS = (
    "path_a",
    "path_b",
    "content_hash_a",
    "content_hash_b",
    "decision",
    "keeper",
    "was",
    "keeper_was",
    "was_id",
    "stands_for",
    "rms",
    "measure",
    "sampling",
    "threshold",
    "decided_by",
    "decided_at",
)
_INSERT = (
    f"INSERT INTO decision (batch, undoes, root, {', '.join(_COLUMNS)}) "
    f"VALUES (?, ?, ?, {', '.join('?' for _ in _COLUMNS)})"
)
_values = attrgetter(*_COLUMNS)

# What stood before stands again, and remembers what it replaces.
_UNDO = f"""
INSERT INTO decision (batch, undoes, root, {", ".join(_COLUMNS)})
SELECT ?, batch, root, path_a, path_b, content_hash_a, content_hash_b, CASE was WHEN '' THEN 'undone' ELSE was END,
    keeper_was, decision, keeper, 0, was_id, rms, measure, sampling, ?, ?, ?
FROM decision WHERE decision_id BETWEEN ? AND ? ORDER BY decision_id
"""

_STEP_BEFORE = """
SELECT batch, MIN(decision_id), MAX(decision_id) FROM decision WHERE batch = (
    SELECT batch FROM decision
    WHERE root = ? AND decision_id < ? AND undoes IS NULL
        AND batch NOT IN (SELECT undoes FROM decision WHERE undoes IS NOT NULL)
    ORDER BY decision_id DESC LIMIT 1
) GROUP BY batch
"""


@dataclass(frozen=True, slots=True)
class Decision:
    """One row of the decisions table, and what it replaced.

    Attributes
    ----------
    was, keeper_was, was_id : str, str, int
        What stood before, and the decision_id it was taken under; '', '' and 0 for nothing of the pair's own.
    stands_for : int
        For a row that an undo writes: the decision_id of the earlier decision that stands again; 0: the row is its own.
    """

    path_a: str
    path_b: str
    content_hash_a: str
    content_hash_b: str
    decision: str
    keeper: str = ""
    was: str = ""
    keeper_was: str = ""
    was_id: int = 0
    stands_for: int = 0
    rms: float | None = None
    measure: str = ""
    sampling: str = ""
    threshold: float | None = None
    decided_by: str = ""
    decided_at: str = ""


Stored = tuple[int, int, int | None, bytes, str, str, str, str, str, str, int, str]
"""What a stored decision says, without its circumstances: the values of :data:`STORED`.

A bare tuple: a hundred thousand of them are read when a review is opened again.
"""

STORED = (
    "decision_id",
    "batch",
    "undoes",
    "root",
    "path_a",
    "path_b",
    "content_hash_a",
    "content_hash_b",
    "decision",
    "keeper",
    "stands_for",
    "decided_at",
)


class Step(NamedTuple):
    """One batch: its number, its first and its last decision_id. All in between are its own."""

    batch: int
    first: int
    last: int


class Decisions:
    """The decisions of one folder, in the one database of all folders.

    Parameters
    ----------
    connection : sqlite3.Connection
        From :func:`dupkit.database.open_database`.
    root : bytes
        Absolute path of the folder of photos.
    view_connection : sqlite3.Connection, optional
        A second one, which may lose its last writes when the machine (not the program) stops; for the view.
    """

    def __init__(
        self, connection: sqlite3.Connection, root: bytes, *, view_connection: sqlite3.Connection | None = None
    ) -> None:
        self.root = root
        self._connection = connection
        # JupyterLab may answer the page in another thread than that of the cells. Whoever keeps account of what is
        # stored holds the lock too, so that no other thread's decision comes in between.
        self.lock = threading.RLock()
        self._view_connection = view_connection or connection

    def add(self, rows: Iterable[Decision]) -> Step:
        """Write one batch, at least one row; durable on return."""
        with self.lock, transaction(self._connection) as connection:
            last_id, batch = self._latest()
            connection.executemany(_INSERT, ((batch + 1, None, self.root, *_values(row)) for row in rows))
            return Step(batch + 1, last_id + 1, self._latest()[0])

    def undo(self, runs: Iterable[tuple[int, int]], *, threshold: float, decided_by: str, decided_at: str) -> None:
        """Write what stood before as one batch that undoes another one; durable on return.

        Parameters
        ----------
        runs : iterable of (int, int)
            First and last decision_id of rows to take back, both inclusive, ascending, of one batch.
        threshold, decided_by, decided_at
            Of the new rows.
        """
        with self.lock, transaction(self._connection) as connection:
            batch = self._latest()[1] + 1
            connection.executemany(_UNDO, ((batch, threshold, decided_by, decided_at, *run) for run in runs))

    def _latest(self) -> tuple[int, int]:
        latest = self._connection.execute("SELECT decision_id, batch FROM decision ORDER BY decision_id DESC LIMIT 1")
        decision_id, batch = latest.fetchone() or (0, 0)
        return decision_id, batch

    def read(self, *, after: int = 0) -> list[Stored]:
        """Return the decisions of all folders with a decision_id above ``after``, oldest first."""
        return self._fetch(
            f"SELECT {', '.join(STORED)} FROM decision WHERE decision_id > ? ORDER BY decision_id", after
        )

    def read_rows(self) -> list[Decision]:
        """Return the decisions of this folder, whole, oldest first."""
        sql = f"SELECT {', '.join(_COLUMNS)} FROM decision WHERE root = ? ORDER BY decision_id"
        return [Decision(*row) for row in self._fetch(sql, self.root)]

    def paths_of(self, step: Step) -> list[tuple[str, str]]:
        """Return the two paths of each decision of a batch, in their order."""
        sql = "SELECT path_a, path_b FROM decision WHERE decision_id BETWEEN ? AND ? ORDER BY decision_id"
        return self._fetch(sql, step.first, step.last)

    def step_before(self, decision_id: int) -> Step | None:
        """Return the latest batch of this folder below a decision_id that is no undo and is not undone; None: none."""
        found = self._fetch(_STEP_BEFORE, self.root, decision_id)
        return Step(*found[0]) if found else None

    def _fetch(self, sql: str, *values: int | bytes) -> list[Any]:
        with self.lock:
            cursor = self._connection.cursor()
            cursor.row_factory = None
            return cursor.execute(sql, values).fetchall()

    def remember(self, name: str, value: object) -> bool:
        """Keep a value of the view (JSON) for this folder; return False where another process was writing."""
        with self.lock, suppress(sqlite3.OperationalError):
            self._view_connection.execute(
                "INSERT INTO review (root, name, value) VALUES (?, ?, ?) "
                "ON CONFLICT (root, name) DO UPDATE SET value = excluded.value",
                (self.root, name, json.dumps(value)),
            )
            return True
        return False

    def recall(self, name: str) -> object:
        """Return what :meth:`remember` kept, or None."""
        with self.lock:
            sql = "SELECT value FROM review WHERE root = ? AND name = ?"
            row = self._connection.execute(sql, (self.root, name)).fetchone()
        return None if row is None else json.loads(row[0])

    def close(self) -> None:
        """Close the database."""
        self._view_connection.close()
        self._connection.close()


def open_decisions(images: pd.DataFrame, *, path: Path | None = None) -> Decisions:
    """Return the stored decisions for the folder of an images table.

    Parameters
    ----------
    images : DataFrame
        The images table; its ``attrs["root"]`` names the folder.
    path : Path, optional
        The database; the one in the state folder where not given.

    Raises
    ------
    ValueError
        ``images`` lost its ``attrs``.
    dupkit.database.NewerDatabaseError
        A newer dupkit wrote the database.
    """
    root = os.fsencode(table_root(images, "images"))
    place = state_folder() / FILE_NAME if path is None else path
    connection = open_database(place)
    view_connection = open_database(place)
    # The view changes with every move of the slider. Without an fsync each it survives a killed kernel all the same.
    view_connection.execute("PRAGMA synchronous = NORMAL")
    view_connection.execute(f"PRAGMA busy_timeout = {_VIEW_PATIENCE_MS}")
    return Decisions(connection, root, view_connection=view_connection)


def person() -> str:
    """Return the user's name as decisions record it; '' where the system knows none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""


def now() -> str:
    """Return the time as decisions record it: UTC, ISO 8601 with microseconds."""
    return datetime.now(tz=UTC).isoformat(timespec="microseconds")


def codes_of(words: Sequence[str]) -> list[int]:
    """Return the codes of decision words.

    Examples
    --------
    >>> codes_of(["approved", ""])
    [1, 0]
    """
    return [DECISION_WORDS.index(word) for word in words]
