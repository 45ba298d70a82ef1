"""Seeded alterations of a photo: what people, messengers and phones do to a picture that stays the same picture.

Each alteration is a function from an upright RGB picture and a random generator to the bytes of a file. The seed
decides where a crop and a watermark lie and which three steps a chain is made of.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

Picture = Image.Image
Change = Callable[[Picture, np.random.Generator], Picture]

SAVED_QUALITY = 90
"""JPEG quality of an altered copy where the alteration is not the quality itself; cameras and editors use 85 to 95."""

EXIF_ORIENTATION = 0x0112
"""The EXIF tag that says how to turn a picture upright."""

FIGURES_KINDS = (
    "jpeg30",
    "half",
    "half+jpeg60",
    "mirror",
    "rot90",
    "crop95",
    "crop80",
    "brighter10",
    "watermark",
    "grey",
)
"""The ten kinds of DESIGN.md section 6, on which the mean recall is stated."""


def _resized(picture: Picture, factor: float) -> Picture:
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _cropped(picture: Picture, share: float, rng: np.random.Generator) -> Picture:
    width, height = max(1, round(picture.width * share)), max(1, round(picture.height * share))
    left = int(rng.integers(0, picture.width - width + 1))
    top = int(rng.integers(0, picture.height - height + 1))
    return picture.crop((left, top, left + width, top + height))


def _with_gamma(picture: Picture, gamma: float) -> Picture:
    table = [round(255 * (level / 255) ** gamma) for level in range(256)]
    return picture.point(table * len(picture.getbands()))


def _with_watermark(picture: Picture, rng: np.random.Generator) -> Picture:
    # Words across the whole width, white and half see-through, as picture agencies print them; on a dark or light
    # band every other time.
    layer = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    words = "SAMPLE © PHOTO STUDIO"
    size = max(8, int(picture.width * rng.uniform(0.07, 0.085)))
    top = int(rng.uniform(0.05, 0.75) * picture.height)
    if rng.random() < 0.5:
        shade = (0, 0, 0, 110) if rng.random() < 0.5 else (255, 255, 255, 110)
        draw.rectangle((0, top - size // 4, picture.width, top + round(size * 1.4)), fill=shade)
    draw.text((picture.width // 40, top), words, font_size=size, fill=(255, 255, 255, 190))
    return Image.alpha_composite(picture.convert("RGBA"), layer).convert("RGB")


def _with_mark(picture: Picture, rng: np.random.Generator) -> Picture:
    # A photographer's small name in a corner.
    layer = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    size = max(8, picture.height // 16)
    place = (int(rng.uniform(0.02, 0.5) * picture.width), int(rng.choice([0.03, 0.9]) * picture.height))
    ImageDraw.Draw(layer).text(place, "© A. Nobody 2024", font_size=size, fill=(255, 255, 255, 170))
    return Image.alpha_composite(picture.convert("RGBA"), layer).convert("RGB")


def _with_caption(picture: Picture, rng: np.random.Generator) -> Picture:
    bar = max(4, int(picture.height * rng.uniform(0.06, 0.14)))
    shown = Image.new("RGB", (picture.width, picture.height + bar), "white" if rng.random() < 0.5 else "black")
    shown.paste(picture, (0, 0 if rng.random() < 0.5 else bar))
    return shown


def _with_border(picture: Picture, rng: np.random.Generator) -> Picture:
    width = max(2, int(min(picture.size) * rng.uniform(0.02, 0.06)))
    return ImageOps.expand(picture, border=width, fill=("white", "black", "grey")[int(rng.integers(3))])


def _in_a_frame(picture: Picture, rng: np.random.Generator) -> Picture:
    side = int(picture.width * rng.uniform(0.0, 0.1))
    top, bottom = (int(picture.height * rng.uniform(0.05, 0.15)) for _ in range(2))
    shown = Image.new("RGB", (picture.width + 2 * side, picture.height + top + bottom), (32, 33, 36))
    draw = ImageDraw.Draw(shown)
    draw.text((10, max(2, top // 4)), "Photos   10:41   < Back", font_size=max(8, top // 2), fill="white")
    shown.paste(picture, (side, top))
    return shown


CHANGES: Mapping[str, Change] = {
    "half": lambda picture, _: _resized(picture, 0.5),
    "quarter": lambda picture, _: _resized(picture, 0.25),
    "mirror": lambda picture, _: ImageOps.mirror(picture),
    "rot90": lambda picture, _: picture.transpose(Image.Transpose.ROTATE_90),
    "rot180": lambda picture, _: picture.transpose(Image.Transpose.ROTATE_180),
    "rot270": lambda picture, _: picture.transpose(Image.Transpose.ROTATE_270),
    "crop95": lambda picture, rng: _cropped(picture, 0.95, rng),
    "crop90": lambda picture, rng: _cropped(picture, 0.90, rng),
    "crop80": lambda picture, rng: _cropped(picture, 0.80, rng),
    "crop70": lambda picture, rng: _cropped(picture, 0.70, rng),
    "brighter10": lambda picture, _: ImageEnhance.Brightness(picture).enhance(1.1),
    "brighter20": lambda picture, _: ImageEnhance.Brightness(picture).enhance(1.2),
    "darker10": lambda picture, _: ImageEnhance.Brightness(picture).enhance(0.9),
    "darker20": lambda picture, _: ImageEnhance.Brightness(picture).enhance(0.8),
    "contrast": lambda picture, rng: ImageEnhance.Contrast(picture).enhance(float(rng.choice([0.8, 1.25]))),
    "gamma": lambda picture, rng: _with_gamma(picture, float(rng.choice([0.8, 1.25]))),
    "grey": lambda picture, _: picture.convert("L"),
    "watermark": _with_watermark,
    "small mark": _with_mark,
    "caption": _with_caption,
    "border": _with_border,
    "frame": _in_a_frame,
}
"""Alterations of the pixels, by name."""

_QUALITIES = {"jpeg10": 10, "jpeg30": 30, "jpeg60": 60, "half+jpeg60": 60}

_CHAIN_STEPS = tuple(name for name in CHANGES if name not in {"quarter", "crop70", "frame"})

KINDS = (*_QUALITIES, *CHANGES, "exif", "png", "webp", "chain3")
"""Every kind of altered copy."""


def photo_seed(seed: int, name: str) -> int:
    """Return a seed for one photo that depends on its name, not on how many photos there are."""
    return zlib.crc32(f"{seed}:{name}".encode())


def altered_copy(picture: Picture, kind: str, rng: np.random.Generator) -> tuple[str, bytes]:
    """Return the file extension and the bytes of an altered copy of a picture.

    Parameters
    ----------
    picture : Image
        Upright, mode RGB.
    kind : str
        One of :data:`KINDS`.
    rng : Generator
        Decides what the kind leaves open.

    Raises
    ------
    ValueError
        No such kind.
    """
    if kind not in KINDS:
        msg = f"kind: {kind!r} is none of {', '.join(KINDS)}"
        raise ValueError(msg)
    if kind in ("png", "webp"):
        return kind, _encoded(picture, kind.upper())
    if kind == "exif":
        # The pixels are stored turned, the tag turns them back: the picture that people see is the same.
        exif = Image.Exif()
        exif[EXIF_ORIENTATION] = 6
        return "jpg", _encoded(picture.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif)
    if kind == "chain3":
        for step in rng.choice(_CHAIN_STEPS, size=3, replace=False):
            picture = CHANGES[str(step)](picture.convert("RGB"), rng)
        return "jpg", _encoded(picture, "JPEG", quality=int(rng.integers(50, 90)))
    quality = _QUALITIES.get(kind, SAVED_QUALITY)
    if kind == "half+jpeg60":
        picture = CHANGES["half"](picture, rng)
    elif kind in CHANGES:
        picture = CHANGES[kind](picture, rng)
    return "jpg", _encoded(picture, "JPEG", quality=quality)


def _encoded(picture: Picture, image_format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    if image_format == "JPEG":
        options.setdefault("quality", SAVED_QUALITY)
    picture.save(stream, image_format, **options)
    return stream.getvalue()
