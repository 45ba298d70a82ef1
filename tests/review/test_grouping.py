"""The list as groups, against the groups table and against every group asked for one by one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from dupkit.review import ReviewState, group_pairs
from dupkit.review.grouping import GROUPINGS
from tests.review.tables import letters, make_images, make_pairs

OpenState = Callable[..., ReviewState]


def random_state(open_state: OpenState, seed: int, n_images: int = 24, n_pairs: int = 26) -> ReviewState:
    rng = np.random.default_rng(seed)
    ends = {tuple(sorted(rng.choice(n_images, 2, replace=False).tolist())) for _ in range(n_pairs)}
    images = make_images(letters(n_images), sizes=rng.integers(1, 9, n_images).tolist(), reference=("a",))
    rows = [(a, b, float(rng.integers(0, 40) * 25)) for a, b in sorted(ends)]
    return open_state(images, make_pairs(rows, by_structure=(rng.random(len(rows)) < 0.2).tolist()))


@pytest.mark.parametrize("seed", range(12))
def test_groups_of_the_list_are_those_of_the_groups_table(open_state: OpenState, seed: int) -> None:
    state = random_state(open_state, seed)
    state.threshold, state.grouping = 600, "list"
    groups = state.groups
    table = group_pairs(state.pairs, state.images, threshold=600, keeper_rules=state.keeper_rules)
    expected = {
        tuple(sorted(group["image_id"])): group.set_index("is_keeper").loc[True, ["image_id", "reason"]].tolist()
        for _, group in table.groupby("group_id")
    }
    words = state.keeper_words(range(len(groups)))
    ids = state.images.index.to_numpy()
    found = {
        tuple(sorted(ids[groups.members_of(group)].tolist())): [int(ids[groups.members_of(group)[0]]), words[group]]
        for group in range(len(groups))
    }
    assert found == expected
    assert sum(groups.n_files) == state.counts_at(600)["n_files"]
    assert sum(groups.n_bytes) == state.counts_at(600)["n_bytes"]
    for group in range(len(groups)):
        one = state.group_of(int(groups.pairs_of(group)[0]))
        assert sorted(groups.pairs_of(group).tolist()) == list(one.positions)
        assert groups.n_pairs[group] == len(one.positions)
        assert (groups.largest_rms[group], groups.is_chain[group]) == (one.largest_rms, one.is_chain)


@pytest.mark.parametrize("grouping", GROUPINGS)
def test_groups_are_sorted_and_the_list_follows_them(open_state: OpenState, grouping: str) -> None:
    state = random_state(open_state, 5)
    state.threshold, state.order = 700, "-rms"
    plain = state.visible.tolist()
    state.grouping = grouping
    groups = state.groups
    assert sorted(state.visible) == sorted(plain)
    assert state.visible.tolist() == [row for group in range(len(groups)) for row in groups.pairs_of(group).tolist()]
    for group in range(len(groups)):
        rows = groups.pairs_of(group).tolist()
        # Within a group pairs keep the order of the list of pairs.
        assert rows == [row for row in plain if row in rows]
        assert [groups.group_at(state.place_of(row)) for row in rows] == [group] * len(rows)
    sequence = {
        "list": [plain.index(groups.pairs_of(group)[0]) for group in range(len(groups))],
        "bytes": (-groups.n_bytes).tolist(),
        "files": (-groups.n_files).tolist(),
        "far": (-groups.largest_rms).tolist(),
        "chains": [(not chain, -far) for chain, far in zip(groups.is_chain, groups.largest_rms, strict=True)],
    }[grouping]
    assert sequence == sorted(sequence)


def test_a_filter_lets_groups_through_of_which_it_lets_one_pair_through(open_state: OpenState) -> None:
    state = open_state()
    state.threshold, state.grouping = 500, "list"
    assert len(state.groups) == 2
    state.filters = {"rms": [200, 400]}
    assert len(state.groups) == 1
    assert state.groups.members_of(0).tolist() == [0, 1, 2, 3]
    assert state.visible.tolist() == [2]
    # Counted whole, though one of its pairs is listed.
    assert state.groups.n_pairs.tolist() == [3]


def test_going_from_group_to_group(open_state: OpenState) -> None:
    state = open_state()
    state.threshold, state.grouping = 800, "list"
    assert [state.groups.members_of(group).tolist() for group in range(2)] == [[0, 1, 2, 3], [4, 5, 6]]
    state.decide(0, "approved")
    state.go_to_group(0)
    assert state.current == 1
    assert state.next_group()
    assert state.current == 3
    assert state.next_group()
    assert state.current == 1
    assert not state.next_group(-1)
    state.next_group()
    assert state.next_group(-1)
    for row in range(3):
        state.decide(row, "approved")
    state.go_to_group(0)
    state.next_group()
    assert not state.next_group()
    state.approve()
    assert state.current == 4


def test_a_rejected_pair_leaves_its_group_when_the_list_is_made_anew(open_state: OpenState) -> None:
    state = open_state()
    state.threshold, state.grouping = 500, "list"
    state.decide(1, "rejected")
    assert len(state.groups) == 2
    state.refresh()
    assert [state.groups.members_of(group).tolist() for group in range(len(state.groups))] == [[0, 1], [2, 3], [4, 5]]


def test_the_grouping_comes_back_and_a_wrong_one_is_refused(open_state: OpenState) -> None:
    state = open_state()
    state.grouping = "far"
    assert open_state().grouping == "far"
    state.grouping = ""
    assert state.groups is None
    with pytest.raises(ValueError, match="grouping: 'size' is none; allowed are '' "):
        state.grouping = "size"


def test_a_keeper_by_hand_comes_first(open_state: OpenState) -> None:
    state = open_state()
    state.threshold, state.grouping = 500, "bytes"
    state.decide(0, "approved", keeper=1)
    state.refresh()
    place = state.groups.group_at(state.place_of(0))
    assert state.groups.members_of(place)[0] == 1
    assert state.keeper_words([place]) == ["chosen by hand"]


def test_no_pair_at_all_is_no_group(open_state: OpenState) -> None:
    state = open_state(pairs=make_pairs([]))
    state.grouping = "bytes"
    assert len(state.groups) == 0
    assert state.groups.group_at(0) == -1
    assert not state.next_group()
    assert state.keeper_words([]) == []
