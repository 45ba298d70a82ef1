"""How well two aligned grey pictures agree, from 0 to 1: the number in the column ``structure``.

Three questions are asked of two pictures of 32 x 32 pixels that lie on top of each other, and the geometric mean of
the three answers is taken, so that one clear "no" is enough:

- *share*: the share of pixels that agree within a quarter of a standard deviation, after brightness and contrast were
  fitted to the four fifths of the pixels that agree best (a watermark or a caption then spoils its own pixels only);
- *detail*: the correlation of what is left of the two pictures after a small blur is taken away. Silhouettes on a sky
  and clothes on one background share their large shapes, but not this;
- *blocks*: the agreement of the detail in each of 8 x 8 blocks, weighted by how much detail a block has, over the best
  three quarters of it (a watermark or a caption again).

Detail below half a grey level counts as noise: flat and nearly flat pictures have none and get NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

SIDE = 32
"""Rows and columns of the pictures that are compared, pixels. At 64 a crop's residual misalignment costs more than
the finer detail gives (measured)."""

KEPT_PIXELS = 0.8
"""Share of the pixels that brightness and contrast are fitted to: a caption or a watermark covers less than a fifth."""

TOLERANCE = 0.25
"""Two pixels agree within this many standard deviations of the picture (DESIGN.md section 6 measured it)."""

FIT_ROUNDS = 2
"""Times that the best pixels are chosen again; a third changes the answer by less than 0.01 (measured)."""

BLOCKS = 8
"""Rows and columns of blocks: blocks of 4 x 4 pixels hold enough detail to be told apart."""

KEPT_DETAIL = 0.75
"""Share of the detail whose best blocks are believed."""

NOISE = 0.5
"""Root mean square of what JPEG and resampling leave in a 32 x 32 thumbnail's detail, grey levels (measured)."""

FLAT_DETAIL = 0.75
"""Below this root mean square of detail, grey levels, a picture counts as flat: noise decides what it looks like."""


def detail_of(pictures: Array) -> Array:
    """Return pictures less their blur by (1, 2, 1)/4 along rows and columns; edges are repeated.

    Parameters
    ----------
    pictures : ndarray of shape (n, side, side), float32
    """
    padded = np.pad(pictures, ((0, 0), (1, 1), (1, 1)), mode="edge")
    blurred = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    blurred = blurred[:, :, :-2] + 2 * blurred[:, :, 1:-1] + blurred[:, :, 2:]
    rest: Array = pictures - blurred / 16
    return rest


def detail_levels(pictures: Array) -> Array:
    """Return the root mean square of each picture's detail, grey levels.

    Examples
    --------
    >>> detail_levels(np.full((1, 32, 32), 200, dtype=np.float32)).tolist()
    [0.0]
    """
    detail = detail_of(pictures)
    energy: Array = np.einsum("nij,nij->n", detail, detail)
    levels: Array = np.sqrt(energy / (pictures.shape[1] * pictures.shape[2]))
    return levels


def agreement(first: Array, second: Array) -> Array:
    """Return how well the pictures of two stacks agree, pair by pair.

    Parameters
    ----------
    first, second : ndarray of shape (n, 32, 32), float32, grey levels
        Aligned: the same orientation and the same part of the scene.

    Returns
    -------
    ndarray of shape (n,), float32
        0 to 1, 1 for pictures that are equal up to brightness and contrast; NaN where one of the two is flat.
        ``agreement(a, b)`` equals ``agreement(b, a)``.
    """
    n = len(first)
    if not n:
        return np.empty(0, np.float32)
    gain_a, scaled_a, gain_b, scaled_b, share = _fit(first.reshape(n, -1), second.reshape(n, -1))
    full, blocks = _detail_agreement(
        detail_of(scaled_a.reshape(first.shape)), detail_of(scaled_b.reshape(first.shape)), gain_a, gain_b
    )
    product = share * np.clip(full, 0, 1) * np.clip(blocks, 0, 1)
    score = np.cbrt(product)
    flat = np.minimum(detail_levels(first), detail_levels(second)) < FLAT_DETAIL
    score[flat] = np.nan
    return score


def _fit(first: Array, second: Array) -> tuple[Array, Array, Array, Array, Array]:
    # Both pictures are standardised over the pixels that agree best, not one fitted to the other: that would not be
    # symmetric. Returns each one's grey levels per unit, its standardised pixels, and the share that agrees.
    n_kept = int(KEPT_PIXELS * first.shape[1])
    kept = np.ones_like(first)
    for remaining in range(FIT_ROUNDS, -1, -1):
        total = kept.sum(axis=1, keepdims=True)
        gain_a, scaled_a = _standardised(first, kept, total)
        gain_b, scaled_b = _standardised(second, kept, total)
        apart = np.abs(scaled_a - scaled_b)
        if remaining:
            bound = np.partition(apart, n_kept - 1, axis=1)[:, n_kept - 1 : n_kept]
            kept = (apart <= bound).astype(np.float32)
    share: Array = (apart < TOLERANCE).mean(axis=1).astype(np.float32)
    return gain_a, scaled_a, gain_b, scaled_b, share


def _standardised(pixels: Array, kept: Array, total: Array) -> tuple[Array, Array]:
    mean = np.einsum("np,np->n", pixels, kept)[:, None] / total
    centred = pixels - mean
    spread = np.sqrt(np.einsum("np,np,np->n", centred, centred, kept)[:, None] / total)
    # A picture whose kept pixels are all equal has no contrast to be fitted; noise stands in for it.
    gain = np.maximum(spread, np.float32(NOISE))
    return gain, centred / gain


def _detail_agreement(detail_a: Array, detail_b: Array, gain_a: Array, gain_b: Array) -> tuple[Array, Array]:
    pixels = (SIDE // BLOCKS) ** 2
    energy_a = _block_sums(detail_a * detail_a) + pixels * (NOISE / gain_a) ** 2
    energy_b = _block_sums(detail_b * detail_b) + pixels * (NOISE / gain_b) ** 2
    common = _block_sums(detail_a * detail_b)
    full = common.sum(axis=1) / np.sqrt(energy_a.sum(axis=1) * energy_b.sum(axis=1))
    each = 2 * common / (energy_a + energy_b)
    weight = np.sqrt(energy_a + energy_b)
    order = np.argsort(-each, axis=1, kind="stable")
    weight = np.take_along_axis(weight, order, axis=1)
    each = np.take_along_axis(each, order, axis=1)
    kept = weight * (np.cumsum(weight, axis=1) <= KEPT_DETAIL * weight.sum(axis=1, keepdims=True))
    # The first block alone can hold more than three quarters of the detail.
    kept[:, 0] = weight[:, 0]
    return full, (each * kept).sum(axis=1) / kept.sum(axis=1)


def _block_sums(pictures: Array) -> Array:
    side = SIDE // BLOCKS
    sums: Array = pictures.reshape(-1, BLOCKS, side, BLOCKS, side).sum(axis=(2, 4)).reshape(-1, BLOCKS * BLOCKS)
    return sums
