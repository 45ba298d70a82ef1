"""The second opinion on a pair: whether two grey pictures show the same, and how one is made from the other.

A cascade, each step only for what the step before left open:

1. the likeness of the whole pictures in eight orientations (:mod:`dupkit.pairs.likeness`), every pair;
2. the agreement of the whole pictures in the best orientation (:mod:`dupkit.pairs.agreement`), pairs that are alike;
3. the window of one picture that the other one may be (:mod:`dupkit.pairs.windows`), pairs still not the same;
4. the agreement of that window, aligned (:mod:`dupkit.pairs.alignment`), where the window is alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dupkit.pairs.agreement import FLAT_DETAIL, SIDE, agreement, detail_levels
from dupkit.pairs.alignment import aligned_pictures, refine_windows
from dupkit.pairs.likeness import Rows, Waves, pair_likeness, shrink, waves_of
from dupkit.pairs.orientations import INVERSE, N_ORIENTATIONS, orient
from dupkit.pairs.parallel import Scheduler, run_tasks
from dupkit.pairs.verdict import SAME_PICTURE
from dupkit.pairs.windows import NO_ASPECT, aspect_steps, contents_of, search_windows

LIKE_ENOUGH = 0.4
"""Pairs whose waves correlate less are not measured closer: of 10,000 altered copies that were neither cropped nor
framed none fell below 0.45 (measured)."""

WINDOW_LIKE_ENOUGH = 0.8
"""Windows that correlate less are not aligned: 1 crop in 100 to 80 % of the width does (measured)."""

WINDOWS_PER_IMAGE = 32
"""Most windows that are aligned per image, those that are most alike: a pair is left out only where both its images
have more; :attr:`Structures.n_left_out` says how many were."""

BATCH_PAIRS = 256
"""Pairs compared at once: their pictures, twice 1 MiB, stay near the processor."""

BATCH_WINDOWS = 64
"""Windows aligned at once: their matrices, a few MiB, stay near the processor."""

TASK_PAIRS = 8192
"""Pairs of one dask task."""

TASK_WINDOWS = 512
"""Windows to be aligned of one dask task; each costs a hundred times what a pair does."""

WHOLE = (0.0, 0.0, 1.0, 1.0)
"""The window that is the whole picture: top, left, height, width as shares of the upright picture."""

_INVERSE = np.array(INVERSE, np.int8)


@dataclass(frozen=True)
class Structures:
    """What is known about n pairs.

    Attributes
    ----------
    structure : ndarray of shape (n,), float64
        0 to 1; NaN where one picture is flat.
    orientation : ndarray of shape (n,), int8
        What turns a into b (:mod:`dupkit.pairs.orientations`).
    window_a, window_b : ndarray of shape (n, 4), float64
        The part of the upright a, of the upright b, that shows the same: top, left, height, width as shares. At most
        one of the two is not :data:`WHOLE`.
    n_left_out : int
        Pairs whose window was not aligned because of WINDOWS_PER_IMAGE.
    """

    structure: NDArray[np.float64]
    orientation: NDArray[np.int8]
    window_a: NDArray[np.float64]
    window_b: NDArray[np.float64]
    n_left_out: int = 0

    @property
    def cropped(self) -> NDArray[np.bool_]:
        """Whether one picture is a part of the other, for each pair."""
        partial: NDArray[np.bool_] = np.minimum(self.window_a, self.window_b)[:, 2:].min(axis=1, initial=1) < 1
        return partial


@dataclass(frozen=True)
class _Searches:
    # Windows to be looked for: of the picture `container` in the pair `pair`, sorted by container and aspect.
    pair: Rows
    container: Rows
    content: Rows
    orientation: NDArray[np.int8]  # turns the content as the container lies
    wider: NDArray[np.float64]  # width / height of the window, as shares
    likeness: NDArray[np.float32]
    windows: NDArray[np.float32]

    def take(self, rows: NDArray[np.intp]) -> _Searches:
        return _Searches(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def measure_structure(
    grey: NDArray[np.uint8],
    aspects: NDArray[np.float64],
    rows_a: Rows,
    rows_b: Rows,
    *,
    scheduler: Scheduler = None,
) -> Structures:
    """Return how well the grey pictures of each pair agree and how they lie on each other.

    Parameters
    ----------
    grey : ndarray of shape (n_pictures, 64, 64), uint8
        Upright thumbnails.
    aspects : ndarray of shape (n_pictures,), float64
        Width divided by height of the upright pictures.
    rows_a, rows_b : ndarray of int, shape (n_pairs,)
        Positions in ``grey``.
    scheduler : str, optional
        A dask scheduler; the active one where not given, threads where there is none. The result is the same.
    """
    flat = _flat_pictures(grey)
    structure, orientation = _compare_whole(grey, flat, rows_a, rows_b, scheduler)
    windows = np.tile(np.array(WHOLE), (2, len(rows_a), 1))
    # NaN, a flat picture, is left alone as well.
    open_pairs = np.flatnonzero(structure < SAME_PICTURE)
    searches = _searches_of(open_pairs, rows_a, rows_b, orientation, aspects)
    searches = _find_windows(grey, aspects, searches, scheduler)
    searches, n_left_out = _most_alike(searches, rows_a, rows_b)
    better = _compare_windows(grey, searches, scheduler)
    for score, window, row in zip(better[0], better[1], range(len(searches.pair)), strict=True):
        pair = searches.pair[row]
        if score > structure[pair]:
            in_b = int(searches.container[row] != rows_a[pair])
            structure[pair] = score
            windows[in_b, pair] = window
            turn = searches.orientation[row]
            orientation[pair] = turn if in_b else _INVERSE[turn]
    return Structures(structure, orientation, windows[0], windows[1], n_left_out)


def _flat_pictures(grey: NDArray[np.uint8]) -> NDArray[np.bool_]:
    flat = np.empty(len(grey), bool)
    for start in range(0, len(grey), BATCH_PAIRS):
        batch = slice(start, start + BATCH_PAIRS)
        flat[batch] = detail_levels(shrink(grey[batch], SIDE)) < FLAT_DETAIL
    return flat


def _tasks(n_rows: int, per_task: int = TASK_PAIRS) -> list[slice]:
    return [slice(start, start + per_task) for start in range(0, n_rows, per_task)]


def _compare_whole(
    grey: NDArray[np.uint8], flat: NDArray[np.bool_], rows_a: Rows, rows_b: Rows, scheduler: Scheduler
) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    arguments = [(rows_a[part], rows_b[part]) for part in _tasks(len(rows_a))]
    parts = run_tasks(_whole_agreement, (grey, waves_of(grey), flat), arguments, scheduler)
    return (
        np.concatenate([np.empty(0), *(part[0] for part in parts)]),
        np.concatenate([np.empty(0, np.int8), *(part[1] for part in parts)]),
    )


def _whole_agreement(
    grey: NDArray[np.uint8], waves: Waves, flat: NDArray[np.bool_], rows_a: Rows, rows_b: Rows
) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    likeness = pair_likeness(waves, rows_a, rows_b)
    orientation = likeness.argmax(axis=1).astype(np.int8)
    structure = np.clip(likeness.max(axis=1), 0, LIKE_ENOUGH).astype(np.float64)
    structure[flat[rows_a] | flat[rows_b]] = np.nan
    alike = np.flatnonzero(structure >= LIKE_ENOUGH)
    for part in _tasks(len(alike), BATCH_PAIRS):
        chosen = alike[part]
        first = _turned(shrink(grey[rows_a[chosen]], SIDE), orientation[chosen])
        structure[chosen] = agreement(first, shrink(grey[rows_b[chosen]], SIDE))
    return structure, orientation


def _turned(pictures: NDArray[np.float32], orientation: NDArray[np.int8]) -> NDArray[np.float32]:
    for number in range(1, N_ORIENTATIONS):
        chosen = orientation == number
        if chosen.any():
            pictures[chosen] = orient(pictures[chosen], number)
    return pictures


def _searches_of(
    pairs: Rows, rows_a: Rows, rows_b: Rows, orientation: NDArray[np.int8], aspects: NDArray[np.float64]
) -> _Searches:
    # Each picture in the other, and not only in the orientation that is best for the whole pictures: a crop has
    # little in common with the whole, so that its best orientation may be chance. Upright is the commonest.
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
    possible = np.flatnonzero(steps != NO_ASPECT)
    order = possible[np.lexsort((pair[possible], steps[possible], container[possible]))]
    empty = np.zeros(len(pair), np.float32)
    found = _Searches(pair, container, content, turn, wider, empty, np.zeros((len(pair), 4), np.float32))
    return found.take(order)


def _find_windows(
    grey: NDArray[np.uint8], aspects: NDArray[np.float64], searches: _Searches, scheduler: Scheduler
) -> _Searches:
    steps = aspect_steps(np.ones_like(searches.wider), searches.wider)
    arguments = [
        (searches.container[part], searches.content[part], searches.orientation[part], steps[part])
        for part in _tasks(len(steps))
    ]
    parts = run_tasks(search_windows, (grey, contents_of(grey)), arguments, scheduler)
    likeness = np.concatenate([searches.likeness[:0], *(part[0] for part in parts)])
    windows = np.concatenate([searches.windows[:0], *(part[1] for part in parts)])
    # The best window of each pair: pairs in order, the most alike first, then as sorted before.
    order = np.lexsort((np.arange(len(likeness)), -likeness, searches.pair))
    first = np.ones(len(order), bool)
    first[1:] = np.diff(searches.pair[order]) != 0
    chosen = order[first & (likeness[order] >= WINDOW_LIKE_ENOUGH)]
    fields = {**vars(searches), "likeness": likeness, "windows": windows}
    return _Searches(**fields).take(chosen)


def _most_alike(searches: _Searches, rows_a: Rows, rows_b: Rows) -> tuple[_Searches, int]:
    order = np.argsort(-searches.likeness, kind="stable")
    pair = searches.pair[order]
    both = pd.Series(np.stack([rows_a[pair], rows_b[pair]], axis=1).ravel())
    rank = both.groupby(both).cumcount().to_numpy().reshape(-1, 2).min(axis=1)
    kept = np.sort(order[rank < WINDOWS_PER_IMAGE])
    return searches.take(kept), len(order) - len(kept)


def _compare_windows(
    grey: NDArray[np.uint8], searches: _Searches, scheduler: Scheduler
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    arguments = [
        (
            searches.container[part],
            searches.content[part],
            searches.orientation[part],
            searches.windows[part],
            searches.wider[part],
        )
        for part in _tasks(len(searches.pair), TASK_WINDOWS)
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
    for part in _tasks(len(container), BATCH_WINDOWS):
        holding = grey[container[part]].astype(np.float32)
        held = _turned(grey[content[part]].astype(np.float32), orientation[part])
        refined = refine_windows(holding, held, windows[part], wider[part].astype(np.float32))
        score[part] = agreement(*aligned_pictures(holding, held, refined))
        found[part] = refined
    return score, found
