"""Short features of histograms whose distances never exceed the histograms' own: what discards most pairs cheaply.

A feature row holds the leading components of a row and, last, the length of what those components leave out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dupkit.pairs.measures import Measure
from dupkit.schema import CHANNEL_SUM, CHANNEL_SUM_TOLERANCE, N_BINS

SHORT = 24
"""Leading components that tiles, boxes and the first products use (measured: see benchmarks/pairs.py)."""

LONG = 64
"""Leading components that the second look at a pair uses."""

SAMPLE_ROWS = 512
"""Rows that the components are taken from; more of them discard hardly more pairs."""

FEATURE_ERROR = 2.0**-19
"""A feature row lies within FEATURE_ERROR times its length of the exact one; derived in :func:`project`."""

BLOCK_ROWS = 512
"""Rows transformed and projected at once: 3 MiB of float64."""

_SUM_ROUNDING = 32.0
"""More than a float32 sum of 256 bins can be off: 256 * 2^-24 * 480,256 = 7.4 pixels."""


class Rows:
    """The rows of one or two histograms tables, read by position, without copying them into one.

    Attributes
    ----------
    ids : ndarray of shape (n_rows,), int64
        image_id of each position: the first table's, then the second's.
    measure : Measure
        What :meth:`take` transforms rows by.
    """

    def __init__(self, tables: Sequence[pd.DataFrame], measure: Measure) -> None:
        self.parts = [np.ascontiguousarray(table.to_numpy(), dtype=np.float32) for table in tables]
        self.ids = np.concatenate([table.index.to_numpy(dtype=np.int64) for table in tables])
        self.measure = measure
        self._kept: NDArray[np.float64] | None = None
        self._complete = False

    def __len__(self) -> int:
        return len(self.ids)

    def keep_transformed(self) -> None:
        """Hold every row that :meth:`transformed` returns (6 KiB an image): worth it where the transform is slow."""
        self._kept = np.empty((len(self), N_BINS))

    def use_kept(self) -> None:
        """Let :meth:`take` read the held rows: every row was transformed."""
        self._complete = self._kept is not None

    def stored(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return the rows as the tables hold them, from one position up to another."""
        if len(self.parts) == 1:
            return self.parts[0][start:stop]
        return self.stored_at(np.arange(start, min(stop, len(self))))

    def transformed(self, start: int, stop: int) -> NDArray[np.float64]:
        """Return the transformed rows from one position up to another."""
        rows = self.measure.transform(self.stored(start, stop))
        if self._kept is not None:
            self._kept[start:stop] = rows
        return rows

    def take(self, positions: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the transformed rows at some positions, shape (m, 768)."""
        if self._complete and self._kept is not None:
            return self._kept.take(positions, axis=0)
        return self.measure.transform(self.stored_at(positions))

    def stored_at(self, positions: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return the rows at some positions as the tables hold them, shape (m, 768)."""
        if len(self.parts) == 1:
            return self.parts[0].take(positions, axis=0)
        rows = np.empty((len(positions), N_BINS), dtype=np.float32)
        first = len(self.parts[0])
        in_first = positions < first
        rows[in_first] = self.parts[0][positions[in_first]]
        rows[~in_first] = self.parts[1][positions[~in_first] - first]
        return rows


@dataclass(frozen=True)
class Basis:
    """A centre and orthonormal directions, the leading components of a sample.

    Attributes
    ----------
    centre : ndarray of shape (768,), float64
    directions : ndarray of shape (768, LONG), float64, orthonormal columns, leading component first
    """

    centre: NDArray[np.float64]
    directions: NDArray[np.float64]


def leading_components(sample: NDArray[np.float64], *, seed: int = 0) -> Basis:
    """Return the leading components of a sample of transformed rows, by subspace iteration.

    Any orthonormal directions give the right pairs; the leading ones discard the most.

    Parameters
    ----------
    sample : ndarray of shape (m, 768), float64
    seed : int
        Of the directions that the iteration starts from.
    """
    centre = sample.mean(axis=0) if len(sample) else np.zeros(N_BINS)
    rows = sample - centre
    directions = np.random.default_rng(seed).standard_normal((N_BINS, LONG))
    for _ in range(3):
        directions = np.linalg.qr(rows.T @ (rows @ np.linalg.qr(directions)[0]))[0]
    spread = rows @ directions
    _, turn = np.linalg.eigh(spread.T @ spread)
    # The product of two orthonormal matrices is orthonormal up to rounding; QR leaves 1e-15 of that.
    directions = np.linalg.qr(directions @ turn[:, ::-1])[0]
    return Basis(centre, directions)


def project(rows: NDArray[np.float64], basis: Basis) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the short and the long features of transformed rows.

    Returns
    -------
    short : ndarray of shape (m, SHORT + 1), float32
    long : ndarray of shape (m, LONG + 1), float32

    Notes
    -----
    Let c = row - centre, P the orthogonal projection onto the directions and z = (P c, |c - P c|). For two rows,
    |z1 - z2|^2 = |P c1 - P c2|^2 + (|R c1| - |R c2|)^2 <= |P (c1 - c2)|^2 + |R (c1 - c2)|^2 = |row1 - row2|^2
    by the triangle inequality in the complement (R = 1 - P): a distance of features never exceeds the distance of
    the rows. And |z| = |c|.

    What is stored differs from z by at most FEATURE_ERROR |z|. With v = 2^-53: sums of 768 products are off by
    768 v |c| = 8.6e-14 |c| in each of at most 64 components, 6.9e-13 |c| together; the rounding of c and directions
    orthonormal to 1e-14 add less than 1e-13 |c|. So |P c|^2 is off by less than 1.6e-12 |c|^2, and the squared
    remainder |c|^2 - |P c|^2, with the rounding of its two sums (2 * 832 v = 1.9e-13), by less than 1.8e-12 |c|^2. As
    |sqrt(x + e) - sqrt(x)| <= sqrt(|e|), its root is off by less than 1.35e-6 |c|. Rounding to float32 adds 2^-24 =
    6e-8 of each number. Together less than 1.45e-6 |z|; FEATURE_ERROR is 1.9e-6.
    """
    centred = rows - basis.centre
    components = centred @ basis.directions
    length = np.einsum("ij,ij->i", centred, centred)
    features = []
    for n_components in (SHORT, LONG):
        lead = components[:, :n_components]
        rest = np.sqrt(np.maximum(length - np.einsum("ij,ij->i", lead, lead), 0))
        features.append(np.column_stack([lead, rest]).astype(np.float32))
    return features[0], features[1]


def plausible(rows: NDArray[np.float32]) -> bool:
    """Return whether rows of a histograms table are surely valid; if not, schema.check_histograms has the last word.

    Two quick float32 passes instead of several in float64; a NaN or infinity makes a sum fail its comparison.
    """
    if not len(rows):
        return True
    channels = np.repeat(np.eye(3, dtype=np.float32), N_BINS // 3, axis=0)
    with np.errstate(invalid="ignore", over="ignore"):
        off = np.abs(rows @ channels - np.float32(CHANNEL_SUM))
    return bool((off < CHANNEL_SUM_TOLERANCE - _SUM_ROUNDING).all()) and bool(rows.min() >= 0)
