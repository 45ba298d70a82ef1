"""Measure the review page in headless Chromium against a real JupyterLab: ``python -m benchmarks.review [PHOTOS]``.

1,000,000 synthetic pairs (the page must stay as fast as with ten) over camera photos of 8 to 33 megapixels. Each figure
is printed with its bound; a figure that cannot be measured in its time is printed as such. About three minutes.
"""

from __future__ import annotations

import argparse
import os
import signal
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from playwright.sync_api import Page, expect

from benchmarks.decisions import measure_decisions
from benchmarks.figures import figure, say
from benchmarks.million import camera_photos
from tests.browser.notebook import Lab, open_notebook, running_chromium, running_lab

N_DECISIONS = 500
N_KEYS = 120
N_NEXT = 25

PATIENCE_MS = 120_000
"""Longest wait for any one measurement: a page that hangs ends the benchmark."""

TABLES = """
import os, time, psutil
from benchmarks.million import million_tables
from dupkit.widgets import ReviewWidget
images, pairs, counts = million_tables({photos!r})
kernel = psutil.Process()
print("before", os.getpid(), kernel.memory_info().rss)
"""

SHOW = """
begun, spent = time.time(), time.process_time()
review = ReviewWidget(images, None, pairs, rms_counts=counts)
print("made", begun, time.process_time() - spent)
review
"""

# What all measurements in the page share. Waiting ends with an error, never not at all.
COMMON = """
() => {
  const frame = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 0)));
  const rest = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  const review = () => document.querySelector(".dupkit-review");
  const until = async (done, what, patience = 20_000) => {
    const end = performance.now() + patience;
    while (!done()) {
      if (performance.now() > end) throw new Error(`${what}: not within ${patience} ms`);
      await frame();
    }
  };
  const press = (key, target = review()) => {
    target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  };
  const bothPictures = () => {
    const panes = [...review().querySelectorAll(".dupkit-pane")];
    return panes.length === 2 && panes.every((pane) => pane.dataset.image && pane.querySelector("img")?.complete);
  };
  window.measure = { frame, rest, review, until, press, bothPictures };
}
"""

# From a key until the frame in which counts and line have changed is painted.
KEY_TO_COUNTS = """
async ([keys]) => {
  const { review, press, frame, rest } = window.measure;
  const slider = review().querySelector("[aria-label='Threshold (RMS)']");
  const counts = review().querySelector("output");
  const line = review().querySelector(".dupkit-line");
  slider.focus();
  const times = [];
  for (let i = 0; i < keys; i += 1) {
    const before = [counts.textContent, line.style.transform];
    const start = performance.now();
    press(["PageDown", "ArrowLeft", "PageUp", "ArrowRight"][i % 4], slider);
    await frame();
    if (counts.textContent === before[0] || line.style.transform === before[1]) throw new Error("nothing changed");
    times.push(performance.now() - start);
    await rest(30);
  }
  return times;
}
"""

# From a key until both pictures of the next pair are decoded and painted; a person looks at each for a while.
NEXT_PAIR = """
async ([pairs, look]) => {
  const { review, press, until, rest, bothPictures } = window.measure;
  review().focus();
  const times = [];
  for (let i = 0; i < pairs; i += 1) {
    const { pair } = review().dataset;
    const start = performance.now();
    press("ArrowRight");
    await until(() => review().dataset.pair !== pair && bothPictures(), "next pair");
    times.push(performance.now() - start);
    await rest(look);
  }
  return times;
}
"""

# The same for pairs far away in the list, which nothing has fetched ahead: the list is scrolled and a row clicked.
FAR_PAIR = """
async ([pairs, look]) => {
  const { review, until, rest, frame, bothPictures } = window.measure;
  const list = review().querySelector("[role=listbox]");
  const times = [];
  for (let i = 1; i <= pairs; i += 1) {
    const { pair } = review().dataset;
    list.scrollTop = (list.scrollHeight - list.clientHeight) * (i / (pairs + 1));
    await frame();
    const row = () => list.querySelectorAll("[role=option]")[2];
    // The rows are there; their thumbnails may still be under way, as they are for a person who knows where to go.
    await until(() => row() && !row().textContent.startsWith("…"), "rows of the list");
    await rest(look);
    const start = performance.now();
    row().click();
    await until(() => review().dataset.pair !== pair && bothPictures(), "far pair");
    times.push(performance.now() - start);
  }
  return times;
}
"""

# Keys at a steady pace, whatever the page does. Returns, for each decision, how long after its key it showed, stored.
DECIDE = """
async ([decisions, interval]) => {
  const { review, press, rest, until } = window.measure;
  review().focus();
  const node = review();
  const first = Number(node.dataset.revision);
  const shown = [];
  const seen = new MutationObserver(() => {
    while (shown.length < Number(node.dataset.revision) - first) shown.push(performance.now());
  });
  seen.observe(node, { attributes: true, attributeFilter: ["data-revision"] });
  const pressed = [];
  const start = performance.now();
  for (let i = 0; i < decisions; i += 1) {
    await rest(Math.max(0, start + i * interval - performance.now()));
    pressed.push(performance.now());
    press(i % 3 ? "a" : "r");
  }
  await until(() => shown.length >= decisions, "decisions", 60_000);
  seen.disconnect();
  return pressed.map((at, i) => shown[i] - at);
}
"""

SHOWN = """
() => window.measure.review()?.querySelector(".dupkit-plot")?.dataset.drawn
  && document.querySelectorAll(".dupkit-row img").length > 3 && window.measure.bothPictures() ? Date.now() : 0
"""


def p95(times: list[float]) -> float:
    """Return the 95th percentile."""
    return float(np.percentile(times, 95))


def heap_megabytes(page: Page) -> float:
    """Return the page's JavaScript heap after a collection, MB."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    return float(session.send("Runtime.getHeapUsage")["usedSize"]) / 1e6


def printed(page: Page, word: str) -> list[str]:
    """Return what a cell printed after a word."""
    output = page.locator(".jp-OutputArea-output", has_text=word).first
    expect(output).to_be_visible(timeout=PATIENCE_MS)
    return output.inner_text().split(word, 1)[1].split()


def n_stored(lab: Lab) -> int:
    """Return how many decisions are on the disk."""
    with closing(sqlite3.connect(Path(lab.environment["DUPKIT_STATE"]) / "dupkit.sqlite3")) as connection:
        return int(connection.execute("SELECT COUNT(*) FROM decision").fetchone()[0])


def measure_page(page: Page, lab: Lab, photos: str) -> None:
    """Print every figure of one page over a million pairs."""

    def run(script: str, *values: Any) -> list[float]:
        return list(page.evaluate(script, list(values)))

    page.add_init_script(f"({COMMON})()")
    page.set_default_timeout(PATIENCE_MS)
    open_notebook(page, lab, "million.ipynb", [TABLES.format(photos=photos), SHOW], timeout=PATIENCE_MS)
    shown = page.wait_for_function(SHOWN, timeout=PATIENCE_MS).json_value() / 1000
    begun, spent = (float(value) for value in printed(page, "made")[:2])
    pid, before = (int(value) for value in printed(page, "before")[:2])
    kernel = psutil.Process(pid)
    render, ready = page.evaluate(
        "['dupkit-render', 'dupkit-shown'].map((name) => performance.timeOrigin"
        " + performance.getEntriesByName(name).at(-1).startTime)"
    )
    say("first display: from the cell's start to counts and first pair", ready / 1000 - begun, "s", 2)
    print(f"  of that in the page {(ready - render) / 1000:.1f} s; making the widget {spent:.1f} CPU s in the kernel")
    print(f"  plot, list and both pictures stand there after {shown - begun:.1f} s")
    with figure("slider"):
        say("key to counts and line, p95", p95(run(KEY_TO_COUNTS, N_KEYS)), "ms", 100)
    with figure("next pair"):
        page.wait_for_timeout(3000)
        say("next pair, fetched ahead, p95", p95(run(NEXT_PAIR, N_NEXT, 800)), "ms", 120)
    with figure("far pair"):
        say("a pair that was not fetched ahead, p95", p95(run(FAR_PAIR, N_NEXT, 200)), "ms", 600)
    with figure("decisions"):
        page.wait_for_timeout(1000)
        spent = sum(kernel.cpu_times()[:2])
        late = run(DECIDE, N_DECISIONS, 100)
        spent = sum(kernel.cpu_times()[:2]) - spent
        say(f"{N_DECISIONS} decisions at 10 keys a second: the last one shows after", late[-1] / 1000, "s", 1)
        print(f"  key to stored and shown: median {np.median(late):.0f} ms, p95 {p95(late):.0f} ms")
        print(f"  kernel {1000 * spent / N_DECISIONS:.0f} CPU ms a decision")
        say("decisions that show but are not on the disk", max(N_DECISIONS - n_stored(lab), 0), "", 0)
    with figure("memory"):
        say("JavaScript heap", heap_megabytes(page), "MB", 300)
        say("kernel's growth", (kernel.memory_info().rss - before) / 1e6, "MB", 500)
    with figure("kernel kill"):
        before = n_stored(lab)
        n_keys = 7
        run(DECIDE, n_keys, 100)
        os.kill(pid, signal.SIGKILL)
        say("kernel killed as the decision shows: lost", max(before + n_keys - n_stored(lab), 0), "", 0)


def main() -> int:
    """Run all measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    root = Path(__file__).parents[1]
    shared = root.parent / "shared" / "data" / "dev-photos" / "files"
    parser.add_argument("photos", nargs="?", default=str(shared), help="a folder with photos of any size")
    arguments = parser.parse_args()
    start = time.perf_counter()
    # The kernel imports the benchmark's tables.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryDirectory(prefix="dupkit-review-") as folder:
        os.environ["DUPKIT_CACHE"] = str(Path(folder) / "cache")
        photos = Path(folder) / "photos"
        print(camera_photos(Path(arguments.photos), photos), flush=True)
        measure_decisions(str(photos), Path(folder) / "state")
        with running_lab(Path(folder) / "lab") as lab, running_chromium() as chromium:
            page = chromium.new_page(viewport={"width": 1280, "height": 900})
            measure_page(page, lab, str(photos))
    print(f"({time.perf_counter() - start:.0f} s)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
