"""Pairs that the histograms' RMS does not bring, because the colours changed but the picture did not.

Two more measures propose pairs: hellinger on the same stored histograms (crops, recompressed and resized copies), and
the likeness of the grey thumbnails in eight orientations (brighter, grey, watermarked copies).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dupkit.pairs.distance import pair_distances
from dupkit.pairs.join import candidate_pairs
from dupkit.pairs.likeness import Waves, block_likeness, waves_of
from dupkit.pairs.measures import get_measure
from dupkit.pairs.parallel import Scheduler, run_tasks
from dupkit.schema import THUMBNAIL_SIDE, build_table, check_table

LIKENESS = 0.75
"""Pairs whose waves correlate at least this much are proposed: 99 of 100 brighter, grey, recompressed or watermarked
copies reach 0.83, and 7 of 10,000 different photos 0.75 (measured)."""

HELLINGER = 12.0
"""Pairs with a smaller hellinger distance are proposed (DESIGN.md section 6: crops)."""

PROPOSALS_PER_IMAGE = 100
"""Most pairs that each measure proposes per image, on average over the folder: the closest are taken."""

BLOCK_IMAGES = 256
"""Images of one block: a block pair's products, a few times 256 KiB, stay in a core's cache."""


def propose_pairs(
    pairs: pd.DataFrame,
    histograms: pd.DataFrame,
    thumbnails: pd.DataFrame,
    *,
    scheduler: Scheduler = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Return the pairs and, beside them, those that hellinger and the thumbnails' structure propose.

    Parameters
    ----------
    pairs : DataFrame
        The pairs table of :func:`dupkit.candidate_pairs`, not described yet.
    histograms : DataFrame
        The histograms table that the pairs come from.
    thumbnails : DataFrame
        The thumbnails table of the same images.
    scheduler : str, optional
        A dask scheduler; the active one where not given, threads where there is none.
    progress : bool
        Whether to show the progress of the joins.

    Returns
    -------
    DataFrame
        A new pairs table, sorted by rms, image_a, image_b. The rows of ``pairs`` are all there, unchanged; the others
        have their distance in the same measure, and ``proposed_by`` "hellinger" or "structure". ``attrs`` gains
        ``proposed`` (the number of pairs that each of the two added) and ``proposals_complete`` (False where more
        than 100 an image were found and only the closest were taken).

    Raises
    ------
    ValueError
        A table is not the schema's.
    """
    check_table(pairs, "pairs")
    check_table(thumbnails, "thumbnails")
    measure = str(pairs.attrs.get("measure", "rms"))
    cap = PROPOSALS_PER_IMAGE * max(1, len(histograms))
    found: dict[str, tuple[NDArray[np.int64], NDArray[np.int64], bool]] = {}
    if measure != "hellinger":
        near = candidate_pairs(
            histograms, measure="hellinger", max_rms=HELLINGER, max_pairs=cap, scheduler=scheduler, progress=progress
        )
        complete = bool(near.attrs.get("complete", True))
        found["hellinger"] = (near["image_a"].to_numpy(), near["image_b"].to_numpy(), complete)
    found["structure"] = _alike(thumbnails.loc[thumbnails.index.isin(histograms.index)], cap, scheduler)
    tables = [pairs]
    seen = _keys(pairs["image_a"].to_numpy(), pairs["image_b"].to_numpy())
    proposed = {}
    for name, (image_a, image_b, _) in found.items():
        keys = _keys(image_a, image_b)
        new = ~np.isin(keys, seen)
        seen = np.concatenate([seen, keys[new]])
        proposed[name] = int(new.sum())
        rms = pair_distances(histograms, image_a[new], image_b[new], measure=measure)
        tables.append(_rows(image_a[new], image_b[new], rms, measure, name))
    together = pd.concat(tables, ignore_index=True).sort_values(["rms", "image_a", "image_b"], ignore_index=True)
    together.attrs.update(pairs.attrs)
    together.attrs["proposed"] = proposed
    together.attrs["proposals_complete"] = all(complete for _, _, complete in found.values())
    return together


def _keys(image_a: NDArray[np.int64], image_b: NDArray[np.int64]) -> NDArray[np.int64]:
    # image_ids are running numbers far below 2^31, so two of them fit one key.
    return (image_a << 31) | image_b


def _rows(
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


def _alike(
    thumbnails: pd.DataFrame, cap: int, scheduler: Scheduler
) -> tuple[NDArray[np.int64], NDArray[np.int64], bool]:
    ordered = thumbnails.sort_index()
    ids = ordered.index.to_numpy()
    if not len(ids):
        return ids, ids, True
    waves = waves_of(np.stack(ordered["grey"].to_list()).reshape(-1, THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    parts = run_tasks(_alike_in_stripe, (waves,), [(start,) for start in range(0, len(ids), BLOCK_IMAGES)], scheduler)
    first, second, likeness = (np.concatenate([part[column] for part in parts]) for column in range(3))
    complete = len(first) <= cap
    if not complete:
        kept = np.sort(np.argsort(-likeness, kind="stable")[:cap])
        first, second = first[kept], second[kept]
    return ids[first], ids[second], complete


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
