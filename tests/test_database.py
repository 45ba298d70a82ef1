"""The one SQLite file: private, durable, of one version, migrated after a backup, refused when newer."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from dupkit import database
from dupkit.database import MIGRATIONS, NewerDatabaseError, open_database, transaction
from dupkit.folders import cache_folder, state_folder


def test_the_folders_and_the_database_are_their_owners_only() -> None:
    open_database().close()
    for path in (state_folder(), cache_folder()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE((state_folder() / database.FILE_NAME).stat().st_mode) == 0o600


def test_the_pragmas_that_durability_rests_on(tmp_path: Path) -> None:
    connection = open_database(tmp_path / "x")
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1
    assert connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
    connection.close()


def test_a_network_home_gets_a_rollback_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_on_network", lambda place: True)
    connection = open_database(tmp_path / "x")
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "delete"
    connection.close()


def test_a_newer_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "x"
    connection = sqlite3.connect(place)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(NewerDatabaseError, match=f"schema version {len(MIGRATIONS) + 1}, this dupkit knows"):
        open_database(place)
    connection = sqlite3.connect(place)
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    connection.close()


def test_an_older_database_is_migrated_after_a_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "x"
    open_database(place).close()
    monkeypatch.setattr(database, "MIGRATIONS", (*MIGRATIONS, "CREATE TABLE later (x)"))
    connection = open_database(place)
    assert connection.execute("SELECT count(*) FROM later").fetchone()[0] == 0
    connection.close()
    backup = sqlite3.connect(tmp_path / f"x.version-{len(MIGRATIONS)}")
    assert backup.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
    backup.close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"not a database, but long enough to be read as one" * 30)
    with pytest.raises(sqlite3.DatabaseError):
        open_database(tmp_path / "x")


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    connection = open_database(tmp_path / "x")
    insert = "INSERT INTO review (root, name, value) VALUES (x'00', ?, '')"
    with pytest.raises(sqlite3.IntegrityError), transaction(connection):
        connection.executemany(insert, [("a",), ("a",)])
    with transaction(connection):
        connection.execute(insert, ("b",))
    assert [row["name"] for row in connection.execute("SELECT name FROM review")] == ["b"]
    connection.close()


def test_eight_processes_open_a_new_database_at_once(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from dupkit.database import open_database, transaction\n"
        f"connection = open_database(Path({str(tmp_path / 'x')!r}))\n"
        "import os; row = (str(os.getpid()),)\n"
        "with transaction(connection): connection.execute(\"INSERT INTO review VALUES (x'00', ?, '')\", row)\n"
    )
    runs = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(8)]
    assert [run.communicate()[1] for run in runs] == [b""] * 8
    connection = open_database(tmp_path / "x")
    assert connection.execute("SELECT count(*) FROM review").fetchone()[0] == 8
    connection.close()


def test_the_state_folder_is_made_where_the_variable_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUPKIT_STATE", str(tmp_path / "deep" / "state"))
    assert state_folder() == tmp_path / "deep" / "state"
    assert os.access(tmp_path / "deep" / "state", os.W_OK)
