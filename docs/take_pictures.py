"""Take the README's pictures of the real page on the demo album: docs/review.png, review_dark.png, review.gif.

``python docs/take_pictures.py`` wants Chromium at /usr/bin/chromium and dupkit[test].
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageOps
from playwright.sync_api import Page, expect, sync_playwright

DOCS = Path(__file__).parent
CHROMIUM = "/usr/bin/chromium"
FRAME_MS = 1100


def main() -> None:
    """Start `dupkit lab` on a fresh demo album, run the notebook and take the pictures."""
    with tempfile.TemporaryDirectory() as place:
        environment = {**os.environ, "DUPKIT_STATE": f"{place}/state", "DUPKIT_CACHE": f"{place}/cache"}
        for name in ("CONFIG", "DATA", "RUNTIME"):
            environment[f"JUPYTER_{name}_DIR"] = f"{place}/{name}"
        for name in ("SETTINGS", "WORKSPACES"):
            environment[f"JUPYTERLAB_{name}_DIR"] = f"{place}/{name}"
        command = [sys.executable, "-m", "dupkit", "lab", "--no-browser"]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                take_pictures(server.stdout.readline().strip(), Path(place, "SETTINGS"))
            finally:
                server.terminate()


def take_pictures(url: str, settings: Path) -> None:
    """Open the notebook at a URL, run all cells and write the three pictures."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 1500})
        run_notebook(page, url)
        review_picture(page).save(DOCS / "review.png", optimize=True)
        frames = [review_picture(page)]
        page.get_by_role("slider", name="Threshold (RMS)").focus()
        for keys in (
            ("PageUp", "PageUp"),
            ("PageDown", "Escape"),
            ("a",),
            ("a", "a", "a", "a", "v"),
            ("d",),
            ("f", "p"),
            ("g",),
            ("u",),
        ):
            for key in keys:
                page.keyboard.press(key)
            page.wait_for_timeout(900)
            frames.append(review_picture(page))
        height = max(frame.height for frame in frames)
        whole = [ImageOps.pad(frame, (frame.width, height), color="white", centering=(0, 0)) for frame in frames]
        small = [frame.resize((760, round(height * 760 / frame.width))).quantize(96) for frame in whole]
        small[0].save(
            DOCS / "review.gif", save_all=True, append_images=small[1:], duration=FRAME_MS, loop=0, optimize=True
        )
        theme = settings / "@jupyterlab" / "apputils-extension" / "themes.jupyterlab-settings"
        theme.parent.mkdir(parents=True, exist_ok=True)
        theme.write_text('{"theme": "JupyterLab Dark"}')
        run_notebook(page, url)
        review_picture(page).save(DOCS / "review_dark.png", optimize=True)
        browser.close()


def run_notebook(page: Page, url: str) -> None:
    """Open the notebook and run all its cells until every thumbnail in the list is there."""
    page.goto(url)
    expect(page.get_by_role("button", name=re.compile("Python 3 .* Idle"))).to_be_visible(timeout=60_000)
    if page.get_by_role("region", name="File Browser Section").is_visible():
        page.keyboard.press("Control+b")  # the file browser gives its room to the page
    choose(page, "Run", "Run All Cells")
    expect(page.get_by_role("slider", name="Threshold (RMS)")).to_be_visible(timeout=120_000)
    expect(page.get_by_role("button", name="Approve", exact=True)).to_be_enabled(timeout=60_000)
    page.wait_for_timeout(6000)


def choose(page: Page, *items: str) -> None:
    """Choose an item of the menu bar."""
    for item in items:
        page.get_by_role("menuitem", name=item, exact=True).click()


def review_picture(page: Page) -> Image.Image:
    """Return a screenshot of the review page alone."""
    review = page.get_by_role("region", name="Review of duplicate photos")
    review.scroll_into_view_if_needed()
    return Image.open(io.BytesIO(review.screenshot())).convert("RGB")


if __name__ == "__main__":
    main()
