"""The part of the page that decides: keys and buttons, moving about, filters, keepers, rules for many pairs at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dupkit.review.neighbours import MOST_MEMBERS
from dupkit.review.rules import SUGGESTED_RULES
from dupkit.review.state import ReviewState
from dupkit.widgets.answers import Answer, Later, Question

TEACHING_PAIRS = 20
"""Pairs that "review these next" lists."""

PREVIEW_ROWS = 200
"""Rows of a preview that go to the page; the others are counted."""

LARGEST_DISTANCE = 1e9
"""Above every distance: the upper end of a range of which a person gave only the lower one."""


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
            "rule_counts": self.rule_counts,
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
            "approve_group": self._approve_group,
            "cut": self._cut,
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

    def _approve_group(self, position: int) -> None:
        if self._is_whole(position):
            self.state.decide_group(position, "approved")
            if self.state.grouping:
                # Group by group as pair by pair: on to what is undecided.
                self.state.next_undecided()

    def _cut(self, position: int) -> None:
        if self._is_whole(position):
            self.state.cut_chain(position)

    def _is_whole(self, position: int) -> bool:
        group = self.state.group_of(position)
        if not group.whole:
            self.state.message = (
                f"This group holds {group.n_images:,} pictures: more than {MOST_MEMBERS} are not decided with one key. "
                "Lower the threshold, or open the rules below and decide many pairs at once."
            )
        return group.whole

    def go(self, question: Question) -> Answer:
        """Bring another pair into view."""
        state = self.state
        where = str(question["where"])
        if where == "position":
            state.go_to(int(question["position"]))
            return Answer(self.show(""))
        if where == "group":
            state.go_to_group(int(question["group"]))
            return Answer(self.show(""))
        if where.endswith("_group") and not state.grouping:
            return Answer(self.show("The list shows pairs: press P for a list of groups."))
        ways: dict[str, tuple[Callable[[], bool], str]] = {
            "next": (state.next_pair, "This is the last pair of the list."),
            "previous": (state.previous_pair, "This is the first pair of the list."),
            "undecided": (state.next_undecided, "Every pair of this list is decided."),
            "band": (state.next_band, "No further band of distances has undecided pairs."),
            "next_group": (state.next_group, "No other group of this list has undecided pairs."),
            "previous_group": (lambda: state.next_group(-1), "This is the first group of the list."),
        }
        if where not in ways:
            msg = f"where: {where!r} is unknown; allowed are position, group, {', '.join(ways)}"
            raise ValueError(msg)
        step, otherwise = ways[where]
        return Answer(self.show("" if step() else otherwise))

    def choose_list(self, question: Question) -> Answer:
        """Sort and filter the list; make it one of pairs or of groups."""
        state = self.state
        if "grouping" in question:
            state.grouping = str(question["grouping"])
        if "order" in question:
            state.order = str(question["order"])
        if "filters" in question:
            state.filters = state_filters({**page_filters(state.filters), **question["filters"]})
        return Answer(self.show(""))

    def choose_keeper(self, question: Question) -> Answer:
        """Keep a picture chosen by hand; of an undecided pair it approves that pair too."""
        state = self.state
        position, image = int(question["position"]), int(question["image"])
        # In a group too large to be decided at once the choice is kept with this pair.
        if state.group_of(position).whole and state.set_keeper(position, image):
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

    def rule_counts(self, question: Question) -> Answer:
        """Return how many pairs each bulk rule would decide; None for a rule that waits for the name of a folder."""
        folder = str(question.get("folder", ""))
        counts = [
            None if "folder" in words and not folder else self.state.count_rule(rule)
            for words, rule in bulk_rules(folder)
        ]
        return Answer({"counts": counts})

    def preview_rule(self, question: Question) -> Answer:
        """Return what a bulk rule would decide; nothing is decided."""
        state = self.state
        rule = self._rule(question)
        table, word = state.preview_rule(rule), str(rule["decision"])
        few = table.head(PREVIEW_ROWS)
        ends = state.pairs[["image_a", "image_b"]].iloc[few["position"].to_numpy()].to_numpy().tolist()
        rows = [
            {
                "images": images,
                "cells": [
                    f"{row['rms']:.4g}",
                    row["verdict"] if isinstance(row["verdict"], str) else "",
                    row["path_a"],
                    row["path_b"],
                    row["keeper"] and f"keep {row['keeper']}",
                ],
            }
            for row, images in zip(few.to_dict("records"), ends, strict=True)
        ]
        verb = {"approved": "Approve", "rejected": "Reject", "skipped": "Skip"}[word]
        decide = f"{verb} this pair" if len(table) == 1 else f"{verb} these {_pairs(len(table))}"
        words = f"{_pairs(len(table))} would be {word}" + (
            f"; the first {PREVIEW_ROWS} are shown" if len(table) > PREVIEW_ROWS else ""
        )
        return Answer({"words": words, "rows": rows, "n_pairs": len(table), "decide": decide})

    def apply_rule(self, question: Question) -> Answer:
        """Decide by a bulk rule what its preview showed, as one step that Undo takes back."""
        rule = self._rule(question)
        n_seen, n_now = question.get("n_pairs"), self.state.count_rule(rule)
        if n_seen is not None and int(n_seen) != n_now:
            return Answer(
                self.show(f"The preview showed {_pairs(int(n_seen))}, now it is {n_now:,}: look again first.")
            )
        self.state.apply_rule(rule)
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


def _pairs(n: int) -> str:
    return f"{n:,} pair{'' if n == 1 else 's'}"


def page_filters(filters: Mapping[str, Any]) -> dict[str, str]:
    """Return the state's filter as the page's choices, each a text; '' is no choice."""
    decision = (filters.get("decision") or [None])[0]
    verdict = (filters.get("verdict") or [""])[0]
    low, high = filters.get("rms", (0, LARGEST_DISTANCE))
    return {
        "show": filters.get("show", "below"),
        "decision": "undecided" if decision == "" else decision or "",
        "verdict": verdict,
        "folder": filters.get("folder", ""),
        "name": filters.get("name", ""),
        "rms_from": f"{low:g}" if low > 0 else "",
        "rms_to": f"{high:g}" if high < LARGEST_DISTANCE else "",
        "size": str(filters.get("size_bytes", "")),
        # Pairs picked one by one, to teach: not for the page to choose, only to say and to clear.
        "chosen": f"{len(filters['positions']):,}" if "positions" in filters else "",
    }


def state_filters(choices: Mapping[str, Any]) -> dict[str, Any]:
    """Return the page's choices as the state's filter.

    Examples
    --------
    >>> state_filters({"show": "below", "decision": "undecided", "folder": ""})
    {'decision': ['']}
    >>> state_filters({"rms_from": "100", "rms_to": "", "size": "1000000"})
    {'rms': [100.0, 1000000000.0], 'size_bytes': 1000000}
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
    if choices.get("name"):
        filters["name"] = str(choices["name"])
    if choices.get("rms_from") or choices.get("rms_to"):
        filters["rms"] = [float(choices.get("rms_from") or 0), float(choices.get("rms_to") or LARGEST_DISTANCE)]
    if choices.get("size"):
        filters["size_bytes"] = int(choices["size"])
    return filters
