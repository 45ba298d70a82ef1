"""The eight ways to turn and mirror a picture: their words, their inverses, and how to apply them to square pictures.

An orientation is a number from 0 to 7, three bits read as "transpose, then turn the rows round, then the columns":
4 = transpose, 2 = rows (top to bottom), 1 = columns (left to right).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

N_ORIENTATIONS = 8
"""Turns by 0, 90, 180 and 270 degrees, each mirrored or not."""

ORIENTATION_WORDS = (
    "same",
    "mirrored",
    "mirrored and rotated 180",
    "rotated 180",
    "mirrored and rotated 90",
    "rotated 270",
    "rotated 90",
    "mirrored and rotated 270",
)
"""Words for each orientation: "mirrored" is left to right and comes first; degrees are counter-clockwise (Pillow's)."""

INVERSE = (0, 1, 2, 3, 4, 6, 5, 7)
"""The orientation that undoes each orientation: the quarter turns swap, the others undo themselves."""


def orient(pictures: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return pictures turned and mirrored; a view, not a copy.

    Parameters
    ----------
    pictures : ndarray of shape (..., height, width)
    orientation : int
        0 to 7.

    Examples
    --------
    >>> orient(np.array([[1, 2], [3, 4]]), ORIENTATION_WORDS.index("rotated 90")).tolist()
    [[2, 4], [1, 3]]
    """
    turned = np.swapaxes(pictures, -1, -2) if orientation & 4 else pictures
    rows = slice(None, None, -1) if orientation & 2 else slice(None)
    columns = slice(None, None, -1) if orientation & 1 else slice(None)
    return turned[..., rows, columns]


def orient_each(pictures: NDArray[Any], orientations: NDArray[np.int8]) -> NDArray[Any]:
    """Return a stack of square pictures, each turned in its own way.

    Parameters
    ----------
    pictures : ndarray of shape (n, side, side)
        Turned in place.
    orientations : ndarray of shape (n,), int
        0 to 7.
    """
    for orientation in range(1, N_ORIENTATIONS):
        chosen = orientations == orientation
        if chosen.any():
            pictures[chosen] = orient(pictures[chosen], orientation)
    return pictures
