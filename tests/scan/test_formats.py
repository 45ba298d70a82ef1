"""Types are told by first bytes, images by extension."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from dupkit.scan.formats import HEAD_BYTES, file_format, is_image, other_type


@pytest.mark.parametrize("name", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF"])
def test_each_type_that_pillow_writes_is_told_by_its_first_bytes(name: str) -> None:
    buffer = BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, name)
    assert file_format(buffer.getvalue()[:HEAD_BYTES]) == name
    assert is_image(buffer.getvalue()[:HEAD_BYTES])


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "EPS or PostScript"),
        (b"8BPS\x00\x01", "PSD"),
        (b"%PDF-1.4", "PDF"),
        (b"<svg xmlns='x'>", "SVG"),
        (b"<?xml version='1.0'?><svg>", "SVG"),
        (b"<!DOCTYPE html>", "HTML or XML"),
        (b"\xff\n\xfa", "JPEG XL"),
        (b"P6\n2 2\n255\n", "PNM"),
        (b"plain words", "text"),
        ("Umlaute: ä".encode()[:-1], "text"),
        (b"\x00\x01\x02", "unknown type"),
        (b"RIFF\x00\x00\x00\x00WAVE", "unknown type"),
    ],
)
def test_what_dupkit_does_not_read_has_a_name(head: bytes, words: str) -> None:
    assert not file_format(head)
    assert other_type(head) == words


def test_avif_and_heif_are_told_by_their_brands() -> None:
    assert file_format(b"\x00\x00\x00\x1cftypmif1\x00\x00\x00\x00mif1avifmiaf") == "AVIF"
    assert file_format(b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1heic") == "HEIF"
    assert file_format(b"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00isommp42") == ""


def test_two_letters_do_not_make_a_bmp_of_a_text() -> None:
    assert file_format(b"BM") == "BMP"
    assert not is_image(b"BM")
    assert not is_image(b"BMI and other measures, a long text about them")
