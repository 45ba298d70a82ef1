"""The slow, obviously right answers that the fast paths are held against; imports nothing from dupkit."""

from __future__ import annotations

import itertools
import math

from PIL import Image


def script_histogram(path) -> list[int]:
    """The original script's histogram of a file: RGB, 800 x 600 by LANCZOS, Pillow's 768 bins."""
    with Image.open(path) as image:
        return image.convert("RGB").resize((800, 600), Image.Resampling.LANCZOS).histogram()


def script_rms(a, b) -> float:
    """The original script's distance of two histograms, summed without rounding error."""
    return math.sqrt(math.fsum((x - y) ** 2 for x, y in zip(a, b, strict=True)) / len(a))


def pairs_below(histograms: dict, threshold: float) -> dict:
    """Every pair of names whose distance is below a threshold, with the distance; names of a pair sorted."""
    found = {}
    for (name_a, a), (name_b, b) in itertools.combinations(sorted(histograms.items()), 2):
        rms = script_rms(a, b)
        if rms < threshold:
            found[name_a, name_b] = rms
    return found
