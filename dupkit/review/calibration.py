"""What decisions teach about thresholds."""

from __future__ import annotations

import numpy as np

BANDS_TO_THRESHOLD = 5
"""Bands of rms from 0 to the measure's usual threshold: 100 wide for rms, which forty decisions can still fill."""


def band_edges(threshold: float, max_rms: float) -> np.ndarray:
    """Return the edges of the rms bands that precision is estimated in, ascending, float64.

    The first band holds the pairs that are exact or as good as (below 1): they say nothing about the others.

    Parameters
    ----------
    threshold : float
        The measure's usual threshold.
    max_rms : float
        Pairs are stored up to here.

    Examples
    --------
    >>> band_edges(500.0, 250.0).tolist()
    [0.0, 1.0, 100.0, 200.0, 250.0]
    """
    width = threshold / BANDS_TO_THRESHOLD
    inner = np.arange(1, int(np.ceil(max_rms / width)) + 1) * width
    edges = np.concatenate(([0.0, min(1.0, width / 2)], inner[inner < max_rms], [max_rms]))
    return np.unique(edges[edges <= max_rms])
