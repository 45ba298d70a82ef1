"""The pairs found so far, and the bound that falls when there are more of them than may be held."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Found = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]
"""Two positions and the distance of each pair."""


class ClosestPairs:
    """Every pair below a bound; the bound falls to the max_pairs-th smallest distance when there are more.

    What :meth:`finish` returns does not depend on the order in which the pairs were added: with more than max_pairs
    pairs below the requested bound it is every pair below the max_pairs-th smallest distance of all.

    Parameters
    ----------
    bound : float
        Exclusive.
    max_pairs : int
        Most pairs to hold, at least 1.

    Attributes
    ----------
    bound : float
        A pair at or beyond it need not be added.
    lowered : bool
        Whether more than max_pairs pairs were added.
    """

    def __init__(self, bound: float, max_pairs: int) -> None:
        self.bound = bound
        self.lowered = False
        self._max_pairs = max_pairs
        # Trimming costs a pass over what is held: a quarter more of it first.
        self._room = max_pairs + max(max_pairs // 4, 4096)
        self._parts: list[Found] = []
        self._n_held = 0

    def add(self, first: NDArray[np.int64], second: NDArray[np.int64], rms: NDArray[np.float64]) -> None:
        """Add pairs whose distance is below the bound that held when they were looked for."""
        self._parts.append((first, second, rms))
        self._n_held += len(rms)
        if self._n_held > self._room:
            self._trim()

    def lower(self, bound: float) -> None:
        """Lower the bound to one that more than max_pairs pairs lie at or below, as a part of the search found."""
        if bound < self.bound:
            self.bound = bound
            self.lowered = True

    def finish(self) -> Found:
        """Return the pairs below the bound that was reached, in no order."""
        first, second, rms = self.held()
        if self.lowered:
            # All that is held lies below the (max_pairs + 1)-th smallest distance. With fewer held than max_pairs, that
            # is the max_pairs-th smallest, too: equal distances.
            if len(rms) == self._max_pairs:
                self.bound = float(rms.max())
            below = rms < self.bound
            first, second, rms = first[below], second[below], rms[below]
        return first, second, rms

    def held(self) -> Found:
        """Return the pairs that were added and lie below the bound, which may fall first."""
        self._trim()
        return self._joined()

    def _joined(self) -> Found:
        if len(self._parts) != 1:
            nothing = np.empty(0, dtype=np.int64)
            parts = [(nothing, nothing, np.empty(0)), *self._parts]
            self._parts = [tuple(np.concatenate(column) for column in zip(*parts, strict=True))]  # type: ignore[list-item]
        return self._parts[0]

    def _trim(self) -> None:
        first, second, rms = self._joined()
        below = rms < self.bound
        if np.count_nonzero(below) > self._max_pairs:
            self.bound = float(np.partition(rms, self._max_pairs)[self._max_pairs])
            self.lowered = True
            below = rms < self.bound
        self._parts = [(first[below], second[below], rms[below])]
        self._n_held = len(self._parts[0][2])
