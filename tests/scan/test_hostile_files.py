"""The collection of odd, broken and hostile files, and more of them made here: a verdict each, and no harm."""

from __future__ import annotations

import csv
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dupkit.scan import compute_histograms, scan_folder
from dupkit.schema import check_histograms
from tests.scan.conftest import picture
from tests.scan.test_decode import bomb_png, saved


def test_each_hostile_file_has_a_row_and_a_verdict(bad_files: Path) -> None:
    with (bad_files.parent / "MANIFEST.csv").open(encoding="utf-8") as file:
        manifest = {row["file"]: row for row in csv.DictReader(file)}
    files = scan_folder(bad_files)
    images, histograms = compute_histograms(files, progress=False, cache=False)
    check_histograms(histograms)
    listed = {name for name in manifest if (bad_files / name).exists()}
    assert set(images["path_bytes"]) <= {name.encode() for name in listed}
    assert len(files) + files.attrs["other_files"] == len(listed)
    assert files.attrs["other_files"] <= 1
    assert "decoder crashed" not in set(images["error"])
    assert not images["error"].str.contains("took longer").any()
    readable = images.loc[histograms.index]
    for image in readable.itertuples():
        row = manifest[image.path]
        assert row["format"] == image.format
        if image.format != "TIFF":
            assert (str(image.width), str(image.height)) == (row["width"], row["height"]), image.path
    unread = images[(images["error"] != "") & ~images["error"].str.startswith("not an image")]
    sound = [path for path in unread["path"] if manifest[path]["pillow13"] == "ok"]
    # Pillow 13 reads these three too, as far as they go; all of their bytes are not there or not sound.
    assert len(sound) <= 3, sound


def test_equal_md5_is_not_equal_content(bad_files: Path) -> None:
    with (bad_files.parent / "md5_collisions.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    images, _ = compute_histograms(scan_folder(bad_files / "corkami-collisions"), progress=False, cache=False)
    hashes = dict(zip("corkami-collisions/" + images["path"], images["content_hash"], strict=True))
    seen: dict[str, set[str]] = {}
    for row in rows:
        seen.setdefault(row["md5"], set()).add(hashes[row["file"]])
        assert hashes[row["file"]] == row["sha256"]
    assert len(seen) == 7
    assert all(len(contents) == 2 for contents in seen.values())


def gif_of(frames: int) -> bytes:
    """A GIF of many tiny frames, one block after another."""
    head = b"GIF89a" + struct.pack("<HHBBB", 10, 10, 0x80, 0, 0) + bytes([0, 0, 0, 255, 255, 255])
    frame = b"\x21\xf9\x04\x00\x01\x00\x00\x00\x2c" + struct.pack("<HHHHB", 0, 0, 10, 10, 0)
    data = saved(Image.new("P", (10, 10)), "GIF").getvalue()
    pixels = data[data.rindex(b"\x2c" + struct.pack("<HHHH", 0, 0, 10, 10)) + 10 : -1]
    return head + (frame + pixels) * frames + b"\x3b"


def png_with_text_bomb() -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    plain = saved(Image.new("RGB", (40, 30), "red")).getvalue()
    text = chunk(b"zTXt", b"Comment\x00\x00" + zlib.compress(bytes(200_000_000), 9))
    return plain[:33] + text + plain[33:]


@pytest.fixture
def zoo(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Awkward files of every kind that this system can hold."""
    folder = tmp_path / "zoo"
    folder.mkdir()
    jpeg = saved(picture(rng, (640, 480)), "JPEG").getvalue()
    make: dict[bytes, bytes] = {
        b"bomb 65535.png": bomb_png(65535, 65535),
        b"bomb 13000.png": bomb_png(13000, 13000),
        b"frames.gif": gif_of(100_000),
        b"text bomb.png": png_with_text_bomb(),
        b"postscript.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\nshowpage\n",
        b"photoshop.jpg": b"8BPS\x00\x01" + bytes(60),
        b"drawing.jpg": b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>",
        b"document.jpg": b"%PDF-1.7\n",
        b"program.jpg": b"\x7fELF" + bytes(60),
        b"raw.dng": saved(picture(rng, (64, 48)), "TIFF", tiffinfo={50706: b"\1\4\0\0"}).getvalue(),
        b"no extension": jpeg,
        b"wrong extension.png": jpeg,
        b"empty.jpg": b"",
        b"one byte.jpg": b"\xff",
        b"cmyk.jpg": saved(picture(rng).convert("CMYK"), "JPEG").getvalue(),
        b"bits.png": saved(picture(rng).convert("1")).getvalue(),
        b"palette.png": saved(picture(rng).convert("P"), transparency=3).getvalue(),
        b"flat white.png": saved(Image.new("RGB", (99, 99), "white")).getvalue(),
        b"flat black.png": saved(Image.new("RGB", (99, 99), "black")).getvalue(),
        b"one pixel.png": saved(Image.new("RGB", (1, 1))).getvalue(),
        b"thin.png": saved(Image.new("L", (30_000, 1), 9)).getvalue(),
        b"tall.jpg": saved(Image.new("L", (1, 30_000), 9), "JPEG").getvalue(),
        b"=HYPERLINK(1).jpg": jpeg,
        b"-rf.jpg": jpeg,
        b"<script>alert(1)<.jpg": jpeg,
        b"new\nline.jpg": jpeg,
        b"bad utf-8 \xff\xfe.jpg": jpeg,
        b"x" * 251 + b".jpg": jpeg,
        "rtl \u202egpj.exe.jpg".encode(): jpeg,
        **{b"cut %d.jpg" % cut: jpeg[:cut] for cut in range(1, len(jpeg) - 2, len(jpeg) // 40)},
    }
    for name, data in make.items():
        with open(os.path.join(os.fsencode(folder), name), "wb") as file:
            file.write(data)
    os.mkfifo(folder / "fifo.jpg")
    (folder / "folder.jpg").mkdir()
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "device.jpg").symlink_to("/dev/zero")
    return folder


def test_the_zoo_is_survived_with_a_row_each_and_no_program_started(
    zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    traps = tmp_path / "traps"
    traps.mkdir()
    for name in ("gs", "djpeg", "convert", "file", "sh"):
        (traps / name).write_text(f"#!/bin/sh\ntouch {traps}/started-$$\n")
        (traps / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{traps}:{os.environ['PATH']}")
    files = scan_folder(zoo)
    images, histograms = compute_histograms(files, progress=False)
    check_histograms(histograms)
    assert len(images) == len(os.listdir(zoo))
    errors = dict(zip(images["path_bytes"], images["error"], strict=True))
    expected = {
        b"bomb 65535.png": "too large: more than 64 megapixels",
        b"bomb 13000.png": "too large: more than 64 megapixels",
        b"frames.gif": "",
        b"postscript.jpg": "not an image that dupkit reads: EPS or PostScript",
        b"photoshop.jpg": "not an image that dupkit reads: PSD",
        b"drawing.jpg": "not an image that dupkit reads: SVG",
        b"document.jpg": "not an image that dupkit reads: PDF",
        b"program.jpg": "not an image that dupkit reads: a program",
        b"raw.dng": "not an image that dupkit reads: camera RAW",
        b"no extension": "",
        b"wrong extension.png": "",
        b"empty.jpg": "empty file",
        b"cmyk.jpg": "",
        b"tall.jpg": "",
        b"thin.png": "",
        b"new\nline.jpg": "",
        b"bad utf-8 \xff\xfe.jpg": "",
        b"fifo.jpg": "not a regular file: a FIFO",
        b"folder.jpg": "not a regular file: a folder",
        b"loop.jpg": "not a regular file: a link",
        b"device.jpg": "not a regular file: a link",
    }
    assert {name: errors[name] for name in expected} == expected
    assert all(errors[name] for name in errors if name.startswith(b"cut"))
    assert images.loc[images["path"] == "frames.gif", "frames"].item() == 100_000
    assert not list(traps.glob("started-*"))
    white = images.index[images["path"] == "flat white.png"][0]
    black = images.index[images["path"] == "flat black.png"][0]
    assert not histograms.loc[white].equals(histograms.loc[black])


def test_no_two_broken_files_are_a_pair(zoo: Path) -> None:
    images, histograms = compute_histograms(scan_folder(zoo), progress=False)
    assert (images.loc[histograms.index, "error"] == "").all()
    assert set(histograms.index) == set(images.index[images["error"] == ""])


def test_large_and_refused_pictures_stay_within_the_memory_of_the_design(
    tmp_path: Path, album: Callable[..., Path]
) -> None:
    """The peak of all decode workers together, with pictures at the limit, refused bombs and a hog of a JPEG."""
    folder = album(4)
    Image.new("RGBA", (8000, 8000), (9, 9, 9, 9)).save(folder / "limit.png", compress_level=1)
    Image.new("RGB", (8000, 4200), (9, 9, 9)).save(folder / "33 megapixels.bmp")
    Image.new("RGB", (8000, 4200), (9, 9, 9)).save(folder / "progressive.jpg", progressive=True)
    (folder / "bomb.png").write_bytes(bomb_png(60000, 60000))
    code = (
        "import sys, resource; from dupkit.scan import *\n"
        "from dupkit.scan.workers import close_workers\n"
        "images, _ = compute_histograms(scan_folder(sys.argv[1]), progress=False, cache=False)\n"
        "close_workers()\n"
        "print((images['error'] == '').sum(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    readable, peak_kb = map(int, done.stdout.split())
    assert readable == 7
    assert peak_kb < 420_000  # of one worker; only one of them has a large picture
