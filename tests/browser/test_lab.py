"""The main job as its user does it: `dupkit lab` on real photos, tune, approve, plan, apply, undo, in a browser."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.notebook import CHROMIUM, run_all_cells
from tests.conftest import need

DESTINATIONS = ("exact duplicates", "maybe duplicates")


def pictures(folder: Path) -> dict[str, str]:
    """The SHA-256 of every picture below a folder, by its path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".csv"
    }


@pytest.fixture
def lab_url(photos: Path, tmp_path: Path) -> Iterator[str]:
    """The first URL that `dupkit lab` prints on a copy of real photos."""
    need(Path(CHROMIUM).exists(), f"{CHROMIUM} is not installed")
    shutil.copytree(photos / "budgie-history", tmp_path / "photos", copy_function=shutil.copyfile)
    jupyter = {
        f"JUPYTER_{name}_DIR": str(tmp_path / "jupyter" / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")
    }
    jupyter |= {
        f"JUPYTERLAB_{name}_DIR": str(tmp_path / "jupyter" / name.lower()) for name in ("SETTINGS", "WORKSPACES")
    }
    server = subprocess.Popen(
        [sys.executable, "-m", "dupkit", "lab", str(tmp_path / "photos"), "--no-browser"],
        env={**os.environ, **jupyter, "PYTHONWARNINGS": "ignore", "IPYTHONDIR": str(tmp_path / "ipython")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # A full pipe would stop the server.
    drain = threading.Thread(target=server.stderr.read, daemon=True)
    drain.start()
    try:
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait(30)
        server.stdout.close()
        drain.join(30)
        server.stderr.close()


@pytest.fixture
def notebook(page: Page, lab_url: str) -> Page:
    """The notebook that the URL opens, all its cells run."""
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/lab/tree/01_find_duplicates\.ipynb\?token=[0-9a-f]{40,}", lab_url)
    page.goto(lab_url)
    run_all_cells(page)
    expect(page.get_by_role("slider", name="Threshold (RMS)")).to_be_visible(timeout=120_000)
    return page


def test_from_a_folder_to_moved_files_and_back(notebook: Page, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    before = pictures(folder)
    slider = notebook.get_by_role("slider", name="Threshold (RMS)")
    counts = notebook.get_by_text(re.compile(r"^[\d,]+ pairs? · [\d,]+ groups? · [\d,]+ files? · .+ below [\d,.]+$"))

    # The slider by keyboard: nothing lies below 0, and the line says at once where it stands.
    slider.focus()
    notebook.keyboard.press("Home")
    expect(counts).to_have_text(re.compile("^0 pairs · 0 groups · 0 files · .* below 0$"))
    notebook.keyboard.press("End")
    expect(counts).to_have_text(re.compile(r"^[1-9][\d,]* pairs .* below 1,?000$"))
    notebook.keyboard.press("PageDown")
    expect(counts).to_have_text(re.compile("below 950$"))
    expect(slider).to_have_value("950")

    # Two pairs approved, one click each, and every picture is still where it was.
    approve = notebook.get_by_role("button", name="Approve", exact=True)
    approve.click()
    expect(notebook.get_by_text(re.compile("^1 decided: 1 approved"))).to_be_visible()
    approve.click()
    expect(notebook.get_by_text(re.compile("^2 decided: 2 approved"))).to_be_visible()
    assert pictures(folder) == before

    # The plan is a table to read; it moves nothing.
    notebook.get_by_role("button", name="Plan moves", exact=True).click()
    expect(notebook.get_by_role("table").filter(has_text="duplicates/").first).to_be_visible()
    assert pictures(folder) == before

    notebook.get_by_role("button", name="Apply moves", exact=True).click()
    expect(notebook.get_by_text(re.compile(r"\b[12] files? moved\b")).first).to_be_visible()
    after = pictures(folder)
    moved = {path: digest for path, digest in after.items() if path.split("/")[0] in DESTINATIONS}
    assert 1 <= len(moved) <= 2
    assert sorted(after.values()) == sorted(before.values())
    for path, digest in moved.items():
        source = path.split("/", 1)[1]
        assert before[source] == digest
        assert source not in after

    notebook.get_by_role("button", name="Undo moves", exact=True).click()
    expect(notebook.get_by_text(re.compile(r"\b[12] files? moved back\b")).first).to_be_visible()
    assert pictures(folder) == before


def test_a_letter_key_decides_and_never_touches_the_cells(notebook: Page) -> None:
    cells = notebook.locator(".jp-Notebook .jp-Cell").count()
    notebook.get_by_role("button", name="Skip", exact=True).click()
    for key in ("a", "r", "u", "d", "d", "b", "b"):
        notebook.keyboard.press(key)
    expect(notebook.get_by_text(re.compile("^2 decided|^1 decided"))).to_be_visible()
    assert notebook.locator(".jp-Notebook .jp-Cell").count() == cells
