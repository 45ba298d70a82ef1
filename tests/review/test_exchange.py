"""Decisions as CSV: hostile names come back, two analysts' files merge, conflicts are listed, nonsense is refused."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pandas as pd
import pytest

from dupkit.review.exchange import CONFLICT_COLUMNS, EXACT_COLUMNS, read_decisions, write_decisions
from dupkit.schema import TABLES, check_table, empty_table
from tests.review.tables import letters, make_images, make_pairs

HOSTILE = sorted(
    [
        b"=cmd|' /C calc'!A0.jpg",
        b"+1.jpg",
        b"-1.jpg",
        b"@SUM(1).jpg",
        b"\t=1.jpg",
        b"\r=1.jpg",
        b"'=1.jpg",
        b"<script>alert(1)</script>.jpg",
        b'a"b,c;d.jpg',
        b"line\nbreak.jpg",
        b"bad\xff\xfe.jpg",
        "\u202egpj.exe".encode(),
        "été ☃.jpg".encode(),
        b"back\\slash.jpg",
    ]
)


def test_hostile_names_go_out_neutral_and_come_back_exactly(open_state, tmp_path: Path) -> None:
    n = len(HOSTILE)
    images, pairs = make_images(HOSTILE), make_pairs([(k, k + 1, float(k)) for k in range(n - 1)])
    state = open_state(images, pairs)
    for position in range(n - 1):
        state.decide(position, "approved", keeper=position)
    path = state.export_csv(tmp_path / "out" / "decisions.csv")
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == [*TABLES["decisions"].column_names, *EXACT_COLUMNS.values()]
    assert len(rows) == n
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    read = read_decisions(path)
    assert [row.path_a for row in read] == images["path"].tolist()[:-1]
    assert [row.keeper for row in read] == images["path"].tolist()[:-1]
    # A colleague's own photos: another root, the same names and contents.
    colleague = open_state(make_images(HOSTILE, root="/colleague"), pairs)
    assert colleague.tally()["approved"] == 0
    conflicts = colleague.import_csv(path)
    assert (len(conflicts), colleague.tally()["approved"]) == (0, n - 1)
    assert colleague.standing.keeper.tolist() == list(range(n - 1))
    assert colleague.undo()
    assert colleague.tally()["approved"] == 0


def test_the_table_that_goes_out_is_the_schemas_with_one_row_for_each_pair(open_state, tmp_path: Path) -> None:
    state = open_state()
    state.decide(0, "approved")
    state.decide(1, "approved")
    state.decide(0, "rejected")
    state.decide(2, "skipped")
    state.undo()
    table = state.decisions_table()
    check_table(table, "decisions")
    assert table[["decision", "rms", "threshold", "measure", "sampling"]].to_numpy().tolist() == [
        ["approved", 100.0, 500.0, "rms", "fast"],
        ["rejected", 0.0, 500.0, "rms", "fast"],
    ]
    state.export_csv(tmp_path / "a.csv")
    assert state.import_csv(tmp_path / "a.csv").empty
    assert state.message == "Taken in: 0 decisions; 2 were known; 0 conflicts"
    state.export_csv(tmp_path / "a.csv")  # its own file is replaced


def test_a_rejection_that_travelled_here_goes_out_too(open_state) -> None:
    open_state().reject()
    there = open_state(make_images(letters(8), root="/copy"))
    assert there.decisions_table()["decision"].tolist() == ["rejected"]


@pytest.mark.parametrize(
    ("policy", "stands", "taken"),
    [("ours", "approved", "ours"), ("theirs", "rejected", "theirs"), ("latest", "rejected", "theirs")],
)
def test_two_analysts_files_merge_and_what_they_disagree_on_is_listed(
    open_state, tmp_path: Path, policy: str, stands: str, taken: str
) -> None:
    ours = open_state()
    theirs = open_state(make_images(letters(8), root="/theirs"))
    ours.decide(0, "approved")
    ours.decide(1, "skipped")
    ours.decide(2, "approved")
    theirs.decide(1, "approved", keeper=2)
    theirs.decide(2, "approved", keeper=3)
    theirs.decide(3, "approved")
    path = theirs.export_csv(tmp_path / "theirs.csv")
    # A rejection would travel by itself between two folders of one database: the colleague's lies elsewhere.
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    first = rows.iloc[0].copy()
    pair = ours.decisions_table().iloc[0]
    for name in ("path_a", "path_b", "content_hash_a", "content_hash_b"):
        first[name] = pair[name]
    first[[*EXACT_COLUMNS.values()]] = ""
    first["decision"], first["keeper"], first["decided_by"] = "rejected", "", "colleague"
    pd.concat([rows, first.to_frame().T]).to_csv(path, index=False)
    conflicts = ours.import_csv(path, conflicts=policy)
    assert list(conflicts.columns) == list(CONFLICT_COLUMNS)
    assert conflicts[["path_a", "ours", "theirs", "their_name", "taken"]].to_numpy().tolist() == [
        ["a/000.jpg", "approved", "rejected", "colleague", taken]
    ]
    assert [ours.decision_of(position) for position in range(4)] == [stands, "approved", "approved", "approved"]
    assert ours.standing.keeper.tolist()[1:4] == [2, 3, -1]
    ours.undo()
    assert [ours.decision_of(position) for position in range(4)] == ["approved", "skipped", "approved", ""]
    ours.undo()
    assert ours.decision_of(2) == ""


def test_different_keepers_chosen_by_hand_are_a_conflict(open_state, tmp_path: Path) -> None:
    ours, theirs = open_state(), open_state(make_images(letters(8), root="/theirs"))
    ours.keep_left()
    theirs.keep_right()
    conflicts = ours.import_csv(theirs.export_csv(tmp_path / "theirs.csv"))
    assert conflicts[["our_keeper", "their_keeper"]].to_numpy().tolist() == [["a/000.jpg", "a/003.jpg"]]
    assert ours.standing.keeper[0] == 0


def test_decisions_on_pairs_that_are_not_here_are_kept_for_later(open_state, tmp_path: Path) -> None:
    theirs = open_state(make_images(letters(8), root="/theirs"))
    theirs.decide(4, "approved")
    path = theirs.export_csv(tmp_path / "theirs.csv")
    ours = open_state(pairs=make_pairs([(0, 1, 0.0)]))
    ours.import_csv(path)
    assert ours.tally()["approved"] == 0
    nothing = open_state(pairs=empty_table("pairs"))
    nothing.import_csv(path)
    assert open_state().decision_of(4) == "approved"
    assert nothing.undo()
    assert open_state().decision_of(4) == ""


def test_a_csv_saved_by_a_spreadsheet_is_read(open_state, tmp_path: Path) -> None:
    state = open_state()
    state.approve()
    path = state.export_csv(tmp_path / "a.csv")
    saved = tmp_path / "saved.csv"
    rows = list(csv.reader(path.read_text("utf-8").splitlines()))
    with saved.open("w", newline="", encoding="utf-8-sig") as stream:
        csv.writer(stream, delimiter=";", lineterminator="\r\n").writerows(rows)
    assert read_decisions(saved) == read_decisions(path)


@pytest.mark.parametrize(
    ("column", "cell", "words"),
    [
        ("decision", "yes", "line 2: decision 'yes' is none; allowed are approved, rejected, skipped, undone"),
        ("content_hash_a", "abc", "line 2: content_hash_a 'abc' is no SHA-256"),
        ("path_b", "", "line 2: path_b is empty"),
        ("rms", "near", "line 2: rms 'near' is no number"),
    ],
)
def test_a_cell_that_is_not_allowed_is_named_and_nothing_is_taken_in(
    open_state, tmp_path: Path, column: str, cell: str, words: str
) -> None:
    state = open_state()
    state.approve()
    path = state.export_csv(tmp_path / "a.csv")
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    rows.loc[0, column] = cell
    rows.loc[0, EXACT_COLUMNS.get(column, column)] = cell
    rows.to_csv(path, index=False)
    state.undo()
    with pytest.raises(ValueError, match=re.escape(words)):
        state.import_csv(path)
    assert state.tally()["approved"] == 0


def test_other_files_are_neither_read_nor_replaced(open_state, tmp_path: Path) -> None:
    state = open_state()
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"\xff\xd8\xff")
    with pytest.raises(ValueError, match="is no UTF-8"):
        state.import_csv(photo)
    notes = tmp_path / "notes.csv"
    notes.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="the column 'path_a' is missing"):
        state.import_csv(notes)
    with pytest.raises(FileExistsError, match="holds no decisions of dupkit's"):
        state.export_csv(notes)
    assert notes.read_text() == "a,b\n1,2\n"
    with pytest.raises(FileNotFoundError):
        state.import_csv(tmp_path / "absent.csv")
    with pytest.raises(ValueError, match="conflicts: 'mine' is not allowed"):
        state.import_csv(write_decisions(state.decisions_table(), tmp_path / "b.csv"), conflicts="mine")
