"""Pictures of single images, for eyes and for a closer comparison: thumbnails, exact pixels, JPEG for the page.

All of them are decoded in the decode workers, as in :func:`compute_histograms`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable

import numpy as np
import pandas as pd

from dupkit.scan.batches import Replies, Scheduler, check_scheduler, read_in_batches
from dupkit.scan.cache import CacheLocation, joined, open_cache, rows_of
from dupkit.scan.decode import SCALES
from dupkit.scan.header import UnreadableError
from dupkit.scan.records import unpack
from dupkit.scan.store import PictureStore
from dupkit.scan.versions import decoder_version
from dupkit.scan.worker import RESULT
from dupkit.scan.workers import ask
from dupkit.schema import THUMBNAIL_SIDE, build_table, check_table, table_root


def read_thumbnails(images: pd.DataFrame, *, cache: CacheLocation = None, scheduler: Scheduler = None) -> pd.DataFrame:
    """Return the thumbnails table of an images table: 64 x 64 grey pictures, upright, of the readable images.

    They come from the cache that :func:`compute_histograms` filled; an image that is not in it is decoded again, and
    left out if it cannot be read any more, or if its bytes are others by now.

    Parameters
    ----------
    images : DataFrame
        The images table.
    cache : path, URL or False, optional
        As for :func:`compute_histograms`.
    scheduler : str or distributed.Client, optional
        As for :func:`compute_histograms`.

    Raises
    ------
    TypeError, ValueError
        `images` is no images table.
    """
    check_table(images, "images")
    check_scheduler(scheduler)
    root = os.fsencode(table_root(images, "images"))
    sampling = str(images.attrs.get("sampling", "fast"))
    good = images[images["error"] == ""]
    hashes = [bytes.fromhex(text) for text in good["content_hash"]]
    grey: list[np.ndarray | None] = [None] * len(good)
    store = PictureStore(cache, root, sampling if sampling in SCALES else "fast")
    for name, found in store.find(hashes).items():
        part = store.read_thumbnails(name)
        if part is not None:
            # The rows stay where they were read; a copy only where they would keep much else in memory.
            few = 2 * len(found.rows) < len(part)
            rows = (part[found.rows] if few else part).reshape(-1, THUMBNAIL_SIDE, THUMBNAIL_SIDE)
            for number, (position, row) in enumerate(zip(found.positions, found.rows, strict=True)):
                grey[position] = rows[number if few else row]
    missing = [position for position, picture in enumerate(grey) if picture is None]
    paths, sizes = good["path_bytes"].tolist(), good["size_bytes"].tolist()

    def on_replies(batch: list[int], replies: Replies) -> None:
        for number, (kind, data) in zip(batch, replies, strict=True):
            record = unpack(data) if kind == RESULT else None
            position = missing[number]
            if record is not None and not record.error and record.content_hash == hashes[position]:
                store.add(paths[position], record)
                picture = np.frombuffer(record.thumbnail, dtype=np.uint8)
                grey[position] = picture.reshape(THUMBNAIL_SIDE, THUMBNAIL_SIDE)

    try:
        files = [(paths[position], sizes[position]) for position in missing]
        read_in_batches(
            "record", root, files, on_replies, scheduler=scheduler, options=lambda _: {"sampling": sampling}
        )
    finally:
        store.close()
    done = np.array([picture is not None for picture in grey], dtype=bool)
    column = np.empty(int(done.sum()), dtype=object)
    for position, picture in enumerate(picture for picture in grey if picture is not None):
        column[position] = picture
    return build_table("thumbnails", {"grey": column}, index=good.index[done], attrs={"root": images.attrs["root"]})


def pixel_hashes(
    images: pd.DataFrame,
    image_ids: Iterable[int],
    *,
    cache: CacheLocation = None,
    scheduler: Scheduler = None,
) -> pd.Series[str]:
    """Return a hash of the size and all upright RGB pixels of some images: equal hashes, equal pictures.

    Parameters
    ----------
    images : DataFrame
        The images table.
    image_ids : iterable of int
        Which images; each is decoded whole, unless the cache knows its hash.
    cache : path, URL or False, optional
        As for :func:`compute_histograms`.
    scheduler : str or distributed.Client, optional
        As for :func:`compute_histograms`.

    Returns
    -------
    Series of str
        SHA-256, 64 hex digits, by image_id in the order given; '' where the picture cannot be decoded whole (a JPEG of
        more than 64 megapixels, for one).

    Raises
    ------
    KeyError
        An image_id is not in the table.
    """
    check_table(images, "images")
    check_scheduler(scheduler)
    root = os.fsencode(table_root(images, "images"))
    ids = list(image_ids)
    chosen = images.loc[ids]
    store = open_cache(cache)
    kind = f"pixels/{decoder_version()}"
    known: dict[str, str] = {}
    for name in store.names(kind) if store is not None else ():
        assert store is not None
        part = store.read(kind, name, ("content_hash", "pixel_hash"))
        if part is not None:
            decoded = (content.hex() for content in rows_of(part["content_hash"]))
            known.update(zip(decoded, part["pixel_hash"], strict=True))
    todo = chosen[~chosen["content_hash"].isin(known) & (chosen["error"] == "")].drop_duplicates("content_hash")
    paths, contents = todo["path_bytes"].tolist(), todo["content_hash"].tolist()
    fresh: dict[str, str] = {}

    def on_replies(batch: list[int], replies: Replies) -> None:
        for position, (reply, data) in zip(batch, replies, strict=True):
            # The reply starts with the hash of the bytes that were decoded: not others that lie there by now.
            if reply == RESULT and data[:64].decode() == contents[position]:
                fresh[contents[position]] = data[64:].decode()

    read_in_batches("pixels", root, list(zip(paths, todo["size_bytes"], strict=True)), on_replies, scheduler=scheduler)
    if fresh and store is not None:
        rows = joined([bytes.fromhex(content) for content in fresh], 32)
        store.write(kind, {"content_hash": rows, "pixel_hash": list(fresh.values())})
    known.update(fresh)
    hashes = [known.get(content, "") if content else "" for content in chosen["content_hash"]]
    return pd.Series(hashes, index=pd.Index(ids, name="image_id", dtype="int64"), dtype="str", name="pixel_hash")


def read_picture(root: str, path_bytes: bytes, *, side: int | None) -> bytes:
    """Return a picture as a JPEG made by dupkit, upright, without metadata.

    Parameters
    ----------
    root : str
        ``images.attrs["root"]``.
    path_bytes : bytes
        Of the image, below the root.
    side : int or None
        Longest side, pixels; a smaller picture keeps its size. None: full size.

    Raises
    ------
    UnreadableError
        The picture cannot be decoded (any more); the message is the reason.
    """
    kind, data = ask("picture", os.fsencode(root), [path_bytes], side=side or 0)[0]
    if kind != RESULT:
        raise UnreadableError(data.decode())
    return data


def read_facts(root: str, path_bytes: bytes) -> dict[str, str]:
    """Return ``camera`` and ``taken`` (YYYY-MM-DD HH:MM:SS) of an image by its EXIF data; '' where unknown."""
    kind, data = ask("facts", os.fsencode(root), [path_bytes])[0]
    facts: dict[str, str] = json.loads(data) if kind == RESULT else {"camera": "", "taken": ""}
    return facts


def check_decodes(root: bytes, path: bytes) -> str:
    """Return '' where every pixel of a picture can be decoded now, else the reason why not.

    Parameters
    ----------
    root : bytes
        Absolute path of the folder.
    path : bytes
        Of the image, below the root.
    """
    kind, data = ask("pixels", root, [path])[0]
    return "" if kind == RESULT else data.decode()
