"""The definition of the distance between two histograms, in one place: every stored ``rms`` comes from here."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from dupkit.pairs.measures import get_measure
from dupkit.schema import N_BINS, check_histograms

BLOCK_ROWS = 64
"""Pairs measured at once: two times 64 rows of 768 float64 (768 KiB) stay in a core's second-level cache."""


def root_mean_squares(
    rows_a: NDArray[np.float64], rows_b: NDArray[np.float64], out: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return the RMS of each row of one array against the same row of another: the definition.

    Parameters
    ----------
    rows_a, rows_b : ndarray of shape (m, 768), float64
        Transformed rows (see :class:`dupkit.pairs.measures.Measure`).
    out : ndarray of shape (m, 768), float64, optional
        Room for the squares; may be ``rows_a`` where that is no longer needed.

    Returns
    -------
    ndarray of shape (m,), float64
        sqrt(sum((a - b)^2) / 768).

    Notes
    -----
    The squares of one pair are one contiguous row of float64, summed by NumPy's pairwise summation: the row is halved
    three times, to eight runs of 96; in each run eight running sums take every eighth term and are joined as
    ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7)); the runs are joined in pairs. That order depends on the length
    of the row alone, so the result is the same to the bit for every number of rows, thread and scheduler, and for
    (a, b) and (b, a). For rows of integers, which both samplings give, the sum is exact in any order.
    """
    squares = np.subtract(rows_a, rows_b, out=out)
    np.multiply(squares, squares, out=squares)
    sums: NDArray[np.float64] = np.add.reduce(squares, axis=1)
    sums /= N_BINS
    np.sqrt(sums, out=sums)
    return sums


def pair_distances(
    histograms: pd.DataFrame, image_a: ArrayLike, image_b: ArrayLike, *, measure: str = "rms"
) -> NDArray[np.float64]:
    """Return the distance of each given pair of images, by the definition.

    Parameters
    ----------
    histograms : DataFrame
        The histograms table.
    image_a, image_b : array-like of int, of one length
        image_id of the first and of the second image of each pair.
    measure : str
        A key of :data:`dupkit.pairs.measures.MEASURES`.

    Returns
    -------
    ndarray of shape (n_pairs,), float64
        In the order given; bit-equal to the column ``rms`` of :func:`dupkit.candidate_pairs`.

    Raises
    ------
    ValueError
        The measure is unknown, the lengths differ, or an image_id is not in the table.
    """
    chosen = get_measure(measure)
    check_histograms(histograms)
    ids_a, ids_b = np.atleast_1d(np.asarray(image_a)), np.atleast_1d(np.asarray(image_b))
    if ids_a.shape != ids_b.shape or ids_a.ndim != 1:
        msg = f"image_a and image_b: expected two lists of one length, but got {ids_a.shape} and {ids_b.shape}"
        raise ValueError(msg)
    positions = []
    for ids in (ids_a, ids_b):
        found = histograms.index.get_indexer(pd.Index(ids))
        if (found < 0).any():
            msg = f"image_id {ids[found < 0][0]} is not in the histograms table; only readable images are"
            raise ValueError(msg)
        positions.append(found)
    values = histograms.to_numpy()
    distances = np.empty(len(ids_a))
    for start in range(0, len(ids_a), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        distances[block] = root_mean_squares(
            chosen.transform(values[positions[0][block]]), chosen.transform(values[positions[1][block]])
        )
    return distances
