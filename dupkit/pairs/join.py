"""Every pair of images whose distance lies below a bound, exactly."""

from __future__ import annotations

import math
from collections.abc import Callable

import dask
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from dupkit.pairs.distance import root_mean_squares
from dupkit.pairs.measures import Measure, get_measure
from dupkit.schema import N_BINS, build_table, check_histograms


def candidate_pairs(
    histograms: pd.DataFrame,
    *,
    max_rms: float | None = None,
    measure: str = "rms",
    against: pd.DataFrame | None = None,
    old_ids: ArrayLike | None = None,
    max_pairs: int = 5_000_000,
    max_memory: int | None = None,
    tile_size: int | None = None,
    scheduler: str | None = None,
    progress: bool = True,
    stop: Callable[[], bool] | None = None,
) -> pd.DataFrame:
    """Return every pair of images whose distance is below a bound.

    Parameters
    ----------
    histograms : DataFrame
        The histograms table.
    max_rms : float, optional
        The bound, exclusive; the measure's own where not given (rms: 1000).
    measure : str
        A key of :data:`dupkit.pairs.measures.MEASURES`.
    tile_size : int, optional
        Images in a tile; the answer does not depend on it.
    scheduler : str, optional
        A dask scheduler; the active one where not given.

    Returns
    -------
    DataFrame
        The pairs table, sorted by rms, image_a, image_b.
    """
    chosen = get_measure(measure)
    bound = chosen.max_rms if max_rms is None else float(max_rms)
    if not (math.isfinite(bound) and bound > 0):
        msg = f"max_rms: expected a positive number, but got {max_rms!r}"
        raise ValueError(msg)
    check_histograms(histograms)
    values = histograms.to_numpy()
    ids = histograms.index.to_numpy()
    size = tile_size or 512
    starts = range(0, len(values), size)
    task = dask.delayed(_pairs_of_tiles)
    tasks = [task(values, chosen, a, b, size, bound) for a in starts for b in starts if b >= a]
    with threadpool_limits(1):
        found = dask.compute(*tasks, scheduler=scheduler or "threads")
    first = np.concatenate([np.empty(0, dtype=np.int64), *(part[0] for part in found)])
    second = np.concatenate([np.empty(0, dtype=np.int64), *(part[1] for part in found)])
    rms = np.concatenate([np.empty(0), *(part[2] for part in found)])
    return pairs_table(
        np.minimum(ids[first], ids[second]),
        np.maximum(ids[first], ids[second]),
        rms,
        chosen,
        {
            **histograms.attrs,
            "max_rms": bound,
            "requested_max_rms": bound,
            "measure": measure,
            "n_images": len(values),
            "complete": True,
        },
    )


def pairs_table(
    image_a: NDArray[np.int64], image_b: NDArray[np.int64], rms: NDArray[np.float64], measure: Measure, attrs: object
) -> pd.DataFrame:
    """Return the pairs table, sorted by rms, image_a, image_b."""
    order = np.lexsort((image_b, image_a, rms))
    n_pairs = len(order)
    rms = rms[order]
    return build_table(
        "pairs",
        {
            "image_a": image_a[order],
            "image_b": image_b[order],
            "rms": rms,
            "kind": pd.array(np.where(rms == 0, "exact", "maybe"), dtype="str"),
            "measure": [measure.name] * n_pairs,
            "proposed_by": [measure.name] * n_pairs,
            "same_bytes": pd.array([pd.NA] * n_pairs, dtype="boolean"),
            "structure": np.full(n_pairs, np.nan),
            "transform": pd.array([pd.NA] * n_pairs, dtype="str"),
            "verdict": pd.array([pd.NA] * n_pairs, dtype="str"),
        },
        attrs=attrs,
    )


def _pairs_of_tiles(
    values: NDArray[np.float32], measure: Measure, start_a: int, start_b: int, size: int, bound: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    rows_a = measure.transform(values[start_a : start_a + size])
    rows_b = measure.transform(values[start_b : start_b + size])
    squares_a = np.einsum("ij,ij->i", rows_a, rows_a)[:, np.newaxis]
    squares_b = np.einsum("ij,ij->i", rows_b, rows_b)
    lower = (squares_a + squares_b - 2 * rows_a @ rows_b.T) - 1e-11 * (squares_a + squares_b)
    i, j = np.nonzero(lower < N_BINS * bound**2 * (1 + 1e-9))
    if start_a == start_b:
        i, j = i[i < j], j[i < j]
    rms = np.empty(len(i))
    for start in range(0, len(i), 64):
        block = slice(start, start + 64)
        rms[block] = root_mean_squares(rows_a[i[block]], rows_b[j[block]])
    below = rms < bound
    return i[below] + start_a, j[below] + start_b, rms[below]
