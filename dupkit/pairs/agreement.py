"""How well two aligned grey pictures agree, from 0 to 1: the number in the column ``structure``.

Three questions are asked of two pictures of 32 x 32 pixels that lie on top of each other, and the geometric mean of
the three answers is taken, so that one clear "no" is enough:

- *share*: the share of pixels that agree within a quarter of a standard deviation, after brightness and contrast were
  fitted to the four fifths of the pixels that agree best (a watermark or a caption then spoils its own pixels only);
- *detail*: the correlation of what is left of the two pictures after a small blur is taken away, of all blocks or,
  in whole pictures, of all but the worst few: the words of a watermark are stronger detail than what they cover.
  Silhouettes on a sky and clothes on one background share their large shapes, but not this;
- *blocks*: the agreement of the detail in each of 8 x 8 blocks, weighted by how much detail a block has, over the best
  three quarters of it (a watermark or a caption again).

Detail below half a grey level counts as noise: flat and nearly flat pictures have none and get NaN. Detail in a few
blocks only, a logo or a line of text on nothing, is scant evidence and counts for less.
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

MANY_BLOCKS = 12
"""Blocks of 64 that detail has to be spread over to be full evidence; of photos 99 of 100 have more (measured)."""

SPOILT_BLOCKS = 4
"""Blocks of 64 whose detail may differ most and be left out: where a watermark, a caption or a logo is strongest. With
12, another 2 watermarks in 100 are found, but among 335 garments 50 pairs instead of 24 pass 0.6 and 4 instead of none
0.7: thousands of garments are the trap (measured)."""

NOISE = 0.5
"""Root mean square of what JPEG and resampling leave in a 32 x 32 thumbnail's detail, grey levels (measured)."""

EQUAL_REST = 0.25
"""Pictures that differ by less than this root mean square, grey levels, are led to 1: noise counts against detail
above, but not against equal pictures."""

FLAT_DETAIL = 0.75
"""Below this root mean square of detail, grey levels, a picture counts as flat: noise decides what it looks like."""


SAMPLE_STRIDE = 7
"""Every seventh pixel, 147 in all, says where the best four fifths end; it hits every column."""

_PLANE = np.indices((BLOCKS, BLOCKS)).reshape(2, -1).T - (BLOCKS - 1) / 2

_SLOPES = np.linalg.qr(np.column_stack([np.ones(BLOCKS * BLOCKS), _PLANE]))[0].astype(np.float32)
"""Orthonormal: level, slope down, slope across."""

_COLUMN_SUMS = np.repeat(np.eye(BLOCKS, dtype=np.float32), SIDE // BLOCKS, axis=0)


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


def agreement(first: Array, second: Array, *, spoilt: int = 0) -> Array:
    """Return how well the pictures of two stacks agree, pair by pair.

    Parameters
    ----------
    first, second : ndarray of shape (n, 32, 32), float32, grey levels
        Aligned: the same orientation and the same part of the scene.
    spoilt : int
        Blocks of 64 whose detail need not agree, the worst ones; :data:`SPOILT_BLOCKS` for whole pictures, none for
        windows that were searched for.

    Returns
    -------
    ndarray of shape (n,), float32
        0 to 1, 1 for pictures that are equal up to brightness and contrast; NaN where one of the two is flat.
        ``agreement(a, b)`` equals ``agreement(b, a)``.
    """
    n = len(first)
    if not n:
        return np.empty(0, np.float32)
    gain_a, gain_b, share, rest = _fit(first.reshape(n, -1), second.reshape(n, -1))
    detail_a, detail_b = detail_of(first), detail_of(second)
    energy_a, energy_b = _block_sums(detail_a * detail_a), _block_sums(detail_b * detail_b)
    common = _block_sums(detail_a * detail_b) / (gain_a * gain_b)
    noise = np.float32(NOISE**2 * (SIDE // BLOCKS) ** 2)
    full, blocks = _detail_agreement(common, (energy_a + noise) / gain_a**2, (energy_b + noise) / gain_b**2, spoilt)
    score: Array = np.cbrt(share * np.clip(full, 0, 1) * np.clip(blocks, 0, 1))
    score *= _evidence(energy_a + energy_b - 8 * noise)
    score = 1 - (1 - score) * np.minimum(rest / EQUAL_REST, 1)
    flat = np.minimum(energy_a.sum(axis=1), energy_b.sum(axis=1)) < FLAT_DETAIL**2 * SIDE**2
    score[flat] = np.nan
    return score


def rest_of_fit(first: Array, second: Array) -> Array:
    """Return the root mean square, grey levels, of what is left once brightness and contrast are fitted.

    Parameters
    ----------
    first, second : ndarray of shape (n, 32, 32), float32, grey levels
    """
    n_pixels = SIDE * SIDE
    return _fit(first.reshape(-1, n_pixels), second.reshape(-1, n_pixels))[3]


def shape_likeness(first: Array, second: Array) -> Array:
    """Return the correlation of the large shapes of two stacks of pictures: 8 x 8 means, less the slope of each.

    A blurred background has no fine detail, but shapes that say whose it is; a sky has a slope, as all skies do.

    Parameters
    ----------
    first, second : ndarray of shape (n, 32, 32), float32, grey levels

    Returns
    -------
    ndarray of shape (n,), float32
        -1 to 1; 0 where one picture has shapes of less than one grey level.

    Examples
    --------
    >>> slope = np.tile(np.arange(32, dtype=np.float32), (1, 32, 1))
    >>> shape_likeness(slope, slope).round().tolist()
    [0.0]
    """
    shapes = []
    for pictures in (first, second):
        means = _block_sums(pictures) / np.float32((SIDE // BLOCKS) ** 2)
        shapes.append(means - (means @ _SLOPES) @ _SLOPES.T)
    energies = [np.einsum("nb,nb->n", shape, shape) for shape in shapes]
    energy = np.sqrt(energies[0] * energies[1])
    likeness: Array = np.einsum("nb,nb->n", *shapes) / np.maximum(energy, np.float32(BLOCKS * BLOCKS))
    likeness *= np.minimum(*energies) >= BLOCKS * BLOCKS
    return likeness


def _fit(first: Array, second: Array) -> tuple[Array, Array, Array, Array]:
    # Both pictures are standardised over the pixels that agree best, not one fitted to the other: that would not be
    # symmetric. Returns each one's grey levels per unit, shape (n, 1), the share of pixels that agrees, and the root
    # mean square, grey levels, of what the fit leaves over.
    first = first - first.mean(axis=1, keepdims=True)
    second = second - second.mean(axis=1, keepdims=True)
    squares_a, squares_b = first * first, second * second
    kept = np.ones_like(first)
    for remaining in range(FIT_ROUNDS, -1, -1):
        total = np.einsum("np->n", kept)
        mean_a, gain_a = _moments(first, squares_a, kept, total)
        mean_b, gain_b = _moments(second, squares_b, kept, total)
        apart = first * (1 / gain_a)
        apart -= second * (1 / gain_b)
        apart -= mean_a / gain_a - mean_b / gain_b
        np.abs(apart, out=apart)
        if remaining:
            sample = apart[:, ::SAMPLE_STRIDE]
            n_kept = round(KEPT_PIXELS * sample.shape[1])
            bound = np.partition(sample, n_kept - 1, axis=1)[:, n_kept - 1 : n_kept]
            np.less_equal(apart, bound, out=kept)
    share: Array = (apart < TOLERANCE).mean(axis=1).astype(np.float32)
    rest: Array = np.sqrt(np.einsum("np,np->n", apart, apart) / apart.shape[1])
    return gain_a, gain_b, share, rest * np.minimum(gain_a, gain_b)[:, 0]


def _moments(pixels: Array, squares: Array, kept: Array, total: Array) -> tuple[Array, Array]:
    mean = np.einsum("np,np->n", pixels, kept) / total
    variance = np.einsum("np,np->n", squares, kept) / total - mean * mean
    # A picture whose kept pixels are all equal has no contrast to be fitted; noise stands in for it.
    gain = np.sqrt(np.maximum(variance, np.float32(NOISE**2)))
    return mean[:, None], gain[:, None]


def _detail_agreement(common: Array, energy_a: Array, energy_b: Array, spoilt: int) -> tuple[Array, Array]:
    full = common.sum(axis=1) / np.sqrt(energy_a.sum(axis=1) * energy_b.sum(axis=1))
    together = energy_a + energy_b
    if spoilt:
        left = np.argsort(together - 2 * common, axis=1, kind="stable")[:, : BLOCKS * BLOCKS - spoilt]
        parts = (np.take_along_axis(blocks, left, axis=1).sum(axis=1) for blocks in (common, energy_a, energy_b))
        common_left, left_a, left_b = parts
        full = np.maximum(full, common_left / np.sqrt(left_a * left_b))
    each = 2 * common / together
    weight = np.sqrt(together)
    order = np.argsort(-each, axis=1, kind="stable")
    weight = np.take_along_axis(weight, order, axis=1)
    each = np.take_along_axis(each, order, axis=1)
    kept = weight * (np.cumsum(weight, axis=1) <= KEPT_DETAIL * weight.sum(axis=1, keepdims=True))
    # The first block alone can hold more than three quarters of the detail.
    kept[:, 0] = weight[:, 0]
    blocks: Array = (each * kept).sum(axis=1) / kept.sum(axis=1)
    return full, blocks


def _evidence(energy: Array) -> Array:
    # 1 where the detail is spread over MANY_BLOCKS and more (as if each had the same), less where a few blocks hold it
    # all: a line of text on black pictures agrees well, and says little.
    weight = np.sqrt(np.maximum(energy, 0))
    spread = weight.sum(axis=1) ** 2 / np.maximum((weight * weight).sum(axis=1), np.float32(1e-3))
    factor: Array = np.minimum(spread / MANY_BLOCKS, 1) ** np.float32(0.25)
    return factor


def _block_sums(pictures: Array) -> Array:
    side = SIDE // BLOCKS
    # A product with zeros and ones adds the columns several times faster than a sum over two axes.
    columns = pictures.reshape(-1, SIDE) @ _COLUMN_SUMS
    sums: Array = columns.reshape(-1, BLOCKS, side, BLOCKS).sum(axis=2).reshape(-1, BLOCKS * BLOCKS)
    return sums
