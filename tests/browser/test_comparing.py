"""Blink, split and difference of copies that were mirrored, rotated and cropped: B is turned back and laid on A."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.browser.notebook import number_of_cells

OpenReview = Callable[..., Locator]

SIZE = (1500, 1000)
CUT = (0.1, 0.05, 0.92, 0.87)
"""left, top, right, bottom of the crop, as shares."""

CANVAS = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return Array.from(data);
}"""


@pytest.fixture
def turned(photos: Path, tmp_path: Path) -> Path:
    """Three photos, each with one copy: mirrored, rotated by a quarter, cropped."""
    folder = tmp_path / "turned"
    folder.mkdir()
    sources = sorted((photos / "budgie-history").glob("*.jpg"))
    for name, source in zip(("mirrored", "rotated 90", "cropped"), (sources[8], sources[4], sources[0]), strict=True):
        with Image.open(source) as opened:
            picture = opened.convert("RGB").resize(SIZE)
        left, top, right, bottom = (
            round(share * side) for share, side in zip(CUT, (*picture.size, *picture.size), strict=True)
        )
        copies = {
            "mirrored": picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
            "rotated 90": picture.transpose(Image.Transpose.ROTATE_90),
            "cropped": picture.crop((left, top, right, bottom)),
        }
        picture.save(folder / f"{name} a.jpg", quality=94)
        copies[name].save(folder / f"{name} b.jpg", quality=94)
    return folder


def show_pair(page: Page, review: Locator, name: str) -> None:
    """Bring the pair of a photo and its copy into view, by a filter."""
    page.keyboard.press("/")
    review.get_by_label("Show pairs whose path contains").fill(name)
    page.keyboard.press("Enter")
    review.get_by_title(re.compile(f"^{name} a.jpg\\s{name} b.jpg$")).click()
    expect(review.get_by_text(f"{name} b.jpg").last).to_be_visible()


def levels(review: Locator) -> np.ndarray:
    """Return the pixels of the difference where both pictures are, shape (n, 3)."""
    canvas = review.get_by_label("Difference of the two pictures")
    rgb = np.array(canvas.evaluate(CANVAS)).reshape(-1, 4)[:, :3]
    return rgb[~(rgb == 70).all(axis=1)]


def lies_on(review: Locator) -> list[float]:
    """Return left, top, right, bottom of B's picture as shares of A's, as they lie on the stage."""
    stage = review.locator(".dupkit-stage")
    return stage.evaluate(
        """stage => {
          const [a, b] = [".dupkit-pane-a", ".dupkit-pane-b"].map(name => stage.querySelector(`${name} img`));
          const box = a.getBoundingClientRect();
          // A's picture stands in the middle of its element, whole.
          const fit = Math.min(box.width / a.naturalWidth, box.height / a.naturalHeight);
          const [w, h] = [a.naturalWidth * fit, a.naturalHeight * fit];
          const [left, top] = [box.left + (box.width - w) / 2, box.top + (box.height - h) / 2];
          const on = b.getBoundingClientRect();
          return [(on.left - left) / w, (on.top - top) / h, (on.right - left) / w, (on.bottom - top) / h];
        }"""
    )


@pytest.mark.parametrize("how", ["mirrored", "rotated 90", "cropped"])
def test_the_difference_of_a_turned_copy_is_near_black(
    page: Page, open_review: OpenReview, turned: Path, how: str
) -> None:
    review = open_review(turned, threshold=1000)
    review.focus()
    show_pair(page, review, how)
    page.keyboard.press("d")
    caption = review.get_by_text(re.compile(rf"difference x 4, .*, B laid on A \({how}"))
    expect(caption).to_be_visible()
    near_black = levels(review)
    # Four times the difference: re-encoding alone gives a few levels.
    assert np.median(near_black) <= 12
    assert np.percentile(near_black, 95) <= 40
    expected = CUT if how == "cropped" else (0, 0, 1, 1)
    page.keyboard.press("v")
    assert lies_on(review) == pytest.approx(expected, abs=0.004)

    # The same place at 100 %, with the real pixels.
    page.keyboard.press("z")
    expect(review.locator(".dupkit-stage")).to_have_attribute("data-real", "true")
    expect(review.get_by_text("100 % of A's pixels")).to_be_visible()
    assert lies_on(review) == pytest.approx(expected, abs=0.004)

    # As it is, B does not fit: what the test would see if nothing were turned back.
    page.keyboard.press("z")
    page.keyboard.press("d")
    page.keyboard.press("o")
    expect(review.get_by_text(re.compile("B laid on A "))).to_be_hidden()
    expect(review.get_by_role("button", name="B laid on A")).to_have_attribute("aria-pressed", "false")
    assert levels(review).mean() > 4 * near_black.mean()


def test_other_pictures_are_shown_as_they_are(page: Page, open_review: OpenReview, turned: Path) -> None:
    for name in ("mirrored a", "rotated 90 a", "cropped a", "cropped b"):
        (turned / f"{name}.jpg").unlink()
    # Two different pictures with one histogram: the same tiles in two orders.
    rng = np.random.default_rng(1)
    tiles = rng.integers(0, 256, (48, 1, 3), dtype=np.uint8)
    for name, order in (("mirrored b", np.arange(48)), ("rotated 90 b", rng.permutation(48))):
        picture = Image.fromarray(tiles[order].reshape(6, 8, 3))
        picture.resize((800, 600), Image.Resampling.NEAREST).save(turned / f"{name}.jpg", quality=94)
    review = open_review(turned, threshold=1000)
    review.focus()
    n_cells = number_of_cells(page)
    page.keyboard.press("v")
    lay = review.get_by_role("button", name="B laid on A")
    expect(review.locator(".dupkit-stage")).to_have_attribute("data-laid", "false")
    expect(lay).to_have_attribute("aria-pressed", "false")
    lay.click()
    expect(lay).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("d")
    page.keyboard.press("d")
    assert number_of_cells(page) == n_cells
    page.keyboard.press("f")
    page.keyboard.press("o")
    expect(review.get_by_role("alert")).to_contain_text("B can be laid on A while")
