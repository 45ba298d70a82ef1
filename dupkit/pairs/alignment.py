"""Sharpen a window until what it shows lies exactly on another picture (Lucas and Kanade's iteration, in batches).

Each step asks which small change of the window's four edges, together with a brightness and a contrast, makes its
picture most like the other one, from the picture's slopes. The pixels that fit worst have no say: they may be a
watermark or a caption.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dupkit.pairs.agreement import KEPT_PIXELS, SAMPLE_STRIDE, SIDE, agreement, detail_of, rest_of_fit, shape_likeness
from dupkit.pairs.resample import resampled, window_matrix, window_slopes
from dupkit.pairs.verdict import LOOK_ALIKE, SAME_PICTURE

Array = NDArray[np.float32]


class Steps(NamedTuple):
    """Side of the pictures compared, number of steps, whether height and width change together."""

    side: int
    rounds: int
    tied: bool


FIRST_STEPS = Steps(side=16, rounds=2, tied=True)
"""The first steps are coarse and cheap: a window of :mod:`dupkit.pairs.windows` is off by half a pixel of 12. They
and the next ones are taken on pictures of half the size."""

PROMISING = 0.86
"""Pictures that correlate less after the first steps are given up: 3 crops in 1,000 do, and half of the
different pictures (measured)."""

COARSE_STEPS = Steps(side=16, rounds=2, tied=True)
"""The same again, for what has begun to fit."""

FINE_STEPS = Steps(side=32, rounds=1, tied=False)
"""The last lets height and width change apart, because files round their pixels and thumbnails the aspect. More steps
at 32 cost twice the time and give a crop in a hundred (measured)."""

HOPEFUL = 0.88
"""The same after the coarse steps: 4 crops in 1,000 do, and another quarter of the different pictures (measured)."""

LARGEST_STEP = 0.04
"""Most that an edge moves in one step, as a share of the side: the slopes hold no farther than a few pixels."""

SMALLEST_SIDE = 0.5
"""Windows do not shrink below this share of a side."""

RIM = 1 / 64
"""Share of each side left out when aligned pictures are compared: there a caption or a frame shines through."""

WIDE_RIM = 0.16
"""Share of each side left out to see whether the middles agree: frames and captions are narrower."""

MIDDLE_LESS = 0.12
"""How much worse the middles may agree than the whole: a watermark covers more of them."""

MIDDLE_REST = 2.5
"""Middles that differ by less than this root mean square, grey levels, once brightness and contrast are fitted are
the same, however little detail they hold: of copies under no watermark 2, of two garments 26 (measured)."""

SAME_SHAPES = 0.95
"""Middles without fine detail are the same if their large shapes correlate this much: of 100 copies with a blurred
middle 40 do, of different pictures in one frame none of 70 (their largest is 0.93, measured)."""

UNSURE = (LOOK_ALIKE + SAME_PICTURE) / 2
"""What a pair reaches at most of which only the rims can be compared."""

EQUAL = 0.999
"""From this agreement on two pictures are equal, whatever their middles hold."""

BLUR_TAKEN = 0.8
"""Share of the blur taken away before aligning: edges say where a picture lies, skies do not."""


def sharpened(pictures: Array) -> Array:
    """Return 64 x 64 pictures less most of their blur by (1, 4, 6, 4, 1)/16 along rows and columns.

    Parameters
    ----------
    pictures : ndarray of shape (n, side, side), float32
    """
    padded = np.pad(pictures, ((0, 0), (2, 2), (2, 2)), mode="edge")
    along = padded[:, :-4] + padded[:, 4:] + 4 * (padded[:, 1:-3] + padded[:, 3:-1]) + 6 * padded[:, 2:-2]
    blur = along[:, :, :-4] + along[:, :, 4:] + 4 * (along[:, :, 1:-3] + along[:, :, 3:-1]) + 6 * along[:, :, 2:-2]
    rest: Array = pictures - (BLUR_TAKEN / 256) * blur
    return rest


def refine_windows(containers: Array, contents: Array, windows: Array, wider: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Return the windows moved to where the containers' pictures lie on the contents.

    Parameters
    ----------
    containers, contents : ndarray of shape (n, 64, 64), float32
        Contents turned as the containers lie.
    windows : ndarray of shape (n, 4), float32
        Where each content lies in its container, nearly: top, left, height, width as shares.
    wider : ndarray of shape (n,), float32
        Width divided by height that the window of an unstretched content has, both as shares of the container.

    Returns
    -------
    windows : ndarray of shape (n, 4), float32
        Inside the container.
    hopeful : ndarray of shape (n,), bool
        False where the coarse steps already left too little in common; such a window was not refined further.
    """
    half, content_half = _half_sharpened(containers), _half_sharpened(contents)
    refined = _with_aspect(windows.astype(np.float32), wider)
    good = np.arange(len(half))
    for steps, enough in ((FIRST_STEPS, PROMISING), (COARSE_STEPS, HOPEFUL)):
        refined[good] = _moved(half[good], content_half[good], refined[good], wider[good], steps)
        good = good[_correlation(half[good], content_half[good], refined[good]) >= enough]
    edges, content_edges = sharpened(containers[good]), sharpened(contents[good])
    refined[good] = _moved(edges, content_edges, refined[good], wider[good], FINE_STEPS)
    hopeful = np.zeros(len(half), bool)
    hopeful[good] = True
    return refined, hopeful


def _half_sharpened(pictures: Array) -> Array:
    rows = pictures[:, ::2] + pictures[:, 1::2]
    half: Array = rows[:, :, ::2] + rows[:, :, 1::2]
    half *= np.float32(0.25)
    # Less most of the blur: the detail, and the rest of the picture faintly.
    rest: Array = BLUR_TAKEN * detail_of(half) + np.float32(1 - BLUR_TAKEN) * half
    return rest


def _correlation(edges: Array, content_edges: Array, windows: Array) -> Array:
    target = _reduced(content_edges, window_matrix(0.0, 1.0, COARSE_STEPS.side, edges.shape[-1]))
    shown = _standardised(resampled(edges, windows, COARSE_STEPS.side).reshape(len(edges), COARSE_STEPS.side**2))
    correlation: Array = (target * shown).mean(axis=1)
    return correlation


def _moved(edges: Array, content_edges: Array, windows: Array, wider: Array, steps: Steps) -> Array:
    if not len(edges):
        return windows
    target = _reduced(content_edges, window_matrix(0.0, 1.0, steps.side, edges.shape[-1]))
    weight = np.ones_like(target)
    for _ in range(steps.rounds):
        shown, slopes = _with_slopes(edges, windows, steps.side)
        if steps.tied:
            # Top, left and size: three ways to go wrong instead of four.
            size = slopes[:, 2:3] + wider[:, None, None] * slopes[:, 3:]
            slopes = np.concatenate([slopes[:, :2], size], axis=1)
        step, misfit = _step(shown, slopes, target, weight)
        if steps.tied:
            step = np.concatenate([step, wider[:, None] * step[:, 2:]], axis=1)
        windows = _inside(windows + np.clip(step, -LARGEST_STEP, LARGEST_STEP))
        sample = misfit[:, ::SAMPLE_STRIDE]
        n_kept = round(KEPT_PIXELS * sample.shape[1])
        bound = np.partition(sample, n_kept - 1, axis=1)[:, n_kept - 1 : n_kept]
        weight = (misfit <= bound).astype(np.float32)
    return windows


def _reduced(edges: Array, whole: Array) -> Array:
    stripes: Array = whole @ edges
    seen: Array = stripes @ whole.T
    return _standardised(seen.reshape(len(edges), seen.shape[1] * seen.shape[2]))


def aligned_pictures(containers: Array, contents: Array, windows: Array, *, rim: float = RIM) -> tuple[Array, Array]:
    """Return the windows of the containers and the contents, 32 x 32, by one kernel and less a rim.

    Parameters
    ----------
    containers, contents : ndarray of shape (n, 64, 64), float32
    windows : ndarray of shape (n, 4), float32
    rim : float
        Share of each side left out.
    """
    inner = np.concatenate([windows[:, :2] + rim * windows[:, 2:], (1 - 2 * rim) * windows[:, 2:]], axis=1)
    middle = window_matrix(rim, 1 - 2 * rim, SIDE, contents.shape[-1])
    stripes: Array = middle @ contents
    seen: Array = stripes @ middle.T
    return resampled(containers, inner, SIDE), seen


def with_middles(score: Array, containers: Array, contents: Array, windows: Array, *, spoilt: int = 0) -> Array:
    """Return the scores, lowered where the middles of the aligned pictures do not agree.

    Two different pictures in one frame, or over one caption, agree in the strongest of their detail. Their middles
    do not. Where a middle is flat, all that agrees is the rim: such a pair is no surer than unsure, unless the
    pictures are equal or the middles' large shapes are.

    Parameters
    ----------
    score : ndarray of shape (n,)
        Agreement of the aligned pictures.
    containers, contents, windows
        As for :func:`aligned_pictures`.
    spoilt : int
        As for :func:`dupkit.pairs.agreement.agreement`.
    """
    middles = aligned_pictures(containers, contents, windows, rim=WIDE_RIM)
    middle = agreement(*middles, spoilt=spoilt)
    flat = np.isnan(middle)
    # Not for middles with fine detail: plain garments of one cut have one large shape.
    alike = np.where(flat, shape_likeness(*middles) >= SAME_SHAPES, rest_of_fit(*middles) < MIDDLE_REST)
    middle = np.where(alike | (score >= EQUAL), 1, np.where(flat, UNSURE - MIDDLE_LESS, middle))
    lowered: Array = np.minimum(score, middle + np.float32(MIDDLE_LESS))
    return lowered


def _with_aspect(windows: Array, wider: Array) -> Array:
    # The window of the same middle and area whose aspect is the content's.
    middle = windows[:, :2] + windows[:, 2:] / 2
    height = np.minimum(np.sqrt(windows[:, 2] * windows[:, 3] / wider), np.minimum(1, 1 / wider))
    size = np.stack([height, height * wider], axis=1)
    return _inside(np.concatenate([middle - size / 2, size], axis=1).astype(np.float32))


def _with_slopes(pictures: Array, windows: Array, side: int) -> tuple[Array, Array]:
    # The windows' pictures, shape (n, pixels), and their derivatives by top, left, height, width: (n, 4, pixels).
    n, n_in = len(pictures), pictures.shape[-1]
    rows, by_top, by_height = window_slopes(windows[:, 0], windows[:, 2], side, n_in)
    columns, by_left, by_width = window_slopes(windows[:, 1], windows[:, 3], side, n_in)
    # One product for the three forms of the columns, one for the three of the rows.
    across = pictures @ np.concatenate([columns, by_left, by_width], axis=1).swapaxes(1, 2)
    down = np.concatenate([rows, by_top, by_height], axis=1) @ across[:, :, :side]
    sideways = rows @ across[:, :, side:]
    shown = down[:, :side].reshape(n, -1)
    slopes = np.stack(
        [down[:, side : 2 * side], sideways[:, :, :side], down[:, 2 * side :], sideways[:, :, side:]], axis=1
    )
    return shown, slopes.reshape(n, 4, -1)


def _step(shown: Array, slopes: Array, target: Array, weight: Array) -> tuple[Array, Array]:
    # Least squares of target = gain (shown + slopes . step) + offset; returns the steps and each pixel's misfit.
    scale = np.maximum(shown.std(axis=1), np.float32(1e-3))[:, None]
    steepness = np.maximum(np.sqrt(np.einsum("nkp,nkp->nk", slopes, slopes) / slopes.shape[2]), np.float32(1e-3))
    terms = np.concatenate(
        [
            ((shown - shown.mean(axis=1, keepdims=True)) / scale)[:, None],
            np.ones_like(shown)[:, None],
            slopes / steepness[:, :, None],
        ],
        axis=1,
    )
    weighted = terms * weight[:, None]
    square = (weighted @ terms.swapaxes(1, 2)).astype(np.float64)
    # A picture that does not change along a side says nothing about it: a small ridge keeps its window in place.
    square += 1e-3 * terms.shape[2] * np.eye(terms.shape[1])
    solution = np.linalg.solve(square, (weighted @ target[:, :, None]).astype(np.float64))[:, :, 0].astype(np.float32)
    gain = solution[:, :1]
    # A contrast near zero or below means that the two do not fit: stay where we are.
    step = np.where(gain > 0.1, solution[:, 2:] * scale / (steepness * np.maximum(gain, 0.1)), 0)
    misfit = np.abs(target - np.einsum("nk,nkp->np", solution, terms))
    return step.astype(np.float32), misfit


def _inside(windows: Array) -> Array:
    size = np.clip(windows[:, 2:], SMALLEST_SIDE, 1)
    inside: Array = np.concatenate([np.clip(windows[:, :2], 0, 1 - size), size], axis=1)
    return inside


def _standardised(rows: Array) -> Array:
    centred = rows - rows.mean(axis=1, keepdims=True)
    scaled: Array = centred / np.maximum(centred.std(axis=1), np.float32(1e-3))[:, None]
    return scaled
