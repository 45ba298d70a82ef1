"""The sieve: discard, tile by tile, nearly all pairs that lie beyond a radius, and never one within it.

Four looks at a pair, each cheaper per pair than the next: the boxes of two tiles; the box of one tile against each row;
a low-dimensional float32 matrix product; the long features by difference. What passes is measured by the definition.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dupkit.pairs.projection import FEATURE_ERROR, SHORT
from dupkit.pairs.running import Arrays
from dupkit.pairs.tiles import Tiles
from dupkit.schema import N_BINS

BUFFER_BYTES = 2 << 20
"""Of one block of products: it stays in the caches of a core, and every look at it is at their speed (measured)."""

PIECE_PAIRS = 2048
"""Pairs whose long features are compared at once: half a megabyte."""

STAGES = ("tiles", "boxes", "products", "features")
"""The looks at a pair, in order."""

UNIT_ROUNDOFF = 2.0**-24
"""Largest relative rounding error of a float32 operation."""

_SLACK = 2.0**-18
"""Share by which a squared radius is widened to absorb FEATURE_ERROR; see :func:`products_shrink`."""

_FLOOR = 1e-30
"""Least squared radius: far above what float32 underflow can add to a sum, far below any two different rows."""

_CEILING = 1e30
"""Largest squared radius: beyond the largest squared distance of two histograms (1.4e12), within float32."""


def squared_radius(rms: Any) -> Any:
    """Return the squared Euclidean distance of two transformed rows at an RMS, at most _CEILING.

    Parameters
    ----------
    rms : float or ndarray of float64
    """
    within = np.minimum(rms, math.sqrt(_CEILING / N_BINS))
    return N_BINS * within * within


def _rounded_up(number: Any) -> Any:
    within = np.clip(number, _FLOOR, _CEILING)
    return np.nextafter(np.float32(within), np.float32(np.inf))


def products_shrink(n_features: int) -> float:
    """Return the share eta that the squared length of a feature row is shrunk by in the products.

    Notes
    -----
    Let z and w be the stored features (float32) of two rows whose true distance is D, e = FEATURE_ERROR, u = 2^-24,
    N = |z|^2 + |w|^2. As z and w lie within e |z| and e |w| of features whose distance is at most D
    (:func:`dupkit.pairs.projection.project`),

        |z - w| <= D + e (|z| + |w|),  (|z| + |w|)^2 <= 2 N,  and for every t > 0
        |z - w|^2 <= (1 + t) D^2 + (1 + 1/t) 2 e^2 N.                                               (1)

    The product of the rows (-2 z, s_z, 1) and (w, 1, s_w) with s = |z|^2 (1 - eta), rounded down, is in exact numbers
    at most |z - w|^2 - eta N. A float32 product of n = n_features + 2 terms, in any order, with or without fused
    operations, is off by at most g (2 sum |z_k w_k| + s_z + s_w) <= 2 g N with g = n u / (1 - n u). So the computed
    product p satisfies

        p <= (1 + t) D^2 + ((1 + 1/t) 2 e^2 + 2 g - eta) N,

    and with eta = (1 + 1/t) 2 e^2 + 2 g, widened by 2^-10 of itself for the lengths (float64, and of the stored
    instead of the exact features), p <= (1 + t) D^2: a pair with p beyond (1 + t) T^2 has D > T. Here t = _SLACK.
    """
    n_terms = n_features + 2
    products = n_terms * UNIT_ROUNDOFF / (1 - n_terms * UNIT_ROUNDOFF)
    features = (1 + 1 / _SLACK) * 2 * FEATURE_ERROR**2
    return (features + 2 * products) * (1 + 2.0**-10)


def products_bound(squared: Any) -> Any:
    """Return the largest product that a pair within a radius can have: (1 + t) T^2, rounded up.

    T^2 is widened by t once more, which covers the rounding of the distance itself (relative 1e-13).

    Parameters
    ----------
    squared : float or ndarray of float64
        T^2: of the distance of two transformed rows.
    """
    return _rounded_up(squared * (1 + 2 * _SLACK))


def features_bound(squared: Any, longest: float) -> Any:
    """Return the largest squared distance of two feature rows, or of a row and a box, within a radius.

    Parameters
    ----------
    squared : float or ndarray of float64
        T^2: of the distance of two transformed rows.
    longest : float
        Length of the longest feature row.

    Notes
    -----
    By (1) in :func:`products_shrink`, |z - w| <= T + 2 e longest. The distance of a row to a box, or of two boxes,
    never exceeds that of the rows. The float32 sum of LONG + 1 squared differences is off by at most LONG + 4 relative
    roundings: 68 * 2^-24 = 4.1e-6 < 2^-17 = 7.6e-6.
    """
    radius = np.sqrt(squared) * (1 + _SLACK) + 2 * FEATURE_ERROR * longest
    return _rounded_up(radius * radius * (1 + 2.0**-17))


def left_factor(right: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (-2 z, s_z, 1) of rows given as (z, 1, s_z): the left factor of the products. Doubling is exact."""
    left = right * np.float32(-2)
    left[:, -2] = right[:, -1]
    left[:, -1] = 1
    return left


@dataclass(frozen=True)
class Sieve:
    """The features of all rows in tile order, ready for searching: a few hundred bytes an image.

    Attributes
    ----------
    starts, low, high
        The tiles (see :class:`dupkit.pairs.tiles.Tiles`).
    right : ndarray of shape (n_rows, SHORT + 3), float32
        (w, 1, s_w) of each row: the right factor of the products.
    long : ndarray of shape (n_rows, LONG + 1), float32
    longest : float
        Length of the longest feature row.
    """

    starts: NDArray[np.intp]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    right: NDArray[np.float32]
    long: NDArray[np.float32]
    longest: float

    @classmethod
    def build(cls, tiles: Tiles, short: NDArray[np.float32], long: NDArray[np.float32]) -> Sieve:
        """Return the sieve of features (in the rows' own order) and their tiles."""
        features = short[tiles.order]
        lengths = np.einsum("ij,ij->i", features, features, dtype=np.float64)
        shrunk = (lengths * (1 - products_shrink(SHORT + 1))).astype(np.float32)
        down = np.nextafter(shrunk, np.float32(-1), dtype=np.float32)
        ones = np.ones(len(features), dtype=np.float32)
        longest = float(np.sqrt(lengths.max(initial=0.0))) * (1 + 2.0**-20)
        return cls(
            tiles.starts, tiles.low, tiles.high, np.column_stack([features, ones, down]), long[tiles.order], longest
        )

    @classmethod
    def of_arrays(cls, arrays: Arrays) -> Sieve:
        """Return the sieve that :meth:`arrays` took apart."""
        longest = float(arrays["longest"])
        return cls(arrays["starts"], arrays["low"], arrays["high"], arrays["right"], arrays["long"], longest)

    def arrays(self) -> Arrays:
        """Return all of it as named arrays, for tasks of other processes."""
        named = {name: getattr(self, name) for name in ("starts", "low", "high", "right", "long")}
        return {**named, "longest": np.array(self.longest)}

    def __len__(self) -> int:
        return len(self.low)

    def n_pairs(self, tile: int) -> int:
        """Return how many pairs a tile has with itself and all later tiles."""
        n_rows = int(self.starts[tile + 1] - self.starts[tile])
        return n_rows * (n_rows - 1) // 2 + n_rows * int(self.starts[-1] - self.starts[tile + 1])

    def search(
        self, tile: int, squared: float, buffer: NDArray[np.float32], left: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Yield the pairs of a tile with itself and all later tiles that may lie within a radius, block by block.

        Parameters
        ----------
        tile : int
            The tile.
        squared : float
            T^2, of the distance of two transformed rows.
        buffer : ndarray of float32
            Room for a block of products.
        left : ndarray of shape (4,), int64
            The pairs that are left after each of :data:`STAGES` are added here.

        Yields
        ------
        first, second : ndarray of intp
            Places in tile order, first < second.
        """
        start, stop = int(self.starts[tile]), int(self.starts[tile + 1])
        bound = features_bound(squared, self.longest)
        columns = self.columns_near(tile, bound, from_tile=tile)
        # Pairs of the tile with itself count once, not twice, and not an image with itself.
        left[0] += len(columns) * (stop - start) - (stop - start) * (stop - start + 1) // 2
        right = self.right.take(columns, axis=0)
        near = self.beside_box(right[:, : SHORT + 1], tile) <= bound
        columns, right = columns[near], right[near]
        left[1] += len(columns) * (stop - start) - (stop - start) * (stop - start + 1) // 2
        rows = left_factor(self.right[start:stop])
        limit = products_bound(squared)
        n_rows = min(len(rows), max(1, int(len(buffer) ** 0.5)))
        n_columns = max(1, len(buffer) // n_rows)
        for row in range(0, len(rows), n_rows):
            for column in range(0, len(columns), n_columns):
                some, block = rows[row : row + n_rows], right[column : column + n_columns]
                products = buffer[: len(some) * len(block)].reshape(len(some), len(block))
                np.matmul(some, block.T, out=products)
                first, second = np.divmod(np.flatnonzero(products <= limit), len(block))
                first += start + row
                second = columns[column + second]
                later = second > first
                first, second = first[later], second[later]
                left[2] += len(first)
                for piece in range(0, len(first), PIECE_PAIRS):
                    some_first, some_second = first[piece : piece + PIECE_PAIRS], second[piece : piece + PIECE_PAIRS]
                    within = self.apart(some_first, some_second) <= bound
                    left[3] += np.count_nonzero(within)
                    yield some_first[within], some_second[within]

    def columns_near(self, tile: int, bound: np.float32, *, from_tile: int) -> NDArray[np.intp]:
        """Return the places of the tiles, from one on, whose boxes lie within a squared distance of a tile's box."""
        low, high = self.low[from_tile:], self.high[from_tile:]
        gap = np.maximum(low - self.high[tile], self.low[tile] - high)
        np.maximum(gap, 0, out=gap)
        near = np.einsum("ij,ij->i", gap, gap) <= bound
        columns: NDArray[np.intp] = np.flatnonzero(np.repeat(near, np.diff(self.starts[from_tile:])))
        columns += self.starts[from_tile]
        return columns

    def beside_box(self, features: NDArray[np.float32], tile: int) -> NDArray[np.float32]:
        """Return the squared distance of short features from a tile's box; 0 inside it."""
        away = np.maximum(features, self.low[tile])
        np.minimum(away, self.high[tile], out=away)
        np.subtract(features, away, out=away)
        squares: NDArray[np.float32] = np.einsum("ij,ij->i", away, away)
        return squares

    def apart(self, first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return the squared distance of the long features of pairs of places."""
        apart = self.long.take(first, axis=0)
        apart -= self.long.take(second, axis=0)
        squares: NDArray[np.float32] = np.einsum("ij,ij->i", apart, apart)
        return squares
