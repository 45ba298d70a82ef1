"""Measure the review page in headless Chromium against a real JupyterLab: ``python -m benchmarks.review [PHOTOS]``.

Synthetic tables of 1,000,000 pairs (the page must stay as fast as with ten) over real pictures. Each figure is printed
with its bound.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.browser.notebook import open_notebook, running_chromium, running_lab

N_PAIRS = 1_000_000
N_DECISIONS = 500

# Many images, so that a million pairs below 1,000 are possible; the pictures behind them are the real ones, again and
# again.
TABLES = """
import numpy as np, pandas as pd, psutil, os, time
import dupkit
from dupkit.schema import build_histograms, build_table
files = dupkit.scan_folder({photos!r})
few, histograms = dupkit.compute_histograms(files, progress=False)
few = few[(few.error == "") & (few.width * few.height >= 8e6)].reset_index(drop=True)
n_images, n_pairs = 40_000, {n_pairs}
rng = np.random.default_rng(5)
images = pd.concat([few] * (n_images // len(few) + 1), ignore_index=True).head(n_images)
images["path"] = [f"{{i:05d}}/" + path for i, path in enumerate(images["path"])]
images.index.name = "image_id"
images.attrs.update(few.attrs | dict(root=files.attrs["root"], sampling="fast", reference=()))
a = rng.integers(0, n_images - 1, n_pairs); b = a + 1 + (rng.integers(0, 50, n_pairs) % (n_images - 1 - a))
keys = np.unique(a * n_images + b); a, b = keys // n_images, keys % n_images
rms = np.sort(1000 * rng.random(len(a)) ** 0.6); order = rng.permutation(len(a)); a, b = a[order], b[order]
n = len(a)
pairs = build_table("pairs", dict(image_a=a, image_b=b, rms=rms, kind=np.where(rms == 0, "exact", "maybe"),
    measure=["rms"] * n, proposed_by=["rms"] * n, same_bytes=pd.array([False] * n, dtype="boolean"),
    structure=rng.random(n), transform=["same"] * n, verdict=np.where(rms < 300, "same picture", "look-alike")),
    attrs=dict(max_rms=1000.0, requested_max_rms=1000.0, measure="rms", n_images=n_images, complete=True))
edges = np.arange(0, 20_001, 10.0)
counts = build_table("rms_counts", dict(rms_left=edges[:-1], rms_right=edges[1:],
    n_pairs=np.arange(len(edges) - 1) ** 2, sampled=np.zeros(len(edges) - 1, bool)))
from dupkit.widgets import ReviewWidget
before = psutil.Process().memory_info().rss
"""

SHOW = """
start = time.perf_counter()
review = ReviewWidget(images, None, pairs, rms_counts=counts)
made = time.perf_counter() - start
review
"""

REAL = """
import dupkit
files = dupkit.scan_folder({photos!r})
images, histograms = dupkit.compute_histograms(files, progress=False)
large = images[(images.error == "") & (images.width * images.height >= 8e6)]
histograms = histograms.loc[large.index]
pairs = dupkit.candidate_pairs(histograms, max_rms=20_000, progress=False)
from dupkit.widgets import ReviewWidget
review = ReviewWidget(images, histograms, pairs, threshold=20_000)
review
"""

# In the page: how long from a key until the frame in which the text has changed is painted.
KEY_TO_COUNTS = """
async ([keys]) => {
  const review = document.querySelector(".dupkit-review");
  const slider = review.querySelector("[aria-label='Threshold (RMS)']");
  const counts = review.querySelector("output");
  const line = review.querySelector(".dupkit-line");
  slider.focus();
  const times = [];
  for (let i = 0; i < keys; i += 1) {
    const before = counts.textContent + line.style.transform;
    const start = performance.now();
    const key = ["PageDown", "ArrowLeft", "PageUp", "ArrowRight"][i % 4];
    slider.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 0)));
    if (counts.textContent + line.style.transform === before) throw new Error("nothing changed");
    times.push(performance.now() - start);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  return times;
}
"""

# In the page: how long from a key until both pictures of another pair are decoded and painted.
KEY_TO_PICTURES = """
async ([key, pairs, wait]) => {
  const review = document.querySelector(".dupkit-review");
  const ids = () => [...review.querySelectorAll(".dupkit-pane")].map((pane) => pane.dataset.image).join(" ");
  const frame = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 0)));
  review.focus();
  const times = [];
  for (let i = 0; i < pairs; i += 1) {
    const pair = review.dataset.pair;
    const start = performance.now();
    review.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
    while (review.dataset.pair === pair) await frame();
    while (ids().split(" ").filter((id) => id).length < 2) await frame();
    times.push(performance.now() - start);
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
  return times;
}
"""

# In the page: ten keys a second, whatever the page does; returns when the last decision shows.
KEYS_PER_SECOND = """
async ([decisions, interval]) => {
  const review = document.querySelector(".dupkit-review");
  review.focus();
  const revision = () => Number(review.dataset.revision);
  const first = revision();
  const start = performance.now();
  for (let i = 0; i < decisions; i += 1) {
    review.dispatchEvent(new KeyboardEvent("keydown", { key: i % 3 ? "a" : "r", bubbles: true, cancelable: true }));
    const next = start + (i + 1) * interval;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, next - performance.now())));
  }
  const typed = performance.now() - start;
  while (revision() < first + decisions) await new Promise((resolve) => setTimeout(resolve, 2));
  return [typed, performance.now() - start];
}
"""


def p95(times: list[float]) -> float:
    """Return the 95th percentile."""
    return statistics.quantiles(times, n=20)[-1] if len(times) > 1 else times[0]


def say(what: str, value: float, unit: str, bound: float) -> None:
    """Print one figure with its bound."""
    print(
        f"{what:<64} {value:>9.1f} {unit:<3} (at most {bound:g}) {'ok' if value <= bound else 'TOO MUCH'}", flush=True
    )


def heap_megabytes(page: Page) -> float:
    """Return the page's JavaScript heap after a collection, MB."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    return float(session.send("Runtime.getHeapUsage")["usedSize"]) / 1e6


def evaluate_in_kernel(page: Page, cell: int, pattern: str) -> str:
    """Return the output of an executed cell that a text matches."""
    output = page.locator(".jp-Notebook .jp-Cell").nth(cell).locator(".jp-OutputArea-output").last
    expect(output).to_contain_text(pattern)
    return output.inner_text()


def measure_million(page: Page, open_page: Callable[[list[str]], Locator], photos: str) -> None:
    """Slider, first display, heap and kernel memory with a million pairs."""
    cells = [
        TABLES.format(photos=photos, n_pairs=N_PAIRS),
        SHOW,
        "print(f'kernel {made:.2f} s {(psutil.Process().memory_info().rss - before) / 1e6:.0f} MB')",
    ]
    review = open_page(cells)
    made, grown = evaluate_in_kernel(page, 2, "kernel").split()[1], evaluate_in_kernel(page, 2, "kernel").split()[3]
    say("widget made in the kernel", float(made), "s", 2)
    expect(review.locator(".dupkit-plot")).to_have_attribute("data-drawn", "stored", timeout=60_000)
    shown = page.evaluate(
        "performance.getEntriesByName('dupkit-shown').at(-1).startTime"
        " - performance.getEntriesByName('dupkit-render').at(-1).startTime"
    )
    say("page shown, from render to first pair and counts", shown / 1000, "s", 2)
    say("kernel's growth", float(grown), "MB", 500)
    times = page.evaluate(KEY_TO_COUNTS, [200])
    say("slider key to counts and line, p95", p95(times), "ms", 100)
    page.wait_for_timeout(1000)
    say("JavaScript heap", heap_megabytes(page), "MB", 300)
    typed, done = page.evaluate(KEYS_PER_SECOND, [N_DECISIONS, 100])
    say(f"{N_DECISIONS} decisions at 10 keys a second: behind the keys", (done - typed) / 1000, "s", 1)


def measure_pictures(page: Page, open_page: Callable[[list[str]], Locator], photos: str) -> None:
    """Next pair on camera photos, with the pictures fetched ahead and without."""
    open_page([REAL.format(photos=photos)])
    page.wait_for_timeout(8000)
    ahead = page.evaluate(KEY_TO_PICTURES, ["ArrowRight", 30, 700])
    say("next pair, fetched ahead, p95", p95(ahead), "ms", 120)
    jumps = page.evaluate(KEY_TO_PICTURES, ["m", 1, 1000])
    say("a pair that was not fetched ahead", max(jumps), "ms", 600)


def main() -> int:
    """Run all measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    shared = Path(__file__).parents[2] / "shared" / "data" / "dev-photos" / "files"
    parser.add_argument("photos", nargs="?", default=str(shared), help="a folder with camera photos")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="dupkit-review-") as folder,
        running_lab(Path(folder) / "lab") as lab,
        running_chromium() as chromium,
    ):
        for number, measure in enumerate((measure_million, measure_pictures)):
            page = chromium.new_page(viewport={"width": 1280, "height": 900})
            page.set_default_timeout(120_000)
            start = time.perf_counter()
            measure(
                page,
                lambda cells, p=page, n=number: open_notebook(p, lab, f"{n}.ipynb", cells, timeout=600_000),
                arguments.photos,
            )
            print(f"({time.perf_counter() - start:.0f} s)", flush=True)
            page.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
