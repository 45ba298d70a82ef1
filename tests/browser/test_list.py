"""The list by keyboard: groups, filters, rules with their preview, thumbnails that come late or never."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import SCAN
from tests.browser.notebook import Lab, number_of_cells, open_notebook
from tests.browser.test_review import button, decisions

OpenReview = Callable[..., Locator]

DESCRIBED = """
thumbnails = dupkit.read_thumbnails(images)
pairs = dupkit.describe_pairs(pairs, images, thumbnails)
"""

SHOW_LATE = """
import threading
from dupkit.widgets import ReviewWidget
from dupkit.widgets.answers import Later
review = ReviewWidget(images, histograms, pairs, threshold=500)
real, arrive = review._questions["picture"], threading.Event()
def picture(question):
    answer = real(question)
    if question["image"] not in pairs[["image_a", "image_b"]].iloc[0].tolist():
        return answer
    if question["image"] == pairs["image_b"][0]:
        raise OSError("the file is gone")
    def late():
        arrive.wait()
        return answer.work() if isinstance(answer, Later) else answer
    return Later(late)
review._questions["picture"] = picture
review.observe(lambda change: arrive.set(), "threshold")
review
"""


def listbox(review: Locator, name: str) -> Locator:
    return review.get_by_role("listbox", name=name)


def test_groups_filters_and_rules_by_keyboard(page: Page, open_review: OpenReview, album: Path) -> None:
    review = open_review(album, more="")
    review.focus()
    n_cells = number_of_cells(page)

    def cells_stay() -> None:
        page.keyboard.press("d")
        page.keyboard.press("d")
        expect(review.get_by_text("Keys work here")).to_be_visible()
        assert number_of_cells(page) == n_cells

    # P: the same pairs as groups; each says how many pictures, which is kept and why.
    page.keyboard.press("p")
    rows = listbox(review, "Groups").get_by_role("option")
    expect(rows.first).to_contain_text(re.compile(r"\d+ pictures · [\d.]+ [kM]?B to move"))
    expect(rows.first).to_contain_text(re.compile(r"keep .*: (most pixels|largest file|oldest|first in path order)"))
    expect(review.get_by_text(re.compile(r"^\d+ groups in the list"))).to_be_visible()
    cells_stay()

    # L goes to the list, the arrows choose, Enter opens: the viewer shows a pair of the third group.
    page.keyboard.press("l")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(listbox(review, "Groups")).to_have_attribute("aria-activedescendant", re.compile("row-2$"))
    page.keyboard.press("Enter")
    expect(rows.nth(2)).to_have_attribute("aria-selected", "true")
    # Keys decide from here too; then the next undecided group.
    page.keyboard.press("g")
    expect(rows.nth(2)).to_contain_text("decided")
    expect(rows.nth(3)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("k")
    expect(rows.nth(2)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("j")
    expect(rows.nth(3)).to_have_attribute("aria-selected", "true")
    cells_stay()
    page.keyboard.press("p")
    expect(listbox(review, "Pairs")).to_be_visible()

    # / filters; the summary says what is on; clear brings all back.
    page.keyboard.press("/")
    field = review.get_by_label("Show pairs up to RMS")
    field.fill("1")
    expect(review.get_by_text("filters: RMS up to 1", exact=True)).to_be_visible()
    for row in listbox(review, "Pairs").get_by_role("option").all():
        expect(row).to_contain_text(re.compile(r"^0"))
    field.fill("")
    review.get_by_label("Show pairs whose path contains").fill("no such name")
    expect(review.get_by_text("No pair passes these filters below this threshold.")).to_be_visible()
    page.keyboard.press("Enter")
    button(review, "Clear the filters").click()
    expect(review.get_by_text("filters", exact=True)).to_be_visible()
    for label in ("Show pairs by verdict", "Show pairs by decision", "Show pairs by size of the smaller file"):
        review.get_by_label(label).focus()
        page.keyboard.press("Escape")
    cells_stay()

    # X: the pairs that teach most, and back to all of them.
    everything = review.locator(".dupkit-list-summary").inner_text()
    page.keyboard.press("x")
    expect(review.get_by_text(re.compile(r"^filters: the \d+ that teach most$"))).to_be_visible()
    button(review, "Clear the filters").click()
    expect(review.locator(".dupkit-list-summary")).to_have_text(everything)
    cells_stay()

    # E: rules say how many pairs they would decide; one is looked at, decides, and is undone as one step.
    before = len(decisions(album.parent))
    page.keyboard.press("e")
    expect(button(review, "Approve all same bytes")).to_be_focused()
    rule = review.get_by_role("listitem").filter(has_text="Approve all same bytes")
    expect(rule).to_have_text(re.compile(r"Approve all same bytes\d+ pairs?$"))
    page.keyboard.press("Enter")
    preview = review.get_by_role("region", name="Preview of the rule")
    expect(preview.get_by_text(re.compile(r"^\d+ pairs? would be approved"))).to_be_visible()
    assert len(decisions(album.parent)) == before
    button(preview, "Close preview").click()
    cells_stay()


def test_a_rule_is_seen_decided_and_undone_as_one_step(page: Page, lab: Lab, album: Path, tmp_path: Path) -> None:
    scan = SCAN.format(folder=os.fspath(album), state=os.fspath(tmp_path / "state")) + DESCRIBED
    show = "from dupkit.widgets import ReviewWidget\nReviewWidget(images, histograms, pairs, thumbnails=thumbnails)"
    review = open_notebook(page, lab, "rule.ipynb", [scan, show])
    review.focus()
    page.keyboard.press("e")
    name = "Approve same pictures below the threshold"
    row = review.get_by_role("listitem").filter(has_text=name)
    expect(row).to_have_text(re.compile(r"\d+ pairs$"))
    n_pairs = int(re.findall(r"(\d+) pairs$", row.inner_text())[0])
    assert n_pairs > 1
    button(review, name).focus()
    page.keyboard.press("Enter")
    preview = review.get_by_role("region", name="Preview of the rule")
    expect(preview.get_by_role("row")).to_have_count(n_pairs)
    decide = button(preview, f"Approve these {n_pairs} pairs")
    expect(decide).to_be_focused()
    page.keyboard.press("Enter")
    expect(review.get_by_role("alert")).to_contain_text(f"Approved: {n_pairs} pairs. Undo takes it back as one step.")
    expect(row).to_have_text(re.compile("0 pairs$"))
    assert decisions(album.parent) == ["approved"] * n_pairs
    page.keyboard.press("u")
    expect(review.get_by_role("alert")).to_have_text(f"Undone: {n_pairs} decisions")
    expect(row).to_have_text(re.compile(f"{n_pairs} pairs$"))


def test_grey_until_a_thumbnail_arrives_and_a_word_where_it_cannot(
    page: Page, lab: Lab, album: Path, tmp_path: Path
) -> None:
    scan = SCAN.format(folder=os.fspath(album), state=os.fspath(tmp_path / "state"))
    review = open_notebook(page, lab, "late.ipynb", [scan, SHOW_LATE])
    row = listbox(review, "Pairs").get_by_role("option").first
    expect(row.locator(".dupkit-thumb")).to_have_count(2)
    grey = row.locator(".dupkit-thumb").first
    expect(grey).to_be_empty()
    expect(grey.locator("img")).to_have_count(0)
    assert grey.evaluate("node => getComputedStyle(node).backgroundColor") != "rgba(0, 0, 0, 0)"
    # One of them cannot be made: the row and the page say so at once.
    expect(row.get_by_title("no thumbnail: the file is gone")).to_have_text("none")
    expect(review.get_by_text("1 thumbnail cannot be made: the file is gone")).to_be_visible()
    # The stage says it too.
    expect(review.get_by_text("B: the file is gone")).to_be_visible()
    # The kernel hears of a threshold, and lets the pictures go.
    review.get_by_label("Threshold (RMS)").press("ArrowRight")
    expect(row.locator(".dupkit-thumb img")).to_have_count(1)
