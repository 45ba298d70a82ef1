"""Open a picture with the one decoder of its type, read its header and hold it against the limits."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from PIL import Image, ImageCms, ImageFile

from dupkit.scan.formats import HEAD_BYTES, file_format, other_type
from dupkit.scan.limits import LARGEST_COEFFICIENTS, LARGEST_SCALED, LARGEST_WHOLE, MEMORY_MB

DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    ImageCms.PyCMSError,
)
"""What Pillow's decoders are known to raise on damaged files. Anything else is a bug and ends the worker."""

_UNKNOWN_KIND = ("unsupported", "not supported", "unknown", "not available", "not installed", "not implemented")
"""Words in a decoder's message that say the file may be sound, but of a kind that this decoder does not know."""

NEEDS_MEMORY = f"needs more than {MEMORY_MB} MB"
"""The reason of a file whose decoder asked for more memory than a worker may have."""

_CUT_OFF = ("truncated", "not enough", "unexpected end", "requires a buffer", "index out of range")
"""Words in a decoder's message that say the file ends before it should."""

_ORIENTATION_TAG, _SUBFILE_TYPE, _SUB_IFDS, _DNG_VERSION = 0x0112, 0x00FE, 0x014A, 0xC612


class UnreadableError(Exception):
    """The file is no picture that dupkit reads; the message is the reason, for the column ``error``."""


@dataclass(frozen=True)
class Header:
    """A picture whose header is within the limits; ``image`` is not decoded yet, ``width`` and ``height`` as stored."""

    image: ImageFile.ImageFile
    format: str
    width: int
    height: int


@contextmanager
def opened(stream: BinaryIO) -> Iterator[Header]:
    """Give the picture in a stream, its header read and within the limits, nothing decoded yet.

    Raises
    ------
    UnreadableError
        With the reason; also for whatever a decoder raises inside the block.
    """
    try:
        header = _open(stream)
        try:
            yield header
        finally:
            header.image.close()
    except DECODER_ERRORS as error:
        raise UnreadableError(_reason(error)) from error


def check_whole(width: int, height: int) -> None:
    """Raise unless every pixel of a picture of this size may be held."""
    if width * height > LARGEST_WHOLE:
        raise UnreadableError(_too_many(LARGEST_WHOLE))


def exif_orientation(image: Image.Image) -> int:
    """Return the orientation, 1 to 8, that the EXIF bytes of an opened picture name; 1 where they name none.

    Reads the one entry itself: Pillow's own reader takes as long as decoding a small JPEG.
    """
    exif = image.info.get("exif")
    if not isinstance(exif, bytes):
        return 1
    tiff = exif.removeprefix(b"Exif\x00\x00")
    order: str | None = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 10:
        return 1
    start = int(struct.unpack_from(order + "I", tiff, 4)[0])
    if start + 2 > len(tiff):
        return 1
    for entry in range(struct.unpack_from(order + "H", tiff, start)[0]):
        at = start + 2 + 12 * entry
        if at + 12 > len(tiff):
            break
        tag, kind = struct.unpack_from(order + "HH", tiff, at)
        if tag == _ORIENTATION_TAG:
            value = struct.unpack_from(order + ("I" if kind == 4 else "H"), tiff, at + 8)[0]
            return int(value) if 1 <= value <= 8 else 1
    return 1


def coefficient_bytes(image: ImageFile.ImageFile) -> int:
    """Return how many bytes of coefficients decoding a JPEG holds; 0 unless it is progressive."""
    layers = getattr(image, "layer", None)
    if not image.info.get("progressive") or not layers:
        return 0
    most = max(across * down for _, across, down, _ in layers) or 1
    return sum(2 * image.width * image.height * across * down // most for _, across, down, _ in layers)


def count_frames(image: ImageFile.ImageFile) -> int:
    """Return the frames or pages of an opened picture; 0 where the list of them is damaged."""
    try:
        return int(getattr(image, "n_frames", 1))
    except DECODER_ERRORS:
        return 0


def _open(stream: BinaryIO) -> Header:
    head = stream.read(HEAD_BYTES)
    stream.seek(0)
    if not head:
        msg = "empty file"
        raise UnreadableError(msg)
    name = file_format(head)
    if not name:
        msg = f"not an image that dupkit reads: {other_type(head)}"
        raise UnreadableError(msg)
    if name == "WEBP":
        check_whole(*_webp_size(head))  # its decoder takes the memory when it opens the file
    image = _opener(name)(stream)
    width, height = image.size
    if name == "TIFF":
        # Its decoder turns the picture by itself; these are the sides as stored.
        tags = image.tag_v2  # type: ignore[attr-defined]
        width, height = int(tags[256]), int(tags[257])
        if _is_camera_raw(head, tags):
            msg = "not an image that dupkit reads: camera RAW"
            raise UnreadableError(msg)
    if width * height > (LARGEST_SCALED if name == "JPEG" else LARGEST_WHOLE):
        raise UnreadableError(_too_many(LARGEST_SCALED if name == "JPEG" else LARGEST_WHOLE))
    if coefficient_bytes(image) > LARGEST_COEFFICIENTS:
        raise UnreadableError(NEEDS_MEMORY)
    return Header(image, image.format or name, width, height)


def _is_camera_raw(head: bytes, tags: Mapping[int, Any]) -> bool:
    """Return whether a TIFF is a camera's RAW: its first page is a preview, which must not pass for the picture."""
    is_preview = bool(tags.get(_SUBFILE_TYPE, 0) & 1)
    return head[8:10] == b"CR" or _DNG_VERSION in tags or (is_preview and _SUB_IFDS in tags)


def _opener(name: str) -> Callable[[BinaryIO], ImageFile.ImageFile]:
    """Return the one decoder of a type, imported on first use: a folder of JPEG pays for JPEG only."""
    # ruff: noqa: PLC0415
    if name == "JPEG":
        from PIL.JpegImagePlugin import jpeg_factory

        return cast("Callable[[BinaryIO], ImageFile.ImageFile]", jpeg_factory)
    if name == "PNG":
        from PIL.PngImagePlugin import PngImageFile

        return PngImageFile
    if name == "GIF":
        from PIL.GifImagePlugin import GifImageFile

        return GifImageFile
    if name == "WEBP":
        from PIL.WebPImagePlugin import WebPImageFile

        return WebPImageFile
    if name == "TIFF":
        from PIL.TiffImagePlugin import TiffImageFile

        return TiffImageFile
    if name == "BMP":
        from PIL.BmpImagePlugin import BmpImageFile

        return BmpImageFile
    if name == "AVIF":
        from PIL import AvifImagePlugin

        return AvifImagePlugin.AvifImageFile
    return _heif_opener()


def _heif_opener() -> Callable[[BinaryIO], ImageFile.ImageFile]:
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        msg = "HEIC needs the extra: pip install 'dupkit[heic]'"
        raise UnreadableError(msg) from error
    return cast("Callable[[BinaryIO], ImageFile.ImageFile]", HeifImageFile)


def _webp_size(head: bytes) -> tuple[int, int]:
    """Return the canvas of a WebP file; zeros where its header is cut off, which its decoder will say."""
    if len(head) < 30:
        return 0, 0
    kind = head[12:16]
    if kind == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF


def _too_many(limit: int) -> str:
    return f"too large: more than {limit // 1_000_000} megapixels"


def _reason(error: BaseException) -> str:
    """Return the words for a decoder's exception: few different ones, so that they can be counted."""
    if isinstance(error, Image.DecompressionBombError):
        return _too_many(LARGEST_WHOLE)
    message = str(error).lower()
    if isinstance(error, MemoryError) or "out of memory" in message or ("memory" in message and "alloc" in message):
        return NEEDS_MEMORY
    if isinstance(error, EOFError) or any(word in message for word in _CUT_OFF):
        return "damaged: cut off"
    if isinstance(error, NotImplementedError) or any(words in message for words in _UNKNOWN_KIND):
        return "damaged or of an unsupported kind"
    return "damaged: cannot be decoded"
