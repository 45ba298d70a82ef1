"""The second opinion on a pair: whether two grey pictures show the same, and how one is made from the other.

A cascade, each step only for what the step before left open:

1. the likeness of the whole pictures in eight orientations (:mod:`dupkit.pairs.likeness`), every pair;
2. the agreement of the whole pictures in the best orientation (:mod:`dupkit.pairs.agreement`), pairs that are alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dupkit.pairs.agreement import FLAT_DETAIL, SIDE, agreement, detail_levels
from dupkit.pairs.likeness import Rows, Waves, pair_likeness, shrink, waves_of
from dupkit.pairs.orientations import N_ORIENTATIONS, orient
from dupkit.pairs.parallel import Scheduler, run_tasks

LIKE_ENOUGH = 0.4
"""Pairs whose waves correlate less are not measured closer: of 10,000 altered copies that were neither cropped nor
framed none fell below 0.45 (measured)."""

BATCH_PAIRS = 512
"""Pairs measured at once: their pictures, twice 2 MiB, stay near the processor."""

TASK_PAIRS = 8192
"""Pairs of one dask task."""

WHOLE = (0.0, 0.0, 1.0, 1.0)
"""The window that is the whole picture: top, left, height, width as shares of the upright picture."""


@dataclass(frozen=True)
class Structures:
    """What is known about n pairs.

    Attributes
    ----------
    structure : ndarray of shape (n,), float64
        0 to 1; NaN where one picture is flat.
    orientation : ndarray of shape (n,), int8
        What turns a into b (:mod:`dupkit.pairs.orientations`).
    window_a, window_b : ndarray of shape (n, 4), float64
        The part of the upright a, of the upright b, that shows the same: top, left, height, width as shares.
    """

    structure: NDArray[np.float64]
    orientation: NDArray[np.int8]
    window_a: NDArray[np.float64]
    window_b: NDArray[np.float64]


def measure_structure(
    grey: NDArray[np.uint8], rows_a: Rows, rows_b: Rows, *, scheduler: Scheduler = None
) -> Structures:
    """Return how well the grey pictures of each pair agree and how they lie on each other.

    Parameters
    ----------
    grey : ndarray of shape (n_pictures, 64, 64), uint8
        Upright thumbnails.
    rows_a, rows_b : ndarray of int, shape (n_pairs,)
        Positions in ``grey``.
    scheduler : str, optional
        A dask scheduler; the active one where not given, threads where there is none.
    """
    waves = waves_of(grey)
    flat = _flat_pictures(grey)
    slices = [slice(start, start + TASK_PAIRS) for start in range(0, len(rows_a), TASK_PAIRS)]
    parts = run_tasks(_measure, (grey, waves, flat), [(rows_a[part], rows_b[part]) for part in slices], scheduler)
    windows = np.tile(np.array(WHOLE), (len(rows_a), 1))
    return Structures(
        np.concatenate([np.empty(0), *(part[0] for part in parts)]),
        np.concatenate([np.empty(0, np.int8), *(part[1] for part in parts)]),
        windows,
        windows.copy(),
    )


def _flat_pictures(grey: NDArray[np.uint8]) -> NDArray[np.bool_]:
    flat = np.empty(len(grey), bool)
    for start in range(0, len(grey), BATCH_PAIRS):
        batch = slice(start, start + BATCH_PAIRS)
        flat[batch] = detail_levels(shrink(grey[batch], SIDE)) < FLAT_DETAIL
    return flat


def _measure(
    grey: NDArray[np.uint8], waves: Waves, flat: NDArray[np.bool_], rows_a: Rows, rows_b: Rows
) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    likeness = pair_likeness(waves, rows_a, rows_b)
    orientation = likeness.argmax(axis=1).astype(np.int8)
    structure = np.clip(likeness.max(axis=1), 0, LIKE_ENOUGH).astype(np.float64)
    structure[flat[rows_a] | flat[rows_b]] = np.nan
    alike = np.flatnonzero(structure >= LIKE_ENOUGH)
    for start in range(0, len(alike), BATCH_PAIRS):
        chosen = alike[start : start + BATCH_PAIRS]
        first = shrink(grey[rows_a[chosen]], SIDE)
        for number in range(1, N_ORIENTATIONS):
            turned = orientation[chosen] == number
            first[turned] = orient(first[turned], number)
        structure[chosen] = agreement(first, shrink(grey[rows_b[chosen]], SIDE))
    return structure, orientation
