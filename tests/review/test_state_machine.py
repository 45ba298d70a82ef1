"""Two notebooks on one folder, every transition in any order, against a dict."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from dupkit.folders import STATE_VARIABLE
from dupkit.review import ReviewState
from tests.review.tables import letters, make_images, make_pairs, patiently

IMAGES = make_images(letters(8))
PAIRS = make_pairs(
    [(0, 1, 0.0), (1, 2, 100.0), (2, 3, 300.0), (4, 5, 450.0), (5, 6, 700.0)],
    verdicts=["same picture", "look-alike", "look-alike", "same picture", "unsure"],
)
ENDS = list(zip(PAIRS["image_a"], PAIRS["image_b"], strict=True))
WORDS = ("approved", "rejected", "skipped")

notebooks = st.integers(0, 1)
positions = st.integers(0, len(PAIRS) - 1)


@dataclass
class Batch:
    """What one step replaced."""

    before: dict[int, tuple[str, int]]
    taken_in: dict[int, object]
    undone: bool = False


@dataclass
class Model:
    """What must stand: for each pair the decision and the keeper chosen by hand."""

    stands: dict[int, tuple[str, int]] = field(default_factory=lambda: dict.fromkeys(range(len(PAIRS)), ("", -1)))
    latest: dict[int, object] = field(default_factory=dict)
    batches: list[Batch] = field(default_factory=list)
    stacks: list[list[Batch]] = field(default_factory=lambda: [[], []])

    def decide(self, notebook: int, decided: dict[int, tuple[str, int]]) -> None:
        if not decided:
            return
        batch = Batch(
            {position: self.stands[position] for position in decided},
            {position: self.latest.get(position) for position in decided},
        )
        self.stands |= decided
        self.latest |= dict.fromkeys(decided, batch)
        self.batches.append(batch)
        self.stacks[notebook].append(batch)

    def undo(self, notebook: int) -> bool:
        if not self.stacks[notebook]:
            return False
        batch = self.stacks[notebook].pop()
        ours = [position for position in batch.before if self.latest.get(position) is batch]
        for position in ours:
            self.stands[position] = batch.before[position]
            self.latest[position] = batch.taken_in[position]
        # A step of which nothing was left to take back leaves no trace: after a restart it is offered again.
        batch.undone = bool(ours)
        return True


class TwoNotebooks(RuleBasedStateMachine):
    """The machine."""

    @initialize()
    def open_both(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.model = Model()
        self.states = [self._open(), self._open()]

    def _open(self) -> ReviewState:
        os.environ[STATE_VARIABLE] = self.folder.name
        return ReviewState(IMAGES, None, PAIRS)

    def teardown(self) -> None:
        if hasattr(self, "states"):
            self.everybody_refreshes()
        for state in getattr(self, "states", ()):
            state.decisions.close()
        if hasattr(self, "folder"):
            self.folder.cleanup()

    @rule(
        notebook=notebooks, key=st.sampled_from(["approve", "reject", "skip", "keep_left", "keep_right", "keep_both"])
    )
    def press_a_key(self, notebook: int, key: str) -> None:
        state, position = self.states[notebook], self.states[notebook].current
        revision = state.revision
        getattr(state, key)()
        if position < 0:
            return
        word = {"reject": "rejected", "keep_both": "rejected", "skip": "skipped"}.get(key, "approved")
        keeper = {"keep_left": ENDS[position][0], "keep_right": ENDS[position][1]}.get(key, -1)
        self.model.decide(notebook, {position: (word, keeper)})
        assert state.revision == revision + 1
        undecided = [row for row in state.visible.tolist() if not state.decision_of(row)]
        assert state.current in undecided or not undecided

    @rule(notebook=notebooks, position=positions, word=st.sampled_from(WORDS), left=st.booleans())
    def decide_any_pair(self, notebook: int, position: int, word: str, left: bool) -> None:
        keeper = ENDS[position][0] if left and word == "approved" else None
        current = self.states[notebook].current
        self.states[notebook].decide(position, word, keeper=keeper)
        assert self.states[notebook].current == current
        self.model.decide(notebook, {position: (word, -1 if keeper is None else keeper)})

    @rule(notebook=notebooks, position=positions, word=st.sampled_from(WORDS))
    def decide_its_group(self, notebook: int, position: int, word: str) -> None:
        state = self.states[notebook]
        state.refresh()
        rows = state.group_of(position).positions
        assert state.decide_group(position, word) == len(rows)
        self.model.decide(notebook, dict.fromkeys(rows, (word, -1)))

    @rule(notebook=notebooks, word=st.sampled_from(WORDS))
    def apply_a_rule(self, notebook: int, word: str) -> None:
        state = self.states[notebook]
        state.refresh()
        bulk = {"decision": word, "verdict": ["look-alike"]}
        expected = [
            position
            for position in range(len(PAIRS))
            if PAIRS["verdict"][position] == "look-alike"
            and PAIRS["rms"][position] < state.threshold
            and (self.model.stands[position][0] in ("", "skipped"))
            and self.model.stands[position][0] != word
        ]
        assert state.preview_rule(bulk)["position"].tolist() == expected
        assert state.apply_rule(bulk) == len(expected)
        self.model.decide(notebook, dict.fromkeys(expected, (word, -1)))

    @rule(notebook=notebooks)
    def undo(self, notebook: int) -> None:
        assert self.states[notebook].undo() == self.model.undo(notebook)

    @rule(notebook=notebooks)
    def restart_the_kernel(self, notebook: int) -> None:
        before = self.states[notebook]
        seen = (before.threshold, before.order, dict(before.filters))
        before._remember_view()  # the other notebook may have been the last one to move
        before.decisions.close()
        self.states[notebook] = self._open()
        after = self.states[notebook]
        assert (after.threshold, after.order, dict(after.filters)) == seen
        if before.current >= 0:
            assert after.current == before.current
        self.model.stacks[notebook] = [batch for batch in self.model.batches if not batch.undone]

    @rule(notebook=notebooks, threshold=st.integers(0, 1000))
    def move_the_slider(self, notebook: int, threshold: int) -> None:
        self.states[notebook].threshold = threshold
        assert self.states[notebook].visible.tolist() == [k for k, rms in enumerate(PAIRS["rms"]) if rms < threshold]

    @rule(notebook=notebooks, word=st.sampled_from(["", *WORDS]))
    def filter_by_decision(self, notebook: int, word: str) -> None:
        state = self.states[notebook]
        state.refresh()
        state.filters = {"decision": [word], "show": "all"}
        assert state.visible.tolist() == [k for k, (stands, _) in self.model.stands.items() if stands == word]
        state.filters = {}

    @rule(notebook=notebooks)
    def walk(self, notebook: int) -> None:
        state = self.states[notebook]
        place = state.place_of(state.current)
        if state.next_pair():
            assert state.place_of(state.current) == place + 1
            assert state.previous_pair() == (place >= 0)

    @rule()
    def everybody_refreshes(self) -> None:
        for state in self.states:
            state.refresh()
            for position, (word, keeper) in self.model.stands.items():
                assert state.decision_of(position) == word
                assert state.standing.keeper[position] == (keeper if word == "approved" else -1)
        approved = [position for position, (word, _) in self.model.stands.items() if word == "approved"]
        assert self.states[0].approved_pairs()["rms"].tolist() == PAIRS["rms"][approved].tolist()
        assert self.states[0].tally()["approved"] == len(approved)


TwoNotebooks.TestCase.settings = settings(patiently, max_examples=30, stateful_step_count=20)
TestTwoNotebooks = TwoNotebooks.TestCase
