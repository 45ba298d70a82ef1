"""Histograms of seeded crops of real photos: as many images as a benchmark asks for, with near pairs growing like n.

Each photo gives 50 crops, resized to 200 x 150. More images come from more photos; when the folder is used up, a
photo is made new by a seeded tone curve for each channel. So an image has near neighbours among the 50 of its photo
and hardly elsewhere.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

CROPS = 50
"""Crops of a photo."""

CANVAS = (480, 360)
"""Crops are cut from a photo of this size, pixels: small enough to hold thousands of toned photos' crops to be made."""

SAMPLE = (200, 150)
"""A histogram is taken of this many pixels, and scaled to 480,000: the package's fast sampling."""


def crop_histograms(photos: Path, n_images: int, work: Path, *, seed: int = 0) -> NDArray[np.float32]:
    """Return the histograms of n_images seeded crops, shape (n_images, 768), in a seeded order; kept in `work`."""
    work.mkdir(parents=True, exist_ok=True)
    kept = work / f"crops-{seed}-{n_images}.npy"
    if kept.exists():
        return np.load(kept, allow_pickle=False)
    canvases = _canvases(photos)
    n_photos = -(-n_images // CROPS)
    with ThreadPoolExecutor(2) as pool:
        parts = pool.map(lambda k: _crops(canvases[k % len(canvases)], k // len(canvases), (seed, k)), range(n_photos))
        histograms = np.concatenate(list(parts))[:n_images]
    histograms = histograms[np.random.default_rng(seed).permutation(n_images)]
    np.save(kept, histograms, allow_pickle=False)
    return histograms


def _canvases(photos: Path) -> list[Image.Image]:
    def read(path: Path) -> Image.Image | None:
        try:
            with Image.open(path) as image:
                image.draft("RGB", CANVAS)
                return ImageOps.exif_transpose(image).convert("RGB").resize(CANVAS, Image.Resampling.BILINEAR)
        except (UnidentifiedImageError, OSError):
            return None

    paths = sorted(path for path in photos.rglob("*") if path.is_file())
    with ThreadPoolExecutor(2) as pool:
        found = [image for image in pool.map(read, paths) if image is not None]
    if not found:
        msg = f"{photos}: no photo could be read; pass a folder of photos with --photos"
        raise SystemExit(msg)
    return found


def _crops(canvas: Image.Image, tone: int, seed: tuple[int, int]) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    if tone:
        canvas = canvas.point(np.concatenate([_tone_curve(rng) for _ in range(3)]).tolist())
    width, height = CANVAS
    histograms = np.empty((CROPS, 768), dtype=np.float32)
    for row in histograms:
        side = rng.uniform(0.6, 1.0)
        left, top = rng.uniform(0, 1 - side, 2)
        box = (left * width, top * height, (left + side) * width, (top + side) * height)
        row[:] = canvas.resize(SAMPLE, Image.Resampling.BILINEAR, box=box).histogram()
    return histograms * np.float32(800 * 600 / (SAMPLE[0] * SAMPLE[1]))


def _tone_curve(rng: np.random.Generator) -> NDArray[np.uint8]:
    levels = np.linspace(0, 1, 256)
    black, white = rng.uniform(0, 0.15), rng.uniform(0.8, 1.0)
    curve = levels ** np.exp(rng.uniform(-0.8, 0.8))
    curve += rng.uniform(-0.25, 0.25) * np.sin(2 * np.pi * levels) / 2
    return np.round(255 * (black + (white - black) * np.clip(curve, 0, 1))).astype(np.uint8)
