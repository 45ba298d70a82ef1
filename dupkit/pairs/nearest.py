"""How far each image's nearest neighbour is: what people read a threshold from."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dupkit.pairs.arguments import check_whole, machine_memory
from dupkit.pairs.measures import get_measure
from dupkit.pairs.projection import SHORT, Rows
from dupkit.pairs.running import check_scheduler, in_waves, local_runner, one_blas_thread
from dupkit.pairs.search import TILE_SIZE, Prepared, measure_pairs, prepare
from dupkit.pairs.sieve import BUFFER_BYTES, features_bound, left_factor, products_bound, squared_radius
from dupkit.schema import check_histograms, check_table

GROUP_ROWS = 32
"""Images of a tile that are searched with one radius: those whose nearest neighbours are about equally far."""


def nearest_neighbours(
    histograms: pd.DataFrame,
    *,
    measure: str = "rms",
    tile_size: int | None = None,
    scheduler: Any = None,
    progress: bool = True,
    stop: Callable[[], bool] | None = None,
) -> pd.DataFrame:
    """Return each image's nearest other image, exactly.

    Parameters
    ----------
    histograms : DataFrame
        The histograms table.
    measure : str
        A key of :data:`dupkit.pairs.measures.MEASURES`.
    tile_size : int, optional
        Images in a tile. The answer does not depend on it.
    scheduler : str, optional
        "threads" or "synchronous". This search always runs in this process: with another one, in its threads.
    progress : bool
        Whether to show a progress bar once the search takes longer than half a second.
    stop : callable, optional
        Asked several times a second; once it returns True, the images that were not searched are left out.

    Returns
    -------
    DataFrame
        Index image_id, in the order of ``histograms``; columns ``neighbour`` (int64, its image_id) and ``rms``
        (float64, bit-equal to :func:`dupkit.candidate_pairs`). Of equally near images the one with the smallest
        image_id. No row for a single image.

    Raises
    ------
    ValueError
        The measure or tile size is not allowed, or the table is no histograms table.

    Examples
    --------
    >>> from dupkit.schema import build_histograms
    >>> flat = np.full((3, 768), 1875.0, dtype=np.float32)
    >>> flat[2, :2] = 1875 - 600, 1875 + 600
    >>> nearest_neighbours(build_histograms(flat))["rms"].round(2).tolist()
    [0.0, 0.0, 30.62]
    """
    chosen = get_measure(measure)
    check_scheduler(scheduler)
    check_whole(tile_size, "tile_size", "images in a tile")
    check_table(histograms, "histograms")
    ids = histograms.index.to_numpy(dtype=np.int64)
    nearest = np.full(len(ids), np.inf)
    neighbour = np.full(len(ids), -1, dtype=np.int64)
    if len(ids) > 1:
        rows = Rows([histograms], chosen)
        with one_blas_thread():
            runner = local_runner(scheduler)
            prepared = prepare(
                rows,
                [np.arange(len(rows))],
                check=lambda: check_histograms(histograms),
                tile_size=tile_size,
                runner=runner,
                max_bytes=machine_memory() // 8,
            )
            # The tiles one by one: one with far images takes a thousand times as long as one of near images.
            for tile, (distances, places) in in_waves(
                runner,
                partial(_nearest_of_tile, prepared),
                range(len(prepared.sieve)),
                lambda tile: (tile,),
                words="Nearest neighbours",
                progress=progress,
                stop=stop,
            ):
                positions = prepared.order[prepared.sieve.starts[tile] : prepared.sieve.starts[tile + 1]]
                nearest[positions], neighbour[positions] = distances, ids[prepared.order[places]]
    else:
        check_histograms(histograms)
    found = np.isfinite(nearest)
    index = pd.Index(ids[found], name="image_id")
    return pd.DataFrame({"neighbour": neighbour[found], "rms": nearest[found]}, index=index)


class _Best:
    """The nearest neighbour of each row of a tile so far."""

    def __init__(self, prepared: Prepared, start: int, stop: int) -> None:
        self._prepared = prepared
        self._ids = prepared.rows.ids[prepared.order]
        self._start = start
        self.rms = np.full(stop - start, np.inf)
        self.place = np.full(stop - start, -1, dtype=np.intp)

    def measure(self, row: NDArray[np.intp], place: NDArray[np.intp]) -> None:
        """Measure pairs of a row of the tile and a place, and keep the nearest of each row."""
        if not len(row):
            return
        distances = measure_pairs(self._prepared, row + self._start, place)
        # The last one of a row in this order is its nearest; of equally near ones the smallest image_id.
        order = np.lexsort((-self._ids[place], -distances, row))
        last = order[np.append(np.flatnonzero(np.diff(row[order])), len(order) - 1)]
        at = row[last]
        nearer = (distances[last] < self.rms[at]) | (
            (distances[last] == self.rms[at]) & (self._ids[place[last]] < self._ids[self.place[at]])
        )
        self.rms[at[nearer]] = distances[last[nearer]]
        self.place[at[nearer]] = place[last[nearer]]


def _nearest_of_tile(prepared: Prepared, tile: int) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    sieve = prepared.sieve
    start, stop = int(sieve.starts[tile]), int(sieve.starts[tile + 1])
    best = _Best(prepared, start, stop)
    left = left_factor(sieve.right[start:stop])
    # A near neighbour to begin with, from the places around: in tile order, neighbours stand close together.
    around = np.arange(max(0, start - TILE_SIZE), min(len(prepared.order), stop + TILE_SIZE))
    for row in range(0, stop - start, TILE_SIZE):
        some = np.arange(row, min(row + TILE_SIZE, stop - start))
        products = left[some] @ sieve.right[around].T
        products[some[:, np.newaxis] + start == around] = np.inf
        best.measure(some, around[np.argmin(products, axis=1)])
    buffer = np.empty(BUFFER_BYTES // 4, dtype=np.float32)
    by_radius = np.argsort(best.rms, kind="stable")
    for group in range(0, len(by_radius), GROUP_ROWS):
        _search_group(prepared, tile, by_radius[group : group + GROUP_ROWS], left, best, buffer)
    return best.rms, best.place


def _search_group(
    prepared: Prepared,
    tile: int,
    group: NDArray[np.intp],
    left: NDArray[np.float32],
    best: _Best,
    buffer: NDArray[np.float32],
) -> None:
    sieve = prepared.sieve
    start = int(sieve.starts[tile])
    radius = float(best.rms[group].max())
    bound = features_bound(squared_radius(radius), sieve.longest)
    columns = sieve.columns_near(tile, bound, from_tile=0)
    right = sieve.right.take(columns, axis=0)
    near = sieve.beside_box(right[:, : SHORT + 1], tile) <= bound
    columns, right = columns[near], right[near]
    width = max(1, len(buffer) // len(group))
    for column in range(0, len(columns), width):
        block, places = right[column : column + width], columns[column : column + width]
        products = buffer[: len(group) * len(block)].reshape(len(group), len(block))
        np.matmul(left[group], block.T, out=products)
        limits = products_bound(squared_radius(best.rms[group]))
        row, second = np.nonzero(products <= limits[:, np.newaxis])
        row, second = group[row], places[second]
        other = second != row + start
        row, second = row[other], second[other]
        apart = sieve.apart(row + start, second)
        # The closest by its features first: it lowers the radius for the others.
        first_of_row = np.lexsort((apart, row))
        closest = first_of_row[np.append(True, np.diff(row[first_of_row]) > 0)] if len(row) else first_of_row
        best.measure(row[closest], second[closest])
        rest = apart <= features_bound(squared_radius(best.rms[row]), sieve.longest)
        rest[closest] = False
        best.measure(row[rest], second[rest])
