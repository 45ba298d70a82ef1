"""Where a point of b lies on a, against pictures that are really turned and cut."""

from __future__ import annotations

import numpy as np
import pytest

from dupkit.pairs import Alignment
from dupkit.pairs.orientations import INVERSE, N_ORIENTATIONS, orient
from dupkit.review.overlay import Overlay, lay_on, overlay_matrix

WHOLE = (0.0, 0.0, 1.0, 1.0)


def laid(matrix: tuple[float, ...], picture_b: np.ndarray, height: int, width: int) -> np.ndarray:
    """Put each pixel of b where the matrix says, onto an empty a."""
    xx, yx, xy, yy, x0, y0 = matrix
    on_a = np.full((height, width), -1)
    for row in range(picture_b.shape[0]):
        for column in range(picture_b.shape[1]):
            x, y = (column + 0.5) / picture_b.shape[1], (row + 0.5) / picture_b.shape[0]
            on_a[int((yx * x + yy * y + y0) * height), int((xx * x + xy * y + x0) * width)] = picture_b[row, column]
    return on_a


@pytest.mark.parametrize("orientation", range(N_ORIENTATIONS))
def test_a_turned_picture_is_turned_back(orientation: int) -> None:
    a = np.arange(12).reshape(3, 4)
    b = orient(a, orientation)
    matrix = overlay_matrix(Alignment(orientation, WHOLE, WHOLE, 1.0, ""))
    np.testing.assert_array_equal(laid(matrix, b, 3, 4), a)


@pytest.mark.parametrize("orientation", range(N_ORIENTATIONS))
def test_a_part_lies_where_it_was_cut(orientation: int) -> None:
    a = np.arange(80).reshape(8, 10)
    b = orient(a[2:6, 5:10], orientation)
    matrix = overlay_matrix(Alignment(orientation, (0.25, 0.5, 0.5, 0.5), WHOLE, 1.0, ""))
    found = laid(matrix, b, 8, 10)
    np.testing.assert_array_equal(found[2:6, 5:10], a[2:6, 5:10])
    assert (found >= 0).sum() == b.size
    # The other way round the whole of a is a part of b, and the two ways undo each other.
    ways = [matrix, overlay_matrix(Alignment(INVERSE[orientation], WHOLE, (0.25, 0.5, 0.5, 0.5), 1.0, ""))]
    there, back = (np.array([[xx, xy, x0], [yx, yy, y0], [0, 0, 1]]) for xx, yx, xy, yy, x0, y0 in ways)
    np.testing.assert_allclose(there @ back, np.eye(3), atol=1e-12)


def picture(seed: int) -> np.ndarray:
    levels = np.random.default_rng(seed).integers(0, 256, (8, 8))
    return levels.repeat(8, axis=0).repeat(8, axis=1).astype(np.uint8)


def overlay(a: np.ndarray, b: np.ndarray, verdict: str = "") -> Overlay:
    return lay_on(a, b, aspect_a=1.0, aspect_b=1.0, verdict=verdict)


def test_only_the_same_picture_is_laid_on_by_itself() -> None:
    assert overlay(picture(1), picture(1).T).same
    assert not overlay(picture(1), picture(2)).same
    assert overlay(picture(1), picture(2), "same picture").same
    assert not overlay(picture(1), picture(1), "look-alike").same


def test_flat_pictures_lie_on_each_other_as_they_are() -> None:
    flat = np.full((64, 64), 90, dtype=np.uint8)
    found = overlay(flat, flat, "same bytes")
    assert (found.matrix, found.same) == ((1.0, 0.0, 0.0, 1.0, 0.0, 0.0), True)
