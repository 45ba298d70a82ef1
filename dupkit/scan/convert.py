"""Turn a decoded picture of any mode into RGB, and bring it to a size, in little memory.

The rules stand in :mod:`dupkit.scan.decode`, which alone calls this.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import cast

from PIL import Image, ImageCms

WHITE = (255, 255, 255)

_STRIP_PIXELS = 1 << 20
"""Pixels that are converted at a time: a converted strip is small beside the picture that is held anyway."""

_AS_THEY_ARE = frozenset({"RGB", "L"})
"""Modes whose values are the histogram's already; L is repeated to three channels at the end."""

_ALPHA = frozenset({"RGBA", "RGBa", "LA", "La", "PA"})

Converter = Callable[[Image.Image], Image.Image]
"""Makes a strip of mode L or RGB from a strip of another mode."""


def to_rgb(image: Image.Image) -> Image.Image:
    """Return a whole picture in RGB."""
    if image.mode == "RGB":
        return image
    if image.mode == "L":
        return image.convert("RGB")
    converter = _converter(image)
    whole = Image.new("RGB", image.size)
    for top, bottom in _strips(image):
        whole.paste(converter(image.crop((0, top, image.width, bottom))).convert("RGB"), (0, top))
    return whole


def to_size(image: Image.Image, size: tuple[int, int], resample: Image.Resampling) -> Image.Image:
    """Return a picture as L or RGB, resized exactly as ``to_rgb(image).resize(size, resample)`` would.

    Pillow resizes the rows first and the columns after, each rounded to 8 bits, so the rows may be converted and
    resized strip by strip: the result is the same, and a second whole picture is never held.
    """
    if image.mode in _AS_THEY_ARE:
        return image.resize(size, resample)
    converter = _converter(image)
    narrow: Image.Image | None = None
    for top, bottom in _strips(image):
        strip = converter(image.crop((0, top, image.width, bottom)))
        if narrow is None:
            narrow = Image.new(strip.mode, (size[0], image.height))
        narrow.paste(strip.resize((size[0], bottom - top), resample), (0, top))
    assert narrow is not None
    return narrow.resize(size, resample)


def to_blocks(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return a picture as L or RGB, each side less than twice that of ``size``: 1, 2, 4, 8 ... pixels averaged to one.

    Exactly as ``to_rgb(image).reduce(...)`` would, which is what decoding a JPEG to a fraction of its size comes close
    to: so the same picture in another format has the same histogram, nearly.
    """
    across, down = (1 << (max(have // want, 1).bit_length() - 1) for have, want in zip(image.size, size, strict=True))
    if image.mode in _AS_THEY_ARE:
        return image.reduce((across, down)) if across > 1 or down > 1 else image
    converter = _converter(image)
    blocks: Image.Image | None = None
    for top, bottom in _strips(image, multiple=down):
        strip = converter(image.crop((0, top, image.width, bottom))).reduce((across, down))
        if blocks is None:
            blocks = Image.new(strip.mode, (strip.width, -(-image.height // down)))
        blocks.paste(strip, (0, top // down))
    assert blocks is not None
    return blocks


def _strips(image: Image.Image, *, multiple: int = 1) -> list[tuple[int, int]]:
    height = max(_STRIP_PIXELS // image.width // multiple, 1) * multiple
    return [(top, min(top + height, image.height)) for top in range(0, image.height, height)]


def _converter(image: Image.Image) -> Converter:
    """Return the rule for a picture; what it must know of the whole picture is found out here, once."""
    mode = image.mode
    if mode in _ALPHA or (mode == "P" and "transparency" in image.info):
        return _on_white
    if mode == "CMYK":
        return _from_cmyk(image.info.get("icc_profile"))
    if mode == "LAB":
        return _from_lab()
    if mode.startswith("I;16"):
        return _from_numbers(0.0, 65535.0)
    if mode in ("I", "F"):
        return _from_numbers(*_range(image))
    return lambda strip: strip.convert("L" if mode == "1" else "RGB")


def _on_white(strip: Image.Image) -> Image.Image:
    rgba = strip.convert("RGBA")
    white = Image.new("RGB", rgba.size, WHITE)
    white.paste(rgba.convert("RGB"), mask=rgba.getchannel("A"))
    return white


def _from_cmyk(profile: object) -> Converter:
    if isinstance(profile, bytes):
        try:
            embedded = ImageCms.ImageCmsProfile(BytesIO(profile))
            transform = ImageCms.buildTransform(embedded, ImageCms.createProfile("sRGB"), "CMYK", "RGB")
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass  # a profile that is damaged, or not of CMYK: as if there were none
        else:
            return lambda strip: cast("Image.Image", ImageCms.applyTransform(strip, transform))
    return lambda strip: strip.convert("RGB")


def _from_lab() -> Converter:
    transform = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
    return lambda strip: cast("Image.Image", ImageCms.applyTransform(strip, transform))


def _range(image: Image.Image) -> tuple[float, float]:
    """Return the values of a float or 32-bit picture that become black and white."""
    import numpy as np  # noqa: PLC0415  (a worker starts in half the time without it, and few pictures need it)

    low, high = np.inf, -np.inf
    for top, bottom in _strips(image):
        values = np.asarray(image.crop((0, top, image.width, bottom)))
        values = values[np.isfinite(values)]
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    if low > high:
        return 0.0, 1.0  # not one finite value
    for white in (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0):
        if low >= 0 and high <= white:
            return 0.0, white
    return low, high


def _from_numbers(black: float, white: float) -> Converter:
    import numpy as np  # noqa: PLC0415

    def convert(strip: Image.Image) -> Image.Image:
        values = np.nan_to_num(np.asarray(strip).astype(np.float64), nan=black, posinf=white, neginf=black)
        levels = (values - black) * (255.0 / (white - black or 1.0))
        return Image.fromarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8))

    return convert
