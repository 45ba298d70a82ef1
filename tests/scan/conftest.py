"""Pictures for the tests of scan, and no worker left over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dupkit.scan.workers import close_workers


@pytest.fixture(autouse=True)
def no_worker_left() -> Iterator[None]:
    """A worker that a test changed must not serve the next one."""
    yield
    close_workers()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def picture(rng: np.random.Generator, size: tuple[int, int] = (320, 240), mode: str = "RGB") -> Image.Image:
    """A smooth picture with some noise, different for each call."""
    coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).convert(mode)


@pytest.fixture
def album(tmp_path: Path, rng: np.random.Generator) -> Callable[..., Path]:
    """Make a folder of n JPEGs."""

    def make(n: int = 12, name: str = "album", size: tuple[int, int] = (320, 240)) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for number in range(n):
            picture(rng, size).save(folder / f"{number:03d}.jpg", quality=90)
        return folder

    return make
