"""Which files move, where to, and what stays with what reason."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dupkit.moves import plan_moves
from dupkit.moves.choose import Group, Picture, choose_moves
from dupkit.moves.names import NAME_MAX, is_reserved, numbered_names
from dupkit.schema import check_table
from tests.faults.chaos import plan_faults
from tests.moves.tables import groups_of, images_of, pairs_of, tree_of, write_files


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


def plan_of(
    root: Path, names: list[str], pairs: list[tuple[int, int, float]], groups: list[tuple[int, ...]], **kwargs: object
) -> pd.DataFrame:
    images = images_of(root, names, **kwargs.pop("images", {}))  # type: ignore[arg-type]
    moves = plan_moves(groups_of(groups), pairs_of(pairs), images, **kwargs)  # type: ignore[arg-type]
    check_table(moves, "moves")
    return moves


def test_a_chain_of_rms_0_leads_to_exact_duplicates_and_any_other_to_maybe(root: Path) -> None:
    write_files(root, {"a.jpg": b"1", "sub/b.jpg": b"1", "c.jpg": b"2", "d.jpg": b"3"})
    pairs = [(0, 1, 0.0), (1, 2, 0.0), (2, 3, 7.0)]
    moves = plan_of(root, ["a.jpg", "sub/b.jpg", "c.jpg", "d.jpg"], pairs, [(0, 1, 2, 3)])
    assert dict(zip(moves["source"], moves["destination"], strict=True)) == {
        "sub/b.jpg": "exact duplicates/sub/b.jpg",
        "c.jpg": "exact duplicates/c.jpg",
        "d.jpg": "maybe duplicates/d.jpg",
    }
    assert set(moves["keeper"]) == {"a.jpg"}
    assert set(moves["status"]) == {"planned"}


def test_a_plan_changes_nothing_on_the_disk_nor_in_the_tables(root: Path) -> None:
    write_files(root, {"a.jpg": b"1", "b.jpg": b"1", "b.xmp": b"x"})
    images, pairs, groups = images_of(root, ["a.jpg", "b.jpg"]), pairs_of([(0, 1, 0.0)]), groups_of([(0, 1)])
    before = tree_of(root), images.copy(), pairs.copy(), groups.copy()
    plan_moves(groups, pairs, images)
    assert tree_of(root) == before[0]
    for table, was in zip((images, pairs, groups), before[1:], strict=True):
        pd.testing.assert_frame_equal(table, was)


def test_nothing_to_move_is_an_empty_table(root: Path) -> None:
    assert len(plan_of(root, [], [], [])) == 0


def test_reference_and_outside_pictures_stay_but_can_be_kept(root: Path) -> None:
    write_files(root, {"archive/a.jpg": b"1", "archive/deep/b.jpg": b"1", "archived.jpg": b"1", "../out/c.jpg": b"1"})
    names = ["archive/a.jpg", "archive/deep/b.jpg", "archived.jpg", "../out/c.jpg"]
    pairs = [(0, 1, 0.0), (0, 2, 0.0), (0, 3, 0.0)]
    moves = plan_of(root, names, pairs, [(3, 0, 1, 2)], images={"reference": ["archive"]})
    assert moves["source"].tolist() == ["archived.jpg"]
    assert moves["keeper"].tolist() == ["../out/c.jpg"]
    assert moves.attrs["n_images"] == 3


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [("error", "truncated", "truncated"), ("size_bytes", 0, "empty"), ("content_hash", "", "not hashed")],
)
def test_an_unreadable_empty_or_unhashed_file_neither_moves_nor_is_kept(
    root: Path, column: str, value: object, reason: str
) -> None:
    write_files(root, {"a.jpg": b"1", "b.jpg": b"1"})
    names, pairs = ["a.jpg", "b.jpg"], pairs_of([(0, 1, 0.0)])
    for bad in (0, 1):
        images = images_of(root, names)
        images.loc[bad, column] = value
        moves = plan_moves(groups_of([(0, 1)]), pairs, images)
        assert moves["status"].tolist() == ["skipped"]
        assert reason in moves["message"][0]


def test_a_hard_link_of_a_keeper_is_no_copy(root: Path) -> None:
    write_files(root, {"a.jpg": b"1"})
    (root / "b.jpg").hardlink_to(root / "a.jpg")
    moves = plan_of(root, ["a.jpg", "b.jpg"], [(0, 1, 0.0)], [(0, 1)])
    assert moves["status"].tolist() == ["skipped"]
    assert "hard link" in moves["message"][0]


def test_what_no_chain_of_approved_pairs_ties_to_the_keeper_stays(root: Path) -> None:
    write_files(root, {"a.jpg": b"1", "b.jpg": b"1", "c.jpg": b"1"})
    moves = plan_of(root, ["a.jpg", "b.jpg", "c.jpg"], [(0, 1, 0.0)], [(0, 1, 2)])
    assert moves["status"].tolist() == ["planned", "skipped"]
    assert "no chain" in moves["message"][1]


def test_overlapping_groups_keep_every_keeper_and_move_nothing_twice(root: Path) -> None:
    write_files(root, dict.fromkeys(("a.jpg", "b.jpg", "c.jpg"), b"1"))
    pairs = [(0, 1, 0.0), (1, 2, 0.0)]
    moves = plan_of(root, ["a.jpg", "b.jpg", "c.jpg"], pairs, [(0, 1, 2), (1, 0, 2)])
    assert moves["source"].tolist() == ["c.jpg"]


def test_settings_go_along_with_their_picture(root: Path) -> None:
    write_files(
        root, {"a.jpg": b"1", "s/b.jpg": b"1", "s/b.xmp": b"x", "s/b.jpg.xmp": b"y", "s/b.AAE": b"z", "s/bb.xmp": b"n"}
    )
    moves = plan_of(root, ["a.jpg", "s/b.jpg"], [(0, 1, 0.0)], [(0, 1)])
    assert moves["source"].tolist() == ["s/b.jpg", "s/b.AAE", "s/b.xmp", "s/b.jpg.xmp"]
    assert moves["destination"].tolist() == ["exact duplicates/" + source for source in moves["source"]]
    assert moves.attrs["side_of"] == {1: 0, 2: 0, 3: 0}


def test_settings_of_a_picture_that_stays_stay(root: Path) -> None:
    write_files(root, {"a.jpg": b"1", "s/b.jpg": b"1", "s/b.png": b"other", "s/b.xmp": b"x"})
    moves = plan_of(root, ["a.jpg", "s/b.jpg", "s/b.png"], [(0, 1, 0.0)], [(0, 1)])
    assert moves["source"].tolist() == ["s/b.jpg"]


def test_settings_go_along_past_a_file_of_the_same_stem_that_is_no_picture(root: Path) -> None:
    write_files(root, {"a.jpg": b"1", "s/b.jpg": b"1", "s/b.txt": b"notes", "s/b.xmp": b"x"})
    moves = plan_of(root, ["a.jpg", "s/b.jpg"], [(0, 1, 0.0)], [(0, 1)])
    assert moves["source"].tolist() == ["s/b.jpg", "s/b.xmp"]


def test_a_film_that_the_keeper_shares_stays_with_the_keeper(root: Path) -> None:
    write_files(root, {"s/b.heic": b"1", "s/b.jpg": b"2", "s/b.mov": b"film"})
    moves = plan_of(root, ["s/b.heic", "s/b.jpg"], [(0, 1, 9.0)], [(0, 1)])
    assert moves["source"].tolist() == ["s/b.jpg"]
    assert moves["status"].tolist() == ["planned"]


@pytest.mark.parametrize("name", ["b.CR2", "b.mov", "b.dng"])
def test_a_raw_file_or_film_keeps_its_picture_where_the_keeper_lacks_it(root: Path, name: str) -> None:
    write_files(root, {"k/a.jpg": b"1", "s/b.jpg": b"1", "s/" + name: b"raw"})
    moves = plan_of(root, ["k/a.jpg", "s/b.jpg"], [(0, 1, 0.0)], [(0, 1)])
    assert moves["status"].tolist() == ["skipped"]
    assert f"s/{name}" in moves["message"][0]
    write_files(root, {"k/a" + Path(name).suffix: b"raw"})
    moves = plan_of(root, ["k/a.jpg", "s/b.jpg"], [(0, 1, 0.0)], [(0, 1)])
    assert moves["source"].tolist() == ["s/b.jpg", "s/" + name]
    assert moves["keeper"].tolist() == ["k/a.jpg", "k/a" + Path(name).suffix]


def test_side_files_can_hold_every_picture_back(root: Path) -> None:
    write_files(root, {"a.jpg": b"1", "b.jpg": b"1", "b.xmp": b"x"})
    moves = plan_of(root, ["a.jpg", "b.jpg"], [(0, 1, 0.0)], [(0, 1)], side_files="refuse")
    assert moves["status"].tolist() == ["skipped"]
    with pytest.raises(ValueError, match=re.escape("side_files must be one of 'move', 'refuse', but is 'drop'")):
        plan_of(root, ["a.jpg", "b.jpg"], [(0, 1, 0.0)], [(0, 1)], side_files="drop")


def test_a_taken_name_gets_a_number_and_its_side_files_the_same(root: Path) -> None:
    write_files(root, {"a.jpg": b"1", "b.jpg": b"1", "b.xmp": b"x", "exact duplicates/b.xmp": b"older"})
    moves = plan_of(root, ["a.jpg", "b.jpg"], [(0, 1, 0.0)], [(0, 1)])
    assert moves["destination"].tolist() == ["exact duplicates/b (2).jpg", "exact duplicates/b (2).xmp"]


def test_a_picture_named_like_our_listing_gets_a_number(root: Path) -> None:
    write_files(root, {"a.jpg": b"1", "moved.csv": b"1"})
    moves = plan_of(root, ["a.jpg", "moved.csv"], [(0, 1, 0.0)], [(0, 1)])
    assert moves["destination"].tolist() == ["exact duplicates/moved (2).csv"]


@given(
    st.binary(min_size=1, max_size=255).filter(lambda name: b"/" not in name and b"\0" not in name),
    st.integers(2, 10**6),
)
def test_a_numbered_name_fits_and_cuts_no_character(stem: bytes, number: int) -> None:
    (name,) = numbered_names(stem, [b".jpeg"], number)
    assert len(name) <= NAME_MAX
    assert name.endswith(b" (%d).jpeg" % number)
    kept = name[: -len(b" (%d).jpeg" % number)]
    assert stem.startswith(kept)
    try:
        stem.decode()
    except UnicodeDecodeError:
        return
    kept.decode()


def test_reserved_names_are_ours_only_where_they_are() -> None:
    assert is_reserved(b"maybe duplicates/moved.csv")
    assert is_reserved(b"maybe duplicates/a/.dupkit-x.part")
    assert not is_reserved(b"moved.csv")


def test_a_group_must_have_one_keeper(root: Path) -> None:
    write_files(root, {"a.jpg": b"1", "b.jpg": b"1"})
    groups = groups_of([(0, 1)]).assign(is_keeper=np.array([True, True]))
    with pytest.raises(ValueError, match=re.escape("group 0 has 2 keepers, it must have one")):
        plan_moves(groups, pairs_of([(0, 1, 0.0)]), images_of(root, ["a.jpg", "b.jpg"]))
    with pytest.raises(ValueError, match=re.escape("image_id 7 is not in images")):
        plan_moves(groups_of([(0, 7)]), pairs_of([]), images_of(root, ["a.jpg", "b.jpg"]))


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Group], list[tuple[int, int, float]], dict[int, Picture]]:
    n_images = draw(st.integers(2, 7))
    ids = st.integers(0, n_images - 1)
    folder = st.sampled_from([b"", b"a/", b"ref/", b"../", b"exact duplicates/"])
    pictures = {
        image: Picture(
            draw(folder) + b"%d.jpg" % image, draw(st.sampled_from([0, 10, 10])), 1, draw(ids),
            draw(st.sampled_from(["", "h", "g"])), draw(st.sampled_from(["", "", "broken"])),
        )
        for image in range(n_images)
    }  # fmt: skip
    pairs = draw(st.lists(st.tuples(ids, ids, st.sampled_from([0.0, 5.0])).filter(lambda pair: pair[0] < pair[1])))
    members = draw(st.lists(st.lists(ids, min_size=1, unique=True), max_size=3))
    return [Group(tuple(group), draw(st.sampled_from(group))) for group in members], pairs, pictures


@given(worlds())
def test_no_last_copy_moves(world: tuple[list[Group], list[tuple[int, int, float]], dict[int, Picture]]) -> None:
    groups, pairs, pictures = world
    assert plan_faults(groups, pairs, pictures, choose_moves(groups, pairs, pictures, reference=[b"ref"])) == []
