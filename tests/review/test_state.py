"""The state of a review without a kernel: lookups, moving about, decisions, groups, what is kept on disk."""

from __future__ import annotations

import re
import sqlite3

import numpy as np
import pytest
import traitlets

from dupkit.database import FILE_NAME
from dupkit.folders import state_folder
from dupkit.review import ReviewState
from dupkit.schema import check_table, empty_table
from tests.review.tables import letters, make_images, make_pairs


def test_it_opens_on_the_first_pair_below_the_measures_threshold(open_state) -> None:
    state = open_state()
    assert (state.threshold, state.current, state.n_visible) == (500.0, 0, 4)
    assert state.counts_at(500) == {"n_pairs": 4, "n_groups": 2, "n_files": 4, "n_bytes": 4000}
    assert {name: values[301] for name, values in state.curve().items()} == {
        "threshold": 301,
        "pairs": 3,
        "groups": 1,
        "files": 3,
        "bytes": 3000,
    }
    assert len(state.curve()["pairs"]) == 1001
    assert state.counts_by_folder(500)["n_files"].sum() == 4


def test_no_pairs_is_a_review_of_nothing(open_state) -> None:
    state = open_state(make_images(letters(2)), empty_table("pairs"))
    state.approve()
    assert (state.current, state.message, state.n_visible) == (-1, "No pair is in view", 0)
    assert not any((state.undo(), state.next_pair(), state.previous_pair(), state.next_undecided()))
    assert state.approved_groups().empty
    assert state.precision_bands()["n_pairs"].sum() == 0
    assert len(state.review_next()) == 0


def test_keys_decide_and_go_on_to_the_next_undecided_pair(open_state) -> None:
    state = open_state()
    state.approve()
    state.reject()
    state.skip()
    assert [state.decision_of(position) for position in range(4)] == ["approved", "rejected", "skipped", ""]
    assert state.current == 3
    assert state.tally() == {"approved": 1, "rejected": 1, "skipped": 1}
    state.approve()
    assert state.current == 3  # none is left: it stays


def test_after_the_end_of_the_list_it_goes_on_at_its_start(open_state) -> None:
    state = open_state()
    state.go_to(3)
    state.approve()
    assert state.current == 0


def test_the_list_stays_as_it_is_while_pairs_are_decided(open_state) -> None:
    state = open_state()
    state.filters = {"decision": [""]}
    lists = state.list_revision
    state.approve()
    assert (state.visible.tolist(), state.list_revision) == ([0, 1, 2, 3], lists)
    state.refresh()
    assert state.visible.tolist() == [1, 2, 3]


def test_undo_brings_back_decision_and_keeper_and_the_pair_into_view(open_state) -> None:
    state = open_state()
    state.keep_right()
    state.go_to(0)
    state.reject()
    assert state.undo()
    assert (state.decision_of(0), state.standing.keeper[0], state.current) == ("approved", 1, 0)
    assert state.undo()
    assert (state.decision_of(0), state.standing.keeper[0]) == ("", -1)
    assert not state.undo()
    assert state.message == "Nothing to undo"


def test_undo_in_one_notebook_leaves_what_the_other_one_decided_since(open_state) -> None:
    one, other = open_state(), open_state()
    one.decide(0, "approved")
    other.decide(0, "rejected")
    assert one.undo()
    assert one.message == "Undone: 0 decisions"
    for state in (one, other):
        state.refresh()
        assert state.decision_of(0) == "rejected"


def test_a_restart_goes_on_undoing_where_it_stopped(open_state) -> None:
    state = open_state()
    for position in range(3):
        state.decide(position, "approved")
    state.undo()
    again = open_state()
    again.undo()
    assert [again.decision_of(position) for position in range(3)] == ["approved", "", ""]
    again.undo()
    assert not again.undo()


def test_a_group_is_decided_and_undone_as_one_step(open_state) -> None:
    state = open_state()
    assert state.decide_group(0, "approved", keeper=2) == 3
    groups = state.approved_groups()
    check_table(groups, "groups")
    assert groups.loc[groups["is_keeper"], ["image_id", "reason"]].to_numpy().tolist() == [[2, "chosen by hand"]]
    assert state.undo()
    assert state.tally()["approved"] == 0


def test_a_keeper_chosen_by_hand_holds_for_the_whole_group(open_state) -> None:
    state = open_state()
    assert state.set_keeper(0, 3) == 0  # nothing is approved yet
    state.decide_group(0, "approved")
    assert state.keeper_of_group(1) == 0
    assert state.set_keeper(1, 3) == 3
    assert state.keeper_of_group(1) == 3
    groups = state.approved_groups()
    assert groups.loc[groups["is_keeper"], "image_id"].tolist() == [3]
    assert open_state().keeper_of_group(0) == 3


def test_of_keepers_chosen_pair_by_pair_the_one_never_given_up_is_kept(open_state) -> None:
    state = open_state()
    state.go_to(0)
    state.keep_left()  # 0, not 1
    state.go_to(1)
    state.keep_left()  # 1, not 2: later, but 1 was given up for 0
    groups = state.approved_groups()
    assert groups.loc[groups["is_keeper"], "image_id"].tolist() == [0]


def test_a_rejected_pair_ties_no_group_together(open_state) -> None:
    state = open_state()
    state.decide(1, "rejected")
    assert state.group_of(0).image_ids == (0, 1)
    assert state.group_of(2).image_ids == (2, 3)
    assert state.group_of(1).image_ids == (0, 1, 2, 3)  # the pair in view counts
    assert state.group_of(4).image_ids == (4, 5, 6)  # also where it is above the threshold


def test_a_chain_is_marked_with_its_largest_rms_and_can_be_cut(open_state) -> None:
    pairs = make_pairs([(0, 1, 10.0), (1, 2, 20.0), (2, 3, 15.0), (0, 3, 900.0), (1, 3, 25.0), (4, 5, 1.0)])
    state = open_state(pairs=pairs)
    group = state.group_of(1)
    assert (group.image_ids, group.is_chain, group.largest_rms, group.whole) == ((0, 1, 2, 3), True, 900.0, True)
    chains = state.chains()
    assert chains[["n_images", "n_pairs", "largest_rms"]].to_numpy().tolist() == [[4, 4, 900.0]]
    weakest = int(chains["position"].iloc[0])
    assert state.rms[weakest] == 25.0
    assert state.cut_chain(weakest) == 2  # 1~2 and 1~3 hold the halves {0, 1} and {2, 3} together
    assert state.chains().empty
    assert [state.group_of(position).image_ids for position in (1, 2)] == [(0, 1), (2, 3)]
    assert state.undo()
    assert state.cut_chain(1, at=1) == 1  # 0 and 1 apart
    assert state.group_of(2).image_ids == (1, 2, 3)


def test_a_huge_group_answers_with_a_part_and_is_not_decided_at_once(open_state) -> None:
    n = 1200
    images = make_images(letters(n), sizes=[*range(1, n), 5000])
    state = open_state(images, make_pairs([(k, k + 1, float(k % 7)) for k in range(n - 1)]))
    group = state.group_of(state.current)
    assert (group.n_images, group.whole, group.is_chain, group.keeper) == (n, False, True, n - 1)
    assert len(group.image_ids) < 10
    with pytest.raises(ValueError, match=re.escape("group: it holds 1,200 pictures, more than 500")):
        state.decide_group(0, "approved")


def test_structure_pairs_are_apart_from_the_slider(open_state) -> None:
    pairs = make_pairs([(0, 1, 3.0), (1, 2, 4.0)], by_structure=[False, True])
    state = open_state(pairs=pairs)
    assert state.visible.tolist() == [0]
    assert state.counts_at(1000)["n_pairs"] == 1
    state.filters = {"show": "structure"}
    assert state.visible.tolist() == [1]
    state.decide(1, "approved")
    assert state.approved_groups()["image_id"].tolist() == [1, 2]
    assert state.precision_bands()["n_approved"].sum() == 0


def test_the_view_comes_back_after_a_restart(open_state) -> None:
    state = open_state()
    state.threshold, state.order, state.filters = 800, "-rms", {"show": "all", "name": ".JPG"}
    state.keeper_rules = ["size", "folder:b"]
    state.go_to(2)
    again = open_state()
    assert (again.threshold, again.order, again.filters, again.current) == (800, "-rms", state.filters, 2)
    assert again.keeper_rules == ["reference", "size", "folder:b", "path"]
    assert open_state(threshold=300).threshold == 300
    assert open_state(images=make_images(letters(8), root="/others")).threshold == 500


def test_a_view_that_no_longer_fits_is_forgotten(open_state) -> None:
    state = open_state()
    state.decisions.remember(
        "view rms fast", {"threshold": "x", "order": "best", "filters": {"colour": 1}, "keeper_rules": ["luck"]}
    )
    again = open_state()
    assert (again.threshold, again.order, again.filters) == (500.0, "rms", {})


def test_next_band_jumps_over_the_rest_of_a_band(open_state) -> None:
    state = open_state(pairs=make_pairs([(0, 1, 0.0), (0, 2, 5.0), (0, 3, 7.0), (1, 2, 130.0), (1, 3, 199.0)]))
    seen = [state.current]
    while state.next_band():
        seen.append(state.current)
    assert seen == [0, 1, 3]


def test_keeper_rules_change_what_would_move(open_state) -> None:
    images = make_images([b"a/1.jpg", b"b/2.jpg"], sizes=[10, 99])
    state = open_state(images, make_pairs([(0, 1, 0.0)]))
    assert state.counts_at(1)["n_bytes"] == 10
    state.keeper_rules = ["folder:a"]
    assert state.counts_at(1)["n_bytes"] == 99
    assert state.counts_by_folder(1).to_numpy().tolist() == [["b", 1, 99]]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"threshold": -1}, ValueError, "threshold: -1.0 is not allowed"),
        ({"order": "best"}, ValueError, "order: 'best' is no sort key; allowed are rms"),
        ({"filters": {"colour": "red"}}, ValueError, "filters: 'colour' is no filter; allowed are show"),
        ({"filters": {"rms": [1]}}, ValueError, "filters: rms=[1] is not allowed; it must be [lowest, highest]"),
        ({"keeper_rules": ["luck"]}, ValueError, "keeper_rules: 'luck' is no rule"),
        ({"current": "x"}, traitlets.TraitError, "current"),
    ],
)
def test_a_wrong_setting_is_refused_and_changes_nothing(open_state, change, error, words) -> None:
    state = open_state()
    ((name, value),) = change.items()
    before = getattr(state, name)
    with pytest.raises(error, match=re.escape(words)):
        setattr(state, name, value)
    assert getattr(state, name) == before


def test_wrong_tables_and_thresholds_are_refused_at_once() -> None:
    images, pairs = make_images(letters(4)), make_pairs([(0, 1, 1.0), (1, 2, 2.0)])
    with pytest.raises(ValueError, match="the table must be sorted by rms"):
        ReviewState(images, None, pairs.iloc[::-1])
    with pytest.raises(ValueError, match="threshold: 2000 is above max_rms 1000"):
        ReviewState(images, None, pairs, threshold=2000)
    images.attrs.clear()
    with pytest.raises(ValueError, match=re.escape("images: attrs['root'] is missing")):
        ReviewState(images, None, pairs)
    assert not (state_folder() / FILE_NAME).exists()


def test_the_slider_stops_at_max_rms(open_state) -> None:
    state = open_state()
    state.threshold = 5000
    assert state.threshold == 1000


def test_a_wrong_decision_is_refused(open_state) -> None:
    with pytest.raises(ValueError, match=re.escape("decision: 'maybe' is none; allowed are approved")):
        open_state().decide(0, "maybe")
    with pytest.raises(ValueError, match="image_id: 99 is no image of this scan"):
        open_state().decide(0, "approved", keeper=99)


def test_a_decision_is_on_disk_before_anybody_hears_of_it(open_state) -> None:
    state = open_state()
    seen = []

    def look(_change: object) -> None:
        reader = sqlite3.connect(state_folder() / FILE_NAME)
        seen.append(reader.execute("SELECT decision FROM decision").fetchall())
        reader.close()

    state.observe(look, ["revision", "current", "message"])
    state.approve()
    assert seen
    assert all(rows == [("approved",)] for rows in seen)


def test_a_decision_that_cannot_be_written_changes_nothing(open_state) -> None:
    state = open_state()
    state.decisions._connection.execute(
        "CREATE TRIGGER full BEFORE INSERT ON decision BEGIN SELECT RAISE(FAIL, 'full'); END"
    )
    with pytest.raises(sqlite3.IntegrityError, match="full"):
        state.approve()
    assert (state.decision_of(0), state.current, state.revision) == ("", 0, 0)


def test_a_rejection_travels_to_other_folders_and_names_and_an_approval_only_shows(open_state) -> None:
    contents = ["x", "y", "z"]
    here = open_state(make_images(letters(3), contents=contents), make_pairs([(0, 1, 1.0), (1, 2, 2.0)]))
    here.reject()
    here.approve()
    renamed = make_images([b"p.jpg", b"q.jpg", b"r.jpg"], contents=contents, root="/copies")
    there = open_state(renamed, make_pairs([(0, 1, 1.0), (1, 2, 2.0)]))
    assert [there.decision_of(position) for position in range(2)] == ["rejected", ""]
    assert there.standing.approved_before.tolist() == [False, True]
    there.filters = {"decision": ["approved before"]}
    assert there.visible.tolist() == [1]
    assert there.approved_groups().empty
    here.go_to(0)
    here.approve()
    here.undo()
    here.undo()
    here.undo()
    there.refresh()
    assert there.decision_of(0) == ""


def test_an_approval_does_not_outlive_a_change_of_the_file(open_state) -> None:
    open_state(make_images(letters(2), contents=["x", "y"]), make_pairs([(0, 1, 1.0)])).approve()
    changed = open_state(make_images(letters(2), contents=["x", "edited"]), make_pairs([(0, 1, 1.0)]))
    assert changed.decision_of(0) == ""
    assert not changed.standing.approved_before.any()


def test_review_next_makes_a_list_of_pairs_from_every_band(open_state) -> None:
    n = 400
    rng = np.random.default_rng(3)
    images = make_images(letters(n + 1))
    state = open_state(images, make_pairs([(k, k + 1, float(rms)) for k, rms in enumerate(rng.uniform(1, 999, n))]))
    chosen = state.review_next(20)
    assert (len(chosen), state.n_visible, state.current) == (20, 20, chosen[0])
    assert state.visible.tolist() == chosen.tolist()
    assert (np.bincount((state.rms[chosen] // 100).astype(int), minlength=10) >= 1).all()
    for _ in range(20):
        state.approve()
    assert set(state.review_next(20)).isdisjoint(chosen)
    state.filters = {}
    assert state.n_visible == state.counts_at(500)["n_pairs"]
