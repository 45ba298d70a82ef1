"""The whole page as one widget: it composes the parts, hears the browser's questions and answers them.

The browser sends ids, never paths. Every question gets one answer or one plain line that says what went wrong; a
status goes out whenever the state changes by other hands than the page's.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anywidget
import pandas as pd
import traitlets

from dupkit.review.decisions import Decisions
from dupkit.review.keepers import RULE_WORDS
from dupkit.review.state import ReviewState
from dupkit.widgets.answers import Answer, Later, Pool, Question
from dupkit.widgets.decider import Decider, bulk_rules, page_filters
from dupkit.widgets.explorer import Explorer
from dupkit.widgets.lister import Lister
from dupkit.widgets.mover import Mover
from dupkit.widgets.viewer import Viewer

STATIC = Path(__file__).parent / "static"

SCRIPTS = (
    "words",
    "channel",
    "pictures",
    "explorer",
    "filters",
    "rows",
    "list",
    "overlay",
    "compare",
    "viewer",
    "decisions",
    "mover",
    "rules",
    "keys",
    "page",
)
"""The parts of the front end, in order; together they are one ES module, without a build step."""

ORDER_WORDS = (
    ("rms", "closest first"),
    ("-rms", "farthest first"),
    ("edge", "edge of the threshold first"),
    ("size", "largest files first"),
    ("structure", "best structure first"),
    ("verdict", "by verdict"),
    ("folder", "by folder"),
    ("decision", "by decision"),
)

DECISION_FILTERS = (
    ("", "any decision"),
    ("undecided", "undecided"),
    ("approved", "approved"),
    ("rejected", "rejected"),
    ("skipped", "skipped"),
    ("approved before", "approved before, elsewhere"),
    ("rejected before", "rejected before, elsewhere"),
)

SHOWN_WORDS = (("below", "below the threshold"), ("structure", "proposed by structure"), ("all", "all stored pairs"))

GROUP_ORDER_WORDS = (
    ("list", "in the order of their pairs"),
    ("bytes", "most bytes first"),
    ("files", "most files first"),
    ("far", "largest RMS first"),
    ("chains", "chains first"),
)

SIZE_FILTERS = (
    ("", "any size"),
    ("100000", "100 kB or more"),
    ("1000000", "1 MB or more"),
    ("5000000", "5 MB or more"),
    ("20000000", "20 MB or more"),
)
"""Least size of the smaller file of a pair, bytes."""

FOLDERS_OFFERED = 500
"""Folders that the page offers to filter by; others can be typed."""

UNREADABLE_ROWS = 500
"""Unreadable files that the page lists; images.csv has all of them."""


def read_script() -> str:
    """Return the front end: the scripts of :data:`SCRIPTS`, one after another."""
    return "\n".join((STATIC / f"{name}.js").read_text("utf-8") for name in SCRIPTS)


class ReviewWidget(anywidget.AnyWidget):
    """The page: tune the threshold, look at pairs, decide, plan and apply the moves.

    Parameters
    ----------
    images, histograms, pairs : DataFrame
        The tables of one scan. ``histograms`` may be None: then a pair cannot be explained.
    thumbnails : DataFrame, optional
        Kept in the state for whoever wants them.
    rms_counts : DataFrame, optional
        Counts of all pairwise distances, for the plot of all distances.
    nearest : DataFrame or Series, optional
        Distance of each image to its nearest neighbour; where not given, as far as the stored pairs know it.
    threshold : float, optional
        The threshold to begin with; where not given, the one where the last session in this folder stopped.
    keeper_rules : sequence of str, optional
        See :func:`dupkit.review.keepers.check_rules`.
    export_folder : path-like, optional
        Where "Export CSV" writes; where not given the current folder, or the state folder if that lies below the
        photos.
    decisions : Decisions, optional
        Where decisions are stored; the database of the state folder where not given.

    Attributes
    ----------
    threshold : float
        The slider; moves when it is set, and when a person moves it.
    state : ReviewState
        Everything that the page shows and changes.
    """

    _esm = read_script()
    _css = (STATIC / "review.css").read_text("utf-8")

    threshold = traitlets.Float(0.0).tag(sync=True)

    def __init__(
        self,
        images: pd.DataFrame,
        histograms: pd.DataFrame | None,
        pairs: pd.DataFrame,
        *,
        thumbnails: pd.DataFrame | None = None,
        rms_counts: pd.DataFrame | None = None,
        nearest: pd.DataFrame | pd.Series | None = None,
        threshold: float | None = None,
        keeper_rules: Sequence[str] | None = None,
        export_folder: str | os.PathLike[str] | None = None,
        decisions: Decisions | None = None,
    ) -> None:
        self.state = ReviewState(
            images,
            histograms,
            pairs,
            rms_counts=rms_counts,
            nearest=nearest,
            thumbnails=thumbnails,
            decisions=decisions,
            threshold=threshold,
            keeper_rules=keeper_rules,
        )
        self.explorer = Explorer(self.state)
        self.viewer = Viewer(self.state)
        self.lister = Lister(self.state)
        self.decider = Decider(self.state, self._whole_status)
        self.mover = Mover(self.state, export_folder=export_folder, moved=self.viewer.moved, say=self._say)
        self._questions: dict[str, Callable[[Question], Answer | Later]] = {
            **self.explorer.answers,
            **self.viewer.answers,
            **self.lister.answers,
            **self.decider.answers,
            **self.mover.answers,
            "hello": self._hello,
            "unreadable": self._unreadable,
        }
        self._pool = Pool()
        # JupyterLab hands messages to another thread than the cells: one question, or one change by a cell, at a time.
        self._lock = threading.RLock()
        self._asker = 0
        self._serial = 0
        super().__init__(threshold=self.state.threshold)
        self.on_msg(self._hear)
        self.observe(self._threshold_moved, "threshold")
        self.state.observe(self._state_moved, ["threshold", "current", "revision", "list_revision", "keeper_rules"])

    # The threshold, kept equal on both sides

    def _threshold_moved(self, change: traitlets.Bunch) -> None:
        with self._lock:
            self.state.threshold = float(change["new"])
        self.threshold = self.state.threshold

    def _state_moved(self, change: traitlets.Bunch) -> None:
        if change["name"] == "threshold":
            self.threshold = change["new"]
        if self._asker != threading.get_ident():
            self._push()

    def _push(self) -> None:
        if self.comm is None:
            return
        with self._lock:
            message = {"push": "status", **self._whole_status()}
        self.send(message)

    def _say(self, words: str) -> None:
        self.send({"push": "words", "words": words})

    # Questions and answers

    def _hear(self, _widget: object, content: object, buffers: Sequence[Any]) -> None:
        if not isinstance(content, dict) or "ask" not in content:
            return
        question = {**content, "buffers": buffers}
        name, asked = content.get("id"), content["ask"]
        answer = self._guarded(name, lambda: self._answer(asked, question))
        if isinstance(answer, Later):
            later = answer
            self._pool.submit(lambda: self._reply(name, self._guarded(name, later.work)), soon=later.soon)
        else:
            self._reply(name, answer)

    def _answer(self, asked: object, question: Question) -> Answer | Later:
        if asked not in self._questions:
            msg = f"ask: {asked!r} is no question of this page; reload it"
            raise ValueError(msg)
        with self._lock:
            self._asker = threading.get_ident()
            try:
                return self._questions[str(asked)](question)
            finally:
                self._asker = 0

    def _guarded(self, name: object, work: Callable[[], Answer | Later]) -> Answer | Later | None:
        """Do some work; an error becomes one line on the page, for a traceback in a message handler reaches nobody."""
        try:
            return work()
        except Exception as error:  # noqa: BLE001
            self.send({"id": name, "ok": False, "problem": one_line(error)})
            return None

    def _reply(self, name: object, answer: Answer | Later | None) -> None:
        if isinstance(answer, Answer):
            self.send({"id": name, "ok": True, "answer": answer.content}, buffers=answer.buffers)

    # What the page shows

    def _hello(self, _question: Question) -> Answer:
        lookups = self.explorer.lookups()
        return Answer({"facts": self._facts(), **self._whole_status()}, lookups.buffers)

    def _facts(self) -> dict[str, Any]:
        state = self.state
        n_unreadable = int((state.images["error"] != "").sum())
        pairs = state.pairs.attrs
        stored = f"stored below RMS {state.max_rms:,}"
        asked = pairs.get("requested_max_rms")
        if asked is not None and asked > pairs.get("max_rms", asked):
            stored += f" (not {asked:,.0f}: more pairs than were allowed)"
        words = [f"{len(state.images):,} images", stored, f"{state.sampling} sampling"]
        if state.measure != "rms":
            words.append(f"measure {state.measure}")
        if n_unreadable:
            words.append(f"{n_unreadable:,} unreadable")
        verdicts = sorted({str(word) for word in state.pairs["verdict"].dropna().unique()})
        return {
            **self.explorer.facts(),
            "words": words,
            "n_pairs": len(state.pairs),
            "n_unreadable": n_unreadable,
            "orders": ORDER_WORDS,
            "decision_filters": DECISION_FILTERS,
            "groupings": GROUP_ORDER_WORDS,
            "sizes": SIZE_FILTERS,
            "folders": [folder for folder in state.counts.folders if folder][:FOLDERS_OFFERED],
            "shown": SHOWN_WORDS,
            "n_by_structure": int(state.by_structure.sum()),
            "verdict_filters": [("", "any verdict"), *((word, word) for word in verdicts)],
            "keeper_words": RULE_WORDS,
            "bulk_rules": [[str(place), words] for place, (words, _) in enumerate(bulk_rules(""))],
        }

    def _status(self) -> dict[str, Any]:
        state = self.state
        counts = state.counts_at(state.threshold)
        self._serial += 1
        return {
            "serial": self._serial,
            "threshold": state.threshold,
            "counts": {name.removeprefix("n_"): value for name, value in counts.items()},
            "place": state.place_of(state.current),
            "n_visible": state.n_visible,
            "order": state.order,
            **self._groups_status(),
            "filters": page_filters(state.filters),
            "revision": state.revision,
            "list_revision": state.list_revision,
            "tally": state.tally(),
            "keeper_rules": list(state.keeper_rules),
        }

    def _groups_status(self) -> dict[str, Any]:
        groups = self.state.groups
        if groups is None:
            return {"grouping": "", "n_groups": 0, "n_chains": 0, "group": -1}
        return {
            "grouping": self.state.grouping,
            "n_groups": len(groups),
            "n_chains": int(groups.is_chain.sum()),
            "group": groups.group_at(self.state.place_of(self.state.current)),
        }

    def _whole_status(self, words: str | None = None) -> dict[str, Any]:
        """Return the status with the pair in view and the pairs after it: what the page shows next."""
        shown = {"status": self._status(), "pair": self.viewer.pair(), "upcoming": self.viewer.upcoming()}
        return shown if words is None else {**shown, "words": words}

    def _unreadable(self, _question: Question) -> Answer:
        images = self.state.images
        bad = images[images["error"] != ""]
        rows = [[str(path), str(error)] for path, error in zip(bad["path"], bad["error"], strict=True)]
        more = f"and {len(rows) - UNREADABLE_ROWS:,} more: see images.csv" if len(rows) > UNREADABLE_ROWS else ""
        return Answer({"rows": rows[:UNREADABLE_ROWS], "words": more})

    def close(self) -> None:
        """Close the page; decisions are stored already."""
        self._pool.close()
        super().close()


def one_line(error: BaseException) -> str:
    """Return an error as one plain line: what it says, or its kind where it says nothing.

    Examples
    --------
    >>> one_line(ValueError("rms: -1 is not allowed"))
    'rms: -1 is not allowed'
    >>> one_line(KeyError("path"))
    "KeyError: 'path'"
    """
    words = " ".join(str(error).split())
    ours = type(error).__module__.startswith("dupkit.")
    plain = words and (ours or isinstance(error, (ValueError, OSError, RuntimeError)))
    return words if plain else f"{type(error).__name__}: {words}"
