"""Seeded grey pictures for tests of structure, and tables of them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dupkit.schema import CHANNEL_SUM, build_histograms, build_table


def scenes(n: int, side: int = 64, seed: int = 0) -> np.ndarray:
    """Seeded grey pictures with large shapes and detail, uint8; no two alike and none like itself when turned."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:side, 0:side] / side
    pictures = []
    for _ in range(n):
        picture = 90 + 60 * rng.normal() * x + 60 * rng.normal() * y
        for _ in range(40):
            centre, size, level = rng.random(2), rng.uniform(0.03, 0.2, 2), rng.normal(0, 50)
            inside = (np.abs(y - centre[0]) < size[0]) & (np.abs(x - centre[1]) < size[1])
            picture = picture + level * inside
        pictures.append(np.clip(picture, 0, 255))
    return np.array(pictures).round().astype(np.uint8)


def album(pictures: np.ndarray, **columns: object) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The images, thumbnails and histograms tables of grey pictures, as if each were a file of 400 x 300 pixels.

    ``columns`` replace columns of the images table.
    """
    n = len(pictures)
    names = [f"{number:04d}.jpg" for number in range(n)]
    values = {
        "path": names,
        "path_bytes": [name.encode() for name in names],
        "size_bytes": np.arange(n) + 1000,
        "mtime_ns": np.zeros(n, np.int64),
        "ctime_ns": np.zeros(n, np.int64),
        "device": np.zeros(n, np.int64),
        "inode": np.arange(n),
        "format": ["JPEG"] * n,
        "width": np.full(n, 400),
        "height": np.full(n, 300),
        "orientation": np.ones(n, np.int64),
        "frames": np.ones(n, np.int64),
        "content_hash": [f"{number:064x}" for number in range(n)],
        "error": [""] * n,
    }
    ids = np.arange(n)
    attrs = {"root": "/album", "sampling": "fast"}
    images = build_table("images", values | columns, index=ids, attrs=attrs)
    thumbnails = build_table("thumbnails", {"grey": list(pictures)}, index=ids)
    levels = np.stack([np.bincount(picture.ravel(), minlength=256) for picture in pictures])
    bins = np.tile(levels * (CHANNEL_SUM / pictures[0].size), (1, 3)).astype(np.float32)
    return images, thumbnails, build_histograms(bins, attrs=attrs)


def pairs_of(image_a: list[int], image_b: list[int], rms: float = 100.0) -> pd.DataFrame:
    """A pairs table that is not described yet."""
    n = len(image_a)
    return build_table(
        "pairs",
        {
            "image_a": image_a,
            "image_b": image_b,
            "rms": np.full(n, rms),
            "kind": ["exact" if rms == 0 else "maybe"] * n,
            "measure": ["rms"] * n,
            "proposed_by": ["rms"] * n,
            "same_bytes": [pd.NA] * n,
            "structure": np.full(n, np.nan),
            "transform": [pd.NA] * n,
            "verdict": [pd.NA] * n,
        },
        attrs={"measure": "rms", "max_rms": 1000.0},
    )
