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

_LAST_ID = (1 << 63) - 1

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


class Stored(NamedTuple):
    """What a stored decision says, without its circumstances: a hundred thousand of them are read at once."""

    decision_id: int
    batch: int
    undoes: int | None
    root: bytes
    path_a: str
    path_b: str
    content_hash_a: str
    content_hash_b: str
    decision: str
    keeper: str
    stands_for: int
    decided_at: str


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
        # JupyterLab may answer the page in another thread than that of the cells.
        self._lock = threading.RLock()
        self._view_connection = view_connection or connection

    def add(self, rows: Iterable[Decision], *, undoes: int | None = None) -> tuple[int, int, int]:
        """Write one batch and return its number, its first and its last decision_id; durable on return.

        Parameters
        ----------
        rows : iterable of Decision
            At least one.
        undoes : int, optional
            The batch that these rows undo.
        """
        with self._lock, transaction(self._connection) as connection:
            latest = connection.execute("SELECT decision_id, batch FROM decision ORDER BY decision_id DESC LIMIT 1")
            last_id, batch = latest.fetchone() or (0, 0)
            connection.executemany(
                _INSERT,
                ((batch + 1, undoes, self.root, *_values(row)) for row in rows),
            )
            first = last_id + 1
            last = int(connection.execute("SELECT MAX(decision_id) FROM decision").fetchone()[0])
        return batch + 1, first, last

    def read(self, *, after: int = 0) -> list[Stored]:
        """Return the decisions of all folders with a decision_id above ``after``, oldest first."""
        sql = f"SELECT {', '.join(Stored._fields)} FROM decision WHERE decision_id > ? ORDER BY decision_id"
        return [*map(Stored._make, self._fetch(sql, (after,)))]

    def read_rows(self, *, first: int = 0, last: int = _LAST_ID) -> list[Decision]:
        """Return the decisions of this folder with ``first <= decision_id <= last``, whole, oldest first."""
        sql = f"SELECT {', '.join(_COLUMNS)} FROM decision WHERE decision_id BETWEEN ? AND ? AND root = ?"
        return [Decision(*row) for row in self._fetch(f"{sql} ORDER BY decision_id", (first, last, self.root))]

    def batches_to_undo(self) -> list[tuple[int, int, int]]:
        """Return the batches of this folder that are not undone, oldest first: number, first and last decision_id."""
        sql = "SELECT batch, MIN(decision_id), MAX(decision_id), undoes FROM decision WHERE root = ? GROUP BY batch"
        batches = self._fetch(f"{sql} ORDER BY batch", (self.root,))
        undone = {undoes for _, _, _, undoes in batches if undoes is not None}
        return [batch[:3] for batch in batches if batch[3] is None and batch[0] not in undone]

    def _fetch(self, sql: str, values: tuple[int | bytes, ...]) -> list[tuple[Any, ...]]:
        with self._lock:
            cursor = self._connection.cursor()
            cursor.row_factory = None
            return cursor.execute(sql, values).fetchall()

    def stored(self, row: Decision, decision_id: int, batch: int, undoes: int | None) -> Stored:
        """Return a decision just added as :meth:`read` would."""
        return Stored(
            decision_id,
            batch,
            undoes,
            self.root,
            row.path_a,
            row.path_b,
            row.content_hash_a,
            row.content_hash_b,
            row.decision,
            row.keeper,
            row.stands_for,
            row.decided_at,
        )

    def remember(self, name: str, value: object) -> bool:
        """Keep a value of the view (JSON) for this folder; return False where another process was writing."""
        with self._lock, suppress(sqlite3.OperationalError):
            self._view_connection.execute(
                "INSERT INTO review (root, name, value) VALUES (?, ?, ?) "
                "ON CONFLICT (root, name) DO UPDATE SET value = excluded.value",
                (self.root, name, json.dumps(value)),
            )
            return True
        return False

    def recall(self, name: str) -> object:
        """Return what :meth:`remember` kept, or None."""
        with self._lock:
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
