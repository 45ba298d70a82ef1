"""Which pictures the page asks the kernel for: a camera photo is decoded once for the stage and for the list."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import SCAN
from tests.browser.notebook import Lab, open_notebook

SMALL_SIDE = 96

# The first line is about the last pair of the list; then, what the page asks for is written before it is answered.
SHOW = """
import json
from dupkit.widgets import ReviewWidget
review = ReviewWidget(images, histograms, pairs, threshold=500)
asked = open({asked!r}, "w", buffering=1)
last = pairs.iloc[review.state.visible[-1]]
print(json.dumps([int(last["image_a"]), int(last["image_b"]), review.state.n_visible]), file=asked)
answer = review._questions["picture"]

def noted(question):
    print(json.dumps([question["image"], question["side"]]), file=asked)
    return answer(question)

review._questions["picture"] = noted
review
"""


def wait_until(page: Page, condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "not within a minute"
        page.wait_for_timeout(50)


def test_a_thumbnail_is_made_of_the_picture_that_was_fetched_ahead(
    page: Page, lab: Lab, album: Path, tmp_path: Path
) -> None:
    place = tmp_path / "asked.txt"
    scan = SCAN.format(folder=os.fspath(album), state=os.fspath(tmp_path / "state"))
    review = open_notebook(page, lab, "pictures.ipynb", [scan, SHOW.format(asked=os.fspath(place))])
    *last, n_pairs = json.loads(place.read_text().splitlines()[0])

    def asked() -> list[list[int]]:
        return [json.loads(line) for line in place.read_text().splitlines()[1:]]

    # From here on the last pair is among the ten that are fetched ahead; its row is not in sight yet.
    review.focus()
    for position in range(1, n_pairs - 10):
        page.keyboard.press("ArrowRight")
        expect(review).to_have_attribute("data-pair", str(position))
    assert [image for image, side in asked() if image in last and side == SMALL_SIDE] == []
    wait_until(page, lambda: set(last) <= {image for image, side in asked() if side > SMALL_SIDE})
    rows = review.get_by_role("listbox", name="Pairs")
    rows.evaluate("node => { node.scrollTop = node.scrollHeight; }")
    expect(rows.get_by_role("option").last.locator("img")).to_have_count(2)
    assert [image for image, side in asked() if image in last and side == SMALL_SIDE] == []
