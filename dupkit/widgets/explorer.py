"""The explorer's part of the page: tables looked up by threshold, the plot, folders, what decisions teach."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from dupkit.report.plots import LIGHT, Palette, Plot, plot_distribution
from dupkit.review.state import ReviewState
from dupkit.schema import build_table
from dupkit.widgets.answers import Answer, Later, Question

COARSEST_FINE_SCALE = 100
"""Largest distance up to which the slider has tenths: a measure whose thresholds are single digits needs them."""

SUGGESTED_PRECISIONS = (0.5, 0.999)
"""Precisions that a threshold can be suggested for."""

_PLOT_HEIGHT = 210


class Explorer:
    """Answer the page's questions about thresholds.

    Parameters
    ----------
    state : ReviewState
    """

    def __init__(self, state: ReviewState) -> None:
        self.state = state
        self.step = 1.0 if state.max_rms > COARSEST_FINE_SCALE else 0.1
        # Rounded: 12 * 0.1 is not 1.2, and a pair at 1.2 is not below it.
        self.thresholds = np.round(np.arange(round(state.max_rms / self.step) + 1) * self.step, 6)
        self.answers: dict[str, Callable[[Question], Answer | Later]] = {
            "lookups": self.lookups,
            "plot": self.plot,
            "folders": self.folders,
            "calibration": self.calibration,
            "suggest": self.suggest,
        }
        self._stored = _counts_of(state.rms[~state.by_structure], self.thresholds)
        self._nearest = _nearest_values(state)

    def facts(self) -> dict[str, Any]:
        """Return what the page needs once."""
        return {"max_threshold": self.state.max_rms, "step": self.step, "has_all": self._all_counts() is not None}

    def lookups(self, _question: Question | None = None) -> Answer:
        """Return pairs, groups, files and bytes at every step of the slider, four float64 arrays."""
        return Answer(
            buffers=[self._counts()[name].astype("<f8").tobytes() for name in ("pairs", "groups", "files", "bytes")]
        )

    def _counts(self) -> dict[str, np.ndarray]:
        counts = self.state.counts
        merges = np.searchsorted(counts.height, self.thresholds, side="left")
        return {
            "pairs": np.searchsorted(counts.rms, self.thresholds, side="left"),
            "groups": counts.groups[merges],
            "files": counts.files[merges],
            "bytes": counts.n_bytes[merges],
        }

    def plot(self, question: Question) -> Later:
        """Return the distribution as a PNG in the page's size and colours, and where its axis lies."""
        table, x_max = self._shown(str(question.get("view", "stored")), float(question.get("threshold", 0)))
        width = int(np.clip(question.get("width", 900), 280, 4000))
        # The storage curve ends where the stored distances end.
        in_view = self.thresholds <= x_max + self.step / 2
        curve = None if self.thresholds[-1] < x_max - self.step / 2 else self._counts()["bytes"][in_view]
        log = bool(question.get("log"))
        palette, scale = read_palette(question.get("palette")), float(np.clip(question.get("scale", 1), 1, 3))

        def draw() -> Answer:
            plot = plot_distribution(
                table,
                x_max=x_max,
                nearest=self._nearest,
                curve_bytes=curve,
                log=log,
                label=f"RMS distance ({self.state.measure}, {self.state.sampling} sampling)",
                size=(width, _PLOT_HEIGHT),
                scale=scale,
                palette=palette,
            )
            return Answer(axis_of(plot), [plot.png])

        return Later(draw)

    def _shown(self, view: str, threshold: float) -> tuple[pd.DataFrame, float]:
        largest = float(max(self.state.max_rms, self.step))
        everything = self._all_counts()
        if view == "all" and everything is not None and len(everything):
            return everything, float(everything["rms_right"].max())
        if view == "tail":
            return self._stored, float(min(largest, max(2 * threshold, 20 * self.step)))
        return self._stored, largest

    def _all_counts(self) -> pd.DataFrame | None:
        counts: pd.DataFrame | None = self.state.rms_counts
        return counts

    def folders(self, question: Question) -> Answer:
        """Return files that would move and their bytes by folder, below a threshold."""
        table = self.state.counts_by_folder(float(question["threshold"]))
        rows = [
            (folder or "(the folder itself)", int(n_files), int(n_bytes))
            for folder, n_files, n_bytes in zip(table["folder"], table["n_files"], table["n_bytes"], strict=True)
        ]
        return Answer({"folders": rows[:200]})

    def calibration(self, question: Question) -> Answer:
        """Return what was decided and what it says about this threshold, a line each, and precision by band."""
        tally = self.state.tally()
        n_decided = tally["approved"] + tally["rejected"]
        skipped = f", {tally['skipped']:,} skipped" if tally["skipped"] else ""
        if not n_decided:
            return Answer({"words": f"Nothing decided yet{skipped}", "more": "", "bands": []})
        words = f"{n_decided:,} decided: {tally['approved']:,} approved, {tally['rejected']:,} rejected{skipped}"
        more = self.state.precision_words(float(question["threshold"]))
        return Answer({"words": words, "more": more, "bands": _bands(self.state.precision_bands())})

    def suggest(self, question: Question) -> Answer:
        """Return the thresholds that keep the precision that the analyst wants: surely, and by expectation."""
        lowest, highest = SUGGESTED_PRECISIONS
        wanted = float(question["precision"])
        if not lowest <= wanted <= highest:
            msg = f"precision: {wanted:.1%} is not allowed; name one from {lowest:.0%} to {highest:.1%}"
            raise ValueError(msg)
        found = self.state.suggest_threshold(wanted)
        choices = [
            (words, float(found[name]))
            for name, words in (("exact", "surely (95 %)"), ("maybe", "probably"))
            if np.isfinite(found[name]) and found[name] > 0
        ]
        words = "" if choices else "The decisions do not show such a threshold yet: decide more pairs."
        return Answer({"choices": choices, "words": words})


def axis_of(plot: Plot) -> dict[str, Any]:
    """Return where a plot's x axis lies, for the page."""
    names = ("width", "height", "left", "right", "top", "bottom", "x_min", "x_max", "log")
    return {name: getattr(plot, name) for name in names}


def read_palette(colours: object) -> Palette:
    """Return the page's colours (CSS ``rgb(...)`` or ``color(srgb ...)`` by name) as matplotlib reads them.

    Examples
    --------
    >>> read_palette({"text": "rgba(0, 0, 0, 0.5)", "bars": "color(srgb 1 0.2 0)", "grid": "url(x)"}).bars
    '#ff3300ff'
    """
    known = dict(LIGHT.__dict__)
    if isinstance(colours, dict):
        for name, value in colours.items():
            numbers = [float(number) for number in re.findall(r"\d*\.?\d+(?:e-?\d+)?", str(value))]
            if name not in known or len(numbers) not in (3, 4) or not str(value).startswith(("rgb", "color(srgb ")):
                continue
            unit = 255 if str(value).startswith("color") else 1
            channels = [unit * number for number in numbers[:3]]
            alpha = 255 * numbers[3] if len(numbers) == 4 else 255
            known[name] = "#" + "".join(f"{min(round(number), 255):02x}" for number in (*channels, alpha))
    return Palette(**known)


def _counts_of(rms: np.ndarray, thresholds: np.ndarray) -> pd.DataFrame:
    """Return the stored distances as a rms_counts table with one bin a step of the slider: exact for any zoom."""
    n_below = np.searchsorted(rms, thresholds, side="left")
    return build_table(
        "rms_counts",
        {
            "rms_left": thresholds[:-1],
            "rms_right": thresholds[1:],
            "n_pairs": np.diff(n_below),
            "sampled": np.zeros(len(thresholds) - 1, dtype=bool),
        },
    )


def _nearest_values(state: ReviewState) -> np.ndarray:
    """Return each image's distance to its nearest neighbour: as given, or as far as the stored pairs know it."""
    nearest = state.nearest
    if isinstance(nearest, pd.DataFrame):
        return np.asarray(nearest["rms"].to_numpy(), dtype=np.float64)
    if isinstance(nearest, pd.Series):
        return np.asarray(nearest.to_numpy(), dtype=np.float64)
    found = np.full(len(state.images), np.nan)
    counted = np.flatnonzero(~state.by_structure)[::-1]
    # Ascending by rms: written from the largest on, the smallest one stays.
    found[state.second[counted]] = state.rms[counted]
    other = np.full(len(state.images), np.nan)
    other[state.first[counted]] = state.rms[counted]
    return np.asarray(np.fmin(found, other))


def _bands(bands: pd.DataFrame) -> list[dict[str, float]]:
    known = bands[bands["n_approved"] + bands["n_rejected"] > 0]
    return [
        {
            "left": band["rms_left"],
            "right": band["rms_right"],
            "n": band["n_approved"] + band["n_rejected"],
            "n_approved": band["n_approved"],
            "precision": band["precision"],
            "low": band["low"],
            "high": band["high"],
        }
        for band in known.to_dict("records")
    ]
