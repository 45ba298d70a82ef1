"""The groups table: members, keepers, reasons, and what is refused."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from dupkit.review import group_pairs
from dupkit.review.keepers import KEEPER_RULES, check_rules, keeper_order
from dupkit.schema import check_table, empty_table
from tests.review.tables import letters, make_images, make_pairs


def test_exact_pairs_connect_and_the_threshold_is_strict() -> None:
    images = make_images(letters(4))
    pairs = make_pairs([(0, 1, 0.0), (1, 2, 5.0), (2, 3, 5.0)])
    assert group_pairs(pairs, images, threshold=5)["image_id"].tolist() == [0, 1]
    assert group_pairs(pairs, images, threshold=0).empty
    assert len(group_pairs(pairs, images, threshold=5.1)) == 4


def test_a_pair_that_structure_proposed_connects_only_when_all_pairs_do() -> None:
    images = make_images(letters(3))
    pairs = make_pairs([(0, 1, 3.0), (1, 2, 4.0)], by_structure=[False, True])
    assert group_pairs(pairs, images, threshold=500)["image_id"].tolist() == [0, 1]
    assert group_pairs(pairs, images, threshold=None)["image_id"].tolist() == [0, 1, 2]


def test_groups_are_numbered_by_their_smallest_image_and_largest_rms_exposes_a_chain() -> None:
    images = make_images(letters(6))
    pairs = make_pairs([(4, 5, 0.0), (0, 3, 400.0), (2, 3, 450.0), (0, 2, 900.0)])
    groups = group_pairs(pairs, images, threshold=500)
    check_table(groups, "groups")
    assert groups["group_id"].tolist() == [0, 0, 0, 1, 1]
    assert groups["image_id"].tolist() == [0, 2, 3, 4, 5]
    assert groups["largest_rms"].tolist() == [900.0] * 3 + [0.0] * 2


@pytest.mark.parametrize(
    ("columns", "keeper", "kept", "lacks"),
    [
        ({"pixels": [(2, 3), (4, 3)]}, 1, "most pixels", "fewer pixels: 2 x 3, the keeper 4 x 3"),
        ({"sizes": [1000, 2000]}, 1, "largest file", "smaller file: 1.0 kB, the keeper 2.0 kB"),
        ({"sizes": [2000, 2001]}, 1, "largest file", "smaller file: 2,000 bytes, the keeper 2,001 bytes"),
        (
            {"mtimes": [10**18, 10**18 - 10**9]},
            1,
            "oldest",
            "newer: 2001-09-09 01:46:40, the keeper 2001-09-09 01:46:39",
        ),
        ({}, 0, "first in path order", "later in path order"),
        ({"reference": ("b",), "sizes": [2000, 1000]}, 1, "in a reference folder", "not in a reference folder"),
    ],
)
def test_the_keeper_has_most_pixels_then_size_then_age_then_path_and_says_so(columns, keeper, kept, lacks) -> None:
    groups = group_pairs(make_pairs([(0, 1, 1.0)]), make_images([b"a/1.jpg", b"b/2.jpg"], **columns), threshold=2)
    assert groups["is_keeper"].tolist() == [keeper == 0, keeper == 1]
    assert groups["reason"].tolist() == ([kept, lacks] if keeper == 0 else [lacks, kept])


@pytest.mark.parametrize(
    ("rules", "keeper", "kept", "lacks"),
    [
        (["folder:b"], 1, "in folder b", "not in folder b"),
        (["folder:c", "folder:b", "size"], 1, "in folder b", "not in folder b"),
        (["format"], 1, "preferred format", "format JPEG, the keeper PNG"),
        (["format:JPEG,PNG"], 0, "preferred format", "format PNG, the keeper JPEG"),
        (["path"], 0, "first in path order", "later in path order"),
        (["size", "folder:b"], 0, "largest file", "smaller file: 1.0 kB, the keeper 2.0 kB"),
    ],
)
def test_the_analyst_orders_the_rules(rules, keeper, kept, lacks) -> None:
    images = make_images([b"a/1.jpg", b"b/2.png"], formats=["JPEG", "PNG"], sizes=[2000, 1000])
    groups = group_pairs(make_pairs([(0, 1, 1.0)]), images, threshold=2, keeper_rules=rules)
    assert groups["is_keeper"].tolist() == [keeper == 0, keeper == 1]
    assert groups["reason"].tolist() == ([kept, lacks] if keeper == 0 else [lacks, kept])


def test_reasons_name_the_sides_of_the_upright_picture() -> None:
    images = make_images(letters(2), pixels=[(4, 3), (2, 3)]).assign(orientation=[6, 1])
    groups = group_pairs(make_pairs([(0, 1, 0.0)]), images, threshold=1)
    assert groups["reason"].tolist() == ["most pixels", "fewer pixels: 2 x 3, the keeper 3 x 4"]


def test_a_second_picture_in_a_reference_folder_stays_too() -> None:
    images = make_images([b"a/1.jpg", b"a/2.jpg", b"b/3.jpg"], sizes=[1, 2, 3], reference=("a",))
    groups = group_pairs(make_pairs([(0, 1, 0.0), (1, 2, 0.0)]), images, threshold=1)
    assert groups["is_keeper"].tolist() == [False, True, False]
    assert groups["reason"].tolist() == [
        "in a reference folder too: stays",
        "largest file",
        "not in a reference folder",
    ]


def test_a_reference_folder_outside_the_root_counts() -> None:
    images = make_images([b"../archive/1.jpg", b"2.jpg"], sizes=[1, 2], reference=("../archive",))
    assert group_pairs(make_pairs([(0, 1, 0.0)]), images, threshold=1)["is_keeper"].tolist() == [True, False]


def test_a_folder_is_not_another_one_whose_name_begins_alike() -> None:
    order = keeper_order(make_images([b"ab/1.jpg", b"a/2.jpg", b"z/3.jpg"]), ["folder:a"])
    assert order.rank.tolist() == [1, 0, 2]


def test_what_was_chosen_by_hand_comes_before_every_rule() -> None:
    images = make_images(letters(2), sizes=[9, 1])
    groups = group_pairs(make_pairs([(0, 1, 0.0)]), images, threshold=1, chosen=np.array([0, -1]))
    assert groups["reason"].tolist() == ["another one was chosen by hand", "chosen by hand"]


def test_the_callers_tables_stay_as_they_are_and_image_ids_need_not_start_at_0() -> None:
    images = make_images(letters(3)).set_index(pd.Index([7, 9, 20], name="image_id"))
    images.attrs["reference"] = ()
    pairs = make_pairs([(9, 20, 0.0)])
    before = images.copy(), pairs.copy()
    assert group_pairs(pairs, images, threshold=1)["image_id"].tolist() == [9, 20]
    pd.testing.assert_frame_equal(images, before[0])
    pd.testing.assert_frame_equal(pairs, before[1])


@pytest.mark.parametrize(
    ("threshold", "error", "words"),
    [
        (-1, ValueError, "threshold: -1 is not allowed; it must be 0 or more"),
        (float("nan"), ValueError, "threshold: nan is not allowed"),
        ("500", TypeError, "threshold: '500' is no number"),
        (True, TypeError, "threshold: True is no number"),
    ],
)
def test_a_threshold_that_is_no_distance_is_refused(threshold, error, words) -> None:
    with pytest.raises(error, match=re.escape(words)):
        group_pairs(empty_table("pairs"), empty_table("images"), threshold=threshold)


def test_a_pair_of_an_unknown_image_is_refused() -> None:
    with pytest.raises(ValueError, match=re.escape("pairs: image_b 5 in row 0 is no image_id of images")):
        group_pairs(make_pairs([(0, 5, 1.0)]), make_images(letters(2)), threshold=2)


@pytest.mark.parametrize("rule", ["best", "folder:", "chosen", "size:2", ""])
def test_an_unknown_rule_is_refused(rule: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"keeper_rules: {rule!r} is no rule; allowed are reference")):
        check_rules([rule])


def test_the_usual_rules_are_rules_and_path_order_ends_them() -> None:
    assert check_rules(KEEPER_RULES) == KEEPER_RULES
    assert check_rules([]) == ("reference", "path")
