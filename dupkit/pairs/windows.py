"""Which window of one picture another one shows: a search over positions and scales by matrix products.

The windows of a picture (about 140 for contents of its own aspect) are resampled to 12 x 12 pixels once for all the
pictures that it is compared with; large shapes are weakened by taking most of a blur away, so that the correlation
has a clear peak. What this search finds is only a beginning: :mod:`dupkit.pairs.alignment` sharpens it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dupkit.pairs.likeness import shrink
from dupkit.pairs.orientations import orient_each
from dupkit.pairs.resample import window_matrix

Array = NDArray[np.float32]
Rows = NDArray[np.intp]

SIDE = 12
"""Rows and columns of a window's picture: at 16 twice the windows are needed, at 8 different photos fit (measured)."""

SEARCHED_SIDE = 32
"""Rows and columns that the searched pictures are reduced to first: still twice as fine as a window's picture."""

STEP = 0.75
"""Distance of neighbouring windows in pixels of the window's picture; at 1 a twentieth of crops is lost (measured)."""

SCALES = (1.0, 0.95, 0.89, 0.83, 0.77, 0.71)
"""Longer sides of the windows, as shares of the picture's; the steps move a window's edges by less than a pixel."""

SMALLEST_AREA = 0.46
"""Smallest window, as a share of the picture's area: 68 % of the width. Smaller ones fit by chance too often."""

BLUR_TAKEN = 0.8
"""Share of the blur that is taken away from each picture (measured: 0.5 lets large shapes decide)."""

ASPECT_STEP = 0.04
"""Aspects whose logarithms round to one multiple of this share their windows: half a pixel over the whole width."""

LARGEST_ASPECT = 14
"""Most aspect steps between two pictures: exp(14 x 0.04) = 1.75; a square cut out of 16 : 9 has 1.78."""

NO_ASPECT = 127
"""Stands for an aspect beyond LARGEST_ASPECT."""


@dataclass(frozen=True)
class Library:
    """The windows of one aspect.

    Attributes
    ----------
    rows, columns : ndarray of shape (n x 12, 32), float32
        Matrices that resample every vertical, every horizontal extent that a window has.
    blurred_rows, blurred_columns : ndarray of the same shapes
        The same, followed by the blur that is taken away.
    grids : tuple of (slice, slice)
        For each scale its part of ``rows`` and of ``columns``.
    windows : ndarray of shape (n_windows, 4), float32
        top, left, height, width as shares.
    """

    rows: Array
    columns: Array
    blurred_rows: Array
    blurred_columns: Array
    grids: tuple[tuple[slice, slice], ...]
    windows: Array


def aspect_steps(container: NDArray[np.float64], content: NDArray[np.float64]) -> NDArray[np.int8]:
    """Return how much wider the contents are than the containers, in steps of ASPECT_STEP, or NO_ASPECT.

    Parameters
    ----------
    container, content : ndarray of shape (n,)
        Width divided by height.
    """
    steps = np.rint(np.log(content / container) / ASPECT_STEP)
    return np.where(np.abs(steps) <= LARGEST_ASPECT, steps, NO_ASPECT).astype(np.int8)


@lru_cache(maxsize=4 * LARGEST_ASPECT)
def library_of(steps: int) -> Library:
    """Return the windows for contents that are ``steps`` aspect steps wider than the picture."""
    wider = float(np.exp(ASPECT_STEP * steps))
    rows: list[Array] = []
    columns: list[Array] = []
    grids = []
    windows = []
    for scale in SCALES:
        height, width = (scale, scale * wider) if wider <= 1 else (scale / wider, scale)
        if height * width < SMALLEST_AREA or (height, width) == (1.0, 1.0):
            continue
        tops, lefts = _starts(height), _starts(width)
        grids.append((_next_slice(rows, len(tops)), _next_slice(columns, len(lefts))))
        rows.extend(window_matrix(tops, np.full(len(tops), height), SIDE, SEARCHED_SIDE))
        columns.extend(window_matrix(lefts, np.full(len(lefts), width), SIDE, SEARCHED_SIDE))
        windows += [(top, left, height, width) for top in tops for left in lefts]
    return Library(
        np.concatenate(rows),
        np.concatenate(columns),
        np.concatenate([_blur() @ matrix for matrix in rows]),
        np.concatenate([_blur() @ matrix for matrix in columns]),
        tuple(grids),
        np.array(windows, np.float32),
    )


def _starts(length: float) -> NDArray[np.float64]:
    room = 1 - length
    return np.linspace(0, room, int(np.ceil(room / (STEP * length / SIDE))) + 1)


def _next_slice(matrices: list[Array], more: int) -> slice:
    return slice(SIDE * len(matrices), SIDE * (len(matrices) + more))


@lru_cache(maxsize=1)
def _blur() -> Array:
    # (1, 2, 1)/4 along one side; the edges are repeated.
    blur = np.zeros((SIDE, SIDE), np.float32)
    for pixel in range(SIDE):
        for neighbour, weight in ((pixel - 1, 0.25), (pixel, 0.5), (pixel + 1, 0.25)):
            blur[pixel, min(max(neighbour, 0), SIDE - 1)] += weight
    return blur


def contents_of(grey: NDArray[np.uint8]) -> Array:
    """Return the sharpened 12 x 12 form of whole pictures, each of mean 0 and length 1, shape (n, 12, 12)."""
    whole = window_matrix(0.0, 1.0, SIDE, SEARCHED_SIDE)
    stripes: Array = whole @ shrink(grey, SEARCHED_SIDE)
    plain: Array = stripes @ whole.T
    stripes = _blur() @ plain
    blurred: Array = stripes @ _blur().T
    blurred *= np.float32(BLUR_TAKEN)
    small: Array = plain.reshape(len(grey), SIDE * SIDE) - blurred.reshape(len(grey), SIDE * SIDE)
    small -= small.mean(axis=1, keepdims=True)
    small /= _length(np.einsum("np,np->n", small, small))[:, None]
    return small.reshape(len(grey), SIDE, SIDE)


def _length(energy: Array) -> Array:
    # One grey level of detail and less is noise: such a window resembles nothing.
    length: Array = np.sqrt(np.maximum(energy, np.float32(SIDE**2)))
    return length


def search_windows(
    grey: NDArray[np.uint8],
    contents: Array,
    container: Rows,
    content: Rows,
    orientation: NDArray[np.int8],
    steps: NDArray[np.int8],
) -> tuple[Array, Array]:
    """Return for each pair the window of one picture that resembles the other picture most.

    Parameters
    ----------
    grey : ndarray of shape (n_pictures, 64, 64), uint8
    contents : ndarray of shape (n_pictures, 12, 12), float32
        Of :func:`contents_of`.
    container, content : ndarray of int, shape (n_pairs,)
        Positions of the picture that is searched and of the one that may be a part of it. Pairs of one container
        and one aspect must stand together.
    orientation : ndarray of shape (n_pairs,)
        What turns the content as the container lies.
    steps : ndarray of shape (n_pairs,)
        Of :func:`aspect_steps`; none NO_ASPECT.

    Returns
    -------
    likeness : ndarray of shape (n_pairs,), float32
        Correlation, -1 to 1.
    windows : ndarray of shape (n_pairs, 4), float32
        top, left, height, width as shares of the container.
    """
    likeness = np.zeros(len(container), np.float32)
    windows = np.zeros((len(container), 4), np.float32)
    turned = orient_each(contents[content], orientation).reshape(len(content), SIDE * SIDE)
    borders = np.flatnonzero((np.diff(container) != 0) | (np.diff(steps) != 0)) + 1
    starts = [0, *borders] if len(container) else []
    pictures = shrink(grey[container[starts]], SEARCHED_SIDE)
    for picture, start, stop in zip(pictures, starts, [*borders, len(container)], strict=False):
        library = library_of(int(steps[start]))
        shown = _windows_of(picture, library)
        # The contents have no mean, so only the windows' lengths need theirs taken away.
        energy = np.einsum("wp,wp->w", shown, shown) - SIDE**2 * shown.mean(axis=1) ** 2
        found = (turned[start:stop] @ shown.T) / _length(energy)
        best = found.argmax(axis=1)
        likeness[start:stop] = found[np.arange(stop - start), best]
        windows[start:stop] = library.windows[best]
    return likeness, windows


def _windows_of(picture: Array, library: Library) -> Array:
    # The sharpened picture of every window, one a row.
    stripes = library.rows @ picture
    blurred = library.blurred_rows @ picture
    blurred *= -np.float32(BLUR_TAKEN)
    parts = []
    for rows, columns in library.grids:
        tiles = stripes[rows] @ library.columns[columns].T
        tiles += blurred[rows] @ library.blurred_columns[columns].T
        tiles = tiles.reshape(-1, SIDE, (columns.stop - columns.start) // SIDE, SIDE)
        parts.append(tiles.swapaxes(1, 2).reshape(-1, SIDE * SIDE))
    return np.concatenate(parts)
