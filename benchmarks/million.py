"""What the review is measured on: camera photos of 8 to 33 megapixels, and 1,000,000 synthetic pairs over them."""

from __future__ import annotations

import io
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

import dupkit
from dupkit.scan import read_picture
from dupkit.schema import build_table

MEGAPIXELS = (8, 33.2)
"""Smallest and largest camera photo; 7680 x 4320 is 33.2."""

N_PHOTOS = 24
N_IMAGES = 40_000
N_PAIRS = 1_000_000
MAX_RMS = 1000

_ENLARGED_MEGAPIXELS = (8, 12, 16, 24, 33)
_NOISE = 6.0
"""Standard deviation of the noise on an enlarged photo, grey levels: without it the file would be a tenth as large."""


def camera_photos(photos: Path, place: Path) -> str:
    """Fill a new folder with camera photos, JPEG, and return what they are in words.

    Those of ``photos`` that are large enough are copied; where there are fewer than :data:`N_PHOTOS`, photos of the
    folder are enlarged, with noise as a sensor has it.
    """
    place.mkdir(parents=True)
    images, _ = dupkit.compute_histograms(dupkit.scan_folder(photos), progress=False)
    images = images[(images["error"] == "") & (images["frames"] == 1)]
    if images.empty:
        msg = f"{photos}: no readable photo in it; give a folder of photos"
        raise SystemExit(msg)
    root, paths = images.attrs["root"], images["path_bytes"].tolist()
    pixels = (images["width"] * images["height"] / 1e6).to_numpy()
    is_camera = (images["format"] == "JPEG").to_numpy() & (pixels >= MEGAPIXELS[0]) & (pixels <= MEGAPIXELS[1])
    own = np.flatnonzero(is_camera)[:N_PHOTOS]
    for number, row in enumerate(own.tolist()):
        shutil.copyfile(Path(root) / os.fsdecode(paths[row]), place / f"{number:02d}.jpg")
    rng = np.random.default_rng(5)
    largest_first = np.argsort(-pixels, kind="stable")[:N_PHOTOS].tolist()
    made = range(len(own), N_PHOTOS)
    for number in made:
        wanted = _ENLARGED_MEGAPIXELS[number % len(_ENLARGED_MEGAPIXELS)]
        upright = read_picture(root, paths[largest_first[number % len(largest_first)]], side=None)
        enlarge(upright, place / f"{number:02d}.jpg", wanted, rng)
    sizes = [path.stat().st_size / 1e6 for path in sorted(place.iterdir())]
    return (
        f"{N_PHOTOS} camera photos, {min(sizes):.1f} to {max(sizes):.1f} MB: "
        f"{len(own)} of the folder's own, {len(made)} enlarged from its photos"
    )


def enlarge(upright: bytes, target: Path, megapixels: float, rng: np.random.Generator) -> None:
    """Write a photo enlarged to so many megapixels, as JPEG of quality 92."""
    photo = Image.open(io.BytesIO(upright)).convert("RGB")
    # A panorama would leave the sizes that a camera has.
    width, height = photo.size
    short = min(width, height)
    photo = photo.crop((0, 0, min(width, round(1.5 * short)), min(height, round(1.5 * short))))
    scale = (1.001 * megapixels * 1e6 / (photo.width * photo.height)) ** 0.5
    photo = photo.resize((round(photo.width * scale), round(photo.height * scale)), Image.Resampling.BILINEAR)
    patch = rng.normal(0, _NOISE, (256, 256, 3)).astype(np.int16)
    repeats = (photo.height // 256 + 1, photo.width // 256 + 1, 1)
    noisy = np.asarray(photo, dtype=np.int16)
    noisy = noisy + np.tile(patch, repeats)[: photo.height, : photo.width]
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(target, quality=92)


def million_tables(photos: str) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return images, pairs and rms_counts: :data:`N_PAIRS` pairs over :data:`N_IMAGES` images.

    The pictures behind the images are those of a folder, again and again; each image has a path and a content of its
    own, so that a decision about one pair is about no other.
    """
    few, _ = dupkit.compute_histograms(dupkit.scan_folder(photos), progress=False)
    rng = np.random.default_rng(5)
    images = pd.concat([few] * (N_IMAGES // len(few) + 1), ignore_index=True).head(N_IMAGES)
    images["path"] = pd.Series([f"{i:05d}/{path}" for i, path in enumerate(images["path"])], dtype="str")
    images["content_hash"] = pd.Series([f"{i:064x}" for i in range(N_IMAGES)], dtype="str")
    images.index.name = "image_id"
    images.attrs.update(few.attrs)
    near = rng.integers(0, N_IMAGES - 1, 2 * N_PAIRS)
    far = near + 1 + rng.integers(0, 50, 2 * N_PAIRS) % (N_IMAGES - 1 - near)
    keys = rng.permutation(np.unique(near * N_IMAGES + far))[:N_PAIRS]
    structure = rng.random(N_PAIRS)
    rms = np.sort(MAX_RMS * rng.random(N_PAIRS) ** 0.6)
    pairs = build_table(
        "pairs",
        {
            "image_a": keys // N_IMAGES,
            "image_b": keys % N_IMAGES,
            "rms": rms,
            "kind": np.where(rms == 0, "exact", "maybe"),
            "measure": ["rms"] * N_PAIRS,
            "proposed_by": ["rms"] * N_PAIRS,
            "same_bytes": pd.array([False] * N_PAIRS, dtype="boolean"),
            "structure": structure,
            "transform": ["same"] * N_PAIRS,
            "verdict": np.where(rms < 300, "same picture", "look-alike"),
        },
        attrs={
            "max_rms": float(MAX_RMS),
            "requested_max_rms": float(MAX_RMS),
            "measure": "rms",
            "n_images": N_IMAGES,
            "complete": True,
        },
    )
    edges = np.arange(0, 20_001, 10.0)
    counts = build_table(
        "rms_counts",
        {
            "rms_left": edges[:-1],
            "rms_right": edges[1:],
            "n_pairs": np.arange(len(edges) - 1) ** 2,
            "sampled": np.zeros(len(edges) - 1, dtype=bool),
        },
    )
    return images, pairs, counts
