"""Plans applied and undone through the tables, and what the journal keeps of them."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import dupkit
from dupkit.moves import (
    ConfirmationNeededError,
    RootLockedError,
    UnknownPlanError,
    apply_moves,
    apply_plan,
    list_plans,
    load_plan,
    plan_moves,
    recover,
    save_plan,
    self_test,
    undo_moves,
    undo_plan,
    undo_since,
)
from dupkit.moves.proof import KeeperProof
from dupkit.moves.tree import Tree
from dupkit.schema import check_table
from tests.moves.tables import groups_of, images_of, pairs_of, tree_of, write_files

NAMES = ["a.jpg", "s/a.jpg", "s/b.jpg", "t/x1.jpg", "t/x2.jpg", "t/x3.jpg"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    write_files(folder, {name: b"unlike " + name.encode() for name in NAMES})
    write_files(folder, {"a.jpg": b"same", "s/a.jpg": b"same", "s/a.xmp": b"settings", "s/b.jpg": b"like"})
    return folder


def plan_of(root: Path, *, reference: tuple[str, ...] = ()) -> pd.DataFrame:
    """Plan: s/a.jpg has the bytes of a.jpg, s/b.jpg only looks like it."""
    return plan_moves(
        groups_of([(0, 1, 2)]), pairs_of([(0, 1, 0.0), (0, 2, 3.0)]), images_of(root, NAMES, reference=reference)
    )


def decodes(_root: bytes, _path: bytes) -> str:
    return ""


def test_apply_and_undo_lead_back_to_the_same_tree(root: Path) -> None:
    before = tree_of(root)
    moves = plan_of(root)
    done = apply_moves(moves, decode_check=decodes)
    check_table(done, "moves")
    assert done["status"].tolist() == ["moved", "moved", "moved"]
    assert (root / "exact duplicates" / "s" / "a.jpg").read_bytes() == b"same"
    assert (root / "exact duplicates" / "s" / "a.xmp").read_bytes() == b"settings"
    assert (root / "maybe duplicates" / "s" / "b.jpg").read_bytes() == b"like"
    assert not (root / "s" / "a.jpg").exists()
    undone = undo_moves(moves.attrs["plan_id"])
    assert undone["status"].tolist() == ["undone"] * 3
    assert tree_of(root) == before


def test_the_listing_is_for_people(root: Path) -> None:
    apply_moves(plan_of(root), decode_check=decodes)
    with (root / "exact duplicates" / "moved.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["file"], row["moved_from"], row["kept"]) for row in rows] == [
        ("s/a.jpg", "s/a.jpg", "a.jpg"),
        ("s/a.xmp", "s/a.xmp", "a.jpg"),
    ]


def test_one_move_can_be_undone_and_the_rest_later(root: Path) -> None:
    before = tree_of(root)
    plan_id = save_plan(plan_of(root))
    apply_plan(plan_id, decode_check=decodes)
    outcome = undo_plan(plan_id, move_ids=[2])
    assert [move.shown_status for move in outcome.moves] == ["undone"]
    assert (root / "s" / "b.jpg").exists()
    assert not (root / "maybe duplicates").exists()
    assert undo_plan().count("undone") == 3
    assert tree_of(root) == before
    with pytest.raises(UnknownPlanError, match="has no move 9"):
        undo_plan(plan_id, move_ids=[9])


def test_everything_since_a_plan_is_undone(root: Path) -> None:
    before = tree_of(root)
    first = save_plan(plan_of(root))
    apply_plan(first, decode_check=decodes)
    images = images_of(root, ["a.jpg", "t/x1.jpg"])
    second = save_plan(plan_moves(groups_of([(0, 1)]), pairs_of([(0, 1, 9.0)]), images))
    assert apply_plan(second, decode_check=decodes, confirm=1).count("moved") == 1
    assert [outcome.plan_id for outcome in undo_since(first)] == [second, first]
    assert tree_of(root) == before


def test_a_plan_that_is_done_says_so(root: Path) -> None:
    plan_id = save_plan(plan_of(root))
    assert not apply_plan(plan_id, decode_check=decodes).already_done
    again = apply_plan(plan_id, decode_check=decodes)
    assert again.already_done
    assert again.notes == (f"plan {plan_id} is done already",)
    undo_plan(plan_id)
    assert undo_plan(plan_id).already_done
    assert "was undone" in apply_plan(plan_id).notes[0]


def test_without_a_decoder_only_equal_bytes_move(root: Path) -> None:
    done = apply_moves(plan_of(root))
    assert done["status"].tolist() == ["moved", "moved", "skipped"]
    assert "decode_check" in done["message"][2]


def test_the_notebooks_apply_brings_its_decoder(root: Path) -> None:
    done = dupkit.apply_moves(plan_of(root))
    assert done["status"].tolist() == ["moved", "moved", "skipped"]
    assert "a.jpg does not decode" in done["message"][2]


def test_more_than_half_of_the_pictures_want_their_number(root: Path) -> None:
    write_files(root, {f"t/x{number}.jpg": b"same" for number in (1, 2, 3)})
    pairs = pairs_of([(0, 1, 0.0), (0, 3, 0.0), (0, 4, 0.0), (0, 5, 0.0)])
    moves = plan_moves(groups_of([(0, 1, 3, 4, 5)]), pairs, images_of(root, NAMES))
    with pytest.raises(ConfirmationNeededError, match="4 of the 6 pictures") as error:
        apply_moves(moves)
    assert error.value.n_moves == 5  # with the side file
    with pytest.raises(ConfirmationNeededError, match="has 5 moves, not 4"):
        apply_moves(moves, confirm=4)
    assert (root / "s" / "a.jpg").exists()
    assert set(apply_moves(moves, confirm=5)["status"]) == {"moved"}


def test_a_keeper_outside_the_root_is_read_there(root: Path) -> None:
    write_files(root.parent, {"archive/a.jpg": b"same"})
    images = images_of(root, ["../archive/a.jpg", "t/x1.jpg", "s/a.jpg", "t/x2.jpg"], reference=["../archive"])
    moves = plan_moves(groups_of([(0, 2)]), pairs_of([(0, 2, 0.0)]), images)
    assert apply_moves(moves)["status"].tolist() == ["moved", "moved"]


def test_load_gives_back_what_save_was_given(root: Path) -> None:
    moves = plan_of(root)
    plan_id = save_plan(moves)
    pd.testing.assert_frame_equal(load_plan(plan_id), moves)
    assert save_plan(load_plan(plan_id)) == plan_id
    assert [plan.counts for plan in list_plans()] == [{"planned": 3}]


def test_rows_may_be_dropped_from_a_plan(root: Path) -> None:
    moves = plan_of(root)
    assert apply_moves(moves[moves["source"] == "s/b.jpg"], decode_check=decodes)["status"].tolist() == ["moved"]
    with pytest.raises(ValueError, match="was applied already, with other moves"):
        save_plan(moves)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.assign(destination="s/elsewhere.jpg"), "destination stands there twice"),
        (lambda m: m[m["move_id"] == 2].assign(destination="elsewhere/b.jpg"), "in neither of the two folders"),
        (lambda m: m[m["move_id"] == 2].assign(destination="exact duplicates/../b.jpg"), "in neither of the two"),
        (lambda m: m[m["move_id"] == 2].assign(source="../b.jpg"), "no path under the root"),
        (lambda m: m[m["move_id"] == 2].assign(keeper="s/b.jpg"), "the keeper moves itself"),
        (lambda m: m[m["move_id"] == 1], "a side file without its picture"),
        (lambda m: m[m["move_id"] == 2].assign(content_hash=""), "no content hash"),
    ],
)
def test_a_plan_that_says_what_no_plan_may_is_refused(root: Path, change: object, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        save_plan(change(plan_of(root)))  # type: ignore[operator]


def test_an_unknown_plan_is_named(root: Path) -> None:
    with pytest.raises(UnknownPlanError, match="no plan 'nope' in this state folder"):
        apply_plan("nope")
    with pytest.raises(UnknownPlanError, match="nothing is moved"):
        undo_plan()


def test_a_root_that_another_mover_holds_is_waited_for_and_named(root: Path) -> None:
    plan_id = save_plan(plan_of(root))
    with Tree(os.fsencode(root)), pytest.raises(RootLockedError, match="another dupkit is moving files under"):
        apply_plan(plan_id, wait_s=0)


def test_an_absent_root_waits_for_its_disk(root: Path) -> None:
    plan_id = save_plan(plan_of(root))
    root.rename(root.with_name("unplugged"))
    with pytest.raises(FileNotFoundError):
        apply_plan(plan_id)
    assert recover() == ()
    assert list_plans()[0].counts == {"planned": 3}


def test_a_private_folder_stays_private_where_it_goes(root: Path) -> None:
    (root / "s").chmod(0o700)
    apply_moves(plan_of(root), decode_check=decodes)
    assert (root / "exact duplicates" / "s").stat().st_mode & 0o777 == 0o700


def test_a_keeper_proof_is_made_by_reading_only() -> None:
    with pytest.raises(TypeError, match="made by prove_keeper only"):
        KeeperProof()


def test_undo_needs_neither_pandas_nor_pillow() -> None:
    code = (
        "import sys; from dupkit.moves import list_plans, undo_plan, apply_plan, recover\n"
        "list_plans(); recover()\n"
        "print(*sorted({'pandas', 'numpy', 'PIL', 'dask', 'scipy'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""


def test_selftest_says_what_a_disk_guarantees(tmp_path: Path) -> None:
    result = self_test(tmp_path)
    assert result.passed, str(result)
    assert "moves are safe here" in str(result)
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".dupkit-state")] == []
