"""How many pairs lie at which distance, and how far each image's nearest neighbour is."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dupkit.pairs.distance import root_mean_squares
from dupkit.pairs.measures import Measure, get_measure
from dupkit.schema import build_table, check_histograms

TILE_ROWS = 64
"""Images measured against all others at once."""


def _distances_from(rows: NDArray[np.float64], first: int) -> NDArray[np.float64]:
    others = rows[first + 1 :]
    return root_mean_squares(np.broadcast_to(rows[first], others.shape), others)


def _rows(histograms: pd.DataFrame, measure: str) -> tuple[NDArray[np.float64], Measure]:
    chosen = get_measure(measure)
    check_histograms(histograms)
    return chosen.transform(histograms.to_numpy()), chosen


def rms_counts(
    histograms: pd.DataFrame, *, measure: str = "rms", max_rms: float | None = None, progress: bool = True
) -> pd.DataFrame:
    """Return how many of all pairs lie in each bin of distance.

    Returns
    -------
    DataFrame
        The rms_counts table; bins [left, right) from 0 to beyond the largest distance.
    """
    rows, chosen = _rows(histograms, measure)
    counts = np.zeros(0, dtype=np.int64)
    with threadpool_limits(1):
        for first in range(len(rows)):
            bins = (_distances_from(rows, first) / chosen.bin_width).astype(np.int64)
            more = np.bincount(bins, minlength=len(counts))
            more[: len(counts)] += counts
            counts = more
    left = np.arange(len(counts)) * chosen.bin_width
    right = np.arange(1, len(counts) + 1) * chosen.bin_width
    return build_table(
        "rms_counts",
        {"rms_left": left, "rms_right": right, "n_pairs": counts, "sampled": np.zeros(len(counts), dtype=bool)},
        attrs={"measure": measure, "n_images": len(rows), "n_pairs": len(rows) * (len(rows) - 1) // 2},
    )


def nearest_neighbours(histograms: pd.DataFrame, *, measure: str = "rms", progress: bool = True) -> pd.DataFrame:
    """Return each image's nearest other image.

    Returns
    -------
    DataFrame
        Index image_id; columns neighbour (int64, image_id) and rms (float64). Of equally near ones, the smallest id.
        Empty for fewer than two images.
    """
    rows, _ = _rows(histograms, measure)
    ids = histograms.index.to_numpy()
    best = np.full(len(rows), np.inf)
    neighbour = np.full(len(rows), -1, dtype=np.int64)
    for first in range(len(rows) - 1):
        distances = _distances_from(rows, first)
        later = slice(first + 1, None)
        nearer = distances < best[later]
        best[later][nearer] = distances[nearer]
        neighbour[later][nearer] = ids[first]
        here = int(np.argmin(distances))
        if distances[here] < best[first]:
            best[first], neighbour[first] = distances[here], ids[first + 1 + here]
    found = np.isfinite(best)
    index = pd.Index(ids[found], name="image_id")
    return pd.DataFrame({"neighbour": neighbour[found], "rms": best[found]}, index=index)
