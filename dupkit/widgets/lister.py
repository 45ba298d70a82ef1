"""The list's part of the page: rows of pairs or of groups by range, and how the two pictures of a pair lie."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dupkit.review.grouping import SHOWN_MEMBERS
from dupkit.review.state import ReviewState
from dupkit.scan import read_thumbnails
from dupkit.widgets.answers import Answer, Later, Question

MOST_ROWS = 200
"""Rows of the list in one answer."""


class Lister:
    """Answer the page's questions about the rows of the list.

    Parameters
    ----------
    state : ReviewState
    """

    def __init__(self, state: ReviewState) -> None:
        self.state = state
        self.answers: dict[str, Callable[[Question], Answer | Later]] = {
            "rows": self.rows,
            "groups": self.groups,
            "overlay": self.overlay,
        }

    def rows(self, question: Question) -> Answer:
        """Return rows of the list by range: pairs."""
        start = max(int(question["start"]), 0)
        stop = min(int(question["stop"]), start + MOST_ROWS)
        state, standing = self.state, self.state.standing
        positions = state.visible[start:stop]
        path_a, path_b = self._paths(state.first[positions]), self._paths(state.second[positions])
        verdicts = state.pairs["verdict"].iloc[positions].tolist()
        before = np.where(standing.approved_before[positions], "approved before", "").astype(object)
        before[standing.rejected_before[positions]] = "rejected before"
        rows = [
            {
                "position": position,
                "image_a": int(state.images.index[state.first[position]]),
                "image_b": int(state.images.index[state.second[position]]),
                "rms": float(state.rms[position]),
                "path_a": a,
                "path_b": b,
                "name": b.rpartition("/")[2],
                "verdict": verdict if isinstance(verdict, str) else "",
                "proposed": bool(state.by_structure[position]),
                "decision": state.decision_of(position),
                "before": mark,
            }
            for position, a, b, verdict, mark in zip(
                positions.tolist(), path_a, path_b, verdicts, before.tolist(), strict=True
            )
        ]
        return Answer({"rows": rows})

    def groups(self, question: Question) -> Answer:
        """Return rows of the list by range: groups, each with its keeper and why."""
        state, listed = self.state, self.state.groups
        if listed is None:
            return Answer({"rows": []})
        start = max(int(question["start"]), 0)
        places = range(start, min(int(question["stop"]), start + MOST_ROWS, len(listed)))
        reasons = state.keeper_words(places)
        return Answer({"rows": [self._group(place, reason) for place, reason in zip(places, reasons, strict=True)]})

    def _group(self, place: int, reason: str) -> dict[str, Any]:
        state, listed = self.state, self.state.groups
        assert listed is not None
        members, pairs = listed.members_of(place), listed.pairs_of(place)
        return {
            "group": place,
            "images": state.images.index[members[:SHOWN_MEMBERS]].tolist(),
            "n_images": len(members),
            "n_files": int(listed.n_files[place]),
            "n_bytes": int(listed.n_bytes[place]),
            "largest_rms": float(listed.largest_rms[place]),
            "chain": bool(listed.is_chain[place]),
            "keeper": self._paths(members[:1])[0],
            "reason": reason,
            "n_pairs": len(pairs),
            "n_decided": int(np.count_nonzero(state.standing.code[pairs])),
        }

    def _paths(self, image_rows: np.ndarray) -> list[str]:
        return [str(path) for path in self.state.images["path"].iloc[image_rows]]

    def overlay(self, question: Question) -> Later:
        """Return how b lies on a: what the page needs to show one on the other."""
        state, position = self.state, int(question["position"])

        def work() -> Answer:
            thumbnails = state.thumbnails
            if thumbnails is None:
                pair = state.pairs.iloc[position]
                thumbnails = read_thumbnails(state.images.loc[[int(pair["image_a"]), int(pair["image_b"])]])
            found = state.overlay_of(position, thumbnails)
            return Answer(
                {
                    "matrix": found.matrix,
                    "window_a": found.window_a,
                    "window_b": found.window_b,
                    "same": found.same,
                    "words": found.words,
                }
            )

        return Later(work, soon=True)
