"""Filters, sort keys and bulk rules against going through the pairs one by one."""

from __future__ import annotations

import re

import numpy as np
import pytest

from dupkit.review.listing import ORDERS
from tests.review.tables import letters, make_images, make_pairs

N = 30
RNG = np.random.default_rng(5)
IMAGES = make_images(
    letters(N),
    sizes=RNG.integers(1, 9, N).tolist(),
    pixels=[(int(side), 3) for side in RNG.integers(2, 5, N)],
)
ROWS = [(a, a + int(step), float(rms)) for a in range(N - 4) for step, rms in ((1, RNG.integers(0, 9)), (3, 5.0))]
PAIRS = make_pairs(
    ROWS,
    by_structure=(RNG.random(len(ROWS)) < 0.2).tolist(),
    verdicts=RNG.choice(["same bytes", "look-alike", "unsure"], len(ROWS)).tolist(),
    same_bytes=(RNG.random(len(ROWS)) < 0.3).tolist(),
    structure=RNG.random(len(ROWS)).round(3).tolist(),
    max_rms=10.0,
)


@pytest.fixture
def state(open_state):
    state = open_state(IMAGES, PAIRS, threshold=6.0)
    for position in range(0, len(PAIRS), 3):
        state.decide(position, ("approved", "rejected", "skipped")[position % 9 // 3])
    return state


def passes(state, position: int, filters: dict[str, object]) -> bool:
    pair = PAIRS.iloc[position]
    paths = [IMAGES["path"][pair["image_a"]], IMAGES["path"][pair["image_b"]]]
    sizes = [IMAGES["size_bytes"][pair["image_a"]], IMAGES["size_bytes"][pair["image_b"]]]
    structural = pair["proposed_by"] == "structure"
    show = filters.get("show", "below")
    checks = {
        "rms": lambda value: value[0] <= pair["rms"] <= value[1],
        "decision": lambda value: state.decision_of(position) in value,
        "verdict": lambda value: pair["verdict"] in value,
        "folder": lambda value: any(path.startswith(f"{value}/") for path in paths),
        "folders": lambda value: any(path.startswith(tuple(f"{folder}/" for folder in value)) for path in paths),
        "name": lambda value: any(value.lower() in path.lower() for path in paths),
        "size_bytes": lambda value: min(sizes) >= value,
    }
    shown = {"below": not structural and pair["rms"] < state.threshold, "structure": structural, "all": True}[show]
    return bool(shown and all(checks[name](value) for name, value in filters.items() if name != "show"))


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"show": "all"},
        {"show": "structure"},
        {"rms": [2, 5]},
        {"decision": [""], "show": "all"},
        {"decision": ["approved", "skipped"]},
        {"verdict": ["look-alike", "unsure"], "size_bytes": 4},
        {"folder": "a"},
        {"folders": ["a", "b"], "show": "all"},
        {"name": "B/0"},
        {"name": "(", "show": "all"},
    ],
)
def test_a_filter_lets_through_what_going_through_the_pairs_does(state, filters) -> None:
    state.filters = filters
    assert state.visible.tolist() == [row for row in range(len(PAIRS)) if passes(state, row, filters)]
    assert state.n_visible == len(state.visible)


@pytest.mark.parametrize("order", ORDERS)
def test_a_sort_key_sorts_and_leaves_ties_in_the_tables_order(state, order: str) -> None:
    words = ["", "approved", "rejected", "skipped"]
    keys = {
        "rms": lambda row: 0,
        "-rms": lambda row: -PAIRS["rms"][row],
        "edge": lambda row: abs(PAIRS["rms"][row] - state.threshold),
        "size": lambda row: -min(IMAGES["size_bytes"][PAIRS[side][row]] for side in ("image_a", "image_b")),
        "structure": lambda row: -PAIRS["structure"][row],
        "verdict": lambda row: PAIRS["verdict"][row],
        "folder": lambda row: (PAIRS["image_a"][row], PAIRS["image_b"][row]),
        "decision": lambda row: words.index(state.decision_of(row)),
    }
    state.filters = {"show": "all"}
    state.order = order
    assert state.visible.tolist() == sorted(range(len(PAIRS)), key=lambda row: (keys[order](row), row))
    walked = [state.current]
    while state.next_pair():
        walked.append(state.current)
    assert walked == state.visible.tolist()[state.place_of(walked[0]) :]


def test_positions_show_those_pairs_whatever_the_threshold(state) -> None:
    state.filters = {"positions": [len(PAIRS) - 1, 3, 9999, -1]}
    assert state.visible.tolist() == [3, len(PAIRS) - 1]
    state.threshold = 0
    assert state.n_visible == 2


def test_pairs_that_were_not_described_have_no_verdict(open_state) -> None:
    state = open_state()
    state.filters = {"verdict": [""]}
    assert state.n_visible == 4
    state.filters = {"verdict": ["same bytes"]}
    assert state.n_visible == 0


def test_a_rule_shows_what_it_would_decide_then_decides_just_that_and_is_undone_in_one_step(state) -> None:
    rule = {"decision": "approved", "verdict": ["same bytes"], "show": "all", "keep": "larger"}
    before = [state.decision_of(row) for row in range(len(PAIRS))]
    preview = state.preview_rule(rule)
    assert [state.decision_of(row) for row in range(len(PAIRS))] == before
    expected = [
        row for row in range(len(PAIRS)) if PAIRS["verdict"][row] == "same bytes" and before[row] in ("", "skipped")
    ]
    assert preview["position"].tolist() == expected
    assert preview["decision"].tolist() == [before[row] for row in expected]
    assert set(preview["would_be"]) == {"approved"}
    for row in preview.itertuples():
        a, b = PAIRS["image_a"][row.position], PAIRS["image_b"][row.position]

        def value(image: int) -> tuple[int, int]:
            return IMAGES["width"][image] * IMAGES["height"][image], IMAGES["size_bytes"][image]

        assert row.keeper == IMAGES["path"][b if value(b) > value(a) else a]
    assert state.apply_rule(rule) == len(expected)
    assert [row for row in range(len(PAIRS)) if state.decision_of(row) != before[row]] == expected
    assert state.undo()
    assert [state.decision_of(row) for row in range(len(PAIRS))] == before


def test_a_rule_keeps_what_lies_in_a_folder_and_leaves_pairs_alone_that_it_cannot_tell_apart(state) -> None:
    preview = state.preview_rule({"decision": "approved", "keep": "folder:a", "show": "all", "decided_too": True})
    assert len(preview)
    assert preview["keeper"].str.startswith("a/").all()
    both = preview["path_a"].str.startswith("a/") & preview["path_b"].str.startswith("a/")
    assert not both.any()


@pytest.mark.parametrize("same", [True, False])
def test_a_rule_asks_for_the_same_bytes(state, same: bool) -> None:
    preview = state.preview_rule({"decision": "rejected", "same_bytes": same, "show": "all"})
    assert len(preview)
    assert PAIRS["same_bytes"][preview["position"]].eq(same).all()


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({}, "rule: decision=None is not allowed; it must be one of approved, rejected, skipped"),
        ({"decision": "approved", "colour": 1}, "rule: 'colour' is no part of a rule; allowed are decision"),
        ({"decision": "approved", "keep": "best"}, "rule: keep='best' is not allowed"),
        ({"decision": "approved", "rms": "x"}, "filters: rms='x' is not allowed"),
    ],
)
def test_a_wrong_rule_is_refused(state, rule, words) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        state.preview_rule(rule)


def test_what_a_large_rule_decided_does_not_count_as_looked_at(open_state) -> None:
    n = 120
    images = make_images(letters(n + 1))
    state = open_state(images, make_pairs([(k, k + 1, 10.0 + k) for k in range(n)]))
    state.apply_rule({"decision": "approved"})
    assert state.tally()["approved"] == n
    assert np.isnan(state.expected_false(500)["expected"])
    assert open_state(images, state.pairs).precision_bands()["n_approved"].sum() == 0


def test_undoing_a_step_does_not_make_a_rules_decisions_looked_at(open_state) -> None:
    n = 120
    images = make_images(letters(n + 1))
    state = open_state(images, make_pairs([(k, k + 1, 10.0 + k) for k in range(n)]))
    state.apply_rule({"decision": "approved"})
    state.apply_rule({"decision": "rejected", "decided_too": True})
    state.undo()
    assert state.tally()["approved"] == n
    assert state.precision_bands()["n_approved"].sum() == 0
