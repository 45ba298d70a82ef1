"""How one picture of a pair lies on the other: the words of the column ``transform``, and the numbers behind them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dupkit.pairs.orientations import ORIENTATION_WORDS
from dupkit.pairs.structure import Structures, measure_structure
from dupkit.schema import THUMBNAIL_SIDE

Window = tuple[float, float, float, float]

NEARLY_WHOLE = 99
"""A window of this many per cent and more is the whole picture but for rounding; "cropped" would be too much said."""


@dataclass(frozen=True)
class Alignment:
    """How b lies on a.

    To lay b on a, cut ``window_a`` out of the upright a and ``window_b`` out of the upright b, turn the part of a by
    ``orientation`` (:func:`dupkit.pairs.orientations.orient`) and resize one part to the other's size: the two show
    the same. To keep a as it is, turn the part of b by ``INVERSE[orientation]`` instead.

    Attributes
    ----------
    orientation : int
        0 to 7, what turns a into b; ``ORIENTATION_WORDS`` says it in words.
    window_a, window_b : tuple of float
        top, left, height, width as shares of the upright picture's height and width; (0, 0, 1, 1) is all of it.
    structure : float
        How well the two parts agree, 0 to 1; NaN where one is flat.
    words : str
        As in the column ``transform``.
    """

    orientation: int
    window_a: Window
    window_b: Window
    structure: float
    words: str


def align(
    grey_a: NDArray[np.uint8], grey_b: NDArray[np.uint8], *, aspect_a: float = 1.0, aspect_b: float = 1.0
) -> Alignment:
    """Return how picture b lies on picture a.

    Parameters
    ----------
    grey_a, grey_b : ndarray of shape (64, 64), uint8
        Thumbnails: the column ``grey`` of the thumbnails table.
    aspect_a, aspect_b : float
        Width divided by height of the upright pictures.

    Raises
    ------
    ValueError
        A thumbnail is not 64 x 64.

    Examples
    --------
    >>> levels = np.random.default_rng(0).integers(0, 256, (8, 8)).repeat(8, axis=0).repeat(8, axis=1)
    >>> picture = levels.astype(np.uint8)
    >>> align(picture, picture[:, ::-1]).words
    'mirrored'
    """
    for name, grey in (("grey_a", grey_a), ("grey_b", grey_b)):
        if grey.shape != (THUMBNAIL_SIDE, THUMBNAIL_SIDE):
            msg = f"{name}: expected the shape (64, 64), but got {grey.shape}; pass the column grey of the thumbnails"
            raise ValueError(msg)
    found = measure_structure(
        np.stack([grey_a, grey_b]),
        np.array([aspect_a, aspect_b], dtype=np.float64),
        np.array([0]),
        np.array([1]),
        scheduler="synchronous",
    )
    return Alignment(
        int(found.orientation[0]),
        _as_window(found.window_a[0]),
        _as_window(found.window_b[0]),
        float(found.structure[0]),
        str(transform_words(found)[0]),
    )


def _as_window(row: NDArray[np.float64]) -> Window:
    top, left, height, width = (float(share) for share in row)
    return top, left, height, width


def transform_words(found: Structures) -> NDArray[np.object_]:
    """Return how b is made from a, in words, for each pair; '' where one of the two is flat.

    Orientation words alone, or with "cropped, about 82 %" (b is a part of a; the share of a's width and height, on
    average) or "a is cropped, about 82 %" (a is a part of b).
    """
    words = np.array(ORIENTATION_WORDS, dtype=object)[found.orientation]
    for window, form in ((found.window_a, "cropped, about {} %"), (found.window_b, "a is cropped, about {} %")):
        for row in np.flatnonzero((window[:, 2:] < 1).any(axis=1)):
            percent = round(100 * float(np.sqrt(window[row, 2] * window[row, 3])))
            if percent < NEARLY_WHOLE:
                turn = "" if found.orientation[row] == 0 else f"{words[row]}, "
                words[row] = turn + form.format(percent)
    words[np.isnan(found.structure)] = ""
    return words
