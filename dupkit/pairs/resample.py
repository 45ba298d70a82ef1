"""Windows of square pictures, resampled by two small matrices: rows on the left, columns on the right.

A window is (top, left, height, width) as shares of the picture, 0 to 1. A resampled pixel is the mean of the window's
part that it covers, the picture taken as linear between the middles of its pixels. Everything that lies on each other
is resampled by this one kernel, so that a copy and its original are blurred alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float32]


def window_matrix(start: ArrayLike, length: ArrayLike, n_out: int, n_in: int) -> Array:
    """Return the matrices that resample one side of windows.

    Parameters
    ----------
    start, length : array-like of shape (...)
        Where the window begins and how long it is, as shares of the side.
    n_out, n_in : int
        Pixels of the result and of the picture.

    Returns
    -------
    ndarray of shape (..., n_out, n_in), float32
        Each row sums to 1.

    Examples
    --------
    >>> window_matrix(0.0, 1.0, 2, 4).tolist()
    [[0.5, 0.4375, 0.0625, 0.0], [0.0, 0.0625, 0.4375, 0.5]]
    """
    edges, step = _edges(start, length, n_out, n_in)
    integrals = _integral(edges, n_in)
    matrix: Array = (integrals[..., 1:, :] - integrals[..., :-1, :]) / step
    return matrix


def window_slopes(start: Array, length: Array, n_out: int, n_in: int) -> tuple[Array, Array, Array]:
    """Return :func:`window_matrix` and its derivatives by ``start`` and by ``length``."""
    edges, step = _edges(start, length, n_out, n_in)
    integrals, heights = _integral(edges, n_in), _height(edges, n_in)
    matrix = (integrals[..., 1:, :] - integrals[..., :-1, :]) / step
    heights *= n_in
    by_start = (heights[..., 1:, :] - heights[..., :-1, :]) / step
    heights *= np.linspace(0, 1, n_out + 1, dtype=np.float32)[:, None]
    by_length = (heights[..., 1:, :] - heights[..., :-1, :]) / step - matrix / length[..., None, None]
    return matrix, by_start, by_length


def resampled(pictures: Array, windows: Array, side: int) -> Array:
    """Return one window of each picture, ``side`` x ``side``.

    Parameters
    ----------
    pictures : ndarray of shape (n, s, s), float32
    windows : ndarray of shape (n, 4)
        top, left, height, width.
    side : int
        Rows and columns of the result.
    """
    n_in = pictures.shape[-1]
    rows = window_matrix(windows[:, 0], windows[:, 2], side, n_in)
    columns = window_matrix(windows[:, 1], windows[:, 3], side, n_in)
    stripes: Array = rows @ pictures
    shown: Array = stripes @ columns.swapaxes(-1, -2)
    return shown


def _edges(start: ArrayLike, length: ArrayLike, n_out: int, n_in: int) -> tuple[Array, Array]:
    begin = np.asarray(start, np.float32)[..., None] * np.float32(n_in)
    extent = np.asarray(length, np.float32)[..., None] * np.float32(n_in)
    shares: Array = np.linspace(0, 1, n_out + 1).astype(np.float32)
    edges: Array = begin + extent * shares
    return edges, (extent / np.float32(n_out))[..., None]


def _integral(edges: Array, n_in: int) -> Array:
    # The integral from the picture's start to an edge of the linear interpolation, per pixel: 1 for pixels that lie
    # before it, two parabolas around its middle. At the picture's borders the outermost pixel goes on.
    ahead = edges[..., None] - (np.arange(n_in, dtype=np.float32) + np.float32(0.5))
    near = np.clip(ahead, -1, 1)
    part: Array = near * (1 - np.float32(0.5) * np.abs(near))
    part += np.float32(0.5)
    part[..., 0] = np.where(ahead[..., 0] < 0, edges, part[..., 0])
    part[..., -1] = np.where(ahead[..., -1] > 0, ahead[..., -1] + 0.5, part[..., -1])
    return part


def _height(edges: Array, n_in: int) -> Array:
    ahead = edges[..., None] - (np.arange(n_in, dtype=np.float32) + np.float32(0.5))
    height: Array = np.clip(1 - np.abs(ahead), 0, 1)
    height[..., 0] = np.where(ahead[..., 0] < 0, 1, height[..., 0])
    height[..., -1] = np.where(ahead[..., -1] > 0, 1, height[..., -1])
    return height
