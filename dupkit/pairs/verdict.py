"""The verdict on a pair, and every threshold that it is read from.

The thresholds were chosen on altered copies of the odd photos (``python -m benchmarks.quality PHOTOS --half odd
--seed 11 --files 1600 --curve dupkit/pairs/structure_curve.csv``) and are reported on the even ones and other seeds;
notebook 02 shows the curve. They lean to few false pairs: the last percent of copies is worth less than a person's
trust in "same picture". Of 335 garments no two reach 0.68 as whole pictures, nor they and their altered
copies 0.87 as crops; of thousands, some will come closer.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

VERDICTS = ("same bytes", "same pixels", "same picture", "look-alike", "unsure")
"""The words of the column ``verdict``, from the surest on."""

SAME_VERDICTS = VERDICTS[:3]
"""The verdicts that call a pair the same picture."""

SAME_PICTURE = 0.80
"""From this structure on a pair is the same picture."""

SAME_PICTURE_CROPPED = 0.90
"""The same for a pair that had to be cropped to fit: a search over windows finds chance agreement more often."""

LOOK_ALIKE = 0.6
"""Below this structure the two are different pictures; from here to SAME_PICTURE dupkit is unsure."""

SAME_PIXELS_STRUCTURE = 0.97
"""Pixels of a pair with less structure, or turned or cropped, cannot be equal: they are not decoded to be compared."""


def verdicts(
    same_bytes: NDArray[np.bool_],
    same_pixels: NDArray[np.bool_],
    structure: NDArray[np.float64],
    cropped: NDArray[np.bool_],
) -> pd.Series:
    """Return the verdict on each pair.

    Parameters
    ----------
    same_bytes, same_pixels : ndarray of bool
        Whether the files' bytes, the decoded upright pixels are equal.
    structure : ndarray of float64
        0 to 1; NaN where a picture is flat.
    cropped : ndarray of bool
        Whether one picture is a part of the other.

    Returns
    -------
    Series of str
        A word of :data:`VERDICTS` each.

    Examples
    --------
    >>> no = np.zeros(3, dtype=bool)
    >>> verdicts(no, no, np.array([0.9, 0.2, np.nan]), no).tolist()
    ['same picture', 'look-alike', 'unsure']
    """
    needed = np.where(cropped, SAME_PICTURE_CROPPED, SAME_PICTURE)
    # NaN compares as False with everything and so falls through to "unsure".
    words = np.select(
        [same_bytes, same_pixels, structure >= needed, structure < LOOK_ALIKE],
        [*SAME_VERDICTS, "look-alike"],
        default="unsure",
    )
    return pd.Series(words, dtype="str")
