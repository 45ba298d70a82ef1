"""What the functions on pairs accept, checked before any work: one clear line each."""

from __future__ import annotations

import math
import numbers
import os

import numpy as np
import pandas as pd
from dask.system import CPU_COUNT
from numpy.typing import ArrayLike, NDArray

from dupkit.pairs.projection import LONG, SHORT
from dupkit.pairs.sieve import BUFFER_BYTES

BYTES_PER_IMAGE = 2 * 4 * (2 * SHORT + LONG + 6)
"""Of the features of an image, held twice while they are sorted into tiles."""

BYTES_PER_PAIR = 200
"""Of a pair, from the search to the finished table (measured)."""


def split_old(
    histograms: pd.DataFrame, against: pd.DataFrame | None, old_ids: ArrayLike | None
) -> list[NDArray[np.intp]]:
    """Return the positions of the new images and, if any, of the old ones."""
    everywhere = np.arange(len(histograms))
    if against is not None and old_ids is not None:
        msg = "against and old_ids: expected one of them, but got both; drop one"
        raise ValueError(msg)
    if against is not None:
        shared = histograms.index.intersection(against.index)
        if len(shared):
            msg = (
                f"against: image_id {shared[0]} is in both tables; they share one numbering: scan both folders in one "
                "run (reference=), or add an offset to the image_ids of one scan"
            )
            raise ValueError(msg)
        ours, theirs = histograms.attrs.get("sampling"), against.attrs.get("sampling")
        if ours and theirs and ours != theirs:
            msg = f"against: its sampling is {theirs!r}, but that of histograms is {ours!r}; compute both alike"
            raise ValueError(msg)
        return [everywhere, np.arange(len(histograms), len(histograms) + len(against))]
    if old_ids is None:
        return [everywhere]
    wanted = np.unique(np.atleast_1d(np.asarray(old_ids)))
    positions = histograms.index.get_indexer(pd.Index(wanted))
    if (positions < 0).any():
        msg = f"old_ids: image_id {wanted[positions < 0][0]} is not in the histograms table; only readable images are"
        raise ValueError(msg)
    is_old = np.zeros(len(histograms), dtype=bool)
    is_old[positions] = True
    return [everywhere[~is_old], everywhere[is_old]]


def check_bound(value: object, name: str = "max_rms") -> float:
    """Return a bound of distances as a float; raise unless it is a finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        msg = f"{name}: expected a number above 0, but got {value!r}"
        raise ValueError(msg)
    number = float(value)
    if not (math.isfinite(number) and number > 0):
        msg = f"{name}: expected a finite number above 0, but got {value!r}; below is strict, so 0 would find nothing"
        raise ValueError(msg)
    return number


def check_whole(value: object, name: str, words: str) -> None:
    """Raise unless a number is None or whole and at least 1."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        msg = f"{name}: expected a whole number of {words}, 1 or more, but got {value!r}"
        raise ValueError(msg)


def machine_memory() -> int:
    """Return the machine's memory in bytes; 4 GiB where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 4 << 30


def pairs_in(memory: int, n_images: int) -> int:
    """Return how many pairs fit into memory beside the features and the buffers of the tasks."""
    fixed = n_images * BYTES_PER_IMAGE + 4 * BUFFER_BYTES * CPU_COUNT
    if memory < fixed + BYTES_PER_PAIR:
        msg = (
            f"max_memory: {memory:,} bytes are too few for {n_images:,} images; "
            f"give at least {fixed + 1000 * BYTES_PER_PAIR:,}, or search fewer images"
        )
        raise ValueError(msg)
    return (memory - fixed) // (2 * BYTES_PER_PAIR)
