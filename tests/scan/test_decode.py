"""From bytes to a histogram: the script's to the bit, by stated rules elsewhere, within limits; a reason a failure."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from dupkit.scan import convert, header
from dupkit.scan.decode import (
    UnreadableError,
    decode_facts,
    decode_histogram,
    encode_picture,
    hash_pixels,
)
from dupkit.scan.versions import decoder_version
from tests.naive import fast_histogram, script_histogram, script_rms
from tests.scan.conftest import picture


def saved(image: Image.Image, format: str = "PNG", **options: object) -> BytesIO:  # noqa: A002
    buffer = BytesIO()
    image.save(buffer, format, **options)
    buffer.seek(0)
    return buffer


def reason(data: bytes) -> str:
    with pytest.raises(UnreadableError) as caught:
        decode_histogram(BytesIO(data), "fast")
    return str(caught.value)


def levels(stream: BytesIO, sampling: str = "fast") -> tuple[float, float, float]:
    """Mean level of each channel."""
    counts = np.array(decode_histogram(stream, sampling).counts).reshape(3, 256)
    return tuple((counts * np.arange(256)).sum(axis=1) / counts.sum(axis=1))


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize(
    ("name", "options"), [("JPEG", {"quality": 85}), ("PNG", {}), ("BMP", {}), ("TIFF", {}), ("WEBP", {})]
)
def test_original_sampling_is_the_script_to_the_bit(
    tmp_path: Path, rng: np.random.Generator, mode: str, name: str, options: dict[str, object]
) -> None:
    place = tmp_path / "picture"
    picture(rng, (1001, 750), mode).save(place, name, **options)
    assert decode_histogram(BytesIO(place.read_bytes()), "original").counts == script_histogram(place)


def test_original_sampling_is_the_script_on_real_photos(photos: Path) -> None:
    chosen = sorted(photos.rglob("*.jpg"))[::23]
    assert len(chosen) > 10
    for place in chosen:
        with Image.open(place) as image:
            if image.mode in ("RGB", "L"):
                counts = decode_histogram(BytesIO(place.read_bytes()), "original").counts
                assert counts == script_histogram(place), place


@pytest.mark.parametrize("size", [(1700, 1300), (500, 375), (399, 301), (6400, 200), (120, 90), (1, 4000)])
@pytest.mark.parametrize(("name", "mode"), [("JPEG", "RGB"), ("JPEG", "L"), ("PNG", "RGB"), ("PNG", "P")])
def test_fast_sampling_is_the_naive_one(
    tmp_path: Path, rng: np.random.Generator, name: str, mode: str, size: tuple[int, int]
) -> None:
    place = tmp_path / "picture"
    picture(rng, size, mode).save(place, name)
    decoded = decode_histogram(BytesIO(place.read_bytes()), "fast")
    assert decoded.counts == fast_histogram(place)
    assert (decoded.width, decoded.height, decoded.format, decoded.frames) == (*size, name, 1)
    assert len(decoded.thumbnail) == 64 * 64


def test_fast_sampling_finds_a_photo_again_in_another_format_and_size(photos: Path) -> None:
    chosen = sorted(photos.rglob("clothing-dataset/**/*.jpg"))[::20]
    assert len(chosen) > 10
    near = 0
    for place in chosen:
        with Image.open(place) as image:
            rgb = image.convert("RGB")
        smaller = rgb.resize((rgb.width * 4 // 5, rgb.height * 4 // 5), Image.Resampling.LANCZOS)
        counts = [
            decode_histogram(stream, "fast").counts for stream in (saved(rgb), saved(smaller, "JPEG", quality=92))
        ]
        near += script_rms(*(np.array(bins) * 16 for bins in counts)) < 500
    assert near >= 0.8 * len(chosen)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "CMYK", "1", "I;16"])
def test_working_strip_by_strip_equals_working_on_the_whole(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator, mode: str
) -> None:
    monkeypatch.setattr(convert, "_STRIP_PIXELS", 5000)
    if mode == "I;16":
        image = Image.fromarray(rng.integers(0, 65536, (333, 444), dtype=np.uint16))
    else:
        image = picture(rng, (444, 333)).convert(mode)
    if mode in ("RGBA", "LA"):
        image.putalpha(picture(rng, (444, 333), "L"))
    whole = convert.to_rgb(image)
    lanczos = Image.Resampling.LANCZOS
    assert convert.to_size(image, (800, 600), lanczos).convert("RGB") == whole.resize((800, 600), lanczos)
    for size, blocks in (((200, 150), (2, 2)), ((30, 150), (8, 2)), ((444, 20), (1, 16))):
        assert convert.to_blocks(image, size).convert("RGB") == whole.reduce(blocks)


def test_transparent_is_composited_on_white() -> None:
    image = Image.new("RGBA", (40, 30), (200, 0, 0, 0))
    assert levels(saved(image)) == (255, 255, 255)
    image.putalpha(128)
    red, green, blue = levels(saved(image))
    assert red > 225
    assert green == blue == 127
    palette = Image.new("P", (40, 30), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    assert levels(saved(palette)) == (10, 20, 30)
    assert levels(saved(palette, transparency=1)) == (255, 255, 255)
    assert levels(saved(palette, "GIF", transparency=1)) == (255, 255, 255)


def test_16_bits_are_scaled_and_not_clipped() -> None:
    ramp = np.tile(np.linspace(0, 65535, 400).astype(np.uint16), (300, 1))
    for stream in (saved(Image.fromarray(ramp)), saved(Image.fromarray(ramp), "TIFF")):
        counts = np.array(decode_histogram(stream, "fast").counts[:256])
        # 200 columns, each another level or nearly so: clipping at 255 would leave almost all pixels white.
        assert (counts > 0).sum() > 190
        assert counts.max() <= 300


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 1.0], 127.5),
        ([0.0, 0.5], 64),
        ([0.0, 255.0], 127.5),
        ([0.0, 65535.0], 127.5),
        ([-3.0, 5.0], 127.5),
        ([0.0, np.nan], 0),
    ],
)
def test_float_pictures_are_scaled_by_the_first_range_that_holds_them(values: list[float], expected: float) -> None:
    pixels = np.repeat(np.repeat(np.array([values], dtype=np.float32), 200, axis=1), 300, axis=0)
    assert levels(saved(Image.fromarray(pixels), "TIFF"))[0] == pytest.approx(expected, abs=1.5)


def test_a_flat_white_and_a_flat_black_picture_differ_in_every_kind() -> None:
    for dark, light in [
        (Image.new("RGB", (30, 20), "black"), Image.new("RGB", (30, 20), "white")),
        (Image.new("1", (30, 20), 0), Image.new("1", (30, 20), 1)),
        (Image.new("F", (30, 20), 0.0), Image.new("F", (30, 20), 1.0)),
        (Image.new("I;16", (30, 20), 0), Image.new("I;16", (30, 20), 65535)),
    ]:
        assert levels(saved(dark, "TIFF")) == (0, 0, 0)
        assert levels(saved(light, "TIFF")) == (255, 255, 255)


def test_cmyk_goes_through_its_profile_if_that_can_be_used(photos: Path) -> None:
    image = Image.new("CMYK", (40, 30), (255, 0, 0, 0))
    assert levels(saved(image, "TIFF")) == (0, 255, 255)
    rgb_profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for broken in (b"no profile", rgb_profile):
        assert levels(saved(image, "TIFF", icc_profile=broken)) == (0, 255, 255)


def test_animations_count_with_their_first_frame() -> None:
    frames = [Image.new("RGB", (40, 30), (index * 25, 0, 0)) for index in range(8)]
    for name in ("GIF", "WEBP", "PNG"):
        options = {"lossless": True} if name == "WEBP" else {}
        stream = saved(frames[0], name, save_all=True, append_images=frames[1:], **options)
        decoded = decode_histogram(stream, "fast")
        assert decoded.frames == 8, name
        assert decoded.counts[0] == 30_000, name
    pages = saved(frames[0], "TIFF", save_all=True, append_images=frames[1:3])
    assert decode_histogram(pages, "fast").frames == 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_thumbnails_pictures_and_pixel_hashes_are_upright(orientation: int, name: str) -> None:
    upright = Image.new("L", (120, 80), 0)
    upright.paste(255, (0, 0, 30, 20))  # a white corner, top left
    back = {5: 5, 6: 8, 7: 7, 8: 6}.get(orientation, orientation)
    methods = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    stored = upright.transpose(methods[back]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = saved(stored.convert("RGB"), name, exif=exif, **({"lossless": True} if name == "WEBP" else {}))
    data = stream.getvalue()
    decoded = decode_histogram(BytesIO(data), "fast")
    assert decoded.orientation == orientation
    assert (decoded.width, decoded.height) == stored.size
    grey = np.frombuffer(decoded.thumbnail, dtype=np.uint8).reshape(64, 64)
    assert grey[:10, :10].min() > 200
    assert grey[:, 32:].max() < 60
    assert grey[32:].max() < 60
    shown = Image.open(BytesIO(encode_picture(BytesIO(data), None)))
    assert shown.size == (120, 80)
    assert shown.getpixel((3, 3))[0] > 200
    if name in ("PNG", "TIFF", "WEBP"):
        assert hash_pixels(BytesIO(data)) == hash_pixels(saved(upright.convert("RGB")))


def test_pixel_hashes_see_size_and_every_pixel(rng: np.random.Generator) -> None:
    image = picture(rng, (60, 40))
    same = {hash_pixels(saved(image, name)) for name in ("PNG", "BMP", "TIFF")}
    assert len(same) == 1
    other = image.copy()
    other.putpixel((59, 39), (1, 2, 3))
    reshaped = Image.frombytes("RGB", (40, 60), image.tobytes())
    assert same.isdisjoint({hash_pixels(saved(other)), hash_pixels(saved(reshaped))})


def test_a_picture_for_the_page_is_ours_and_carries_nothing(rng: np.random.Generator) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Someone's camera"
    data = saved(picture(rng, (900, 600)), "JPEG", exif=exif, comment=b"secret").getvalue()
    shown = Image.open(BytesIO(encode_picture(BytesIO(data), 300)))
    assert shown.format == "JPEG"
    assert shown.size == (300, 200)
    assert not {"exif", "comment", "icc_profile"} & set(shown.info)
    assert Image.open(BytesIO(encode_picture(BytesIO(data), 5000))).size == (900, 600)


def test_facts_come_from_exif(rng: np.random.Generator) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Acme"
    exif[0x0110] = "Acme One\x00"
    exif.get_ifd(0x8769)[0x9003] = "2019:06:02 14:11:30"
    stream = saved(picture(rng), "JPEG", exif=exif)
    assert decode_facts(stream) == {"camera": "Acme One", "taken": "2019-06-02 14:11:30"}
    assert decode_facts(saved(picture(rng), "JPEG")) == {"camera": "", "taken": ""}


def bomb_png(width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(65535, 65535), (13000, 13000), (8001, 8000)])
def test_bombs_are_refused_before_a_pixel_is_decoded(size: tuple[int, int]) -> None:
    assert reason(bomb_png(*size)) == "too large: more than 64 megapixels"


def test_a_jpeg_may_be_larger_where_it_is_decoded_at_a_fraction() -> None:
    grey = saved(Image.new("L", (9000, 8000), 77), "JPEG").getvalue()
    assert decode_histogram(BytesIO(grey), "fast").counts[77] == 30_000
    for too_large in (
        lambda: decode_histogram(BytesIO(grey), "original"),
        lambda: hash_pixels(BytesIO(grey)),
    ):
        with pytest.raises(UnreadableError, match="too large: more than 64 megapixels"):
            too_large()
    height_at = grey.index(b"\xff\xc0") + 5
    huge = grey[:height_at] + struct.pack(">HH", 60000, 60000) + grey[height_at + 4 :]
    assert reason(huge) == "too large: more than 200 megapixels"


def test_a_progressive_jpeg_is_refused_by_the_coefficients_it_would_hold() -> None:
    small = saved(Image.new("RGB", (64, 64)), "JPEG", progressive=True, subsampling=0).getvalue()
    height_at = small.index(b"\xff\xc2") + 5
    data = small[:height_at] + struct.pack(">HH", 9000, 9000) + small[height_at + 4 :]
    assert reason(data) == f"needs more than {header.MEMORY_MB} MB"


@pytest.mark.parametrize("name", [b"VP8X", b"VP8L", b"VP8 "])
def test_a_webp_is_measured_before_its_decoder_takes_memory(name: bytes) -> None:
    data = {
        b"VP8X": bytes(8) + (16382).to_bytes(3, "little") + (16382).to_bytes(3, "little"),
        b"VP8L": bytes(4) + b"\x2f" + (16382 | 16382 << 14).to_bytes(4, "little") + bytes(9),
        b"VP8 ": bytes(4) + b"\x00\x00\x00\x9d\x01\x2a" + (16383).to_bytes(2, "little") * 2 + bytes(9),
    }[name]
    assert reason(b"RIFF\x00\x00\x00\x00WEBP" + name + data) == "too large: more than 64 megapixels"


@pytest.mark.parametrize("sampling", ["fast", "original"])
def test_a_jpeg_cut_anywhere_is_damaged_or_whole(rng: np.random.Generator, sampling: str) -> None:
    whole = saved(picture(rng, (400, 300)), "JPEG", quality=80).getvalue()
    verdicts = set()
    for cut in np.linspace(1, len(whole) - 3, 200).astype(int):
        try:
            decode_histogram(BytesIO(whole[:cut]), sampling)
        except UnreadableError as error:
            verdicts.add(str(error))
        else:
            pytest.fail(f"cut at {cut} of {len(whole)} was read as a picture")
    assert verdicts <= {
        "damaged: cut off",
        "damaged: cannot be decoded",
        "not an image that dupkit reads: unknown type",
    }


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty file"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image that dupkit reads: EPS or PostScript"),
        (b"8BPS\x00\x01" + bytes(30), "not an image that dupkit reads: PSD"),
        (b"<svg/>", "not an image that dupkit reads: SVG"),
        (b"%PDF-1.7", "not an image that dupkit reads: PDF"),
        (b"\x89PNG\r\n\x1a\n", "damaged: cut off"),
    ],
)
def test_reasons_are_short_and_the_same_for_the_same_cause(data: bytes, words: str) -> None:
    assert reason(data) == words


def test_without_pillow_heif_a_heic_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    assert (
        reason(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic")
        == "HEIC needs the extra: pip install 'dupkit[heic]'"
    )
    assert "heif" not in decoder_version()


def test_heic_is_read_upright(rng: np.random.Generator) -> None:
    import pillow_heif

    buffer = BytesIO()
    pillow_heif.from_pillow(picture(rng, (320, 240))).save(buffer)
    decoded = decode_histogram(BytesIO(buffer.getvalue()), "fast")
    assert (decoded.format, decoded.width, decoded.height, decoded.orientation) == ("HEIF", 320, 240, 1)
    assert "heif" in decoder_version()


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    mode=st.sampled_from(["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I;16", "I", "F"]),
    sampling=st.sampled_from(["fast", "original"]),
)
def test_a_histogram_of_anything_adds_up(size: tuple[int, int], mode: str, sampling: str) -> None:
    decoded = decode_histogram(saved(Image.new(mode, size), "TIFF"), sampling)
    sums = np.array(decoded.counts).reshape(3, 256).sum(axis=1)
    assert sums.tolist() == [{"fast": 30_000, "original": 480_000}[sampling]] * 3


@pytest.mark.filterwarnings("ignore")  # as in a worker: decoders warn of what they then survive
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_mutated_picture_is_read_or_unreadable_and_nothing_else(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"]))
    base = bytearray(saved(Image.linear_gradient("L").resize((48, 40)), name).getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        base[data.draw(st.integers(0, len(base) - 1))] = data.draw(st.integers(0, 255))
    words = "readable"
    try:
        decode_histogram(BytesIO(bytes(base)), "fast")
    except UnreadableError as error:
        words = str(error)
    assert 0 < len(words) < 80


def test_exif_orientation_survives_any_bytes() -> None:
    class Fake:
        info: dict[str, bytes]

    fake = Fake()
    for exif in (
        b"",
        b"II",
        b"Exif\x00\x00MM\x00*\xff\xff\xff\xff\xff\xff",
        b"II*\x00\x08\x00\x00\x00\xff\xff" + bytes(30),
    ):
        fake.info = {"exif": exif}
        assert header.exif_orientation(fake) == 1
