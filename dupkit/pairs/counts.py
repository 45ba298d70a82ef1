"""How many of all pairs lie at which distance: exactly, or beyond a stated size by a seeded, stratified sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dupkit.pairs.arguments import check_bound, check_whole, machine_memory
from dupkit.pairs.distance import BLOCK_ROWS, root_mean_squares
from dupkit.pairs.measures import Measure, get_measure
from dupkit.pairs.projection import Rows, plausible
from dupkit.pairs.running import Runner, check_scheduler, in_waves, local_runner, one_blas_thread
from dupkit.pairs.search import Prepared, measure_pairs, prepare, search
from dupkit.schema import N_BINS, build_table, check_histograms, check_table

EXACT_IMAGES = 25_000
"""Most images whose pairs are all measured: 312 million pairs, some 8 s on two cores (measured)."""

SAMPLED_PAIRS = 1_000_000
"""Pairs measured beyond EXACT_IMAGES: the standard error of a bin with 1 % of the pairs is then 1 % of it."""

STRATA = 32
"""Parts of the images, in tile order; each two of them are a stratum of pairs."""

TILE_ROWS = 256
"""Images in a tile: the products of two tiles (half a megabyte) stay in a core's cache."""

_ROUNDING = 2.0**-42
"""A squared distance by products is off by less than this share of both squared lengths; derived in `_count_tiles`."""


def rms_counts(
    histograms: pd.DataFrame,
    *,
    measure: str = "rms",
    max_rms: float | None = None,
    exact_images: int = EXACT_IMAGES,
    sampled_pairs: int = SAMPLED_PAIRS,
    seed: int = 0,
    scheduler: Any = None,
    progress: bool = True,
    stop: Callable[[], bool] | None = None,
) -> pd.DataFrame:
    """Return how many of all pairs lie in each bin of distance.

    Parameters
    ----------
    histograms : DataFrame
        The histograms table.
    measure : str
        A key of :data:`dupkit.pairs.measures.MEASURES`; it sets the width of the bins (rms: 10).
    max_rms : float, optional
        Beyond ``exact_images``: the counts are exact up to here; the measure's own max_rms where not given.
    exact_images : int
        Up to this many images every pair is measured.
    sampled_pairs : int
        Beyond: pairs that are measured to estimate the bins beyond ``max_rms``.
    seed : int
        Of the sample.
    scheduler : str, optional
        "threads" or "synchronous". The counting always runs in this process: with another one, in its threads.
    progress : bool
        Whether to show a progress bar once it takes longer than half a second.
    stop : callable, optional
        Asked several times a second; once it returns True an exact count of all pairs gives up for the sample.

    Returns
    -------
    DataFrame
        The rms_counts table: bins [left, right) of one width from 0 to beyond the largest distance seen; n_pairs adds
        up to n (n - 1) / 2. Its ``attrs``: ``measure``, ``n_images``, ``n_pairs`` (all), ``n_sampled`` (pairs measured
        for the estimate, 0 where all bins are exact) and ``standard_error``: a tuple with that of each bin's n_pairs,
        empty where all bins are exact.

    Raises
    ------
    ValueError
        A number or the measure is not allowed, or the table is no histograms table; before any work.

    Notes
    -----
    The sample is stratified: the images in tile order are cut into 32 parts of equal size, and of each two parts (and
    of each part by itself) the share of their pairs is drawn, with replacement. Strata group pairs of similar
    distance, so the error is smaller than that of a plain sample. The bins beyond ``max_rms`` are scaled so that all
    add up to the number of pairs.

    Examples
    --------
    >>> from dupkit.schema import build_histograms
    >>> flat = np.full((3, 768), 1875.0, dtype=np.float32)
    >>> flat[2, :2] = 1875 - 600, 1875 + 600
    >>> rms_counts(build_histograms(flat)).query("n_pairs > 0")  # 0, and 600 * sqrt(2 / 768) = 30.6 twice
       rms_left  rms_right  n_pairs  sampled
    0       0.0       10.0        1    False
    3      30.0       40.0        2    False
    """
    chosen = get_measure(measure)
    bound = check_bound(chosen.max_rms if max_rms is None else max_rms)
    check_scheduler(scheduler)
    check_whole(exact_images, "exact_images", "images")
    check_whole(sampled_pairs, "sampled_pairs", "pairs")
    check_table(histograms, "histograms")
    if len(histograms) < 2:
        check_histograms(histograms)
        return _counts_table(np.zeros(0, dtype=np.int64), np.zeros(0), chosen, len(histograms), 0, 0)
    rows = Rows([histograms], chosen)
    with one_blas_thread():
        runner = local_runner(scheduler)
        if len(rows) <= exact_images:
            if not plausible(rows.stored(0, len(rows))):
                check_histograms(histograms)
            counts = _count_all(rows, runner, progress=progress, stop=stop)
            if counts is not None:
                return _counts_table(counts, np.zeros(len(counts)), chosen, len(rows), len(counts), 0)
        prepared = prepare(
            rows,
            [np.arange(len(rows))],
            check=lambda: check_histograms(histograms),
            runner=runner,
            max_bytes=machine_memory() // 8,
        )
        outcome = search(prepared, bound=bound, max_pairs=5_000_000, runner=runner, progress=progress, stop=stop)
        exact_bins = int(outcome.bound / chosen.bin_width * (1 + 1e-12)) if outcome.covered == 1 else 0
        counts = np.bincount(_bin_of(outcome.found[2], chosen.bin_width), minlength=exact_bins)[:exact_bins]
        counts, errors = _sample(prepared, counts, sampled_pairs, np.random.default_rng(seed), runner)
    return _counts_table(counts, errors, chosen, len(rows), exact_bins, sampled_pairs)


def _counts_table(
    counts: NDArray[np.int64],
    errors: NDArray[np.float64],
    measure: Measure,
    n_images: int,
    n_exact: int,
    n_sampled: int,
) -> pd.DataFrame:
    edges = _edges(len(counts), measure.bin_width)
    return build_table(
        "rms_counts",
        {
            "rms_left": edges[:-1],
            "rms_right": edges[1:],
            "n_pairs": counts,
            "sampled": np.arange(len(counts)) >= n_exact,
        },
        attrs={
            "measure": measure.name,
            "n_images": n_images,
            "n_pairs": n_images * (n_images - 1) // 2,
            "n_sampled": n_sampled,
            "standard_error": tuple(errors.tolist()) if n_sampled else (),
        },
    )


def _edges(n_bins: int, width: float) -> NDArray[np.float64]:
    # A tenth of 3 is the float64 that prints as 0.3; three times 0.1 is not.
    edges: NDArray[np.float64] = np.arange(n_bins + 1, dtype=np.float64)
    return edges / (1 / width) if width < 1 else edges * width


def _bin_of(rms: NDArray[np.float64], width: float) -> NDArray[np.intp]:
    """Return the bin of each distance, by comparison with the edges that the table shows."""
    edges = _edges(int(rms.max(initial=0.0) / width) + 2, width)
    return np.searchsorted(edges, rms, side="right") - 1


def _count_all(
    rows: Rows, runner: Runner, *, progress: bool, stop: Callable[[], bool] | None
) -> NDArray[np.int64] | None:
    """Return the counts of all pairs, or None after a stop."""
    if rows.measure.slow and len(rows) * N_BINS * 8 <= machine_memory() // 8:
        rows.keep_transformed()
        for start in range(0, len(rows), TILE_ROWS):
            rows.transformed(start, start + TILE_ROWS)
        rows.use_kept()
    starts = range(0, len(rows), TILE_ROWS)
    # The first tiles have the most partners: one from each end makes jobs of equal size.
    jobs = [(a, b) if a < b else (a,) for a, b in zip(starts, reversed(starts), strict=True) if a <= b]
    counts = np.zeros(0, dtype=np.int64)
    n_done = 0
    for _, more in in_waves(
        runner,
        partial(_count_tiles, rows),
        jobs,
        lambda job: (job,),
        words="Counting pairs",
        progress=progress,
        stop=stop,
    ):
        counts = _added(counts, more)
        n_done += 1
    return counts if n_done == len(jobs) else None


def _added(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    both = np.zeros(max(len(a), len(b)), dtype=np.int64)
    both[: len(a)] += a
    both[: len(b)] += b
    return both


def _count_tiles(rows: Rows, starts: Sequence[int]) -> NDArray[np.int64]:
    """Return the counts of the pairs of some tiles with themselves and all later images.

    The squared distance comes from a float64 product, |a|^2 + |b|^2 - 2 a.b: the fastest way to all pairs. With v =
    2^-53 each of the three sums is off by at most 768 v of |a|^2, |b|^2 and |a| |b| <= (|a|^2 + |b|^2) / 2, and the
    additions by 3 v: together less than 2 * 772 v (|a|^2 + |b|^2) < 2^-42 (|a|^2 + |b|^2). A pair whose bin that
    leaves in doubt is measured by the definition. (Rows of integers give exact products; then there is no error.)
    """
    width = rows.measure.bin_width
    counts = np.zeros(0, dtype=np.int64)
    for start in starts:
        tile = rows.take(np.arange(start, min(start + TILE_ROWS, len(rows))))
        lengths = np.einsum("ij,ij->i", tile, tile)
        for other in range(start, len(rows), TILE_ROWS):
            block = rows.take(np.arange(other, min(other + TILE_ROWS, len(rows))))
            block_lengths = np.einsum("ij,ij->i", block, block)
            squares = tile @ block.T
            squares *= -2
            squares += lengths[:, np.newaxis]
            squares += block_lengths
            error = _ROUNDING * (lengths.max() + block_lengths.max())
            np.maximum(squares, 0, out=squares)
            squares /= N_BINS
            place = np.sqrt(squares, out=squares)
            place /= width
            # With d sqrt(x) = dx / (2 sqrt(x)), a place beyond 0.5 is off by at most error / (768 width^2), and by a
            # few roundings of itself. A smaller place is off by at most sqrt(error / 768) / width: less than 0.01 for
            # any two histograms, so it is in bin 0.
            doubt = error / (N_BINS * width**2) + 1e-14 * place
            bins = place.astype(np.int64)
            doubtful = (np.abs(place - np.rint(place)) <= doubt) & (place > 0.5)
            if other == start:
                later = np.triu(np.ones(squares.shape, dtype=bool), 1)
                bins[~later] = -1
                doubtful &= later
            first, second = np.nonzero(doubtful)
            for piece in range(0, len(first), BLOCK_ROWS):
                i, j = first[piece : piece + BLOCK_ROWS], second[piece : piece + BLOCK_ROWS]
                bins[i, j] = _bin_of(root_mean_squares(tile[i], block[j]), width)
            counts = _added(counts, np.bincount(bins.ravel() + 1)[1:])
    return counts


def _sample(
    prepared: Prepared, exact: NDArray[np.int64], n_sampled: int, rng: np.random.Generator, runner: Runner
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the exact bins followed by estimates of the others, and the standard error of each."""
    n_rows = len(prepared.rows)
    edges = np.linspace(0, n_rows, min(STRATA, n_rows) + 1).astype(np.intp)
    n_pairs = n_rows * (n_rows - 1) // 2
    draws, weights = [], []
    for a in range(len(edges) - 1):
        for b in range(a, len(edges) - 1):
            n_a, n_b = edges[a + 1] - edges[a], edges[b + 1] - edges[b]
            size = int(n_a * (n_a - 1) // 2 if a == b else n_a * n_b)
            if not size:
                continue
            n_drawn = max(2, round(n_sampled * size / n_pairs))
            first = rng.integers(edges[a], edges[a + 1], n_drawn)
            if a == b:
                # Every ordered pair of two different images is equally likely: the second skips the first.
                second = rng.integers(edges[a], edges[a + 1] - 1, n_drawn)
                second += second >= first
            else:
                second = rng.integers(edges[b], edges[b + 1], n_drawn)
            draws.append((first, second))
            weights.append(size)
    results = runner.run(partial(_bins_of_draws, prepared, draws), [(k,) for k in range(len(draws))])
    n_bins = max(len(exact), 1 + max(int(bins.max()) for bins in results))
    estimate, variance = np.zeros(n_bins), np.zeros(n_bins)
    for bins, weight in zip(results, weights, strict=True):
        share = np.bincount(bins, minlength=n_bins) / len(bins)
        estimate += weight * share
        variance += weight**2 * share * (1 - share) / (len(bins) - 1)
    beyond = n_pairs - int(exact.sum())
    estimate[: len(exact)], variance[: len(exact)] = 0, 0
    if estimate.sum():
        scale = beyond / estimate.sum()
        # Rounding the running sum, not each bin, keeps the total.
        counts = np.diff(np.rint(np.cumsum(estimate) * scale).astype(np.int64), prepend=0)
    else:
        scale, counts = 1.0, np.zeros(n_bins, dtype=np.int64)
        counts[-1] = beyond
    counts[: len(exact)] = exact
    return counts, np.sqrt(variance) * scale


def _bins_of_draws(
    prepared: Prepared, draws: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]], k: int
) -> NDArray[np.intp]:
    return _bin_of(measure_pairs(prepared, *draws[k]), prepared.rows.measure.bin_width)
