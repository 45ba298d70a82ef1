"""Pictures of single images for eyes and for a closer comparison: thumbnails, exact pixels, JPEG for the page."""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np
import pandas as pd

from dupkit.scan.decode import UnreadableError, decode_facts, encode_picture
from dupkit.scan.decode import hash_pixels as _hash_pixels
from dupkit.scan.reading import FileReader
from dupkit.schema import THUMBNAIL_SIDE, build_table, check_table, table_root


def read_thumbnails(images: pd.DataFrame, *, cache: str | None = None) -> pd.DataFrame:
    """Return the thumbnails table: the 64 x 64 grey pictures, upright, of the readable images."""
    check_table(images, "images")
    reader = FileReader(os.fsencode(table_root(images, "images")))
    good = images[images["error"] == ""]
    ids, grey = [], []
    for image_id, path in zip(good.index, good["path_bytes"], strict=True):
        record = reader.record(path, str(images.attrs.get("sampling", "fast")))
        if not record.error:
            ids.append(image_id)
            thumbnail = np.frombuffer(record.thumbnail, dtype=np.uint8)
            grey.append(thumbnail.reshape(THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    reader.close()
    column = np.empty(len(grey), dtype=object)
    column[:] = grey
    return build_table("thumbnails", {"grey": column}, index=ids, attrs={"root": images.attrs["root"]})


def pixel_hashes(images: pd.DataFrame, image_ids: Iterable[int]) -> pd.Series[str]:
    """Return a hash of the upright RGB pixels and the size of some images, by image_id; '' where unreadable."""
    check_table(images, "images")
    reader = FileReader(os.fsencode(table_root(images, "images")))
    ids = list(image_ids)
    hashes = []
    for path in images.loc[ids, "path_bytes"]:
        try:
            hashes.append(reader.apply(path, _hash_pixels))
        except UnreadableError:
            hashes.append("")
    reader.close()
    return pd.Series(hashes, index=pd.Index(ids, name="image_id", dtype="int64"), dtype="str", name="pixel_hash")


def read_picture(root: str, path_bytes: bytes, *, side: int | None) -> bytes:
    """Return an image as an upright JPEG of at most ``side`` pixels a side (None: full size), made by dupkit.

    Raises
    ------
    UnreadableError
        With the reason.
    """
    reader = FileReader(os.fsencode(root))
    try:
        return reader.apply(path_bytes, lambda stream: encode_picture(stream, side))
    finally:
        reader.close()


def read_facts(root: str, path_bytes: bytes) -> dict[str, str]:
    """Return ``camera`` and ``taken`` of an image from its EXIF data; '' where unknown or unreadable."""
    reader = FileReader(os.fsencode(root))
    try:
        return reader.apply(path_bytes, decode_facts)
    except UnreadableError:
        return {"camera": "", "taken": ""}
    finally:
        reader.close()
