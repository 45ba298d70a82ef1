"""Kernels that are killed after decisions lose none; two notebooks on one folder keep both's."""

from __future__ import annotations

import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import SCAN, SHOW
from tests.browser.notebook import Lab, open_notebook, run_all_cells

N_KILLS = 200
SEED = 6

OpenReview = Callable[..., Locator]

WORDS = {"a": "approved", "r": "rejected", "s": "skipped", "1": "approved", "3": "rejected"}
"""What keys decide."""


def decisions(state: Path) -> list[str]:
    with closing(sqlite3.connect(state / "dupkit.sqlite3")) as connection:
        return [word for (word,) in connection.execute("SELECT decision FROM decision ORDER BY decision_id")]


def test_two_hundred_processes_killed_at_random_moments_lose_no_decision(tmp_path: Path) -> None:
    place = tmp_path / "state"
    place.mkdir(mode=0o700)
    done = subprocess.run(
        [sys.executable, "-m", "tests.browser.killing", str(place), str(N_KILLS), str(SEED)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    answered, lost, _ = (int(word) for word in done.stdout.split())
    assert answered >= N_KILLS
    assert lost == 0


def test_a_kernel_killed_after_random_keys_loses_none_of_them(page: Page, open_review: OpenReview, album: Path) -> None:
    review = open_review(album, threshold=None, more="print('kernel', os.getpid())")
    output = page.locator(".jp-OutputArea-output").last
    rng = random.Random(SEED)
    pressed: list[str] = []
    for _ in range(3):
        expect(output).to_contain_text(re.compile(r"kernel \d+"))
        killed = int(output.inner_text().split()[-1])
        review.focus()
        for _ in range(rng.randint(1, 4)):
            pressed.append(rng.choice(list(WORDS)))
            page.keyboard.press(pressed[-1])
            expect(review).to_have_attribute("data-pair", str(len(pressed)))
        os.kill(killed, signal.SIGKILL)
        # The page had shown the next pair: everything before it is on the disk.
        assert decisions(album.parent / "state") == [WORDS[key] for key in pressed]
        # JupyterLab says that the kernel died, and starts another one.
        page.get_by_role("dialog").get_by_role("button", name="Ok").click()
        run_all_cells(page)
        another = page.locator(".jp-OutputArea-output", has_text=re.compile(rf"kernel (?!{killed}\b)\d+"))
        expect(another).to_be_visible(timeout=60_000)
        expect(review).to_have_attribute("data-pair", str(len(pressed)), timeout=60_000)


def test_two_notebooks_on_one_folder_keep_the_decisions_of_both(
    chromium: Browser, lab: Lab, page: Page, album: Path
) -> None:
    scan = SCAN.format(folder=os.fspath(album), state=os.fspath(album.parent / "state"))
    cells = [scan, SHOW.format(threshold=500)]
    one = open_notebook(page, lab, "one.ipynb", cells)
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(20_000)
    other_page = context.new_page()
    other = open_notebook(other_page, lab, "other.ipynb", cells)

    # Both decide in turns, the second one about the same pairs and later: the latest counts.
    for place, (mine, theirs) in enumerate((("a", "s"), ("s", "a"), ("a", "r")), start=1):
        for review, tab, key in ((one, page, mine), (other, other_page, theirs)):
            review.focus()
            tab.keyboard.press(key)
            expect(review).to_have_attribute("data-pair", str(place))
    words = ["approved", "skipped", "skipped", "approved", "approved", "rejected"]
    assert decisions(album.parent / "state") == words
    for review in (one, other):
        review.get_by_role("button", name="Refresh").click()
        expect(review.get_by_text(re.compile("^2 decided: 1 approved, 1 rejected, 1 skipped"))).to_be_visible()
    # What one of them decides after that, the other one sees after the next refresh.
    one.focus()
    page.keyboard.press("r")
    expect(one).to_have_attribute("data-pair", "4")
    other.get_by_role("button", name="Refresh").click()
    expect(other.get_by_text(re.compile("^3 decided: 1 approved, 2 rejected, 1 skipped"))).to_be_visible()
    for tab in (page, other_page):
        expect(tab.get_by_text("database is locked")).to_have_count(0)
        expect(tab.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']")).to_have_count(0)
    context.close()
