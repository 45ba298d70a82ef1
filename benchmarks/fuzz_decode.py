"""Decode mutated pictures and count what escapes: crashes, hangs and exceptions that nobody listed.

    python -m benchmarks.fuzz_decode [--files 20000] [--seed 1] [FOLDER]

Seeds are pictures of every type and mode that Pillow writes, and the files up to 200 KB of FOLDER. The mutated files go
through real decode workers. Ends 1 where something escaped; the files that did it stay in the folder that is printed.
"""

from __future__ import annotations

import argparse
import collections
import os
import random
import shutil
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from dupkit.scan.records import unpack
from dupkit.scan.worker import RESULT
from dupkit.scan.workers import ask

LARGEST_SEED = 200_000
BATCH = 200
ESCAPES = ("decoder crashed", "took longer")

KINDS = {
    "JPEG": ("RGB", "L", "CMYK"),
    "PNG": ("RGB", "RGBA", "L", "LA", "P", "1", "I;16"),
    "GIF": ("P", "L"),
    "WEBP": ("RGB", "RGBA"),
    "TIFF": ("RGB", "RGBA", "L", "P", "1", "CMYK", "I;16", "F", "I", "LAB", "YCbCr"),
    "BMP": ("RGB", "L", "P", "1"),
    "AVIF": ("RGB", "RGBA"),
}
OPTIONS: dict[str, tuple[dict[str, object], ...]] = {
    "JPEG": (
        {},
        {"progressive": True},
        {"exif": b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00"},
    ),
    "TIFF": ({}, {"compression": "tiff_lzw"}, {"compression": "tiff_deflate"}, {"compression": "packbits"}),
    "WEBP": ({}, {"lossless": True}),
    "PNG": ({}, {"save_all": True, "append_images": [Image.new("L", (40, 30), 7)]}),
    "GIF": ({}, {"save_all": True, "append_images": [Image.new("P", (48, 36), 7)]}),
}


def seed_pictures() -> list[bytes]:
    """Return small pictures of every type and mode."""
    ramp = Image.merge("RGB", [Image.linear_gradient("L").rotate(90 * turn).resize((48, 36)) for turn in range(3)])
    seeds = []
    for kind, modes in KINDS.items():
        for mode in modes:
            if mode == "I;16":
                image = Image.fromarray((np.arange(48 * 36, dtype=np.uint16) * 37).reshape(36, 48))
            elif mode == "LAB":
                image = Image.frombytes("LAB", ramp.size, ramp.tobytes())
            else:
                image = ramp.convert("L").convert(mode) if mode in ("F", "I", "LA") else ramp.convert(mode)
            for options in OPTIONS.get(kind, ({},)):
                buffer = BytesIO()
                try:
                    image.save(buffer, kind, **options)
                except (OSError, ValueError, KeyError):
                    continue  # this mode is not for this way of saving
                seeds.append(buffer.getvalue())
    return seeds


def mutate(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """Return a picture's bytes, damaged in one to eight places."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        at = rng.randrange(len(out)) if out else 0
        if rng.random() < 0.4:
            at = min(at, rng.randrange(200))  # headers steer more than pixels do
        match rng.randrange(7):
            case 0:
                out[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                out[at : at + 1] = bytes([(out[at] if at < len(out) else 0) ^ (1 << rng.randrange(8))])
            case 2:
                out[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", bytes(4), b"\x00\x00\x00\x80"))
            case 3:
                del out[at : at + rng.randrange(1, 64)]
            case 4:
                out[at:at] = out[at : at + rng.randrange(1, 64)] * rng.choice((1, 2, 50))
            case 5:
                del out[at:]
            case 6:
                other = rng.choice(others)
                start = rng.randrange(len(other))
                out[at : at + 32] = other[start : start + 32]
    return bytes(out)


def main() -> int:
    """Run the fuzz and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    seeds = seed_pictures()
    if options.folder:
        found = sorted(place for place in options.folder.rglob("*") if place.is_file() and not place.is_symlink())
        seeds += [place.read_bytes() for place in found if 0 < place.stat().st_size <= LARGEST_SEED]
    folder = Path(tempfile.mkdtemp(prefix="dupkit-fuzz-"))
    reasons: collections.Counter[str] = collections.Counter()
    escaped = []
    started = time.monotonic()
    for first in range(0, options.files, BATCH):
        numbers = range(first, min(first + BATCH, options.files))
        for number in numbers:
            (folder / f"{number}.img").write_bytes(mutate(rng.choice(seeds), seeds, rng))
        sampling = ("fast", "original")[first // BATCH % 2]
        replies = ask("record", os.fsencode(folder), [b"%d.img" % number for number in numbers], sampling=sampling)
        for number, (kind, data) in zip(numbers, replies, strict=True):
            reason = unpack(data).error if kind == RESULT else data.decode()
            reasons[reason or "readable"] += 1
            if reason.startswith(ESCAPES):
                escaped.append(f"{number}.img: {reason}")
            else:
                (folder / f"{number}.img").unlink()
    for reason, count in reasons.most_common():
        print(f"{count:7,}  {reason}")
    seconds = time.monotonic() - started
    print(f"{options.files:,} files from {len(seeds):,} seeds in {seconds:.0f} s: {len(escaped)} escapes")
    if escaped:
        print(*escaped, f"kept in {folder}", sep="\n")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
