"""The part of the page that decides: keys and buttons, moving about, filters, keepers, rules for many pairs at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dupkit.review.rules import SUGGESTED_RULES
from dupkit.review.state import ReviewState
from dupkit.widgets.answers import Answer, Later, Question

TEACHING_PAIRS = 20
"""Pairs that "review these next" lists."""

PREVIEW_ROWS = 200
"""Rows of a preview that go to the page; the others are counted."""


class Decider:
    """Answer what people do on the page.

    Parameters
    ----------
    state : ReviewState
    show : callable
        Gives the values of an answer: the status, the pair in view, the pairs after it, and one line in words.
    """

    def __init__(self, state: ReviewState, show: Callable[[str], dict[str, Any]]) -> None:
        self.state = state
        self.show = show
        self.answers: dict[str, Callable[[Question], Answer | Later]] = {
            "act": self.act,
            "go": self.go,
            "show": self.choose_list,
            "keeper": self.choose_keeper,
            "keeper_rules": self.change_rules,
            "review_next": self.review_next,
            "refresh": self.refresh,
            "preview_rule": self.preview_rule,
            "apply_rule": self.apply_rule,
        }
        self._acts: dict[str, Callable[[int], object]] = {
            "approve": lambda _: state.approve(),
            "reject": lambda _: state.reject(),
            "skip": lambda _: state.skip(),
            "undo": lambda _: state.undo(),
            "keep_left": lambda _: state.keep_left(),
            "keep_right": lambda _: state.keep_right(),
            "keep_both": lambda _: state.keep_both(),
            "approve_group": lambda position: state.decide_group(position, "approved"),
            "cut": state.cut_chain,
        }

    def act(self, question: Question) -> Answer:
        """Decide about the pair that the person saw; the decision is on the disk when this returns."""
        state = self.state
        act, position = str(question["act"]), int(question["position"])
        if act not in self._acts:
            msg = f"act: {act!r} is unknown; allowed are {', '.join(self._acts)}"
            raise ValueError(msg)
        if act != "undo":
            if not 0 <= position < len(state.pairs):
                return Answer(self.show("No pair is in view."))
            # What the person saw counts, wherever another window of this page has gone.
            state.go_to(position)
        self._acts[act](position)
        return Answer(self.show(state.message))

    def go(self, question: Question) -> Answer:
        """Bring another pair into view."""
        state = self.state
        where = str(question["where"])
        if where == "position":
            state.go_to(int(question["position"]))
            return Answer(self.show(""))
        ways: dict[str, tuple[Callable[[], bool], str]] = {
            "next": (state.next_pair, "This is the last pair of the list."),
            "previous": (state.previous_pair, "This is the first pair of the list."),
            "undecided": (state.next_undecided, "Every pair of this list is decided."),
            "band": (state.next_band, "No further band of distances has undecided pairs."),
        }
        if where not in ways:
            msg = f"where: {where!r} is unknown; allowed are position, {', '.join(ways)}"
            raise ValueError(msg)
        step, otherwise = ways[where]
        return Answer(self.show("" if step() else otherwise))

    def choose_list(self, question: Question) -> Answer:
        """Sort and filter the list."""
        state = self.state
        if "order" in question:
            state.order = str(question["order"])
        if "filters" in question:
            state.filters = state_filters({**page_filters(state.filters), **question["filters"]})
        return Answer(self.show(""))

    def choose_keeper(self, question: Question) -> Answer:
        """Keep a picture chosen by hand; of an undecided pair it approves that pair too."""
        state = self.state
        position, image = int(question["position"]), int(question["image"])
        if state.set_keeper(position, image):
            return Answer(self.show(f"Keeper: {state.images['path'].loc[image]}"))
        pair = state.pairs.iloc[position]
        if image not in (pair["image_a"], pair["image_b"]):
            return Answer(self.show("No pair of this group is approved yet: approve one, then choose its keeper."))
        state.decide(position, "approved", keeper=image)
        return Answer(self.show(state.message))

    def change_rules(self, question: Question) -> Answer:
        """Choose all keepers again by other rules; the counts below each threshold change with them."""
        self.state.keeper_rules = [str(rule) for rule in question["rules"]]
        return Answer({**self.show("Keepers chosen again by these rules."), "lookups_changed": True})

    def review_next(self, _question: Question) -> Answer:
        """List the pairs that would teach most about the threshold."""
        self.state.review_next(TEACHING_PAIRS)
        return Answer(self.show(self.state.message))

    def refresh(self, _question: Question) -> Answer:
        """Take in what other windows have decided."""
        n_new = self.state.refresh()
        words = f"{n_new:,} decisions of other windows taken in." if n_new else "No other window has decided anything."
        return Answer(self.show(words))

    def preview_rule(self, question: Question) -> Answer:
        """Return what a bulk rule would decide; nothing is decided."""
        table = self.state.preview_rule(self._rule(question))
        rows = [
            [f"{row['rms']:.4g}", row["path_a"], row["path_b"], row["keeper"] and f"keep {row['keeper']}"]
            for row in table.head(PREVIEW_ROWS).to_dict("records")
        ]
        word = str(table["would_be"].iloc[0]) if len(table) else "decided"
        words = f"{len(table):,} pairs would be {word}" + (
            f"; the first {PREVIEW_ROWS} are shown" if len(table) > PREVIEW_ROWS else ""
        )
        return Answer({"words": words, "rows": rows})

    def apply_rule(self, question: Question) -> Answer:
        """Decide by a bulk rule, as one step that Undo takes back."""
        self.state.apply_rule(self._rule(question))
        words = f"{self.state.message}. Undo takes it back as one step."
        return Answer({**self.show(words), "rows": []})

    def _rule(self, question: Question) -> dict[str, object]:
        rules = bulk_rules(str(question.get("folder", "")))
        words, rule = rules[int(question["rule"])]
        if "folder" in words and not question.get("folder"):
            msg = f"folder: {words!r} needs one; write its name beside the rule"
            raise ValueError(msg)
        return rule


def bulk_rules(folder: str) -> list[tuple[str, dict[str, object]]]:
    """Return the bulk rules that the page offers, each with its words.

    Parameters
    ----------
    folder : str
        What the analyst wrote beside the rule; two of them need it.
    """
    return [
        *((words, dict(rule)) for words, rule in SUGGESTED_RULES),
        (
            "Approve the same pictures in folder …, keep the larger",
            {"decision": "approved", "keep": "larger", "folder": folder, "verdict": SAME},
        ),
        (
            "Approve the same pictures, keep those in folder …",
            {"decision": "approved", "keep": f"folder:{folder}", "verdict": SAME},
        ),
    ]


SAME = ["same bytes", "same pixels", "same picture"]
"""Verdicts of pairs that may be approved without a look at each."""


def page_filters(filters: Mapping[str, Any]) -> dict[str, str]:
    """Return the state's filter as the page's four choices."""
    decision = (filters.get("decision") or [None])[0]
    verdict = (filters.get("verdict") or [""])[0]
    return {
        "show": filters.get("show", "below"),
        "decision": "undecided" if decision == "" else decision or "",
        "verdict": verdict,
        "folder": filters.get("folder", ""),
    }


def state_filters(choices: Mapping[str, Any]) -> dict[str, Any]:
    """Return the page's choices as the state's filter.

    Examples
    --------
    >>> state_filters({"show": "below", "decision": "undecided", "folder": ""})
    {'decision': ['']}
    """
    filters: dict[str, Any] = {}
    if choices.get("show", "below") != "below":
        filters["show"] = str(choices["show"])
    if choices.get("decision"):
        filters["decision"] = ["" if choices["decision"] == "undecided" else str(choices["decision"])]
    if choices.get("verdict"):
        filters["verdict"] = [str(choices["verdict"])]
    if choices.get("folder"):
        filters["folder"] = str(choices["folder"]).strip("/")
    return filters
