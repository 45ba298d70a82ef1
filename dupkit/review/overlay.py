"""How the page lays picture b of a pair on picture a: turned back, scaled, and cut to what both show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dupkit.pairs import SAME_VERDICTS, Alignment, align
from dupkit.pairs.orientations import INVERSE
from dupkit.pairs.verdict import SAME_PICTURE, SAME_PICTURE_CROPPED

Matrix = tuple[float, float, float, float, float, float]
Window = tuple[float, float, float, float]


@dataclass(frozen=True)
class Overlay:
    """Where each point of b lies on a.

    Points are (x, y), shares of the upright picture's width and height, from its top left corner.

    Attributes
    ----------
    matrix : tuple of float
        xx, yx, xy, yy, x0, y0, in the order of CSS and canvas: ``x_a = xx x_b + xy y_b + x0`` and
        ``y_a = yx x_b + yy y_b + y0``.
    window_a, window_b : tuple of float
        top, left, height, width: the part of each picture that the other one shows too.
    same : bool
        The two are the same picture; laid on each other, other pictures only confuse.
    words : str
        As in the column ``transform``.
    """

    matrix: Matrix
    window_a: Window
    window_b: Window
    same: bool
    words: str


def lay_on(
    grey_a: NDArray[np.uint8], grey_b: NDArray[np.uint8], *, aspect_a: float, aspect_b: float, verdict: str
) -> Overlay:
    """Return how picture b lies on picture a.

    Parameters
    ----------
    grey_a, grey_b : ndarray of shape (64, 64), uint8
        Thumbnails.
    aspect_a, aspect_b : float
        Width divided by height of the upright pictures.
    verdict : str
        Of the pair; '' where it was not described: then the thumbnails say whether the pictures are the same.

    Examples
    --------
    A mirrored copy: its left edge lies on the right edge of the original.

    >>> levels = np.random.default_rng(0).integers(0, 256, (8, 8)).repeat(8, axis=0).repeat(8, axis=1)
    >>> picture = levels.astype(np.uint8)
    >>> found = lay_on(picture, picture[:, ::-1], aspect_a=1.0, aspect_b=1.0, verdict="")
    >>> found.matrix, found.same
    ((-1.0, 0.0, 0.0, 1.0, 1.0, 0.0), True)
    """
    found = align(grey_a, grey_b, aspect_a=aspect_a, aspect_b=aspect_b)
    return Overlay(
        matrix=overlay_matrix(found),
        window_a=found.window_a,
        window_b=found.window_b,
        same=verdict in SAME_VERDICTS if verdict else _looks_same(found),
        words=found.words,
    )


def overlay_matrix(found: Alignment) -> Matrix:
    """Return the matrix of :class:`Overlay` for an alignment.

    Examples
    --------
    >>> quarter = Alignment(0, (0.0, 0.0, 0.5, 0.5), (0.0, 0.0, 1.0, 1.0), 1.0, "cropped, about 50 %")
    >>> overlay_matrix(quarter)
    (0.5, 0.0, 0.0, 0.5, 0.0, 0.0)
    """
    # Into b's window, back through its turn (transpose, then rows, then columns, as orient does), onto a's window.
    way = _scaled(found.window_b, inward=True)
    turn = INVERSE[found.orientation]
    if turn & 4:
        way = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]) @ way
    if turn & 2:
        way = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 1.0], [0.0, 0.0, 1.0]]) @ way
    if turn & 1:
        way = np.array([[-1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]) @ way
    way = _scaled(found.window_a, inward=False) @ way
    # Adding zero makes a -0 a 0.
    xx, yx, xy, yy, x0, y0 = (float(value) + 0.0 for value in way[:2].T.ravel())
    return xx, yx, xy, yy, x0, y0


def _scaled(window: Window, *, inward: bool) -> NDArray[np.float64]:
    top, left, height, width = window
    outward = np.array([[width, 0.0, left], [0.0, height, top], [0.0, 0.0, 1.0]])
    return np.linalg.inv(outward) if inward else outward


def _looks_same(found: Alignment) -> bool:
    cropped = min(*found.window_a[2:], *found.window_b[2:]) < 1
    return found.structure >= (SAME_PICTURE_CROPPED if cropped else SAME_PICTURE)
