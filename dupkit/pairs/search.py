"""The engine: rows -> features -> tiles -> sieve -> distances by the definition, on any scheduler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dupkit.pairs.closest import ClosestPairs, Found
from dupkit.pairs.distance import BLOCK_ROWS, root_mean_squares
from dupkit.pairs.projection import BLOCK_ROWS as PROJECTED_ROWS
from dupkit.pairs.projection import (
    SAMPLE_ROWS,
    Basis,
    Rows,
    leading_components,
    plausible,
    project,
)
from dupkit.pairs.running import Runner, in_waves, local_runner, shared_arrays
from dupkit.pairs.sieve import BUFFER_BYTES, STAGES, Sieve, squared_radius
from dupkit.pairs.tiles import make_tiles
from dupkit.schema import N_BINS

TILE_SIZE = 128
"""Images in a tile: smaller ones have tighter boxes, larger ones cost fewer calls (measured)."""

MOST_JOBS = 400
"""Tasks of a search: hundreds, so that a bar moves and the load spreads, not thousands, which cost their overhead."""

LEAST_TILES = 4
"""Tiles of a task, if that leaves enough tasks for every worker: a task takes a millisecond at least."""

GUESS_PAIRS = 200
"""Sampled pairs that should lie below the bound that max_pairs leads to."""


class SearchStoppedError(Exception):
    """A search was stopped before it compared anything."""


@dataclass(frozen=True)
class Prepared:
    """Rows in tile order with their sieve.

    Attributes
    ----------
    rows : Rows
    order : ndarray of shape (n_rows,), intp
        Row position of each place in tile order.
    sieve : Sieve
    n_search : int
        The tiles that are compared with themselves and all later ones: those of the first part.
    """

    rows: Rows
    order: NDArray[np.intp]
    sieve: Sieve
    n_search: int


@dataclass(frozen=True)
class Outcome:
    """What a search found.

    Attributes
    ----------
    found : tuple of ndarray
        Row positions of each pair, and its distance.
    bound : float
        The bound that was reached, exclusive.
    covered : float
        Share of the pairs that was compared, 0 to 1: below 1 after a stop.
    stages : dict of str to int
        Pairs left after each look.
    """

    found: Found
    bound: float
    covered: float
    stages: dict[str, int]

    @classmethod
    def nothing(cls, bound: float) -> Outcome:
        """Return the outcome of a search that had nothing to compare."""
        positions = np.empty(0, dtype=np.intp)
        return cls((positions, positions, np.empty(0)), bound, 1.0, dict.fromkeys(("pairs", *STAGES), 0))


def prepare(
    rows: Rows,
    parts: Sequence[NDArray[np.intp]],
    *,
    check: Callable[[], None],
    tile_size: int | None = None,
    runner: Runner,
    max_bytes: int,
    stop: Callable[[], bool] | None = None,
    seed: int = 0,
) -> Prepared:
    """Return rows in tile order with their sieve.

    Parameters
    ----------
    rows : Rows
    parts : sequence of ndarray of intp
        Positions: the images to compare with each other, then, if any, those to compare with the former only.
    check : callable
        Raises where the tables are not valid; called once if a quick look finds a doubtful row.
    tile_size : int, optional
    runner : Runner
    max_bytes : int
        What may be held beside the tables.
    stop : callable, optional
        Asked several times a second.
    seed : int
        Of the sample that the components come from.

    Raises
    ------
    SearchStoppedError
        `stop` said so.
    """
    n_rows = len(rows)
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.choice(n_rows, min(n_rows, SAMPLE_ROWS), replace=False))
    certain = plausible(rows.stored_at(sample))
    if not certain:
        check()
    if rows.measure.slow and n_rows * N_BINS * 8 <= max_bytes // 2:
        rows.keep_transformed()
    basis = leading_components(rows.take(sample), seed=seed)
    starts = range(0, n_rows, PROJECTED_ROWS)
    local = runner if runner.shared else local_runner()
    n_jobs = min(len(starts), max(4 * local.n_workers, len(starts) // 8))
    jobs = [starts[k::n_jobs] for k in range(n_jobs)]
    done = in_waves(
        local, partial(_project, rows, basis), jobs, lambda job: (job,), words="Projecting", progress=False, stop=stop
    )
    pieces = sorted((piece for _, job in done for piece in job), key=lambda piece: piece[0])
    if len(pieces) < len(starts):
        raise SearchStoppedError
    if certain and not all(piece[1] for piece in pieces):
        check()
    rows.use_kept()
    short = np.concatenate([piece[2] for piece in pieces])
    long = np.concatenate([piece[3] for piece in pieces])
    tiles = make_tiles(short, parts, tile_size or TILE_SIZE)
    n_search = int(np.searchsorted(tiles.starts, len(parts[0])))
    return Prepared(rows, tiles.order, Sieve.build(tiles, short, long), n_search)


def _project(
    rows: Rows, basis: Basis, starts: range
) -> list[tuple[int, bool, NDArray[np.float32], NDArray[np.float32]]]:
    pieces = []
    # What is no histogram (NaN, infinite, negative) is refused when all blocks are back; until then it may be silent.
    with np.errstate(all="ignore"):
        for start in starts:
            certain = plausible(rows.stored(start, start + PROJECTED_ROWS))
            pieces.append((start, certain, *project(rows.transformed(start, start + PROJECTED_ROWS), basis)))
    return pieces


def search(
    prepared: Prepared,
    *,
    bound: float,
    max_pairs: int,
    runner: Runner,
    progress: bool,
    stop: Callable[[], bool] | None = None,
) -> Outcome:
    """Return every pair below a bound, or below the one that max_pairs led to.

    Raises
    ------
    KeyboardInterrupt
        On an interrupt; its text says what share was compared.
    """
    sieve = prepared.sieve
    guess = _likely_bound(prepared, bound, max_pairs)
    while True:
        outcome, lowered = _search_below(
            prepared, sieve, guess, max_pairs=max_pairs, runner=runner, progress=progress, stop=stop
        )
        if guess >= bound or lowered or outcome.covered < 1:
            return outcome
        # The sample led too low: fewer than max_pairs pairs lie below the guess.
        guess = min(bound, 1.25 * guess)


def _search_below(
    prepared: Prepared,
    sieve: Sieve,
    bound: float,
    *,
    max_pairs: int,
    runner: Runner,
    progress: bool,
    stop: Callable[[], bool] | None,
) -> tuple[Outcome, bool]:
    closest = ClosestPairs(bound, max_pairs)
    left = np.zeros(len(STAGES), dtype=np.int64)
    cancelled: list[bool] = []
    n_jobs = max(1, min(prepared.n_search, max(prepared.n_search // LEAST_TILES, 16 * runner.n_workers), MOST_JOBS))
    # Every n_jobs-th tile: neighbours in tile order go to different jobs, so jobs take about equally long and the
    # bound falls from pairs of all regions.
    jobs = [range(k, prepared.n_search, n_jobs) for k in range(n_jobs)] if prepared.n_search else []
    n_total = sum(sieve.n_pairs(tile) for tile in range(prepared.n_search))
    n_done = 0
    if runner.shared:
        function: Callable[..., Any] = partial(_search_tiles_here, prepared, max_pairs, cancelled)
    else:
        function = _search_tiles_elsewhere
        reference = runner.share(sieve.arrays())

    def arguments(job: range) -> tuple[Any, ...]:
        return (job, closest.bound) if runner.shared else (reference, job, closest.bound)

    try:
        for job, result in in_waves(
            runner, function, jobs, arguments, words="Comparing images", progress=progress, stop=stop
        ):
            pairs, reached, job_left = result
            closest.lower(reached)
            measured: Found = pairs if runner.shared else measure_below(prepared, pairs[0], pairs[1], closest.bound)
            closest.add(*measured)
            left += job_left
            n_done += sum(sieve.n_pairs(tile) for tile in job)
    except KeyboardInterrupt:
        cancelled.append(True)
        msg = f"stopped after {n_done / n_total:.0%} of {n_total:,} pairs were compared; nothing is returned"
        raise KeyboardInterrupt(msg) from None
    first, second, rms = closest.finish()
    covered = n_done / n_total if n_total else 1.0
    stages = {"pairs": n_total, **dict(zip(STAGES, left.tolist(), strict=True))}
    found = (prepared.order[first], prepared.order[second], rms)
    return Outcome(found, closest.bound, covered, stages), closest.lowered


def _search_tiles_here(
    prepared: Prepared, max_pairs: int, cancelled: list[bool], tiles: range, bound: float
) -> tuple[Any, ...]:
    closest = ClosestPairs(bound, max_pairs)
    left = np.zeros(len(STAGES), dtype=np.int64)
    buffer = np.empty(BUFFER_BYTES // 4, dtype=np.float32)
    for tile in tiles:
        for first, second in prepared.sieve.search(tile, squared_radius(closest.bound), buffer, left):
            if cancelled:
                break
            closest.add(*measure_below(prepared, first, second, closest.bound))
    return closest.held(), closest.bound, left


def _search_tiles_elsewhere(reference: Any, tiles: range, bound: float) -> tuple[Any, ...]:
    sieve = Sieve.of_arrays(shared_arrays(reference))
    left = np.zeros(len(STAGES), dtype=np.int64)
    buffer = np.empty(BUFFER_BYTES // 4, dtype=np.float32)
    nothing = np.empty(0, dtype=np.intp)
    pairs = [(nothing, nothing)]
    for tile in tiles:
        pairs += sieve.search(tile, squared_radius(bound), buffer, left)
    return tuple(np.concatenate(column) for column in zip(*pairs, strict=True)), bound, left


def measure_pairs(prepared: Prepared, first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the distance of pairs given by places in tile order, by the definition."""
    rms = np.empty(len(first))
    order = prepared.order
    for start in range(0, len(first), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        rows_a, rows_b = prepared.rows.take(order[first[block]]), prepared.rows.take(order[second[block]])
        rms[block] = root_mean_squares(rows_a, rows_b, out=rows_a)
    return rms


def measure_below(prepared: Prepared, first: NDArray[np.intp], second: NDArray[np.intp], bound: float) -> Found:
    """Return those of some pairs, given by places in tile order, whose distance is below a bound."""
    rms = measure_pairs(prepared, first, second)
    below = rms < bound
    return first[below], second[below], rms[below]


def _likely_bound(prepared: Prepared, bound: float, max_pairs: int, *, seed: int = 0) -> float:
    """Return the requested bound or, where it surely leads to many more pairs than max_pairs, a lower one.

    A bound that a sample says leaves 1.5 max_pairs pairs saves measuring the others. It need not be right: where it
    leaves too few pairs the search begins again with a higher one, so the answer does not depend on it.
    """
    sieve, order = prepared.sieve, prepared.order
    n_first = int(sieve.starts[prepared.n_search])
    n_total = sum(sieve.n_pairs(tile) for tile in range(prepared.n_search))
    share = 1.5 * max_pairs / max(n_total, 1)
    if share >= 1 or n_first < SAMPLE_ROWS:
        return bound
    n_sampled = int(min(max(GUESS_PAIRS / share, 10_000), 1_000_000))
    rng = np.random.default_rng(seed)
    first = rng.integers(0, n_first, n_sampled)
    second = rng.integers(0, len(order), n_sampled)
    first, second = first[first != second], second[first != second]
    apart = np.empty(len(first))
    for start in range(0, len(first), PROJECTED_ROWS):
        block = slice(start, start + PROJECTED_ROWS)
        difference = sieve.long[first[block]] - sieve.long[second[block]]
        apart[block] = np.einsum("ij,ij->i", difference, difference)
    wanted = max(1, int(share * len(first)))
    if np.count_nonzero(apart < squared_radius(bound)) <= wanted:
        return bound
    # Features are a little closer than their rows: measure twice as many of the closest as are wanted.
    nearest = np.argsort(apart)[: 2 * wanted]
    distances = np.sort(measure_pairs(prepared, first[nearest], second[nearest]))
    guess = float(distances[min(wanted, len(distances) - 1)])
    return min(bound, guess) if guess > 0 else bound
