"""The review page in real JupyterLab: threshold, keys, focus, decisions, moves, by label and text."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.browser.notebook import number_of_cells, run_all_cells

COUNTS = re.compile(r"^([\d,]+) pairs · ([\d,]+) groups · ([\d,]+) files · ([\d.]+ [kMGT]?B) below ([\d,.]+)$")

OpenReview = Callable[..., Locator]

BUTTONS = ("Approve", "Reject", "Skip", "Undo", "Export CSV", "Plan moves", "Apply moves", "Undo moves")


def button(review: Locator, name: str) -> Locator:
    return review.get_by_role("button", name=name, exact=True)


def counts(review: Locator) -> list[str]:
    found = COUNTS.match(review.get_by_role("status").inner_text())
    assert found, review.get_by_role("status").inner_text()
    return list(found.groups())


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def decisions(folder: Path) -> list[str]:
    connection = sqlite3.connect(folder / "state" / "dupkit.sqlite3")
    try:
        return [row[0] for row in connection.execute("SELECT decision FROM decision ORDER BY decision_id")]
    finally:
        connection.close()


def test_threshold_keys_focus_and_decisions(page: Page, open_review: OpenReview, album: Path) -> None:
    review = open_review(album)
    for name in BUTTONS:
        expect(button(review, name)).to_have_count(1)
    slider = review.get_by_label("Threshold (RMS)")
    expect(slider).to_have_role("slider")
    expect(slider).to_have_value("500")

    # The slider moves by one, by fifty and to its ends; the counts follow, strictly below.
    slider.focus()
    for key, value in (("ArrowRight", "501"), ("PageDown", "451"), ("Home", "0"), ("PageUp", "50"), ("End", "1000")):
        page.keyboard.press(key)
        expect(slider).to_have_value(value)
        expect(review.get_by_role("status")).to_contain_text(f"below {int(value):,}")
    assert int(counts(review)[0]) > 0
    page.keyboard.press("Home")
    expect(review.get_by_role("status")).to_have_text("0 pairs · 0 groups · 0 files · 0 B below 0")
    number = review.get_by_label("Threshold as a number")
    number.fill("600")
    expect(slider).to_have_value("600")
    number.press("Enter")

    # Decisions by keyboard; each is on the disk when the next pair shows.
    expect(review.get_by_text(re.compile(r"^1 of "))).to_be_visible()
    for place, (key, decision) in enumerate([("a", "approved"), ("r", "rejected"), ("s", "skipped")], start=2):
        page.keyboard.press(key)
        expect(review.get_by_text(re.compile(f"^{place} of "))).to_be_visible()
        assert decisions(album.parent)[-1] == decision
    page.keyboard.press("u")
    expect(review.get_by_text(re.compile("^3 of "))).to_be_visible()
    assert decisions(album.parent)[-1] == "undone"
    page.keyboard.press("ArrowLeft")
    expect(review.get_by_text(re.compile("^2 of "))).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(review.get_by_text(re.compile("^3 of "))).to_be_visible()

    # D D after every control leaves the number of cells as it was: the review has the focus again.
    n_cells = number_of_cells(page)
    for name in ("Skip", "Undo", "Previous pair", "Next pair", "Blink", "Split", "Difference", "Side by side", "Fit"):
        button(review, name).click()
        page.keyboard.press("d")
        page.keyboard.press("d")
        expect(review.get_by_text("Keys work here")).to_be_visible()
    review.get_by_role("listbox", name="Pairs").get_by_role("option").nth(1).click()
    page.keyboard.press("d")
    page.keyboard.press("d")
    slider.focus()
    page.keyboard.press("d")
    page.keyboard.press("d")
    review.get_by_label("log").check()
    page.keyboard.press("d")
    page.keyboard.press("d")
    assert number_of_cells(page) == n_cells

    # The help, and the word that the focus is lost.
    page.keyboard.press("?")
    expect(review.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(review.get_by_role("dialog", name="Keys")).to_be_hidden()
    page.get_by_role("feed", name="Cells").get_by_role("textbox").first.click()
    expect(review.get_by_text("Keys go elsewhere now")).to_be_visible()
    review.get_by_text(re.compile("same|RMS distance|images")).first.click()
    expect(review.get_by_text("Keys work here")).to_be_visible()


def test_comparing_two_pictures(page: Page, open_review: OpenReview, album: Path) -> None:
    review = open_review(album)
    review.focus()
    stage = review.locator(".dupkit-stage")
    expect(stage.locator("img")).to_have_count(2)
    page.keyboard.press("b")
    expect(button(review, "Blink")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("v")
    expect(review.get_by_label("Split position")).to_be_visible()
    page.keyboard.press("d")
    expect(review.get_by_label("Difference of the two pictures")).to_be_visible()
    expect(review.get_by_text(re.compile(r"difference x 4, on average [\d.]+ of 255"))).to_be_visible()
    page.keyboard.press("f")
    button(review, "100 %").click()
    expect(stage).to_have_attribute("data-real", "true")
    widths = stage.locator("img").evaluate_all("images => images.map(image => image.naturalWidth)")
    assert min(widths) > 3000
    expect(review.get_by_text("100 % of A's pixels")).to_be_visible()
    page.keyboard.press("w")
    why = review.get_by_alt_text(re.compile("histograms overlaid"))
    expect(why).to_be_visible()
    expect(why).not_to_have_js_property("naturalWidth", 0)


def test_plan_apply_and_undo_on_real_photos(page: Page, open_review: OpenReview, album: Path) -> None:
    before = hashes(album)
    review = open_review(album)
    button(review, "Apply moves").click()
    expect(review.get_by_role("alert")).to_have_text("Nothing is planned: press Plan moves first and read the table.")
    for _ in range(2):
        place = review.get_by_text(re.compile(r"^\d+ of \d+$")).inner_text()
        button(review, "Approve").click()
        expect(review.get_by_text(place, exact=True)).to_be_hidden()
    button(review, "Plan moves").click()
    expect(review.get_by_role("alert")).to_contain_text("2 files would move")
    rows = review.get_by_role("region", name="Moves").get_by_role("row")
    expect(rows).to_have_count(3)
    assert hashes(album) == before
    button(review, "Apply moves").click()
    expect(review.get_by_role("alert")).to_have_text("2 files moved.")
    moved = hashes(album)
    gone = sorted(set(before) - set(moved))
    assert len(gone) == 2
    for name in gone:
        places = [place for place in moved if place.endswith(f"duplicates/{name}")]
        assert [moved[place] for place in places] == [before[name]]
    # The pictures are still to be seen, where they lie now.
    expect(review.get_by_text(re.compile("now in (exact|maybe) duplicates")).first).to_be_hidden()
    button(review, "Plan moves").click()
    expect(review.get_by_role("alert")).to_contain_text("Nothing to move")
    button(review, "Undo moves").click()
    expect(review.get_by_role("alert")).to_have_text("2 files moved back.")
    after = {name: value for name, value in hashes(album).items() if not name.endswith("moved.csv")}
    assert after == before
    button(review, "Export CSV").click()
    expect(review.get_by_role("alert")).to_contain_text("decisions.csv")


def test_a_killed_kernel_and_a_reloaded_page_lose_nothing(page: Page, open_review: OpenReview, album: Path) -> None:
    review = open_review(album, threshold=None)
    slider = review.get_by_label("Threshold (RMS)")
    slider.focus()
    page.keyboard.press("PageUp")
    review.focus()
    page.keyboard.press("a")
    expect(review.get_by_text(re.compile("^2 of "))).to_be_visible()

    # The page is loaded again while the kernel lives: the view comes back by itself.
    page.get_by_role("button", name=re.compile("^Save and create checkpoint")).click()
    expect(page.locator(".jp-mod-dirty")).to_have_count(0)
    page.reload()
    review = page.get_by_role("region", name="Review of duplicate photos")
    expect(review.get_by_text(re.compile("^2 of "))).to_be_visible(timeout=60_000)
    expect(review.get_by_role("status")).to_contain_text("below 550")

    # The kernel is killed; run again, it goes on where it stopped.
    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Restart Kernel…")).first.click()
    page.get_by_role("button", name="Confirm Kernel Restart").click()
    run_all_cells(page)
    review = page.get_by_role("region", name="Review of duplicate photos")
    expect(review.get_by_text(re.compile("^2 of "))).to_be_visible(timeout=60_000)
    expect(review.get_by_role("status")).to_contain_text("below 550")
    expect(review.get_by_text("1 decided: 1 approved, 0 rejected")).to_be_visible()
    assert decisions(album.parent) == ["approved"]


def test_hostile_names_are_text(page: Page, open_review: OpenReview, photos: Path, tmp_path: Path) -> None:
    album = tmp_path / "hostile"
    album.mkdir()
    picture = (photos / "exif-orientation" / "Landscape_1.jpg").read_bytes()
    names = [
        b"<img src=x onerror=alert(1)>.jpg",
        b"<script>alert(2)<.jpg",
        b"'\"><b>bold.jpg",
        "right\u202eto left.jpg".encode(),
        b"two\nlines.jpg",
        b"no utf \xff\xfe.jpg",
        b"=cmd()|calc.jpg",
        b"javascript:alert(3).jpg",
    ]
    for name in names:
        (Path(str(album)) / name.decode("utf-8", "surrogateescape")).write_bytes(picture)
    review = open_review(album)
    expect(review.get_by_text("28 pairs in the list")).to_be_visible()
    assert review.locator("b, script, iframe").count() == 0
    shown = set(review.locator(".dupkit-member").evaluate_all("nodes => nodes.map(node => node.title.split('\\n')[0])"))
    assert {"<img src=x onerror=alert(1)>.jpg", "two\\x0alines.jpg", "no utf \\xff\\xfe.jpg"} <= shown
    review.get_by_role("listbox", name="Pairs").get_by_role("option").nth(3).click()
    review.focus()
    page.keyboard.press("g")
    expect(review.get_by_role("alert")).to_contain_text("Approved: 28 pairs")
    button(review, "Plan moves").click()
    expect(review.get_by_role("alert")).to_contain_text("7 files would move")

    # Seven of eight pictures are more than half: the page asks for the number.
    button(review, "Apply moves").click()
    expect(review.get_by_role("group", name="Confirm moves")).to_be_visible()
    assert len(list(album.glob("*.jpg"))) == 8
    typed = review.get_by_label("Number of moves")
    typed.fill("5")
    button(review, "Confirm").click()
    expect(review.get_by_role("alert")).to_contain_text("7")
    assert len(list(album.glob("*.jpg"))) == 8
    review.get_by_label("Number of moves").fill("7")
    button(review, "Confirm").click()
    expect(review.get_by_role("alert")).to_have_text("7 files moved.")
    assert len(list(album.glob("*.jpg"))) == 1
    button(review, "Undo moves").click()
    expect(review.get_by_role("alert")).to_have_text("7 files moved back.")
    assert len(list(album.glob("*.jpg"))) == 8
