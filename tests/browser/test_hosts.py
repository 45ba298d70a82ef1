"""The same page in both themes, in a narrow panel, in a second view, and under Voila."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import SCAN, SHOW
from tests.browser.notebook import Lab
from tests.conftest import need

OpenReview = Callable[..., Locator]


def keep_screenshot(page: Page, name: str) -> None:
    """Keep a picture of the page where DUPKIT_ARTEFACTS names a folder, for a person's look."""
    folder = os.environ.get("DUPKIT_ARTEFACTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png")


def choose_theme(page: Page, theme: str) -> None:
    page.get_by_role("menuitem", name="Settings", exact=True).click()
    # JupyterLab gives an entry that opens a menu no role.
    page.locator(".lm-Menu-item").get_by_text("Theme", exact=True).click()
    page.get_by_role("menuitem", name=theme, exact=True).click()


def brightness(node: Locator) -> float:
    """Return the mean of red, green and blue of an element's text colour, 0 to 255."""
    colour = node.evaluate("node => getComputedStyle(node).color")
    return sum(float(number) for number in re.findall(r"[\d.]+", colour)[:3]) / 3


def test_both_themes_and_a_narrow_panel(page: Page, open_review: OpenReview, album: Path) -> None:
    review = open_review(album)
    plot = review.get_by_alt_text(re.compile("Distribution of the distances"))
    expect(plot).not_to_have_js_property("naturalWidth", 0)
    assert brightness(review) < 100
    review.scroll_into_view_if_needed()
    keep_screenshot(page, "light")
    light = plot.get_attribute("src")
    choose_theme(page, "JupyterLab Dark")
    # The plot is drawn again in the dark theme's colours.
    expect(plot).not_to_have_attribute("src", str(light))
    expect.soft(review).to_be_visible()
    assert brightness(review) > 150
    keep_screenshot(page, "dark")
    wide = plot.bounding_box()
    # What was drawn for the wide page fits the narrow one too.
    review.focus()
    page.keyboard.press("w")
    expect(review.get_by_alt_text(re.compile("histograms overlaid"))).to_be_visible()
    page.set_viewport_size({"width": 700, "height": 900})
    expect(plot).not_to_have_css("width", f"{wide['width']}px" if wide else "")
    assert review.evaluate("node => node.scrollWidth <= node.clientWidth + 1")
    keep_screenshot(page, "narrow")


def test_a_second_view_follows_the_first(page: Page, open_review: OpenReview, album: Path) -> None:
    first = open_review(album, more="review")
    pages = page.get_by_role("region", name="Review of duplicate photos")
    expect(pages).to_have_count(2)
    second = pages.nth(1)
    expect(second.get_by_text(re.compile("^1 of "))).to_be_visible()
    pages.first.get_by_role("button", name="Approve", exact=True).click()
    for view in (first.first, second):
        expect(view.get_by_text(re.compile("^2 of "))).to_be_visible()
    second.get_by_label("Threshold (RMS)").focus()
    page.keyboard.press("Home")
    expect(first.first.get_by_role("status")).to_contain_text("below 0")


def test_voila_hosts_the_same_notebook(chromium: Browser, lab: Lab, album: Path, tmp_path: Path) -> None:
    """In a tab of its own: Voila's page asks for fonts and MathJax elsewhere, which the review never does."""
    need(find_spec("voila"), "voila is not installed")
    scan = SCAN.format(folder=os.fspath(album), state=os.fspath(tmp_path / "state"))
    lab.write("voila.ipynb", [scan, SHOW.format(threshold=500)])
    page = chromium.new_page()
    page.goto(f"{lab.address}/voila/render/voila.ipynb?token={lab.token}", timeout=60_000, wait_until="commit")
    review = page.get_by_role("region", name="Review of duplicate photos")
    expect(review.get_by_role("status")).to_contain_text("below 500", timeout=60_000)
    review.focus()
    page.keyboard.press("a")
    expect(review.get_by_text(re.compile("^2 of "))).to_be_visible()
    page.close()
