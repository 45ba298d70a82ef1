"""Images sorted into tiles by a k-d split of their features, each tile with its bounding box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SPREAD_ROWS = 256
"""Rows of a part that its widest dimension is judged by: the choice only affects speed."""


@dataclass(frozen=True)
class Tiles:
    """Consecutive runs of an order of rows, and the box that each run's features fill.

    Attributes
    ----------
    order : ndarray of shape (n_rows,), intp
        Row position of each place in the order.
    starts : ndarray of shape (n_tiles + 1,), intp
        Tile t holds the places starts[t] up to starts[t + 1].
    low, high : ndarray of shape (n_tiles, n_features), float32
        Smallest and largest features of each tile's rows.
    """

    order: NDArray[np.intp]
    starts: NDArray[np.intp]
    low: NDArray[np.float32]
    high: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.low)


def split(features: NDArray[np.float32], rows: NDArray[np.intp], size: int) -> tuple[NDArray[np.intp], list[int]]:
    """Return rows in k-d order and the length of each tile: halves along the widest dimension, until `size` fits.

    Parameters
    ----------
    features : ndarray of shape (n_rows, n_features), float32
    rows : ndarray of intp
        Positions of the rows to sort.
    size : int
        Most rows of a tile.
    """
    order = rows.copy()
    lengths: list[int] = []
    waiting = [(0, len(order))]
    while waiting:
        start, stop = waiting.pop()
        n_rows = stop - start
        if n_rows <= size:
            if n_rows:
                lengths.append(n_rows)
            continue
        part = order[start:stop]
        # Standard deviation, not range: one stray image would otherwise choose the dimension for all (measured).
        dimension = int(np.argmax(features[part[:: -(-n_rows // SPREAD_ROWS)]].std(axis=0)))
        # Halves that are multiples of the tile size leave full tiles.
        n_tiles = -(-n_rows // size)
        middle = (n_tiles // 2) * size
        order[start:stop] = part[np.argpartition(features[part, dimension], middle)]
        waiting += [(start + middle, stop), (start, start + middle)]
    return order, lengths


def make_tiles(features: NDArray[np.float32], parts: Sequence[NDArray[np.intp]], size: int) -> Tiles:
    """Return the tiles of several parts of the rows, part after part: no tile holds rows of two parts."""
    orders, lengths = [], []
    for part in parts:
        order, part_lengths = split(features, part, size)
        orders.append(order)
        lengths += part_lengths
    whole = np.concatenate(orders)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.intp)
    if not lengths:
        nothing = np.empty((0, features.shape[1]), dtype=np.float32)
        return Tiles(whole, starts, nothing, nothing)
    sorted_features = features[whole]
    return Tiles(
        whole,
        starts,
        np.minimum.reduceat(sorted_features, starts[:-1]),
        np.maximum.reduceat(sorted_features, starts[:-1]),
    )
