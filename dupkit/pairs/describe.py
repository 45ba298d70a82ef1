"""Pairs -> pairs with a second opinion: same_bytes, structure, transform and verdict filled in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dupkit.pairs.orientations import ORIENTATION_WORDS
from dupkit.pairs.parallel import Scheduler
from dupkit.pairs.structure import Structures, measure_structure
from dupkit.pairs.transform import transform_words
from dupkit.pairs.upright import stacked_pictures, upright_aspects, upright_sizes
from dupkit.pairs.verdict import SAME_PIXELS_STRUCTURE, verdicts
from dupkit.schema import check_table

PixelHashes = Callable[[pd.DataFrame, NDArray[np.int64]], pd.Series]
"""Maps the images table and image_ids to a hash of each picture's decoded upright pixels; '' = none."""


def describe_pairs(
    pairs: pd.DataFrame,
    images: pd.DataFrame,
    thumbnails: pd.DataFrame,
    *,
    pixel_hashes: PixelHashes | None = None,
    scheduler: Scheduler = None,
) -> pd.DataFrame:
    """Return the pairs with same_bytes, structure, transform and verdict filled in.

    Parameters
    ----------
    pairs : DataFrame
        The pairs table.
    images : DataFrame
        The images table: content hashes, sizes and orientations come from it.
    thumbnails : DataFrame
        The thumbnails table. A pair with an image that has no thumbnail gets no structure.
    pixel_hashes : callable, optional
        :func:`dupkit.pixel_hashes`; called once, with the images whose pixels may be equal to another's. Without it
        no pair is called "same pixels".
    scheduler : str, optional
        A dask scheduler; the active one where not given, threads where there is none.

    Returns
    -------
    DataFrame
        A new pairs table, in the order given.

        - same_bytes: equal SHA-256 and equal size; False for empty files and files without a hash.
        - structure: 0 to 1, how well the grey pictures agree (:mod:`dupkit.pairs.agreement`) once b lies on a; NaN
          where one is flat, and where both images have more than 32 windows that are more alike (then the pair is
          "unsure"; ``attrs["windows_left_out"]`` counts them).
        - transform: how b is made from a: "same", "mirrored", "rotated 90" (counter-clockwise), ..., joined with
          "cropped, about 82 %" (of a's width and height, on average) or "a is cropped, about 82 %".
        - verdict: see :mod:`dupkit.pairs.verdict`.

    Raises
    ------
    ValueError
        A table is not the schema's, or a pair's image is not in ``images``.
    """
    check_table(pairs, "pairs")
    check_table(images, "images")
    check_table(thumbnails, "thumbnails")
    rows_a, rows_b = (_positions(images, pairs[column]) for column in ("image_a", "image_b"))
    found = _structures(pairs, images, thumbnails, scheduler)
    equal = _same_bytes(images, rows_a, rows_b)
    possible = ~equal & _may_have_equal_pixels(images, rows_a, rows_b, found, pairs["rms"].to_numpy())
    same_pixels = _same_pixels(images, rows_a, rows_b, possible, pixel_hashes)
    described = pairs.copy()
    described["same_bytes"] = pd.array(equal, dtype="boolean")
    described["structure"] = found.structure
    words = transform_words(found)
    # The same bytes lie on each other the same, even where they are flat.
    words[equal] = ORIENTATION_WORDS[0]
    described["transform"] = pd.array(words, dtype="str")
    described["verdict"] = verdicts(equal, same_pixels, found.structure, found.cropped).set_axis(pairs.index)
    described.attrs["windows_left_out"] = found.n_left_out
    return described


def _positions(images: pd.DataFrame, ids: pd.Series) -> NDArray[np.intp]:
    positions = images.index.get_indexer(pd.Index(ids))
    if (positions < 0).any():
        msg = f"pairs: image_id {ids.iloc[int(np.argmin(positions))]} is not in the images table; pass both of one scan"
        raise ValueError(msg)
    return positions


def _same_bytes(images: pd.DataFrame, rows_a: NDArray[np.intp], rows_b: NDArray[np.intp]) -> NDArray[np.bool_]:
    codes, _ = pd.factorize(images["content_hash"])
    sizes = images["size_bytes"].to_numpy()
    known = (images["content_hash"] != "").to_numpy() & (sizes > 0)
    same: NDArray[np.bool_] = (codes[rows_a] == codes[rows_b]) & (sizes[rows_a] == sizes[rows_b]) & known[rows_a]
    return same


def _structures(
    pairs: pd.DataFrame, images: pd.DataFrame, thumbnails: pd.DataFrame, scheduler: Scheduler
) -> Structures:
    used = np.union1d(pairs["image_a"].to_numpy(), pairs["image_b"].to_numpy())
    grey = stacked_pictures(thumbnails, used)
    aspects = upright_aspects(images.loc[used])
    rows_a, rows_b = (np.searchsorted(used, pairs[column].to_numpy()) for column in ("image_a", "image_b"))
    return measure_structure(grey, aspects, rows_a, rows_b, scheduler=scheduler)


def _may_have_equal_pixels(
    images: pd.DataFrame,
    rows_a: NDArray[np.intp],
    rows_b: NDArray[np.intp],
    found: Structures,
    rms: NDArray[np.float64],
) -> NDArray[np.bool_]:
    # Decoding is dear, so it is left out where pixels cannot be equal. Equal pixels of one format and orientation have
    # the same histogram; another format is decoded to the histogram's size in another way.
    upright = upright_sizes(images)
    formats, _ = pd.factorize(images["format"])
    orientation = images["orientation"].to_numpy()
    decoded_otherwise = (formats[rows_a] != formats[rows_b]) | (orientation[rows_a] != orientation[rows_b])
    possible: NDArray[np.bool_] = (
        ((rms == 0) | decoded_otherwise)
        & (upright[rows_a] == upright[rows_b]).all(axis=1)
        & (found.orientation == 0)
        & ~found.cropped
        & ~(found.structure < SAME_PIXELS_STRUCTURE)
    )
    return possible


def _same_pixels(
    images: pd.DataFrame,
    rows_a: NDArray[np.intp],
    rows_b: NDArray[np.intp],
    possible: NDArray[np.bool_],
    pixel_hashes: PixelHashes | None,
) -> NDArray[np.bool_]:
    same = np.zeros(len(rows_a), bool)
    if pixel_hashes is None or not possible.any():
        return same
    first, second = (images.index.to_numpy()[rows[possible]] for rows in (rows_a, rows_b))
    hashes = pixel_hashes(images, np.union1d(first, second))
    hash_a, hash_b = (hashes.reindex(ids, fill_value="").to_numpy() for ids in (first, second))
    same[possible] = (hash_a == hash_b) & (hash_a != "")
    return same
