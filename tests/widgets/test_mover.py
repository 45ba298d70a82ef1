"""Plan, apply, undo, CSV out and in, asked as the page asks."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dupkit.folders import state_folder
from dupkit.moves import list_plans
from dupkit.widgets import ReviewWidget
from dupkit.widgets.mover import default_export_folder

MakeWidget = Callable[..., ReviewWidget]


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "moved.csv"
    }


def test_nothing_moves_before_it_is_planned_and_applied(make_widget: MakeWidget, album: Any) -> None:
    browser = make_widget().comm
    before = hashes(album.root)
    assert browser.ask("apply", confirm=None)["words"].startswith("Nothing is planned")
    assert browser.ask("plan")["words"] == "Nothing to move: no pair is approved yet."
    browser.ask("act", act="approve", position=0)
    plan = browser.ask("plan")
    assert plan["words"].startswith("1 files would move")
    assert plan["table"]["rows"][0][:2] == ["b.jpg", "exact duplicates/b.jpg"]
    assert hashes(album.root) == before
    assert browser.ask("apply", confirm=None)["words"] == "1 file moved."
    moved = hashes(album.root)
    assert moved["exact duplicates/b.jpg"] == before["b.jpg"]
    assert "b.jpg" not in moved
    assert any("1 of 1 moved" in content["words"] for content in browser.pushed() if content["push"] == "words")
    assert browser.ask("plan")["words"] == "Nothing to move: all of it has moved."
    assert browser.ask("undo_moves")["words"] == "1 file moved back."
    assert hashes(album.root) == before


def test_a_moved_picture_is_still_shown(make_widget: MakeWidget) -> None:
    browser = make_widget().comm
    browser.ask("act", act="approve", position=0)
    browser.ask("plan")
    browser.ask("apply", confirm=None)
    assert browser.ask("picture", image=1, side=96)["buffers"][0].startswith(b"\xff\xd8")
    notes = browser.ask("go", where="position", position=0)["pair"]
    assert [notes["a"]["note"], notes["b"]["note"]] == ["", "now in exact duplicates"]
    browser.ask("undo_moves")
    assert browser.ask("go", where="position", position=0)["pair"]["b"]["note"] == ""


def test_another_page_undoes_what_was_applied_before(make_widget: MakeWidget, album: Any) -> None:
    before = hashes(album.root)
    browser = make_widget().comm
    browser.ask("act", act="approve", position=0)
    browser.ask("plan")
    browser.ask("apply", confirm=None)
    assert make_widget().comm.ask("undo_moves")["words"] == "1 file moved back."
    assert hashes(album.root) == before
    assert make_widget().comm.ask("undo_moves")["words"] == "Nothing to undo: no plan of this folder is applied."


def test_above_the_brake_the_number_must_be_typed(make_widget: MakeWidget, album: Any) -> None:
    widget = make_widget()
    for position in range(4):
        widget.state.decide(position, "approved")
    widget.state.decide(5, "approved")
    browser = widget.comm
    before = hashes(album.root)
    assert browser.ask("plan")["words"].startswith("5 files would move")
    asked = browser.ask("apply", confirm=None)
    assert asked["ask_for"] == 5
    assert browser.ask("apply", confirm="4")["ask_for"] == 5
    assert "no number" in browser.problem("apply", confirm="yes")
    assert hashes(album.root) == before
    assert browser.ask("apply", confirm="5")["words"] == "5 files moved."
    assert browser.ask("undo_moves")["words"] == "5 files moved back."
    assert hashes(album.root) == before


def test_a_file_that_changed_since_stays_and_the_page_says_why(make_widget: MakeWidget, album: Any) -> None:
    browser = make_widget().comm
    browser.ask("act", act="approve", position=0)
    browser.ask("plan")
    (album.root / "b.jpg").write_bytes((album.root / "c.jpg").read_bytes())
    answer = browser.ask("apply", confirm=None)
    assert answer["words"].startswith("0 files moved, 1 ")
    assert (album.root / "b.jpg").exists()


def test_a_keeper_that_no_longer_opens_keeps_its_copies_in_place(make_widget: MakeWidget, album: Any) -> None:
    browser = make_widget().comm
    pair = browser.ask("act", act="approve", position=1)
    assert pair
    browser.ask("plan")
    (album.root / "c.jpg").write_bytes(b"no picture any more")
    answer = browser.ask("apply", confirm=None)
    assert answer["words"].startswith("0 files moved")
    assert (album.root / "trip" / "d.jpg").exists()


def test_the_plan_is_stored_only_when_it_is_applied(make_widget: MakeWidget) -> None:
    browser = make_widget().comm
    browser.ask("act", act="approve", position=0)
    browser.ask("plan")
    assert list_plans() == []


def test_export_says_where_and_replaces_only_its_own(make_widget: MakeWidget, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    browser = make_widget(export_folder=folder).comm
    browser.ask("act", act="approve", position=0)
    path = folder / "decisions.csv"
    assert browser.ask("export")["words"] == f"Decisions written to {path}"
    first = path.read_text("utf-8")
    assert "approved" in first
    browser.ask("act", act="reject", position=3)
    browser.ask("export")
    assert "rejected" in path.read_text("utf-8")
    path.write_text("mine")
    assert browser.ask("export")["words"] == f"Decisions written to {folder / 'decisions-2.csv'}"
    assert path.read_text() == "mine"


def test_a_colleague_s_csv_comes_in_and_conflicts_are_listed(make_widget: MakeWidget, tmp_path: Path) -> None:
    browser = make_widget(export_folder=tmp_path / "out").comm
    browser.ask("act", act="approve", position=0)
    browser.ask("act", act="reject", position=1)
    browser.ask("export")
    text = (tmp_path / "out" / "decisions.csv").read_text("utf-8")
    browser.ask("act", act="undo", position=0)
    browser.ask("act", act="approve", position=1)
    answer = browser.ask("import", buffers=[text.encode()])
    assert "1 conflict" in answer["title"]
    assert answer["n_rows"] == 1
    assert "line 1" in browser.problem("import", buffers=[b"a,b\n1,2\n"]) or "column" in browser.problem(
        "import", buffers=[b"a,b\n1,2\n"]
    )


def test_exports_lie_outside_the_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, elsewhere = tmp_path / "photos", tmp_path / "elsewhere"
    (root / "trip").mkdir(parents=True)
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert default_export_folder(os.fspath(root)) == elsewhere.resolve()
    for inside in (root, root / "trip"):
        monkeypatch.chdir(inside)
        assert default_export_folder(os.fspath(root)) == state_folder()


def test_a_root_that_is_gone_is_one_line(make_widget: MakeWidget, album: Any) -> None:
    browser = make_widget().comm
    browser.ask("act", act="approve", position=0)
    browser.ask("plan")
    album.root.rename(album.root.with_name("gone"))
    assert re.search("photos", browser.problem("apply", confirm=None))
