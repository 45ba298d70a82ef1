"""Every pair of images whose distance lies below a bound, exactly: the table, around the engine of search.py."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from dupkit.pairs.arguments import check_bound, check_whole, machine_memory, pairs_in, split_old
from dupkit.pairs.identical import first_of_each, ties
from dupkit.pairs.measures import Measure, get_measure
from dupkit.pairs.projection import Rows
from dupkit.pairs.running import check_scheduler, one_blas_thread, open_runner
from dupkit.pairs.search import Outcome, SearchStoppedError, prepare, search
from dupkit.schema import build_table, check_histograms, check_table, empty_table

MAX_PAIRS = 5_000_000
"""Most pairs to hold by default: about a gigabyte as a table, far more than a person reviews."""


def candidate_pairs(
    histograms: pd.DataFrame,
    *,
    max_rms: float | None = None,
    measure: str = "rms",
    against: pd.DataFrame | None = None,
    old_ids: ArrayLike | None = None,
    max_pairs: int = MAX_PAIRS,
    max_memory: int | None = None,
    tile_size: int | None = None,
    scheduler: Any = None,
    progress: bool = True,
    stop: Callable[[], bool] | None = None,
) -> pd.DataFrame:
    """Return every pair of images whose distance is below a bound, exactly.

    Parameters
    ----------
    histograms : DataFrame
        The histograms table.
    max_rms : float, optional
        The bound, exclusive, above 0; the measure's own where not given (rms: 1000, hellinger: 12).
    measure : str
        A key of :data:`dupkit.pairs.measures.MEASURES`.
    against : DataFrame, optional
        Another histograms table, of old images: every new image (``histograms``) is compared with every new and every
        old one, but no two old ones. Both tables share one numbering: no image_id may be in both.
    old_ids : array-like of int, optional
        The same for one table: the image_ids in ``histograms`` that are old. Not together with ``against``.
    max_pairs : int
        Most pairs to return. Where more lie below ``max_rms`` the bound falls to the distance of the max_pairs-th
        closest pair: the answer is every pair below the bound in ``attrs["max_rms"]``.
    max_memory : int, optional
        Bytes that the search may take beside the tables; a quarter of the machine's memory where not given. Less
        memory means fewer pairs held, never a different pair.
    tile_size : int, optional
        Images in a tile. The answer does not depend on it.
    scheduler : str or distributed.Client, optional
        "threads", "processes", "synchronous", a cluster's address or Client; where not given, dask's active one, or
        threads. The answer does not depend on it.
    progress : bool
        Whether to show a progress bar once the search takes longer than half a second.
    stop : callable, optional
        Asked several times a second, in this thread; once it returns True the search ends with what it has.

    Returns
    -------
    DataFrame
        The pairs table, sorted by rms, image_a, image_b; the last four columns are missing. Its ``attrs``: those of
        ``histograms``, and

        - ``max_rms``: the bound that was reached, ``requested_max_rms``: the one asked for;
        - ``measure``, ``n_images`` (old ones included), ``n_pairs``: all pairs that were to be compared;
        - ``complete``: whether every pair below ``max_rms`` is there; ``covered``: the share of pairs compared;
        - ``stages``: how many pairs were left after each look of the sieve.

    Raises
    ------
    ValueError
        A bound, size or measure is not allowed, or a table is not a histograms table; before any work.
    TypeError
        A table is not a DataFrame.
    KeyboardInterrupt
        On an interrupt, within a second; its text says what share was compared.

    Warns
    -----
    UserWarning
        The bound fell; identical images alone exceed ``max_pairs``; the search was stopped.

    Notes
    -----
    "Below" is strict, as at the slider. Where more than ``max_pairs`` pairs are at distance 0, no bound helps: each set
    of identical histograms is then tied to its first image only, which leaves every group as it is, and ``complete``
    is False.

    Examples
    --------
    >>> from dupkit.schema import build_histograms
    >>> flat = np.full((3, 768), 1875.0, dtype=np.float32)
    >>> flat[2, :2] = 1875 - 600, 1875 + 600
    >>> pairs = candidate_pairs(build_histograms(flat), max_rms=30.0)
    >>> pairs[["image_a", "image_b", "rms", "kind"]]  # 600 * sqrt(2 / 768) = 30.6
       image_a  image_b  rms   kind
    0        0        1  0.0  exact
    """
    chosen = get_measure(measure)
    bound = check_bound(chosen.max_rms if max_rms is None else max_rms)
    check_scheduler(scheduler)
    check_whole(tile_size, "tile_size", "images in a tile")
    check_whole(max_pairs, "max_pairs", "pairs to hold")
    check_whole(max_memory, "max_memory", "bytes")
    tables = [histograms] if against is None else [histograms, against]
    for table in tables:
        check_table(table, "histograms")
    parts = split_old(histograms, against, old_ids)
    n_images = sum(map(len, parts))
    memory = max_memory or machine_memory() // 4
    most_pairs = min(max_pairs, pairs_in(memory, n_images))
    outcome = Outcome.nothing(bound)
    identical = 0
    if len(parts[0]):
        rows = Rows(tables, chosen)

        def check() -> None:
            for table in tables:
                check_histograms(table)

        with one_blas_thread(), open_runner(scheduler) as runner:

            def run(some: Sequence[NDArray[np.intp]], at_most: int) -> Outcome:
                try:
                    prepared = prepare(
                        rows, some, check=check, tile_size=tile_size, runner=runner, max_bytes=memory // 2, stop=stop
                    )
                except SearchStoppedError:
                    return replace(Outcome.nothing(bound), covered=0.0)
                except KeyboardInterrupt:
                    msg = f"stopped before any of {n_new_pairs(len(parts[0]), n_images):,} pairs were compared"
                    raise KeyboardInterrupt(msg) from None
                return search(prepared, bound=bound, max_pairs=at_most, runner=runner, progress=progress, stop=stop)

            outcome = run(parts, most_pairs)
            if outcome.bound == 0:
                outcome, identical = _search_without_copies(rows, parts, most_pairs, run)
    first, second, rms = outcome.found
    _warn(outcome, bound, max_pairs=max_pairs, most_pairs=most_pairs, identical=identical)
    attrs: dict[str, object] = {
        **{str(fact): value for fact, value in histograms.attrs.items()},
        "max_rms": outcome.bound,
        "requested_max_rms": bound,
        "measure": measure,
        "n_images": n_images,
        "n_pairs": n_new_pairs(len(parts[0]), n_images),
        "complete": outcome.covered == 1 and not identical,
        "covered": outcome.covered,
        "stages": outcome.stages,
    }
    if not len(first):
        return build_table("pairs", {column: [] for column in empty_table("pairs").columns}, attrs=attrs)
    ids_first, ids_second = rows.ids[first], rows.ids[second]
    return _pairs_table(np.minimum(ids_first, ids_second), np.maximum(ids_first, ids_second), rms, chosen, attrs)


def n_new_pairs(n_new: int, n_images: int) -> int:
    """Return how many pairs have at least one new image: all pairs where every image is new."""
    return n_new * (n_new - 1) // 2 + n_new * (n_images - n_new)


def _search_without_copies(
    rows: Rows,
    parts: Sequence[NDArray[np.intp]],
    most_pairs: int,
    run: Callable[[Sequence[NDArray[np.intp]], int], Outcome],
) -> tuple[Outcome, int]:
    """Search among one image of each set of identical ones, and tie the others to it."""
    new, old = parts[0], parts[1] if len(parts) > 1 else np.empty(0, dtype=np.intp)
    stands = first_of_each(rows, new, old)
    first, second = ties(stands, new, old)
    distances = np.zeros(len(first))
    if len(first) >= most_pairs:
        order = np.lexsort(
            (np.maximum(rows.ids[first], rows.ids[second]), np.minimum(rows.ids[first], rows.ids[second]))
        )
        kept = order[:most_pairs]
        return replace(Outcome.nothing(0.0), found=(first[kept], second[kept], distances[kept])), len(first)
    single = [part[stands[part] == part] for part in parts]
    outcome = run(single, most_pairs - len(first))
    found = (
        np.concatenate([first, outcome.found[0]]),
        np.concatenate([second, outcome.found[1]]),
        np.concatenate([distances, outcome.found[2]]),
    )
    return replace(outcome, found=found), len(first)


def _warn(outcome: Outcome, bound: float, *, max_pairs: int, most_pairs: int, identical: int) -> None:
    remedy = "max_pairs" if most_pairs == max_pairs else "max_memory"
    if identical:
        warnings.warn(
            f"candidate_pairs: identical histograms alone make more than {most_pairs:,} pairs; each of {identical:,} "
            f"copies is paired with the first of its kind only, which makes the same groups; raise {remedy} for all",
            stacklevel=3,
        )
    if outcome.bound < bound and not (identical and outcome.bound == 0):
        warnings.warn(
            f"candidate_pairs: more than {most_pairs:,} pairs lie below {bound:g}; returning every pair below "
            f"{outcome.bound:.6g} instead (attrs['max_rms']); raise {remedy} for more",
            stacklevel=3,
        )
    if outcome.covered < 1:
        warnings.warn(
            f"candidate_pairs: stopped; {outcome.covered:.0%} of the pairs were compared (attrs['covered'])",
            stacklevel=3,
        )


def _pairs_table(
    image_a: NDArray[np.int64],
    image_b: NDArray[np.int64],
    rms: NDArray[np.float64],
    measure: Measure,
    attrs: Mapping[str, object],
) -> pd.DataFrame:
    """Return the pairs table, sorted by rms, image_a, image_b."""
    order = np.argsort(rms)
    image_a, image_b, rms = image_a[order], image_b[order], rms[order]
    # A sort by three keys takes several times as long as one by a single key; ties are few, save for 0.
    tied = np.zeros(len(rms) + 1, dtype=bool)
    tied[1:-1] = rms[1:] == rms[:-1]
    among = np.flatnonzero(tied[:-1] | tied[1:])
    sorted_among = among[np.lexsort((image_b[among], image_a[among], rms[among]))]
    image_a[among], image_b[among] = image_a[sorted_among], image_b[sorted_among]
    n_pairs = len(rms)
    kinds = pa.array(["maybe", "exact"], pa.large_string()).take(pa.array((rms == 0).astype(np.int8)))
    names = pa.repeat(pa.scalar(measure.name, pa.large_string()), n_pairs)
    missing = pa.nulls(n_pairs, pa.large_string())
    return build_table(
        "pairs",
        {
            "image_a": image_a,
            "image_b": image_b,
            "rms": rms,
            "kind": _words(kinds),
            "measure": _words(names),
            "proposed_by": _words(names),
            "same_bytes": pd.arrays.BooleanArray(np.zeros(n_pairs, dtype=bool), np.ones(n_pairs, dtype=bool)),
            "structure": np.full(n_pairs, np.nan),
            "transform": _words(missing),
            "verdict": _words(missing),
        },
        attrs=attrs,
    )


def _words(column: pa.Array) -> pd.Series:
    return pd.Series(column.to_pandas(types_mapper={pa.large_string(): pd.StringDtype(na_value=np.nan)}.get))
