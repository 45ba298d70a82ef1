"""What structure needs of the images and thumbnails tables, as arrays: pictures and sizes, both upright."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dupkit.schema import THUMBNAIL_SIDE

QUARTER_TURNED = 5
"""From this EXIF orientation on, stored rows are upright columns."""


def stacked_pictures(thumbnails: pd.DataFrame, ids: NDArray[np.int64] | None = None) -> NDArray[np.uint8]:
    """Return the grey pictures of a thumbnails table as one array.

    Parameters
    ----------
    thumbnails : DataFrame
        The thumbnails table.
    ids : ndarray of int, optional
        image_ids, in the order wanted; all of the table where not given. One that is not in the table is black, and
        so flat.

    Returns
    -------
    ndarray of shape (n, 64, 64), uint8
    """
    places = np.arange(len(thumbnails)) if ids is None else thumbnails.index.get_indexer(pd.Index(ids))
    pictures = thumbnails["grey"].to_numpy()
    grey = np.zeros((len(places), THUMBNAIL_SIDE, THUMBNAIL_SIDE), np.uint8)
    for row, place in enumerate(places):
        if place >= 0:
            grey[row] = pictures[place]
    return grey


def upright_sizes(images: pd.DataFrame) -> NDArray[np.int64]:
    """Return the width and height of each image as people see it, shape (n, 2), pixels."""
    stored = images[["width", "height"]].to_numpy()
    turned = (images["orientation"] >= QUARTER_TURNED).to_numpy()
    return np.where(turned[:, None], stored[:, ::-1], stored)


def upright_aspects(images: pd.DataFrame) -> NDArray[np.float64]:
    """Return width divided by height of each image as people see it; 1 where the size is unknown."""
    sizes = upright_sizes(images)
    return np.where(sizes.min(axis=1) > 0, sizes[:, 0] / np.maximum(sizes[:, 1], 1), 1.0)
