"""Counts by threshold against looking at each group, and against group_pairs, at every threshold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dupkit.review.groups import group_pairs, image_positions
from dupkit.review.keepers import in_reference, keeper_order
from dupkit.review.ordering import distinct, stable_order
from dupkit.review.thresholds import count_thresholds, link_pairs
from tests import naive
from tests.review.tables import letters, make_images, make_pairs, patiently

N_IMAGES = 9
DISTANCES = (0.0, 0.5, 1.0, 2.0, 3.5, 7.0)


@st.composite
def albums(draw: st.DrawFn) -> tuple[object, object]:
    """Images and pairs with many ties, exact pairs and reference folders."""
    images = make_images(
        letters(N_IMAGES),
        sizes=draw(st.lists(st.integers(1, 5), min_size=N_IMAGES, max_size=N_IMAGES)),
        pixels=draw(st.lists(st.sampled_from([(2, 2), (4, 3)]), min_size=N_IMAGES, max_size=N_IMAGES)),
        reference=draw(st.sampled_from([(), ("b",), ("a", "c")])),
    )
    ends = st.tuples(st.integers(0, N_IMAGES - 1), st.integers(0, N_IMAGES - 1)).filter(lambda pair: pair[0] < pair[1])
    chosen = draw(st.lists(ends, unique=True, max_size=20))
    rms = st.sampled_from(DISTANCES)
    return images, make_pairs([(a, b, draw(rms)) for a, b in chosen], max_rms=8.0)


def counted(images, pairs):
    first, second = image_positions(pairs, images)
    rms = pairs["rms"].to_numpy()
    rank = keeper_order(images, ["resolution", "size"]).rank
    linkage = link_pairs(first, second, rms, len(images))
    return linkage, count_thresholds(linkage, rms, images, rank, in_reference(images)), rank


@given(albums())
@patiently
def test_counts_at_every_threshold_are_those_of_looking_at_each_group(album) -> None:
    images, pairs = album
    _, counts, rank = counted(images, pairs)
    rows = list(zip(pairs["image_a"], pairs["image_b"], pairs["rms"], strict=True))
    sizes, reference = images["size_bytes"].tolist(), in_reference(images).tolist()
    curve = counts.curve(9)
    for threshold in (0, 0.25, 0.5, 0.75, *range(1, 10)):
        expected = naive.counts_below(rows, threshold, rank, sizes, reference)
        assert counts.at(threshold) == expected
        by_folder = counts.by_folder(threshold)
        assert (by_folder["n_files"].sum(), by_folder["n_bytes"].sum()) == (expected["n_files"], expected["n_bytes"])
        if threshold == int(threshold):
            at = int(threshold)
            found = [int(curve[name][at]) for name in ("pairs", "groups", "files", "bytes")]
            assert found == [expected[f"n_{name}"] for name in ("pairs", "groups", "files", "bytes")]


@given(albums())
@patiently
def test_groups_table_agrees_with_the_counts_at_every_threshold(album) -> None:
    images, pairs = album
    linkage, counts, _ = counted(images, pairs)
    rows = list(zip(pairs["image_a"], pairs["image_b"], pairs["rms"], strict=True))
    # Between two distances nothing changes: at each one, which is not below itself, and above all of them.
    for threshold in (*DISTANCES, 8):
        groups = group_pairs(pairs, images, threshold=threshold, keeper_rules=["resolution", "size"])
        numbers, ids = groups["group_id"].to_numpy(), groups["image_id"].to_numpy()
        members = [sorted(ids[numbers == number].tolist()) for number in range(len(np.unique(numbers)))]
        keepers = ids[groups["is_keeper"].to_numpy()].tolist()
        assert members == naive.groups_below(rows, threshold)
        assert len(members) == counts.at(threshold)["n_groups"] == len(keepers)
        for group, keeper in zip(members, keepers_by_group(members, keepers), strict=True):
            for image in group:
                node = linkage.node(image, threshold)
                assert linkage.members(node).tolist() == group
                assert linkage.size[node] == len(group)
                assert counts.image_at_rank[counts.best_rank[node]] == keeper


def keepers_by_group(members: list[list[int]], keepers: list[int]) -> list[int]:
    """Return the one keeper of each group."""
    found = [[image for image in group if image in keepers] for group in members]
    assert all(len(kept) == 1 for kept in found)
    return [kept[0] for kept in found]


def test_a_higher_threshold_never_counts_less() -> None:
    rng = np.random.default_rng(1)
    n = 60
    images = make_images(letters(n), sizes=rng.integers(1, 10**9, n).tolist())
    pairs = make_pairs([(a, b, float(rng.integers(0, 500))) for a in range(n) for b in range(a + 1, min(a + 4, n))])
    _, counts, _ = counted(images, pairs)
    curve = counts.curve(600)
    for name in ("pairs", "files", "bytes"):
        assert (np.diff(curve[name]) >= 0).all()
    assert curve["bytes"][-1] > 2**32


@pytest.mark.parametrize("n_pairs", [0, 1])
def test_nothing_to_link_is_no_error(n_pairs: int) -> None:
    images = make_images(letters(3))
    _, counts, _ = counted(images, make_pairs([(0, 1, 0.0)][:n_pairs]))
    assert counts.at(1000)["n_groups"] == n_pairs
    assert counts.at(0) == {"n_pairs": 0, "n_groups": 0, "n_files": 0, "n_bytes": 0}


@given(st.lists(st.integers(0, 2**62), max_size=30))
def test_stable_order_is_numpys_also_where_keys_are_huge(keys: list[int]) -> None:
    values = np.array(keys, dtype=np.int64)
    assert stable_order(values).tolist() == np.argsort(values, kind="stable").tolist()
    assert distinct(values).tolist() == sorted(set(keys))
