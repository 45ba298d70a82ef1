"""Which decision stands, against going through all of them for each pair."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from dupkit.review.decisions import DECISION_WORDS
from dupkit.review.standing import Standing
from tests import naive
from tests.review.tables import make_images, patiently

# Three contents under five names here; the same contents also under other names, and in another folder.
FILES = [("a.jpg", "x"), ("b.jpg", "x"), ("c.jpg", "y"), ("d.jpg", "z"), ("e.jpg", "x")]
ELSEWHERE = [("f.jpg", "x"), ("g.jpg", "y"), ("a.jpg", "y"), ("h.jpg", "q")]
PAIRS = list(itertools.combinations(range(len(FILES)), 2))

pairs_of_files = st.lists(st.sampled_from(FILES + ELSEWHERE), min_size=2, max_size=2, unique=True).map(tuple)
histories = st.lists(
    st.tuples(st.sampled_from([b"/here", b"/there"]), pairs_of_files, st.sampled_from(DECISION_WORDS[1:])), max_size=12
)


@functools.cache
def tables() -> tuple[pd.DataFrame, dict[str, str]]:
    """The images and the hash of each content; made once, nobody writes to them."""
    images = make_images([name.encode() for name, _ in FILES], contents=[content for _, content in FILES])
    others = make_images([b"q"], contents=["q"])
    hashes = dict(zip([content for _, content in FILES], images["content_hash"], strict=True))
    hashes["q"] = others["content_hash"].iloc[0]
    return images, hashes


def new_standing() -> tuple[Standing, dict[str, str]]:
    images, hashes = tables()
    first, second = (np.array(side) for side in zip(*PAIRS, strict=True))
    return Standing(images, first, second, b"/here"), hashes


def as_stored(history, hashes, first_id=1):
    return [
        (first_id + at, at, None, root, a, b, hashes[content_a], hashes[content_b], word, "", 0, "")
        for at, (root, ((a, content_a), (b, content_b)), word) in enumerate(history)
    ]


@given(histories, st.integers(0, 12))
@settings(patiently, max_examples=200)
def test_what_stands_is_what_going_through_all_decisions_says(history, cut) -> None:
    standing, hashes = new_standing()
    standing.load(as_stored(history[:cut], hashes))
    standing.load(as_stored(history[cut:], hashes, first_id=1 + min(cut, len(history))))
    for position, (a, b) in enumerate(PAIRS):
        expected = naive.standing_decision(history, b"/here", FILES, (FILES[a], FILES[b]))
        assert DECISION_WORDS[standing.code[position]] == expected, (FILES[a], FILES[b])
    assert standing.counts.tolist() == np.bincount(standing.code, minlength=4).tolist()


@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, len(PAIRS) - 1), min_size=1, max_size=4, unique=True), st.integers(1, 4)),
        max_size=8,
    )
)
@settings(patiently, max_examples=100)
def test_a_recorded_decision_stands_as_a_loaded_one_does(batches) -> None:
    standing, hashes = new_standing()
    history, next_id = [], 1
    for positions, code in batches:
        codes = np.full(len(positions), code, dtype=np.int8)
        standing.record(np.array(positions), codes, np.full(len(positions), -1), next_id)
        next_id += len(positions)
        history += [(b"/here", (FILES[PAIRS[p][0]], FILES[PAIRS[p][1]]), DECISION_WORDS[code]) for p in positions]
    loaded, _ = new_standing()
    loaded.load(as_stored(history, hashes))
    assert standing.code.tolist() == loaded.code.tolist()
    assert standing.own_id.tolist() == loaded.own_id.tolist()
    assert standing.approved_before.tolist() == loaded.approved_before.tolist()


def test_loading_the_same_decisions_again_changes_nothing() -> None:
    standing, hashes = new_standing()
    history = [(b"/here", (FILES[0], FILES[2]), "rejected"), (b"/there", (ELSEWHERE[0], FILES[3]), "rejected")]
    standing.load(as_stored(history, hashes))
    before = standing.code.tolist()
    standing.load(as_stored(history, hashes))
    assert standing.code.tolist() == before
    # The second one travels from another folder and name to every file with these contents.
    assert [PAIRS[p] for p in np.flatnonzero(standing.code == 2)] == [(0, 2), (0, 3), (1, 2), (1, 3), (2, 4), (3, 4)]


def test_an_approval_elsewhere_only_shows() -> None:
    standing, hashes = new_standing()
    standing.load(as_stored([(b"/there", (FILES[0], FILES[2]), "approved")], hashes))
    assert not standing.code.any()
    assert [PAIRS[p] for p in np.flatnonzero(standing.approved_before)] == [(0, 2), (1, 2), (2, 4)]
