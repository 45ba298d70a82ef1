"""The one SQLite file of the state folder: opening it, its pragmas, its schema version, its migrations.

Decisions (written by ``review``) and the journal of moves (written by ``moves``) share it, so that one file is backed
up and one version counts. A transaction is durable when :func:`transaction` returns.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dupkit.folders import state_folder

FILE_NAME = "dupkit.sqlite3"
"""Name of the database in the state folder."""

BUSY_TIMEOUT_MS = 30_000
"""How long a writer waits for another process's transaction, milliseconds."""

_NETWORK_FILE_SYSTEMS = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "afs",
        "ceph",
        "9p",
        "fuse.sshfs",
        "fuse.glusterfs",
        "lustre",
        "beegfs",
    }
)
"""File systems without memory shared between machines, which SQLite's WAL needs."""

_DECISIONS = """
CREATE TABLE decision (
    decision_id INTEGER PRIMARY KEY,
    batch INTEGER NOT NULL,
    undoes INTEGER,
    root BLOB NOT NULL,
    path_a TEXT NOT NULL,
    path_b TEXT NOT NULL,
    content_hash_a TEXT NOT NULL,
    content_hash_b TEXT NOT NULL,
    decision TEXT NOT NULL CHECK (decision IN ('approved', 'rejected', 'skipped', 'undone')),
    keeper TEXT NOT NULL,
    was TEXT NOT NULL,
    keeper_was TEXT NOT NULL,
    was_id INTEGER NOT NULL,
    stands_for INTEGER NOT NULL,
    rms REAL,
    measure TEXT NOT NULL,
    sampling TEXT NOT NULL,
    threshold REAL,
    decided_by TEXT NOT NULL,
    decided_at TEXT NOT NULL
);
CREATE TABLE review (
    root BLOB NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (root, name)
);
"""

_JOURNAL = """
CREATE TABLE plan (
    plan_id TEXT PRIMARY KEY,
    root BLOB NOT NULL,
    made_at TEXT NOT NULL,
    n_images INTEGER NOT NULL,
    across_devices INTEGER NOT NULL DEFAULT 0,
    busy TEXT NOT NULL DEFAULT '',
    root_identity TEXT NOT NULL DEFAULT '',
    applied_at TEXT,
    undone_at TEXT
);
CREATE TABLE move (
    plan_id TEXT NOT NULL REFERENCES plan (plan_id),
    move_id INTEGER NOT NULL,
    source BLOB NOT NULL,
    destination BLOB NOT NULL,
    size_bytes INTEGER NOT NULL,
    content_hash TEXT NOT NULL,
    keeper BLOB NOT NULL,
    keeper_hash TEXT NOT NULL,
    side_of INTEGER,
    status TEXT NOT NULL,
    message TEXT NOT NULL,
    back_to BLOB NOT NULL,
    identity TEXT NOT NULL,
    copy_identity TEXT NOT NULL,
    PRIMARY KEY (plan_id, move_id)
);
CREATE INDEX move_status ON move (status);
CREATE TABLE made_folder (
    plan_id TEXT NOT NULL REFERENCES plan (plan_id),
    path BLOB NOT NULL,
    PRIMARY KEY (plan_id, path)
);
CREATE TABLE listing (
    root BLOB NOT NULL,
    path BLOB NOT NULL,
    content_hash TEXT NOT NULL,
    PRIMARY KEY (root, path, content_hash)
);
"""

MIGRATIONS = (_DECISIONS + _JOURNAL,)
"""SQL that leads from each schema version to the next; their number is the current version."""


class NewerDatabaseError(RuntimeError):
    """The database was written by a newer dupkit."""


def open_database(path: Path | None = None) -> sqlite3.Connection:
    """Return a connection to the database, made or migrated to this version where needed.

    Autocommit: write inside :func:`transaction`. Rows come as ``sqlite3.Row``.

    Parameters
    ----------
    path : Path, optional
        The file; ``dupkit.sqlite3`` in the state folder where not given.

    Raises
    ------
    NewerDatabaseError
        A newer dupkit wrote it; nothing is changed.
    sqlite3.DatabaseError
        The file is no SQLite database.
    """
    place = state_folder() / FILE_NAME if path is None else path
    if not place.exists():
        # Made by us first: SQLite would make it with the umask's mode.
        with suppress(FileExistsError):
            os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    # JupyterLab hands a widget's messages to another thread of the kernel than the cells (a subshell); SQLite itself
    # serialises its calls. Whoever shares a connection between threads keeps their transactions apart.
    connection = sqlite3.connect(place, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000, check_same_thread=False)
    try:
        connection.row_factory = sqlite3.Row
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        connection.execute(f"PRAGMA journal_mode = {'DELETE' if _on_network(place) else 'WAL'}")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        _migrate(connection, place)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Run the block as one transaction that takes the write lock at once; durable when it returns.

    An exception rolls everything back.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _migrate(connection: sqlite3.Connection, place: Path) -> None:
    current = len(MIGRATIONS)
    if _version(connection) == current:
        return
    with transaction(connection):
        version = _version(connection)  # another process may have been first
        if version > current:
            msg = (
                f"{place} has schema version {version}, this dupkit knows {current}; "
                "it was written by a newer dupkit: install that one, or set DUPKIT_STATE to another folder"
            )
            raise NewerDatabaseError(msg)
        if 0 < version < current:
            _back_up(place, version)
        for migration in MIGRATIONS[version:]:
            for statement in migration.split(";"):
                if statement.strip():
                    connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {current}")


def _back_up(place: Path, version: int) -> None:
    """Copy the database as it was beside itself, by SQLite's own backup, before it is migrated."""
    source = sqlite3.connect(place)
    target = sqlite3.connect(place.with_name(f"{place.name}.version-{version}"))
    try:
        source.backup(target)
    finally:
        target.close()
        source.close()


def _on_network(place: Path) -> bool:
    """Return whether a file lies on a network file system, as far as Linux tells; elsewhere False."""
    mounts = Path("/proc/self/mountinfo")
    if not mounts.exists():
        return False
    best, kind = -1, ""
    parents = {str(parent) for parent in (place.resolve(), *place.resolve().parents)}
    for line in mounts.read_text("utf-8", "surrogateescape").splitlines():
        before, _, after = line.partition(" - ")
        point = before.split(" ")[4].replace("\\040", " ")
        if point in parents and len(point) >= best:
            best, kind = len(point), after.split(" ")[0]
    return kind in _NETWORK_FILE_SYSTEMS
