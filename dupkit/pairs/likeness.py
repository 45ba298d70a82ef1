"""Cheap likeness of whole grey pictures in all eight orientations at once: the first step of the second opinion.

A picture becomes the 255 cosine waves (DCT) of its 16 x 16 pixels, without their mean and weighted by their frequency
(large shapes are what different photos share), scaled to length 1. Turning a picture round changes the sign of its odd
waves, transposing it swaps rows and columns. So four partial scalar products, by odd and even, give four orientations,
and four with the transposed waves the other four: the eight orientations cost two products, not eight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

from dupkit.pairs.orientations import N_ORIENTATIONS
from dupkit.schema import THUMBNAIL_SIDE

Array = NDArray[np.float32]
Rows = NDArray[np.intp]

SIDE = 16
"""Rows and columns of the waves; the highest ones of 32 x 32 would no longer survive a watermark."""

LIKE_ENOUGH = 0.45
"""Pairs whose waves correlate less are not measured closer as whole pictures, nor does their best orientation say
anything: of 10,000 altered copies that were neither cropped nor framed none fell below it (measured)."""

FLAT_LENGTH = 8.0
"""Waves shorter than this (half a grey level on average, weighted) are noise: set to 0, they resemble nothing."""

BATCH_PAIRS = 512
"""Pairs compared at once: their waves, twice 512 KiB, stay near the processor."""

_CLASSES = tuple(slice(start, start + SIDE * SIDE // 4) for start in range(0, SIDE * SIDE, SIDE * SIDE // 4))
"""Columns of each parity class."""

_SIGNS = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]], dtype=np.float32)
"""Row: not turned, columns, rows, both turned round. Column: the parity class, 2 x odd row + odd column."""


@dataclass(frozen=True)
class Waves:
    """The weighted waves of n pictures, by parity class.

    Attributes
    ----------
    plain : ndarray of shape (n, 256), float32
        64 waves of each of the four classes 2 x (odd row) + (odd column).
    transposed : ndarray of shape (n, 256), float32
        The same of the transposed pictures.
    """

    plain: Array
    transposed: Array


def shrink(grey: NDArray[np.uint8], side: int) -> Array:
    """Return square pictures reduced to ``side`` by averaging, float32; ``side`` divides their own."""
    factor = grey.shape[-1] // side
    # Columns by a product, rows by a sum: faster than a mean over two axes, and exact (sums of bytes).
    sums = np.repeat(np.eye(side, dtype=np.float32), factor, axis=0)
    columns = grey.reshape(-1, grey.shape[-1]).astype(np.float32) @ sums
    small: Array = columns.reshape(len(grey), side, factor, side).sum(axis=2) / np.float32(factor**2)
    return small


def waves_of(grey: NDArray[np.uint8]) -> Waves:
    """Return the weighted waves of grey pictures.

    Parameters
    ----------
    grey : ndarray of shape (n, 64, 64), uint8
    """
    frequency = np.arange(SIDE)
    weight = np.sqrt(1.0 + frequency[:, None] ** 2 + frequency[None] ** 2).astype(np.float32)
    weight[0, 0] = 0
    plain = np.empty((len(grey), SIDE * SIDE), np.float32)
    transposed = np.empty_like(plain)
    for start in range(0, len(grey), BATCH_PAIRS):
        batch = slice(start, start + BATCH_PAIRS)
        waves = dctn(shrink(grey[batch].reshape(-1, THUMBNAIL_SIDE, THUMBNAIL_SIDE), SIDE), axes=(1, 2), norm="ortho")
        waves *= weight
        length = np.sqrt(np.einsum("nij,nij->n", waves, waves))
        waves *= np.where(length < FLAT_LENGTH, 0, 1 / np.maximum(length, FLAT_LENGTH))[:, None, None]
        for parity in range(4):
            chosen = waves[:, parity // 2 :: 2, parity % 2 :: 2]
            plain[batch, _CLASSES[parity]] = chosen.reshape(len(waves), -1)
            # Of a transposed picture: row and column change places in the class as well.
            chosen = waves[:, parity % 2 :: 2, parity // 2 :: 2].swapaxes(1, 2)
            transposed[batch, _CLASSES[parity]] = chosen.reshape(len(waves), -1)
    return Waves(plain, transposed)


def pair_likeness(waves: Waves, rows_a: Rows, rows_b: Rows) -> Array:
    """Return the correlation of each pair's weighted waves in each orientation of the first picture.

    Parameters
    ----------
    waves : Waves
    rows_a, rows_b : ndarray of int, shape (m,)
        Positions of the pictures.

    Returns
    -------
    ndarray of shape (m, 8), float32
        Column: the orientation that turns a into b; -1 to 1, 0 for flat pictures.
    """
    found = np.empty((len(rows_a), N_ORIENTATIONS), np.float32)
    for start in range(0, len(rows_a), BATCH_PAIRS):
        batch = slice(start, start + BATCH_PAIRS)
        for transposed, first in enumerate((waves.plain, waves.transposed)):
            products = first[rows_a[batch]]
            products *= waves.plain[rows_b[batch]]
            parts = products.reshape(len(products), 4, -1).sum(axis=2)
            found[batch, 4 * transposed : 4 * transposed + 4] = parts @ _SIGNS.T
    return found


def best_orientation(likeness: Array) -> NDArray[np.int8]:
    """Return the orientation of the largest of the eight correlations, upright where none of them stands out.

    Parameters
    ----------
    likeness : ndarray of shape (m, 8)
        Of :func:`pair_likeness`.
    """
    best: NDArray[np.int8] = likeness.argmax(axis=1).astype(np.int8)
    best[likeness.max(axis=1, initial=-1) < LIKE_ENOUGH] = 0
    return best


def block_likeness(waves: Waves, rows_a: slice, rows_b: slice) -> Array:
    """Return the largest of the eight correlations for every picture of one block against every one of another.

    Returns
    -------
    ndarray of shape (block a, block b), float32
        Within 1e-5 of the largest of :func:`pair_likeness`: matrix products round differently.
    """
    best = np.full((len(waves.plain[rows_a]), len(waves.plain[rows_b])), -1, np.float32)
    for first in (waves.plain, waves.transposed):
        parts = [first[rows_a, columns] @ waves.plain[rows_b, columns].T for columns in _CLASSES]
        # The largest over both signs of the columns, given the sign of the rows: ee + oe +- (eo + oo), and so on.
        for sign in (1, -1):
            even = parts[0] + sign * parts[2]
            odd = np.abs(parts[1] + sign * parts[3])
            even += odd
            np.maximum(best, even, out=best)
    return best
