"""The second opinion on a pair: whether two grey pictures show the same, and how one is made from the other.

A cascade, each step only for what the step before left open:

1. the likeness of the whole pictures in eight orientations (:mod:`dupkit.pairs.likeness`), every pair;
2. the agreement of the whole pictures in the best orientation (:mod:`dupkit.pairs.agreement`), pairs that are alike;
3. the window of one picture that the other one may be (:mod:`dupkit.pairs.windows`), pairs still not the same;
4. the agreement of that window, aligned (:mod:`dupkit.pairs.alignment`), where the window is alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dupkit.pairs.agreement import FLAT_DETAIL, SIDE, SPOILT_BLOCKS, agreement, detail_levels
from dupkit.pairs.alignment import with_middles
from dupkit.pairs.crops import compare_windows, find_windows, most_alike
from dupkit.pairs.likeness import LIKE_ENOUGH, Rows, Waves, best_orientation, pair_likeness, shrink, waves_of
from dupkit.pairs.orientations import INVERSE, orient_each
from dupkit.pairs.parallel import Scheduler, row_batches, run_tasks
from dupkit.pairs.verdict import SAME_PICTURE

BATCH_PAIRS = 256
"""Pairs compared at once: their pictures, twice 1 MiB, stay near the processor."""

BATCH_MIDDLES = 64
"""Pairs whose middles are compared at once; they are taken from the thumbnails, four times the size."""

TASK_PAIRS = 8192
"""Pairs of one dask task."""

WHOLE = (0.0, 0.0, 1.0, 1.0)
"""The window that is the whole picture: top, left, height, width as shares of the upright picture."""

_INVERSE = np.array(INVERSE, np.int8)


@dataclass(frozen=True)
class Structures:
    """What is known about n pairs.

    Attributes
    ----------
    structure : ndarray of shape (n,), float64
        0 to 1; NaN where one picture is flat, or the pair is one of ``n_left_out``.
    orientation : ndarray of shape (n,), int8
        What turns a into b (:mod:`dupkit.pairs.orientations`).
    window_a, window_b : ndarray of shape (n, 4), float64
        The part of the upright a, of the upright b, that shows the same: top, left, height, width as shares. At most
        one of the two is not :data:`WHOLE`.
    n_left_out : int
        Pairs whose window was not aligned: both images have more than :data:`dupkit.pairs.crops.WINDOWS_PER_IMAGE`.
    """

    structure: NDArray[np.float64]
    orientation: NDArray[np.int8]
    window_a: NDArray[np.float64]
    window_b: NDArray[np.float64]
    n_left_out: int = 0

    @property
    def cropped(self) -> NDArray[np.bool_]:
        """Whether one picture is a part of the other, for each pair."""
        partial: NDArray[np.bool_] = np.minimum(self.window_a, self.window_b)[:, 2:].min(axis=1, initial=1) < 1
        return partial


def measure_structure(
    grey: NDArray[np.uint8],
    aspects: NDArray[np.float64],
    rows_a: Rows,
    rows_b: Rows,
    *,
    scheduler: Scheduler = None,
) -> Structures:
    """Return how well the grey pictures of each pair agree and how they lie on each other.

    Parameters
    ----------
    grey : ndarray of shape (n_pictures, 64, 64), uint8
        Upright thumbnails.
    aspects : ndarray of shape (n_pictures,), float64
        Width divided by height of the upright pictures.
    rows_a, rows_b : ndarray of int, shape (n_pairs,)
        Positions in ``grey``.
    scheduler : str, optional
        A dask scheduler; the active one where not given, threads where there is none. The result is the same.
    """
    structure, orientation = _compare_whole(grey, rows_a, rows_b, scheduler)
    windows = np.tile(np.array(WHOLE), (2, len(rows_a), 1))
    # NaN, a flat picture, is left alone as well.
    still_open = np.flatnonzero(structure < SAME_PICTURE)
    searches = find_windows(grey, aspects, rows_a, rows_b, orientation, chosen=still_open, scheduler=scheduler)
    searches, left_out = most_alike(searches)
    scores, found = compare_windows(grey, searches, scheduler)
    better = np.flatnonzero(scores > structure[searches.pair])
    pair, turn = searches.pair[better], searches.orientation[better]
    in_b = searches.container[better] != rows_a[pair]
    structure[pair] = scores[better]
    windows[in_b.astype(int), pair] = found[better]
    orientation[pair] = np.where(in_b, turn, _INVERSE[turn])
    structure[left_out] = np.nan
    return Structures(structure, orientation, windows[0], windows[1], len(left_out))


def _compare_whole(
    grey: NDArray[np.uint8], rows_a: Rows, rows_b: Rows, scheduler: Scheduler
) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    small = _four_times_smaller(grey)
    flat = np.concatenate([np.empty(0, bool), *(_flat(small[part]) for part in row_batches(len(small), BATCH_PAIRS))])
    arguments = [(rows_a[part], rows_b[part]) for part in row_batches(len(rows_a), TASK_PAIRS)]
    parts = run_tasks(_whole_agreement, (grey, small, waves_of(grey), flat), arguments, scheduler)
    return (
        np.concatenate([np.empty(0), *(part[0] for part in parts)]),
        np.concatenate([np.empty(0, np.int8), *(part[1] for part in parts)]),
    )


def _four_times_smaller(grey: NDArray[np.uint8]) -> NDArray[np.uint16]:
    # Sums of 2 x 2 pixels, exact and half the size of the means; made once, because averaging costs more than a fit.
    small = np.empty((len(grey), SIDE, SIDE), np.uint16)
    for part in row_batches(len(grey), BATCH_PAIRS):
        small[part] = 4 * shrink(grey[part], SIDE)
    return small


def _flat(small: NDArray[np.uint16]) -> NDArray[np.bool_]:
    level: NDArray[np.bool_] = detail_levels(small * np.float32(0.25)) < FLAT_DETAIL
    return level


def _whole_agreement(
    grey: NDArray[np.uint8],
    small: NDArray[np.uint16],
    waves: Waves,
    flat: NDArray[np.bool_],
    rows_a: Rows,
    rows_b: Rows,
) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    likeness = pair_likeness(waves, rows_a, rows_b)
    orientation = best_orientation(likeness)
    largest = likeness.max(axis=1)
    structure = np.clip(largest, 0, LIKE_ENOUGH).astype(np.float64)
    unknown = flat[rows_a] | flat[rows_b]
    structure[unknown] = np.nan
    alike = np.flatnonzero((largest >= LIKE_ENOUGH) & ~unknown)
    for part in row_batches(len(alike), BATCH_PAIRS):
        chosen = alike[part]
        first = orient_each(small[rows_a[chosen]] * np.float32(0.25), orientation[chosen])
        structure[chosen] = agreement(first, small[rows_b[chosen]] * np.float32(0.25), spoilt=SPOILT_BLOCKS)
    good = np.flatnonzero(structure >= SAME_PICTURE)
    for part in row_batches(len(good), BATCH_MIDDLES):
        chosen = good[part]
        first = orient_each(grey[rows_a[chosen]], orientation[chosen]).astype(np.float32)
        second = grey[rows_b[chosen]].astype(np.float32)
        windows = np.tile(np.array(WHOLE, np.float32), (len(chosen), 1))
        whole = structure[chosen].astype(np.float32)
        structure[chosen] = with_middles(whole, first, second, windows, spoilt=SPOILT_BLOCKS)
    return structure, orientation
