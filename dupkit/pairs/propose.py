"""Pairs that the histograms' RMS does not bring, because the colours changed but the picture did not.

Two more measures propose pairs: hellinger on the same stored histograms (crops, recompressed and resized copies), and
the likeness of the grey thumbnails in eight orientations (brighter, grey, watermarked copies).
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from dupkit.pairs.contained import may_be_crops
from dupkit.pairs.crops import find_windows
from dupkit.pairs.distance import pair_distances
from dupkit.pairs.join import candidate_pairs
from dupkit.pairs.likeness import Rows, Waves, best_orientation, block_likeness, pair_likeness, waves_of
from dupkit.pairs.measures import get_measure
from dupkit.pairs.parallel import Scheduler, run_tasks
from dupkit.pairs.upright import stacked_pictures, upright_aspects
from dupkit.schema import build_table, check_table

Ids = NDArray[np.int64]

LIKENESS = 0.7
"""Pairs whose waves correlate at least this much are proposed: 99 of 100 brighter, grey or recompressed copies reach
0.83 and 97 of 100 under a heavy watermark 0.75; 1 of 1,000 different photos 0.7 (measured)."""

LIKENESS_IF_NEAR = 0.5
"""The same for pairs whose histograms are near by hellinger."""

HELLINGER = 18.0
"""Pairs with a smaller hellinger distance are searched for crops: 997 of 1,000 crops to 80 % of the width are closer,
98 of 100 closer than 16, and 85 of 100 closer than 12 (measured)."""

PROPOSALS_PER_IMAGE = 100
"""Most pairs that each measure proposes per image, on average over the folder: the closest are taken."""

BLOCK_IMAGES = 256
"""Images of one block: a block pair's products, a few times 256 KiB, stay in a core's cache."""


def propose_pairs(
    pairs: pd.DataFrame,
    histograms: pd.DataFrame,
    thumbnails: pd.DataFrame,
    *,
    images: pd.DataFrame | None = None,
    old_ids: ArrayLike | None = None,
    scheduler: Scheduler = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Return the pairs and, beside them, those that hellinger and the thumbnails' structure propose.

    Parameters
    ----------
    pairs : DataFrame
        The pairs table of :func:`dupkit.candidate_pairs`, not described yet.
    histograms : DataFrame
        The histograms table that the pairs come from; of the old and the new images in a cross join.
    thumbnails : DataFrame
        The thumbnails table of the same images.
    images : DataFrame, optional
        The images table, for the pictures' aspects; without it, crops that changed the aspect are not looked for.
    old_ids : array-like of int, optional
        image_ids that are not paired with each other: a reference collection.
    scheduler : str, optional
        A dask scheduler; the active one where not given, threads where there is none.
    progress : bool
        Whether to show the progress of the joins.

    Returns
    -------
    DataFrame
        A new pairs table, sorted by rms, image_a, image_b. The rows of ``pairs`` are all there, unchanged; the others
        have their distance in the same measure, and ``proposed_by`` "structure" (the whole pictures are alike) or
        "hellinger" (the histograms are near, and one picture may be a part of the other or resembles it).
        ``attrs`` gains ``proposed`` (how many pairs each of the two added) and ``proposals_complete`` (False where
        more than 100 an image were found and only the closest were taken).

    Raises
    ------
    ValueError
        A table is not the schema's.
    """
    check_table(pairs, "pairs")
    check_table(thumbnails, "thumbnails")
    measure = str(pairs.attrs.get("measure", "rms"))
    ordered = thumbnails.loc[thumbnails.index.isin(histograms.index)].sort_index()
    ids = ordered.index.to_numpy()
    grey = stacked_pictures(ordered)
    waves = waves_of(grey)
    known = np.isin(ids, np.asarray([] if old_ids is None else old_ids))
    cap = PROPOSALS_PER_IMAGE * max(1, len(ids))
    taken = _keys(pairs["image_a"].to_numpy(), pairs["image_b"].to_numpy())
    alike = _alike(waves, cap, scheduler)
    rows = {"structure": _new_rows(alike[0], alike[1], ids, known, taken)}
    taken = np.concatenate([taken, _keys(*ids[rows["structure"]])])
    with warnings.catch_warnings():
        # What it says about max_pairs is said in this function's own words: proposals_complete.
        warnings.simplefilter("ignore", UserWarning)
        near = candidate_pairs(
            histograms, measure="hellinger", max_rms=HELLINGER, max_pairs=cap, scheduler=scheduler, progress=progress
        )
    near_ids = near[["image_a", "image_b"]].to_numpy()
    # An image that could not be read any more has a histogram, but no thumbnail.
    first, second = np.searchsorted(ids, near_ids[np.isin(near_ids, ids).all(axis=1)]).T
    first, second = _new_rows(first, second, ids, known, taken)
    likeness = pair_likeness(waves, first, second)
    aspects = np.ones(len(ids)) if images is None else upright_aspects(images.loc[ids])
    worth = likeness.max(axis=1, initial=-1) >= LIKENESS_IF_NEAR
    unlike = np.flatnonzero(~worth)
    possible = np.zeros((len(first), 2), bool)
    rows_of = histograms.index.get_indexer(pd.Index(ids))
    possible[unlike] = may_be_crops(histograms, rows_of[first[unlike]], rows_of[second[unlike]], scheduler=scheduler)
    windows = find_windows(
        grey, aspects, first, second, best_orientation(likeness), chosen=unlike, possible=possible, scheduler=scheduler
    )
    worth[windows.pair] = True
    rows["hellinger"] = np.stack([first[worth], second[worth]])
    tables = [pairs]
    for name, (rows_a, rows_b) in rows.items():
        rms = pair_distances(histograms, ids[rows_a], ids[rows_b], measure=measure)
        tables.append(_table(ids[rows_a], ids[rows_b], rms, measure, name))
    together = pd.concat(tables, ignore_index=True).sort_values(["rms", "image_a", "image_b"], ignore_index=True)
    together.attrs.update(pairs.attrs)
    together.attrs["proposed"] = {name: found.shape[1] for name, found in rows.items()}
    together.attrs["proposals_complete"] = len(alike[0]) < cap and near.attrs["max_rms"] >= HELLINGER
    return together


def _new_rows(first: Rows, second: Rows, ids: Ids, known: NDArray[np.bool_], taken: Ids) -> NDArray[np.intp]:
    # Pairs, as two rows of positions, that are not in the table yet and are not of two old images.
    new = ~(known[first] & known[second]) & ~np.isin(_keys(ids[first], ids[second]), taken)
    return np.stack([first[new], second[new]])


def _keys(image_a: NDArray[np.int64], image_b: NDArray[np.int64]) -> NDArray[np.int64]:
    # image_ids are running numbers far below 2^31, so two of them fit one key.
    return (image_a << 31) | image_b


def _table(
    image_a: NDArray[np.int64], image_b: NDArray[np.int64], rms: NDArray[np.float64], measure: str, name: str
) -> pd.DataFrame:
    n_pairs = len(rms)
    return build_table(
        "pairs",
        {
            "image_a": image_a,
            "image_b": image_b,
            "rms": rms,
            "kind": pd.array(np.where(rms == 0, "exact", "maybe"), dtype="str"),
            "measure": [get_measure(measure).name] * n_pairs,
            "proposed_by": [name] * n_pairs,
            "same_bytes": pd.array([pd.NA] * n_pairs, dtype="boolean"),
            "structure": np.full(n_pairs, np.nan),
            "transform": pd.array([pd.NA] * n_pairs, dtype="str"),
            "verdict": pd.array([pd.NA] * n_pairs, dtype="str"),
        },
    )


def _alike(waves: Waves, cap: int, scheduler: Scheduler) -> tuple[Rows, Rows]:
    starts = range(0, len(waves.plain), BLOCK_IMAGES)
    parts = run_tasks(_alike_in_stripe, (waves,), [(start,) for start in starts], scheduler)
    nothing = np.empty(0, np.intp)
    first = np.concatenate([nothing, *(part[0] for part in parts)])
    second = np.concatenate([nothing, *(part[1] for part in parts)])
    likeness = np.concatenate([np.empty(0, np.float32), *(part[2] for part in parts)])
    if len(first) > cap:
        kept = np.sort(np.argsort(-likeness, kind="stable")[:cap])
        first, second = first[kept], second[kept]
    return first, second


def _alike_in_stripe(waves: Waves, start: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    found = []
    for other in range(start, len(waves.plain), BLOCK_IMAGES):
        likeness = block_likeness(waves, slice(start, start + BLOCK_IMAGES), slice(other, other + BLOCK_IMAGES))
        if other == start:
            likeness[np.tril_indices_from(likeness)] = -1
        first, second = np.nonzero(likeness >= LIKENESS)
        found.append((first + start, second + other, likeness[first, second]))
    first, second, likeness = (np.concatenate([part[column] for part in found]) for column in range(3))
    return first, second, likeness
