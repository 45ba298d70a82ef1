"""What decisions teach about thresholds: how precise each band of rms is, and how sure that is.

Pairs are sorted into bands of rms. The decided pairs of a band stand for its undecided ones, which holds where they
were looked at one by one and not picked because they looked right: steps that decide many pairs by a rule count as
known, but say nothing about the others. :func:`choose_next` picks pairs for which it holds by construction.

Notes
-----
``low`` and ``high`` of a band are Wilson's score interval (Wilson, 1927). The false pairs to expect are summed over the
bands, each band's undecided pairs times its share of false ones; their interval recovers the variances from Wilson's
limits on either side (Zou and Donner, 2008), which stays honest where a band has no false pair or few decisions, and
adds the chance of the undecided pairs themselves. A band without decisions lies between its neighbours' limits,
because precision does not rise with rms. Simulated with three or more decisions a band, 86 to 100 % of the intervals
held the truth, 94 % on average; at the first moment with three in each band that has undecided pairs, which is when
the page begins to say it, 90 to 100 %, 96 % on average.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

BANDS_TO_THRESHOLD = 5
"""Bands of rms from 0 to the measure's usual threshold: 100 wide for rms, which forty decisions can still fill."""

Z_95 = 1.959964
"""Standard normal deviate that leaves 2.5 % on either side."""

ENOUGH_IN_BAND = 3
"""Decisions in each band that has undecided pairs from which on the false pairs to expect are worth saying: from there
on the intervals cover what they claim (simulated, see the module's text and its tests)."""

_JEFFREYS = 0.5
_APPROVED, _REJECTED = 1, 2

_SEED = 20_061
"""Any number: it only has to stay the same."""


def band_edges(threshold: float, max_rms: float) -> np.ndarray:
    """Return the edges of the rms bands that precision is estimated in, ascending, float64.

    The first band holds the pairs that are exact or as good as (below 1): they say nothing about the others.

    Parameters
    ----------
    threshold : float
        The measure's usual threshold.
    max_rms : float
        Pairs are stored up to here.

    Examples
    --------
    >>> band_edges(500.0, 250.0).tolist()
    [0.0, 1.0, 100.0, 200.0, 250.0]
    """
    width = threshold / BANDS_TO_THRESHOLD
    inner = np.arange(1, int(np.ceil(max_rms / width)) + 1) * width
    edges = np.concatenate(([0.0, min(1.0, width / 2)], inner[inner < max_rms], [max_rms]))
    return np.unique(edges[edges <= max_rms])


def wilson_interval(n_approved: np.ndarray, n_decided: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the 95 % score interval of a proportion; 0 to 1 where nothing was decided.

    Examples
    --------
    >>> low, high = wilson_interval(np.array([10, 0]), np.array([10, 0]))
    >>> low.round(2).tolist(), high.round(2).tolist()
    ([0.72, 0.0], [1.0, 1.0])
    """
    n = np.maximum(n_decided, 1).astype(np.float64)
    share = n_approved / n
    middle = share + Z_95**2 / (2 * n)
    half = Z_95 * np.sqrt(share * (1 - share) / n + Z_95**2 / (4 * n**2))
    scale = 1 + Z_95**2 / n
    low = np.where(n_decided > 0, np.maximum((middle - half) / scale, 0.0), 0.0)
    high = np.where(n_decided > 0, np.minimum((middle + half) / scale, 1.0), 1.0)
    return low, high


def falling_fit(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the closest values that do not rise from band to band (least squares with weights).

    Parameters
    ----------
    values : ndarray of shape (n_bands,)
    weights : ndarray of shape (n_bands,)
        Positive.

    Examples
    --------
    >>> falling_fit(np.array([0.9, 0.5, 0.7]), np.ones(3)).round(3).tolist()
    [0.9, 0.6, 0.6]
    """
    fit: list[float] = []
    pooled: list[tuple[float, int]] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        mean, total, n_bands = value, weight, 1
        while fit and fit[-1] < mean:
            before, (weight_before, n_before) = fit.pop(), pooled.pop()
            mean = (before * weight_before + mean * total) / (weight_before + total)
            total, n_bands = total + weight_before, n_bands + n_before
        fit.append(mean)
        pooled.append((total, n_bands))
    return np.repeat(fit, [n_bands for _, n_bands in pooled])


@dataclass(frozen=True)
class Calibration:
    """Decisions by band of rms.

    Attributes
    ----------
    edges : ndarray of shape (n_bands + 1,), float64
        Bands are [left, right).
    rms : ndarray of float64
        Of all pairs that count, ascending.
    code : ndarray of int8
        0 undecided, 1 approved, 2 rejected, others: undecided too.
    looked_at : ndarray of bool
        Decided by a person's eye, not by a rule.
    """

    edges: np.ndarray
    rms: np.ndarray
    code: np.ndarray
    looked_at: np.ndarray

    @cached_property
    def n_looked_at(self) -> int:
        """How many pairs a person saw and approved or rejected."""
        return int(np.count_nonzero(self.looked_at & self._decided))

    @cached_property
    def _decided(self) -> np.ndarray:
        return np.asarray((self.code == _APPROVED) | (self.code == _REJECTED))

    @cached_property
    def _undecided_rms(self) -> np.ndarray:
        return np.asarray(self.rms[~self._decided])

    @cached_property
    def _approved(self) -> np.ndarray:
        return self._looked(_APPROVED)

    @cached_property
    def _rejected(self) -> np.ndarray:
        return self._looked(_REJECTED)

    @cached_property
    def _fit(self) -> np.ndarray:
        """Precision of each band, made monotone over the decided bands, interpolated between, NaN beyond them."""
        decided = self._approved + self._rejected
        known = np.flatnonzero(decided)
        if not len(known):
            return np.full(len(decided), np.nan)
        fit = falling_fit(self._approved[known] / decided[known], decided[known].astype(np.float64))
        return np.asarray(np.interp(np.arange(len(decided)), known, fit, left=np.nan, right=np.nan))

    @cached_property
    def _false_shares(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Share of false pairs in each band, with its 95 % limits."""
        decided = self._approved + self._rejected
        low, high = wilson_interval(self._rejected, decided)
        share = self._rejected / np.maximum(decided, 1)
        known = np.flatnonzero(decided)
        for band in np.flatnonzero(decided == 0).tolist():
            above, below = known[known > band], known[known < band]
            high[band] = high[above[0]] if len(above) else 1.0
            low[band] = min(low[below[-1]], high[band]) if len(below) else 0.0
            share[band] = (low[band] + high[band]) / 2
        return share, low, high

    def _false_below(self, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the false pairs to expect below each threshold, with 95 % limits."""
        known, rest = self._known_and_rest(thresholds)
        share, low, high = self._false_shares
        middle = known + rest @ share
        down = np.sqrt(rest**2 @ (share - low) ** 2 + Z_95**2 * (rest @ (low * (1 - low))))
        up = np.sqrt(rest**2 @ (high - share) ** 2 + Z_95**2 * (rest @ (high * (1 - high))))
        # Half a pair is none: whole numbers, outwards.
        lowest = np.maximum(np.floor(middle - down), known)
        highest = np.minimum(np.ceil(middle + up), known + rest.sum(axis=1))
        return middle, lowest, highest

    def _looked(self, code: int) -> np.ndarray:
        rows = np.flatnonzero(self.looked_at & (self.code == code))
        return np.asarray(np.diff(np.searchsorted(self.rms[rows], self.edges)))

    def bands(self) -> pd.DataFrame:
        """Return a row for each band: what was decided, its precision and how sure that is.

        Columns: rms_left, rms_right, n_approved, n_rejected (looked at), precision (NaN where none), low and high
        (95 %), n_pairs (all), fit (precision made monotone; between decided bands, too).
        """
        approved, rejected = self._approved, self._rejected
        decided = approved + rejected
        low, high = wilson_interval(approved, decided)
        with np.errstate(invalid="ignore"):
            precision = np.where(decided > 0, approved / np.maximum(decided, 1), np.nan)
        return pd.DataFrame(
            {
                "rms_left": self.edges[:-1],
                "rms_right": self.edges[1:],
                "n_approved": approved,
                "n_rejected": rejected,
                "precision": precision,
                "low": low,
                "high": high,
                "n_pairs": np.diff(np.searchsorted(self.rms, self.edges)),
                "fit": self._fit,
            }
        )

    def expected_false(self, threshold: float) -> dict[str, float]:
        """Return how many pairs below a threshold are false: ``n_pairs``, ``expected``, ``low``, ``high`` (95 %).

        ``expected`` is NaN while nothing was looked at. ``precision``, ``precision_low`` and ``precision_high`` say the
        same as shares.
        """
        n_pairs = int(np.searchsorted(self.rms, threshold, side="left"))
        middle, lowest, highest = self._false_below(np.array([threshold]))
        expected, low, high = float(middle[0]), float(lowest[0]), float(highest[0])
        if not self.n_looked_at:
            expected = np.nan
        share = 1 / n_pairs if n_pairs else np.nan
        return {
            "n_pairs": n_pairs,
            "expected": expected,
            "low": low,
            "high": high,
            "precision": 1 - expected * share,
            "precision_low": 1 - high * share,
            "precision_high": 1 - low * share,
        }

    def suggest_threshold(self, precision: float) -> dict[str, float]:
        """Return two thresholds for a wished share of true pairs below them, whole numbers.

        ``exact``: the largest one that keeps the precision even at the lower end of the 95 % interval; ``maybe``: the
        largest one that is expected to keep it. 0 where no threshold does, NaN while nothing was looked at.

        Raises
        ------
        ValueError
            ``precision`` is not between 0 and 1.
        """
        if not 0 < precision <= 1:
            msg = f"precision: {precision!r} is not allowed; it must be above 0 and up to 1, 0.95 say"
            raise ValueError(msg)
        if not self.n_looked_at:
            return {"exact": np.nan, "maybe": np.nan}
        thresholds = np.arange(1, int(self.edges[-1]) + 1)
        n_pairs = np.searchsorted(self.rms, thresholds, side="left")
        share = 1 / np.maximum(n_pairs, 1)
        middle, _, highest = self._false_below(thresholds)
        worst, likely = 1 - highest * share, 1 - middle * share
        return {
            "exact": _last(thresholds, (n_pairs > 0) & (worst >= precision)),
            "maybe": _last(thresholds, (n_pairs > 0) & (likely >= precision)),
        }

    def choose_next(self, n: int, skip: np.ndarray) -> np.ndarray:
        """Return up to ``n`` places in ``rms`` to look at next, ascending: most where the interval is widest.

        Parameters
        ----------
        n : int
        skip : ndarray of bool
            Places that need no look.
        """
        approved, rejected = self._approved, self._rejected
        decided = approved + rejected
        share = (approved + _JEFFREYS) / (decided + 2 * _JEFFREYS)
        open_places = np.flatnonzero(~self._decided & ~skip)
        bounds = np.searchsorted(self.rms[open_places], self.edges)
        room = np.diff(bounds)
        taken = np.zeros(len(room), dtype=np.int64)
        for _ in range(min(n, int(room.sum()))):
            low, high = wilson_interval(share * (decided + taken), decided + taken)
            width = np.where(taken < room, high - low, -1.0)
            taken[int(np.argmax(width))] += 1
        # Within a band: evenly spaced from a random start, so that they stand for the band.
        rng = np.random.default_rng((_SEED, int(decided.sum())))
        chosen = [
            open_places[
                bounds[band] + np.floor((np.arange(count) + rng.random()) * room[band] / count).astype(np.int64)
            ]
            for band, count in enumerate(taken.tolist())
            if count
        ]
        return np.concatenate(chosen) if chosen else np.zeros(0, dtype=np.int64)

    def observed(self, threshold: float) -> dict[str, float]:
        """Return what was seen below a threshold: ``n_approved`` of ``n_reviewed``, ``n_open`` undecided, ``n_pairs``.

        ``precision`` is the share approved of those that a person looked at one by one (NaN where none), ``low`` and
        ``high`` its 95 % limits: what pairs like the reviewed ones are, not an estimate for all.
        """
        below = int(np.searchsorted(self.rms, threshold, side="left"))
        seen = self.looked_at[:below]
        approved = int(np.count_nonzero(seen & (self.code[:below] == _APPROVED)))
        reviewed = approved + int(np.count_nonzero(seen & (self.code[:below] == _REJECTED)))
        low, high = wilson_interval(np.array([approved]), np.array([reviewed]))
        return {
            "n_pairs": below,
            "n_approved": approved,
            "n_reviewed": reviewed,
            "n_open": int(np.searchsorted(self._undecided_rms, threshold, side="left")),
            "precision": approved / reviewed if reviewed else np.nan,
            "low": float(low[0]),
            "high": float(high[0]),
        }

    def n_missing(self, threshold: float) -> int:
        """Return how many more decisions make :meth:`expected_false` worth saying: ENOUGH_IN_BAND in each band.

        Bands without undecided pairs below the threshold need none, others no more than they have.
        """
        _, rest = self._known_and_rest(np.array([threshold]))
        lacking = np.maximum(ENOUGH_IN_BAND - self._approved - self._rejected, 0)
        return int(np.minimum(lacking, rest[0]).sum())

    def precision_words(self, threshold: float) -> str:
        """Return what decisions say about a threshold, for people.

        Examples
        --------
        >>> rms, code = np.arange(5.0), np.array([1, 1, 1, 2, 0])
        >>> seen = Calibration(np.array([0.0, 5.0]), rms, code, code > 0)
        >>> print(*seen.precision_words(5).split(" · "), sep=chr(10))
        3 of 4 reviewed below 5 approved: of pairs like these 30 to 95 % are copies (95 %)
        1 not reviewed
        about 1.2 false among 5 (95 %: 1 to 2)
        """
        seen = self.observed(threshold)
        n_pairs, n_open = int(seen["n_pairs"]), int(seen["n_open"])
        if not n_pairs:
            return f"no pair below {threshold:,g}"
        if not n_open:
            n_false = int(np.count_nonzero(self.code[:n_pairs] == _REJECTED))
            return f"all {n_pairs:,} below {threshold:,g} decided: {n_pairs - n_false:,} approved, {n_false:,} rejected"
        if not seen["n_reviewed"]:
            return f"none of the {n_pairs:,} below {threshold:,g} was looked at one by one yet"
        words = (
            f"{seen['n_approved']:,.0f} of {seen['n_reviewed']:,.0f} reviewed below {threshold:,g} approved: "
            f"of pairs like these {100 * seen['low']:.0f} to {100 * seen['high']:.0f} % are copies (95 %)"
        )
        words += f" · {n_open:,} not reviewed"
        if n_missing := self.n_missing(threshold):
            return f"{words}; {n_missing:,} more, spread over the distances, tell how many of all are false"
        found = self.expected_false(threshold)
        digits = 0 if found["expected"] >= 10 or found["expected"] == 0 else 1
        return (
            f"{words} · about {found['expected']:,.{digits}f} false among {n_pairs:,} "
            f"(95 %: {found['low']:,.0f} to {found['high']:,.0f})"
        )

    def suggestion_words(self, precision: float) -> str:
        """Return the suggested thresholds for a wished precision, for people."""
        found = self.suggest_threshold(precision)
        if np.isnan(found["maybe"]):
            return "no suggestion before pairs are decided"
        return (
            f"for {100 * precision:g} % true pairs: {found['exact']:.0f} is safe (lower end of the 95 % interval), "
            f"{found['maybe']:.0f} is likely"
        )

    def _known_and_rest(self, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the pairs known to be false below each threshold, and by band those that nobody decided."""
        known = np.searchsorted(self.rms[self.code == _REJECTED], thresholds, side="left")
        caps = np.minimum(self.edges[None, :], thresholds[:, None])
        return known, np.diff(np.searchsorted(self._undecided_rms, caps, side="left"), axis=1)


def _last(thresholds: np.ndarray, holds: np.ndarray) -> float:
    found = np.flatnonzero(holds)
    return float(thresholds[found[-1]]) if len(found) else 0.0
