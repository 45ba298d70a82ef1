"""A real JupyterLab on loopback and a headless Chromium that drives its notebooks by label and text."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import nbformat
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

CHROMIUM = "/usr/bin/chromium"
CHROMIUM_ARGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
START_SECONDS = 60


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab: where it listens, its token, its folder, and the environment of its kernels."""

    address: str
    token: str
    folder: Path
    environment: dict[str, str]

    def write(self, name: str, cells: Sequence[str]) -> None:
        """Write a notebook of code cells."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, self.folder / name)

    def url(self, name: str) -> str:
        return f"{self.address}/lab/tree/{name}?token={self.token}&reset"


@contextmanager
def running_lab(folder: Path, *, theme: str = "JupyterLab Light") -> Iterator[Lab]:
    """Start JupyterLab with a state and a cache of its own below a folder; stop it and its kernels at the end."""
    notebooks = folder / "notebooks"
    notebooks.mkdir(parents=True)
    token = secrets.token_hex(16)
    environment = {
        **os.environ,
        "DUPKIT_STATE": str(folder / "state"),
        "DUPKIT_CACHE": str(folder / "cache"),
        "JUPYTER_TOKEN": token,
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        # The last occurrence counts for Python; whoever runs the tests may treat warnings as errors, kernels do not.
        "PYTHONWARNINGS": "ignore",
    }
    settings = folder / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
    (settings / "themes.jupyterlab-settings").write_text(json.dumps({"theme": theme}))
    log = folder / "jupyter.log"
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", "--port=0", "--allow-root"),
        f"--ServerApp.root_dir={notebooks}",
        "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
        "--LabApp.news_url=None",
        "--LabApp.extension_manager=readonly",
    ]
    with log.open("wb") as stream:
        server = subprocess.Popen(command, env=environment, stdout=stream, stderr=stream, cwd=notebooks)
    try:
        yield Lab(_address(log, server), token, notebooks, environment)
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _address(log: Path, server: subprocess.Popen[bytes]) -> str:
    """Wait until the server says where it listens and answers there."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        found = re.search(r"http://127\.0\.0\.1:\d+", log.read_text("utf-8", "replace"))
        # The address is logged a moment before the port answers.
        with suppress(urllib.error.URLError):
            if found:
                with urllib.request.urlopen(f"{found[0]}/api", timeout=START_SECONDS):
                    return found[0]
        time.sleep(0.05)
    msg = f"JupyterLab did not start:\n{log.read_text('utf-8', 'replace')[-3000:]}"
    raise RuntimeError(msg)


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Start a headless Chromium of the system."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        try:
            yield browser
        finally:
            browser.close()


def open_notebook(page: Page, lab: Lab, name: str, cells: Sequence[str], *, timeout: float = 90_000) -> Locator:
    """Write a notebook, open it, run all its cells and return the review page in it, once it shows its counts."""
    lab.write(name, cells)
    page.goto(lab.url(name))
    run_all_cells(page)
    review = page.get_by_role("region", name="Review of duplicate photos")
    expect(review.first.get_by_role("status")).to_contain_text("below", timeout=timeout)
    return review


def run_all_cells(page: Page) -> None:
    """Run all cells by the menu, as a person does."""
    expect(page.get_by_role("button", name=re.compile("Python 3 .* Idle"))).to_be_visible(timeout=60_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def number_of_cells(page: Page) -> int:
    """Return how many cells the notebook has."""
    return page.locator(".jp-Notebook .jp-Cell").count()
