"""Pairs in which one picture may be a part of the other: look for the window, align it, compare it.

The two halves of the work on a crop are here in batches and dask tasks: :func:`find_windows` asks cheaply where each
picture may lie in the other, :func:`compare_windows` aligns what was found and measures the agreement.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dupkit.pairs.agreement import agreement
from dupkit.pairs.alignment import aligned_pictures, refine_windows, with_middles
from dupkit.pairs.likeness import Rows
from dupkit.pairs.orientations import INVERSE, orient_each
from dupkit.pairs.parallel import Scheduler, row_batches, run_tasks
from dupkit.pairs.verdict import SAME_PICTURE
from dupkit.pairs.windows import NO_ASPECT, aspect_steps, contents_of, search_windows

WINDOW_LIKE_ENOUGH = 0.83
"""Windows that correlate less are not aligned: 2 crops in 1,000 to 80 % of the width do (measured)."""

WINDOWS_PER_IMAGE = 32
"""Most windows that are aligned per image, those that are most alike: a pair is left out only where both its images
have more."""

TASK_SEARCHES = 8192
"""Windows looked for by one dask task."""

TASK_WINDOWS = 512
"""Windows aligned by one dask task; each costs a hundred times what looking for it does."""

BATCH_WINDOWS = 64
"""Windows aligned at once: their matrices, a few MiB, stay near the processor."""

_INVERSE = np.array(INVERSE, np.int8)


@dataclass(frozen=True)
class Searches:
    """Windows that are looked for or were found, one a row.

    Attributes
    ----------
    pair : ndarray of int
        Position of the pair.
    container, content : ndarray of int
        Positions of the picture that is searched and of the one that may be a part of it.
    orientation : ndarray of int8
        What turns the content as the container lies.
    wider : ndarray of float64
        Width divided by height of the window of an unstretched content, both as shares of the container.
    likeness : ndarray of float32
        Correlation of the window's picture with the content.
    windows : ndarray of shape (n, 4), float32
        top, left, height, width as shares of the container.
    """

    pair: Rows
    container: Rows
    content: Rows
    orientation: NDArray[np.int8]
    wider: NDArray[np.float64]
    likeness: NDArray[np.float32]
    windows: NDArray[np.float32]

    def take(self, rows: NDArray[np.intp]) -> Searches:
        """Return some of the rows."""
        return Searches(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def find_windows(
    grey: NDArray[np.uint8],
    aspects: NDArray[np.float64],
    rows_a: Rows,
    rows_b: Rows,
    orientation: NDArray[np.int8],
    *,
    chosen: Rows | None = None,
    possible: NDArray[np.bool_] | None = None,
    scheduler: Scheduler = None,
) -> Searches:
    """Return the best window of each pair in which one picture may be a part of the other.

    Parameters
    ----------
    grey : ndarray of shape (n_pictures, 64, 64), uint8
    aspects : ndarray of shape (n_pictures,), float64
        Width divided by height.
    rows_a, rows_b : ndarray of int, shape (n_pairs,)
        Positions of the pictures.
    orientation : ndarray of shape (n_pairs,), int8
        What turns a into b, most likely; upright is tried as well.
    chosen : ndarray of int, optional
        Positions of the pairs to search; all where not given.
    possible : ndarray of shape (n_pairs, 2), bool, optional
        Whether b may be a part of a, and a of b; both where not given.
    scheduler : str, optional
        A dask scheduler.

    Returns
    -------
    Searches
        At most one row a pair, in order of the pairs; none whose likeness is below :data:`WINDOW_LIKE_ENOUGH`.
    """
    pairs = np.arange(len(rows_a)) if chosen is None else chosen
    searches = _searches_of(pairs, rows_a, rows_b, orientation, aspects, possible)
    steps = aspect_steps(np.ones_like(searches.wider), searches.wider)
    arguments = [
        (searches.container[part], searches.content[part], searches.orientation[part], steps[part])
        for part in row_batches(len(steps), TASK_SEARCHES)
    ]
    parts = run_tasks(search_windows, (grey, contents_of(grey)), arguments, scheduler)
    likeness = np.concatenate([searches.likeness[:0], *(part[0] for part in parts)])
    windows = np.concatenate([searches.windows[:0], *(part[1] for part in parts)])
    # Pairs in order, in each the most alike first, then as sorted before.
    order = np.lexsort((np.arange(len(likeness)), -likeness, searches.pair))
    first = np.ones(len(order), bool)
    first[1:] = np.diff(searches.pair[order]) != 0
    alike = order[first & (likeness[order] >= WINDOW_LIKE_ENOUGH)]
    return replace(searches, likeness=likeness, windows=windows).take(alike)


def most_alike(searches: Searches) -> tuple[Searches, Rows]:
    """Return the windows that are among the WINDOWS_PER_IMAGE most alike of one of their images, and the other pairs.

    Parameters
    ----------
    searches : Searches
        Of :func:`find_windows`.

    Returns
    -------
    kept : Searches
    left_out : ndarray of int
        Positions of the pairs whose window is not among them.
    """
    order = np.argsort(-searches.likeness, kind="stable")
    both = pd.Series(np.stack([searches.container[order], searches.content[order]], axis=1).ravel())
    rank = both.groupby(both).cumcount().to_numpy().reshape(-1, 2).min(axis=1)
    kept = rank < WINDOWS_PER_IMAGE
    return searches.take(np.sort(order[kept])), np.sort(searches.pair[order[~kept]])


def compare_windows(
    grey: NDArray[np.uint8], searches: Searches, scheduler: Scheduler = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how well each window agrees with its content once aligned, and the window where it then lies.

    Returns
    -------
    structure : ndarray of shape (n,), float64
        0 to 1; NaN where the window or the content is flat, 0 where they had too little in common to go on.
    windows : ndarray of shape (n, 4), float64
        top, left, height, width as shares of the container.
    """
    arguments = [
        (
            searches.container[part],
            searches.content[part],
            searches.orientation[part],
            searches.windows[part],
            searches.wider[part],
        )
        for part in row_batches(len(searches.pair), TASK_WINDOWS)
    ]
    parts = run_tasks(_window_agreement, (grey,), arguments, scheduler)
    return (
        np.concatenate([np.empty(0), *(part[0] for part in parts)]),
        np.concatenate([np.empty((0, 4)), *(part[1] for part in parts)]),
    )


def _window_agreement(
    grey: NDArray[np.uint8],
    container: Rows,
    content: Rows,
    orientation: NDArray[np.int8],
    windows: NDArray[np.float32],
    wider: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    score = np.empty(len(container))
    found = np.empty((len(container), 4))
    for part in row_batches(len(container), BATCH_WINDOWS):
        holding = grey[container[part]].astype(np.float32)
        held = orient_each(grey[content[part]].astype(np.float32), orientation[part])
        refined, hopeful = refine_windows(holding, held, windows[part], wider[part].astype(np.float32))
        found[part] = refined
        agreed = np.zeros(len(refined), np.float32)
        agreed[hopeful] = agreement(*aligned_pictures(holding[hopeful], held[hopeful], refined[hopeful]))
        good = np.flatnonzero(agreed >= SAME_PICTURE)
        agreed[good] = with_middles(agreed[good], holding[good], held[good], refined[good])
        score[part] = agreed
    return score, found


def _searches_of(
    pairs: Rows,
    rows_a: Rows,
    rows_b: Rows,
    orientation: NDArray[np.int8],
    aspects: NDArray[np.float64],
    possible: NDArray[np.bool_] | None,
) -> Searches:
    # Each picture in the other, and not only in the orientation that is best for the whole pictures: a crop may have
    # little in common with the whole. Upright is the commonest.
    turned = pairs[orientation[pairs] != 0]
    pair = np.concatenate([pairs, pairs, turned, turned])
    best = orientation[pairs]
    upright = np.zeros(len(turned), np.int8)
    turn = np.concatenate([_INVERSE[best], best, upright, upright])
    in_b = np.repeat([False, True, False, True], [len(pairs), len(pairs), len(turned), len(turned)])
    container = np.where(in_b, rows_b[pair], rows_a[pair])
    content = np.where(in_b, rows_a[pair], rows_b[pair])
    wider = np.where(turn >= 4, 1 / aspects[content], aspects[content]) / aspects[container]
    steps = aspect_steps(np.ones_like(wider), wider)
    searched = steps != NO_ASPECT
    if possible is not None:
        searched &= possible[pair, in_b.astype(int)]
    rows = np.flatnonzero(searched)
    order = rows[np.lexsort((pair[rows], steps[rows], container[rows]))]
    empty = np.zeros(len(pair), np.float32)
    found = Searches(pair, container, content, turn, wider, empty, np.zeros((len(pair), 4), np.float32))
    return found.take(order)
