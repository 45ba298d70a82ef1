"""One JupyterLab and one Chromium for all browser tests; each test has a notebook, a folder and a tab of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Dialog, Locator, Page

from tests.browser.notebook import CHROMIUM, Lab, open_notebook, running_chromium, running_lab
from tests.conftest import need

SCAN = """
import os
os.environ["DUPKIT_STATE"] = {state!r}  # a rejection travels with the contents, and the tests share their photos
import dupkit
files = dupkit.scan_folder({folder!r})
images, histograms = dupkit.compute_histograms(files, progress=False)
pairs = dupkit.candidate_pairs(histograms, progress=False)
counts = dupkit.rms_counts(histograms)
"""

SHOW = """
from dupkit.widgets import ReviewWidget
review = ReviewWidget(images, histograms, pairs, rms_counts=counts, threshold={threshold})
review
"""


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with running_lab(tmp_path_factory.mktemp("lab")) as running:
        yield running


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    need(Path(CHROMIUM).exists(), f"no Chromium at {CHROMIUM}")
    with running_chromium() as browser:
        yield browser


def answer(dialog: Dialog, surprises: list[str]) -> None:
    """Let the browser leave a page with unsaved changes; any other dialog is a surprise."""
    if dialog.type != "beforeunload":
        surprises.append(f"dialog: {dialog.message}")
    dialog.accept()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A tab whose script errors, dialogs and requests to other hosts fail the test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(20_000)
    tab = context.new_page()
    surprises: list[str] = []
    tab.on("pageerror", lambda error: surprises.append(f"script error: {error}"))
    tab.on("dialog", lambda dialog: answer(dialog, surprises))
    tab.on(
        "request",
        lambda request: (
            None
            if request.url.startswith(("http://127.0.0.1", "ws://127.0.0.1", "blob:", "data:"))
            else surprises.append(f"request: {request.url}")
        ),
    )
    yield tab
    context.close()
    assert not surprises


@pytest.fixture
def album(photos: Path, tmp_path: Path) -> Path:
    """A copy of a folder of real photos: several versions of wallpapers."""
    return shutil.copytree(photos / "budgie-history", tmp_path / "album", copy_function=shutil.copy)


OpenReview = Callable[..., Locator]


@pytest.fixture
def open_review(page: Page, lab: Lab, request: pytest.FixtureRequest, tmp_path: Path) -> OpenReview:
    """Open a notebook over a folder in the test's tab and return its review page."""

    def open_it(folder: Path, *, threshold: object = 500, more: str = "") -> Locator:
        name = f"{request.node.name.replace('[', '-').rstrip(']')}.ipynb"
        scan = SCAN.format(folder=os.fspath(folder), state=os.fspath(tmp_path / "state"))
        return open_notebook(page, lab, name, [scan, SHOW.format(threshold=threshold), *([more] if more else [])])

    return open_it


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)
