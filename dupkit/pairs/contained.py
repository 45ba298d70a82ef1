"""Whether one picture can be a crop of another one, by their histograms: a part holds no colour that the whole lacks.

A crop of half the picture's area and more has, weighted by a half, in no bin more pixels than the whole picture has.
What exceeds it is summed over the bins: nearly nothing for crops, and six of seven other pairs with near histograms
exceed it by more. It is asked before any window is searched, and says which of the two can be the part.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dupkit.pairs.likeness import Rows
from dupkit.pairs.parallel import Scheduler, row_batches, run_tasks

SHARE = np.float32(0.5)
"""Area of the smallest crop that is looked for, as a share of the whole picture's: 70 % of the width."""

EXCESS = np.float32(0.02)
"""Most that a part may exceed the whole, as a share of its pixels: of 1,450 crops to 80 % of the width or of the area
none exceeds it by more than 0.019; two of five that were made a tenth brighter as well by less (measured)."""

WIDTH = 8
"""Neighbouring bins that are added up: a crop's pixels are resampled and lie a few levels beside the whole's."""

BATCH_PAIRS = 2048
"""Pairs compared at once: their bins, twice 768 KiB, stay near the processor."""

TASK_PAIRS = 65536
"""Pairs of one dask task."""


def may_be_crops(
    histograms: pd.DataFrame, rows_a: Rows, rows_b: Rows, *, scheduler: Scheduler = None
) -> NDArray[np.bool_]:
    """Return for each pair whether b may be a part of a, and a of b.

    Parameters
    ----------
    histograms : DataFrame
        The histograms table.
    rows_a, rows_b : ndarray of int, shape (n_pairs,)
        Positions in it.
    scheduler : str, optional
        A dask scheduler.

    Returns
    -------
    ndarray of shape (n_pairs, 2), bool
        Column 0: b in a; column 1: a in b.
    """
    stored = histograms.to_numpy(np.float32)
    bins = stored.reshape(len(stored), stored.shape[1] // WIDTH, WIDTH).sum(axis=2)
    bins /= np.maximum(bins.sum(axis=1, keepdims=True), 1)
    arguments = [(rows_a[part], rows_b[part]) for part in row_batches(len(rows_a), TASK_PAIRS)]
    parts = run_tasks(_may_be_crops, (bins,), arguments, scheduler)
    return np.concatenate([np.empty((0, 2), bool), *parts])


def _may_be_crops(bins: NDArray[np.float32], rows_a: Rows, rows_b: Rows) -> NDArray[np.bool_]:
    possible = np.empty((len(rows_a), 2), bool)
    for batch in row_batches(len(rows_a), BATCH_PAIRS):
        first, second = bins[rows_a[batch]], bins[rows_b[batch]]
        for column, (part, whole) in enumerate(((second, first), (first, second))):
            excess = SHARE * part
            excess -= whole
            np.maximum(excess, 0, out=excess)
            possible[batch, column] = excess.sum(axis=1) <= EXCESS * SHARE
    return possible
