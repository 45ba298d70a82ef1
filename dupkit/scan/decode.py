"""Decode an image file: the only module that opens pictures. Needs Pillow, and numpy where a picture is not 8-bit.

A file's type is told by its first bytes and only the decoder of that type is tried; a name or a probing decoder never
decides. The size is read from the header and held against the limits before a pixel is decoded. Whatever goes wrong is
an :class:`UnreadableError` with a short reason, the same words for the same cause, so that reasons can be counted.

How a picture becomes RGB, in both samplings:

- **RGB and greyscale** (also in 1 bit a pixel): as they are; greyscale counts as R = G = B. An embedded ICC profile
  and a colour that is named as transparent are ignored there, as the original script did.
- **Palette**: the palette's colours.
- **Transparent** (an alpha channel, or a palette with transparency): composited on white.
- **CMYK**: through the embedded ICC profile to sRGB (perceptual), where there is one that can be used; else
  R = (255 - C)(255 - K) / 255 and so on. YCbCr and LAB: converted to sRGB.
- **16 bits**: scaled, v x 255 / 65535, never clipped. Colour in 16 bits: the high byte.
- **Float and 32 bits**: the first of 0..1 (float only), 0..255 and 0..65535 that holds all values becomes black..white;
  else the smallest..largest value does. Not a number: black.
- **Animations and files of several pages**: the first one.
- **EXIF orientation**: for thumbnails, viewing and the hash of pixels; not for histograms, which it hardly changes.
  TIFF and HEIF come upright from their decoders, histograms too.

``fast`` sampling decodes a JPEG at the smallest of 1/8, 1/4, 1/2 and 1/1 that is at least 200 x 150 (nearly all that
remains is entropy decoding), averages blocks of pixels until each side is less than twice that, brings it to 200 x 150
and counts each pixel as 16, so that a channel sums to 480,000 as in ``original``: all pixels decoded, 800 x 600
(Lanczos).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from PIL import Image

from dupkit.scan.convert import to_blocks, to_rgb, to_size
from dupkit.scan.header import (
    Header,
    UnreadableError,
    check_whole,
    coefficient_bytes,
    count_frames,
    exif_orientation,
    opened,
)
from dupkit.scan.limits import LARGE_BYTES

__all__ = ["Decoded", "UnreadableError", "decode_facts", "decode_histogram", "encode_picture", "hash_pixels"]

DECODER_VERSION = 2
"""Raised whenever a histogram, thumbnail or reason of the same bytes comes out otherwise than before."""

SCALES = {"fast": 16, "original": 1}
"""Pixels of 480,000 that one counted pixel stands for, by sampling."""

_FAST_SIZE = (200, 150)
_ORIGINAL_SIZE = (800, 600)
_THUMBNAIL_SIZE = (64, 64)

_JPEG_QUALITY = 88
"""Of the pictures that the page shows: differences that an eye can see survive it."""

_NO_LOCK: AbstractContextManager[object] = nullcontext()

_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture of each EXIF orientation upright."""

_ORIENTATION, _MAKE, _MODEL, _EXIF_IFD, _TAKEN, _CHANGED = 0x0112, 0x010F, 0x0110, 0x8769, 0x9003, 0x0132


@dataclass(frozen=True)
class Decoded:
    """What one pass over a picture gives.

    ``counts`` are the 768 bins of the resized picture (times ``SCALES[sampling]``: pixels of 480,000), ``thumbnail``
    the 64 x 64 grey bytes, upright, row by row.
    """

    format: str
    width: int
    height: int
    orientation: int
    frames: int
    counts: list[int]
    thumbnail: bytes


def decode_histogram(stream: BinaryIO, sampling: str, *, large: AbstractContextManager[object] = _NO_LOCK) -> Decoded:
    """Return histogram, thumbnail and dimensions of the picture in a stream.

    Parameters
    ----------
    stream : binary file, at its start
    sampling : {"fast", "original"}
    large : context manager
        Held while a picture that needs more than ``LARGE_BYTES`` is decoded.

    Raises
    ------
    UnreadableError
        With the reason.
    """
    fast = sampling == "fast"
    size = _FAST_SIZE if fast else _ORIGINAL_SIZE
    with opened(stream) as header:
        orientation = _stored_orientation(header)
        frames = count_frames(header.image)
        if fast:
            _scale(header, size)
        with _loaded(header, large) as image:
            seen = to_blocks(image, size) if fast else to_size(image, size, Image.Resampling.LANCZOS)
        turn = exif_orientation(header.image)
        counted = _sampled(seen) if fast else seen
        counts = counted.histogram() * (3 if counted.mode == "L" else 1)
        grey = _upright(seen.convert("L"), turn)
        thumbnail = grey.resize(_THUMBNAIL_SIZE, Image.Resampling.BILINEAR, reducing_gap=1.0).tobytes()
        return Decoded(header.format, header.width, header.height, orientation or turn, frames, counts, thumbnail)


def hash_pixels(stream: BinaryIO, *, large: AbstractContextManager[object] = _NO_LOCK) -> str:
    """Return the SHA-256, hex, of the size and the upright RGB pixels of a picture, every one decoded.

    Raises
    ------
    UnreadableError
        With the reason.
    """
    with opened(stream) as header, _loaded(header, large) as image:
        upright = _upright(to_rgb(image), exif_orientation(header.image))
        digest = hashlib.sha256(b"%d x %d RGB " % upright.size)
        rows = max((1 << 22) // upright.width, 1)
        for top in range(0, upright.height, rows):
            digest.update(upright.crop((0, top, upright.width, min(top + rows, upright.height))).tobytes())
        return digest.hexdigest()


def encode_picture(stream: BinaryIO, side: int | None, *, large: AbstractContextManager[object] = _NO_LOCK) -> bytes:
    """Return a picture as a JPEG made by dupkit, without metadata: upright, RGB, at most ``side`` pixels a side.

    Parameters
    ----------
    stream : binary file, at its start
    side : int or None
        Longest side, pixels; a smaller picture keeps its size. None: full size.
    large : context manager
        As for :func:`decode_histogram`.

    Raises
    ------
    UnreadableError
        With the reason.
    """
    with opened(stream) as header:
        factor = min(side / max(header.image.size), 1.0) if side else 1.0
        width, height = (max(round(length * factor), 1) for length in header.image.size)
        if factor < 1:
            _scale(header, (width, height))
        with _loaded(header, large) as image:
            if factor < 1:
                small = to_size(image, (width, height), Image.Resampling.LANCZOS).convert("RGB")
            else:
                small = to_rgb(image)
        upright = _upright(small, exif_orientation(header.image))
        upright.info.clear()  # EXIF, profile and comments stay behind
        buffer = BytesIO()
        upright.save(buffer, "JPEG", quality=_JPEG_QUALITY)
        return buffer.getvalue()


def decode_facts(stream: BinaryIO) -> dict[str, str]:
    """Return what the EXIF data say: ``camera`` and ``taken`` (YYYY-MM-DD HH:MM:SS); '' where they do not say it.

    Raises
    ------
    UnreadableError
        With the reason.
    """
    with opened(stream) as header:
        exif = header.image.getexif()
        make, model = (_text(exif.get(tag)) for tag in (_MAKE, _MODEL))
        camera = model if model.lower().startswith(make.lower()) else f"{make} {model}"
        taken = _text(exif.get_ifd(_EXIF_IFD).get(_TAKEN)) or _text(exif.get(_CHANGED))
        return {"camera": camera.strip(), "taken": taken[:10].replace(":", "-") + taken[10:19]}


def _sampled(image: Image.Image) -> Image.Image:
    """Return the 200 x 150 pixels that fast sampling counts: columns as they are, rows interpolated.

    Interpolating both took a third of a small photo's time and finds no more. Of 2,500 altered copies of 250 photos
    63.9 % lay below RMS 500 with both interpolated, 63.6 % like this, 62.6 % with neither.
    """
    columns = image.resize((_FAST_SIZE[0], image.height), Image.Resampling.NEAREST)
    return columns.resize(_FAST_SIZE, Image.Resampling.BILINEAR)


def _stored_orientation(header: Header) -> int:
    """Return the orientation that a decoder will apply by itself (TIFF); 0 where it leaves that to us."""
    if header.format != "TIFF":
        return 0
    value = header.image.tag_v2.get(_ORIENTATION, 1)  # type: ignore[attr-defined]
    return value if value in range(1, 9) else 1


def _scale(header: Header, size: tuple[int, int]) -> None:
    """Have a JPEG decoded at the smallest of its scales that is at least ``size``."""
    if header.format in ("JPEG", "MPO"):
        header.image.draft("RGB", size)


@contextmanager
def _loaded(header: Header, large: AbstractContextManager[object]) -> Iterator[Image.Image]:
    """Give the picture decoded; a large one while ``large`` is held."""
    image = header.image
    check_whole(*image.size)
    width, height = image.size
    needed = 4 * width * height + coefficient_bytes(image)
    with large if needed > LARGE_BYTES else _NO_LOCK:
        image.load()
        yield image


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    method = _TRANSPOSE.get(orientation)
    return image if method is None else image.transpose(method)


def _text(value: object) -> str:
    """Return an EXIF text as one line of printable characters."""
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value or "")
    return "".join(letter for letter in text if letter.isprintable()).strip()[:80]
