"""A seeded album of pictures with planted duplicates and their truth, to try dupkit on.

The pictures are painted: landscapes, city nights, still lifes of shapes and textures, with the smooth areas, grain and
uneven histograms of photographs. :func:`write_demo` gives the same album for the same seed and Pillow version.
"""

from __future__ import annotations

import csv
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from dupkit.folders import state_folder

Floats: TypeAlias = NDArray[np.float64]
Generator: TypeAlias = np.random.Generator

N_ORIGINALS = 62
"""Different pictures in the album; the copies make it about 120 files."""

_LONG_SIDE, _SHORT_SIDE = 960, 640
_FIRST_DAY_S = 1_559_347_200  # 2019-06-01, the album's first photograph
_DAY_S = 86_400


# ---- the painter's tools: everything is a float array of shape (height, width[, 3]), 0 to 1 ----


def _clouds(rng: Generator, height: int, width: int, *, coarse: int, octaves: int = 5) -> Floats:
    """Fractal noise, 0 to 1: random grids of growing fineness, enlarged smoothly and summed."""
    total = np.zeros((height, width))
    for octave in range(octaves):
        rows, columns = 2 + coarse * height * 2**octave // width, 2 + coarse * 2**octave
        grid = Image.fromarray(rng.random((rows, columns), dtype=np.float32))
        total += np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC)) / 2**octave
    total -= total.min()
    return np.asarray(total / max(float(total.max()), 1e-9))


def _gradient(colours: list[Floats], position: Floats) -> Floats:
    """Colours along a line, looked up at positions from 0 (first colour) to 1 (last)."""
    stops = np.linspace(0, 1, len(colours))
    channels = [np.interp(position, stops, [colour[channel] for colour in colours]) for channel in range(3)]
    return np.stack(channels, axis=-1)


def _colour(rng: Generator, hue: float, spread: float = 0.05, *, light: float = 0.5, strength: float = 0.5) -> Floats:
    """Return a colour near a hue (0 red, 1/3 green, 2/3 blue), varied by the generator."""
    angles = 2 * np.pi * (hue + rng.normal(0, spread) - np.array([0, 1 / 3, 2 / 3]))
    return np.clip(light + rng.normal(0, 0.04) + strength * 0.5 * np.cos(angles), 0, 1)


def _landscape(rng: Generator, height: int, width: int) -> Floats:
    hour = rng.random()
    across, down = np.linspace(0, 1, width), np.linspace(0, 1, height)[:, None]
    high = _colour(rng, 0.6, light=0.25 + 0.35 * hour, strength=0.4)
    low = _colour(rng, rng.choice([0.05, 0.1, 0.55]), light=0.7, strength=0.35)
    horizon = rng.uniform(0.4, 0.65)
    sky = _gradient([high, low], np.clip(down / horizon, 0, 1) * np.ones(width))
    clouds = np.clip(_clouds(rng, height, width, coarse=3) * 2 - rng.uniform(0.8, 1.3), 0, 1)[..., None]
    picture = sky * (1 - clouds) + clouds * (0.6 * low + 0.4)
    sun_x, sun_y = rng.random(), horizon * rng.uniform(0.2, 0.9)
    glow = np.exp(-(((across - sun_x) * width / height) ** 2 + (down - sun_y) ** 2) / rng.uniform(0.002, 0.03))
    picture += glow[..., None] * rng.uniform(0.2, 0.6) * low
    ground_hue = rng.choice([0.25, 0.3, 0.1, 0.58])
    n_ridges = int(rng.integers(3, 6))
    for ridge in range(n_ridges):
        depth = ridge / (n_ridges - 1)
        line = _clouds(rng, 2, width, coarse=int(2 + 3 * depth), octaves=6)[0]
        top = horizon + (1 - horizon) * depth**1.5 * 0.8 - (line - 0.3) * rng.uniform(0.1, 0.35) * (1 - 0.6 * depth)
        ground = _colour(rng, ground_hue, light=0.42 - 0.25 * depth, strength=0.3)
        tint = ground * (0.35 + 0.65 * depth) + low * 0.65 * (1 - depth)
        grain = 0.7 + 0.6 * _clouds(rng, height, width, coarse=int(6 + 20 * depth), octaves=4)
        edge = np.clip((down - top) * height / 1.5, 0, 1)[..., None]
        picture = picture * (1 - edge) + edge * tint * grain[..., None]
    return picture


def _city_night(rng: Generator, height: int, width: int) -> Floats:
    down = np.linspace(0, 1, height)[:, None] * np.ones(width)
    sky = _gradient(
        [_colour(rng, 0.65, light=0.06, strength=0.1), _colour(rng, rng.choice([0.05, 0.7]), light=0.3)], down
    )
    picture = sky * (0.8 + 0.4 * _clouds(rng, height, width, coarse=2)[..., None])
    for row in range(3):
        x = -int(rng.integers(0, 60))
        while x < width:
            across = int(rng.integers(width // 18, width // 7))
            top = int(height * (rng.uniform(0.15, 0.6) + 0.13 * row))
            left, right = max(x, 0), min(x + across, width)
            wall = _colour(rng, rng.random(), light=0.06 + 0.07 * row, strength=0.08)
            picture[top:, left:right] = wall * rng.uniform(0.8, 1.2)
            step_y, step_x = int(rng.integers(9, 18)), int(rng.integers(7, 14))
            lamp = _colour(rng, 0.1, 0.02, light=0.75, strength=0.5)
            for y in range(top + 5, height - step_y, step_y):
                for window in range(left + 3, right - step_x, step_x):
                    if rng.random() < 0.4:
                        picture[y : y + step_y // 2, window : window + step_x // 2] = lamp * rng.uniform(0.4, 1.1)
            x += across + int(rng.integers(0, 12))
    return picture


def _still_life(rng: Generator, height: int, width: int) -> Floats:
    across = np.linspace(0, width / height, width) * np.ones((height, 1))
    down = np.linspace(0, 1, height)[:, None] * np.ones(width)
    wall, table = (
        _colour(rng, rng.random(), light=0.62, strength=0.2),
        _colour(rng, rng.random(), light=0.4, strength=0.3),
    )
    edge = rng.uniform(0.55, 0.75)
    light_x = rng.uniform(0, width / height)
    picture = _gradient([wall * 1.1, wall * 0.7], np.clip(np.hypot(across - light_x, down) / 1.4, 0, 1))
    cloth = table * (0.75 + 0.5 * _clouds(rng, height, width, coarse=int(rng.integers(4, 14)))[..., None])
    picture = np.where((down > edge)[..., None], cloth, picture)
    for _ in range(int(rng.integers(3, 8))):
        radius, x = rng.uniform(0.06, 0.2), rng.uniform(0.1, width / height - 0.1)
        y, tall = edge + rng.uniform(-0.05, 0.25) - radius * 0.6, rng.uniform(0.8, 1.6)
        shadow = np.exp(
            -(((across - x - 0.4 * radius) / (1.4 * radius)) ** 2 + ((down - y - radius * tall) / 0.05) ** 2)
        )
        picture *= 1 - 0.55 * shadow[..., None]
        u, v = (across - x) / radius, (down - y) / (radius * tall)
        inside = np.clip((1 - np.hypot(u, v)) * radius * height / 1.5, 0, 1)[..., None]
        normal = np.sqrt(np.clip(1 - u**2 - v**2, 0, 1))
        tilt = np.sign(light_x - x) * 0.5
        shade = np.clip(0.25 + 0.75 * (tilt * u - 0.5 * v + 0.75 * normal), 0.1, 1.2)
        shine = np.clip(1 - np.hypot(u - tilt * 0.7, v + 0.45) / 0.35, 0, 1) ** 3
        skin = 0.9 + 0.2 * _clouds(rng, height, width, coarse=int(rng.integers(5, 30)), octaves=3)
        body = _colour(rng, rng.random(), light=0.5, strength=0.75) * (shade * skin)[..., None] + 0.6 * shine[..., None]
        picture = picture * (1 - inside) + inside * body
    return picture


def _texture(rng: Generator, height: int, width: int) -> Floats:
    base = _clouds(rng, height, width, coarse=int(rng.integers(2, 7)), octaves=6)
    across = np.linspace(0, 1, width) * np.ones((height, 1))
    down = np.linspace(0, 1, height)[:, None] * np.ones(width)
    bands = 0.5 + 0.5 * np.sin(2 * np.pi * (rng.uniform(2, 12) * across + rng.uniform(0, 9) * down + 3 * base))
    hue = rng.random()
    colours = [_colour(rng, hue, 0.08, light=light, strength=0.45) for light in rng.uniform(0.15, 0.8, size=4)]
    picture = _gradient(colours, 0.6 * base + 0.4 * bands)
    light = 1.15 - 0.5 * np.hypot(across - rng.random(), down - rng.random())
    return np.asarray(picture * light[..., None])


_SCENES: tuple[tuple[str, Callable[[Generator, int, int], Floats]], ...] = (
    ("landscape", _landscape),
    ("still life", _still_life),
    ("city", _city_night),
    ("texture", _texture),
)


def paint_picture(seed: int) -> Image.Image:
    """Return one painted picture, RGB, 960 x 640 or 640 x 960 pixels; the same one for the same seed.

    Parameters
    ----------
    seed : int
        ``seed % 4`` chooses the kind of scene: landscape, still life, city night, texture.

    Examples
    --------
    >>> paint_picture(3).size
    (640, 960)
    """
    rng = np.random.default_rng(seed)
    upright = seed % 7 == 3
    height, width = (_LONG_SIDE, _SHORT_SIDE) if upright else (_SHORT_SIDE, _LONG_SIDE)
    picture = _SCENES[seed % len(_SCENES)][1](rng, height, width)
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    picture = picture * (1 - 0.18 * (x**2 + y**2))[..., None]  # the lens is darker towards the corners
    picture = picture + rng.normal(0, 0.012, (height, width, 1))  # and the film has grain
    return Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8))


# ---- the altered copies ----


def _watermark(picture: Image.Image) -> Image.Image:
    layer = Image.new("L", picture.size, 0)
    ImageDraw.Draw(layer).text(
        (picture.width // 5, picture.height * 2 // 5), "dupkit demo", fill=130, font_size=picture.width // 9
    )
    return Image.composite(Image.new("RGB", picture.size, "white"), picture, layer)


def _crop(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    return picture.crop((width // 25, height // 20, width - width // 20, height - height // 25))


_ALTERATIONS: tuple[tuple[str, str, Callable[[Image.Image], Image.Image], int], ...] = (
    # kind, label, what is done to the picture, JPEG quality of the copy
    ("re-encoded", "duplicate", lambda picture: picture, 60),
    ("half size", "duplicate", lambda picture: picture.reduce(2), 88),
    ("mirrored", "transformed", ImageOps.mirror, 92),
    ("rotated 90", "transformed", lambda picture: picture.transpose(Image.Transpose.ROTATE_270), 92),
    ("cropped", "duplicate", _crop, 92),
    ("brighter", "duplicate", lambda picture: ImageEnhance.Brightness(picture).enhance(1.12), 92),
    ("watermarked", "duplicate", _watermark, 92),
    ("grey", "duplicate", lambda picture: picture.convert("L"), 92),
)
"""Alterations planted by turns; byte-identical copies come on top."""

ALBUM = "demo album"
"""Name of the folder of :func:`demo_album` in the state folder."""

_FOLDERS = ("2019 Lisbon", "2020 garden", "2021 mountains")
_COPY_FOLDERS = ("old phone", "from Anna", "2020 garden/edited")


def demo_album() -> Path:
    """Return the demo album of the state folder; painted first where it is absent, which takes some seconds."""
    album = state_folder() / ALBUM
    if not album.exists():
        # Painted beside its place and renamed: an album is whole or not there.
        part = Path(tempfile.mkdtemp(prefix=".demo-", dir=album.parent))
        write_demo(part)
        part.rename(album)
    return album


def write_demo(folder: str | os.PathLike[str], *, seed: int = 2019) -> Path:
    """Write the demo album: about 120 pictures, planted copies, two unreadable files, ``truth.csv``.

    Parameters
    ----------
    folder : path
        Made if absent; must be empty.
    seed : int, default 2019
        Another seed paints another album.

    Returns
    -------
    Path
        ``truth.csv``: every pair of files that shows the same picture (a, b, label, kind; ``a < b``), paths relative to
        the folder. ``label`` is ``duplicate``, or ``transformed`` for mirrored and rotated copies.

    Raises
    ------
    FileExistsError
        The folder holds something; nothing is written.
    NotADirectoryError
        The name is a file's.
    """
    root = Path(folder)
    if root.exists() and not root.is_dir():
        msg = f"{root} is a file; name a folder that is absent or empty"
        raise NotADirectoryError(msg)
    root.mkdir(parents=True, exist_ok=True)
    if any(root.iterdir()):
        msg = (
            f"{root} is not empty; the demo album wants an absent or empty folder, so that it can never mix with photos"
        )
        raise FileExistsError(msg)
    rng = np.random.default_rng(seed)
    groups: dict[int, list[tuple[str, str, str]]] = {}
    for number in range(N_ORIGINALS):
        picture = paint_picture(seed * 1000 + number)
        name = f"{_FOLDERS[number * len(_FOLDERS) // N_ORIGINALS]}/IMG_{4000 + number * 7:04d}.jpg"
        day = _FIRST_DAY_S + number * 9 * _DAY_S
        _save(picture, root / name, quality=92, taken_s=day)
        groups[number] = [(name, "original", "duplicate")]
        if number % 10 == 9:
            continue  # some pictures have no copy at all
        kind, label, alter, quality = _ALTERATIONS[number % len(_ALTERATIONS)]
        copy = f"{_COPY_FOLDERS[number % len(_COPY_FOLDERS)]}/IMG_{4000 + number * 7:04d} {kind}.jpg"
        _save(alter(picture), root / copy, quality=quality, taken_s=day + int(rng.integers(1, 300)) * _DAY_S)
        groups[number].append((copy, kind, label))
        if number % 13 == 5:
            twin = f"from Anna/{number:02d} copy of IMG_{4000 + number * 7:04d}.jpg"
            (root / twin).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, root / twin)
            os.utime(root / twin, (day + 400 * _DAY_S, day + 400 * _DAY_S))
            groups[number].append((twin, "same bytes", "duplicate"))
    _write_unreadable(root, root / groups[0][0][0])
    truth = root / "truth.csv"
    with truth.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["a", "b", "label", "kind"])
        writer.writerows(_true_pairs(groups))
    return truth


def _true_pairs(groups: dict[int, list[tuple[str, str, str]]]) -> list[tuple[str, str, str, str]]:
    rows = []
    for members in groups.values():
        for (a, kind_a, label_a), (b, kind_b, label_b) in itertools.combinations(sorted(members), 2):
            kinds = [kind for kind in (kind_a, kind_b) if kind != "original"]
            label = "transformed" if "transformed" in (label_a, label_b) else "duplicate"
            rows.append((a, b, label, " and ".join(kinds)))
    return sorted(rows)


def _save(picture: Image.Image, path: Path, *, quality: int, taken_s: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, quality=quality)
    os.utime(path, (taken_s, taken_s))


def _write_unreadable(root: Path, photo: Path) -> None:
    """Two files as every old disk has them: a download that broke off, and a page saved under a picture's name."""
    (root / "old phone" / "download broke off.jpg").write_bytes(photo.read_bytes()[:9000])
    (root / "old phone" / "not a picture.jpg").write_text("<html><body>404 Not Found</body></html>\n", encoding="utf-8")
