"""The measures of distance between two histograms: each is a row-wise transform followed by the same RMS.

rms compares the stored bins. hellinger compares the square roots of smoothed bins: a bin of 100 pixels that becomes
200 then counts for more than one of 100,000 that becomes 100,100, which is why recompressed and resized copies stay
close.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

Transform = Callable[[NDArray[np.float32]], NDArray[np.float64]]
"""Rows of the histograms table, shape (m, 768), to float64 rows of the same shape; each row by itself."""

SMOOTHING_SIGMA = 2.0
"""Standard deviation of hellinger's smoothing, bins: resizing moves pixels by about this many levels (measured)."""


@dataclass(frozen=True)
class Measure:
    """One way to say how far two histograms lie apart.

    Attributes
    ----------
    name : str
        What the column ``measure`` of the pairs table holds.
    unit : str
        Unit of the distance.
    words : str
        What it compares, in one sentence.
    threshold : float
        The threshold to begin with.
    max_rms : float
        Pairs below it are stored unless the caller says otherwise.
    bin_width : float
        Width of the bins of ``rms_counts``.
    transform : callable
        Maps rows of the histograms table, shape (m, 768), float32, to float64 rows; each row by itself, so that the
        result for a row is the same whatever rows stand beside it.
    slow : bool
        Whether transformed rows are worth holding in memory.
    """

    name: str
    unit: str
    words: str
    threshold: float
    max_rms: float
    bin_width: float
    transform: Transform
    slow: bool


def _as_they_are(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    return rows.astype(np.float64)


def _smoothed_roots(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    # scipy filters line by line in one fixed order: no row's result depends on its neighbours. A matrix product would
    # be faster, but BLAS rounds a row differently from batch to batch. "reflect" keeps each channel's sum.
    channels = rows.astype(np.float64).reshape(len(rows), 3, 256)
    smooth: NDArray[np.float64] = gaussian_filter1d(channels, SMOOTHING_SIGMA, axis=2, mode="reflect")
    return np.sqrt(smooth).reshape(rows.shape)


MEASURES: Mapping[str, Measure] = {
    "rms": Measure(
        name="rms",
        unit="pixels",
        words="the 768 bins as they are, in pixels of 480,000",
        threshold=500.0,
        max_rms=1000.0,
        bin_width=10.0,
        transform=_as_they_are,
        slow=False,
    ),
    "hellinger": Measure(
        name="hellinger",
        unit="square root of pixels",
        words="the square roots of the bins, smoothed with a sigma of 2 bins within each channel",
        threshold=6.0,
        max_rms=12.0,
        bin_width=0.1,
        transform=_smoothed_roots,
        slow=True,
    ),
}
"""The measures by name."""


def get_measure(name: str) -> Measure:
    """Return a measure by its name.

    Raises
    ------
    ValueError
        There is no such measure.

    Examples
    --------
    >>> get_measure("rms").threshold
    500.0
    >>> get_measure("cosine")
    Traceback (most recent call last):
        ...
    ValueError: measure: 'cosine' is unknown; allowed: 'rms', 'hellinger'
    """
    if not isinstance(name, str) or name not in MEASURES:
        msg = f"measure: {name!r} is unknown; allowed: {', '.join(map(repr, MEASURES))}"
        raise ValueError(msg)
    return MEASURES[name]
