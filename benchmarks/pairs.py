"""How fast every pair below an RMS is found, beside FAISS, scikit-learn and the bare product of all rows.

    python -m benchmarks.pairs --photos ../shared/data/dev-photos/files --work /tmp/dupkit-bench

The histograms are seeded crops of the photos (see crop_histograms.py), kept in the work folder. Each figure is the
median of three runs in one process; seconds depend on the machine, so read the ratios. A peer that would take long is
run once, or left out beyond --peers-up-to images.
"""

from __future__ import annotations

import argparse
import functools
import math
import operator
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from dask.system import CPU_COUNT
from numpy.typing import NDArray

from benchmarks.crop_histograms import crop_histograms
from dupkit.pairs import candidate_pairs
from dupkit.schema import N_BINS, build_histograms

SIZES = (4_566, 20_000, 50_000, 200_000)
MAX_RMS = 500.0
PRODUCT_ROWS = 1024


def original_script(rows: NDArray[np.float32]) -> int:
    """Return the pairs below MAX_RMS by the script's own loop over lists of integers, for a sample."""
    histograms = [[int(value) for value in row] for row in rows]
    return sum(
        math.sqrt(functools.reduce(operator.add, map(lambda x, y: (x - y) ** 2, a, b)) / len(a)) < MAX_RMS
        for a, b in combinations(histograms, 2)
    )


def bare_product(rows: NDArray[np.float32]) -> int:
    """Return nothing of use: the float32 product of all rows with all later ones, block by block, and no more."""
    out = np.empty((PRODUCT_ROWS, len(rows)), dtype=np.float32)
    for start in range(0, len(rows), PRODUCT_ROWS):
        some, later = rows[start : start + PRODUCT_ROWS], rows[start:]
        np.matmul(some, later.T, out=out[: len(some), : len(later)])
    return 0


def faiss_range_search(rows: NDArray[np.float32]) -> int:
    """Return the pairs below MAX_RMS that FAISS finds: IndexFlatL2, every row as a query, all threads."""
    import faiss

    index = faiss.IndexFlatL2(N_BINS)
    index.add(rows)
    n_found = 0
    # Queries in blocks: the result of all at once would not fit beside 200,000 rows.
    for start in range(0, len(rows), 10_000):
        limits, _, found = index.range_search(rows[start : start + 10_000], N_BINS * MAX_RMS**2)
        query = np.repeat(np.arange(start, start + len(limits) - 1), np.diff(limits.astype(np.int64)))
        n_found += int(np.count_nonzero(query < found))
    return n_found


def sklearn_radius(rows: NDArray[np.float32]) -> int:
    """Return the pairs below MAX_RMS by scikit-learn's brute-force radius neighbours."""
    from sklearn.neighbors import NearestNeighbors

    model = NearestNeighbors(radius=MAX_RMS * math.sqrt(N_BINS), algorithm="brute", n_jobs=-1).fit(rows)
    found = model.radius_neighbors(rows, return_distance=False)
    return (sum(map(len, found)) - len(rows)) // 2


def dupkit(rows: NDArray[np.float32]) -> int:
    """Return the number of pairs that candidate_pairs finds."""
    return len(candidate_pairs(build_histograms(rows), max_rms=MAX_RMS, progress=False))


def seconds(
    function: Callable[[NDArray[np.float32]], int], rows: NDArray[np.float32], repeats: int
) -> tuple[float, int]:
    """Return the median time of some runs, and what the function returned."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        result = function(rows)
        times.append(time.perf_counter() - started)
    return statistics.median(times), result


def peak_bytes(kept: Path) -> int:
    """Return the peak memory of a process that loads the histograms and finds the pairs."""
    code = (
        "import sys, numpy as np, resource\n"
        "from dupkit.pairs import candidate_pairs\n"
        "from dupkit.schema import build_histograms\n"
        f"candidate_pairs(build_histograms(np.load(sys.argv[1])), max_rms={MAX_RMS}, progress=False)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(kept)], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1]) * 1024


def measure_size(n_images: int, options: argparse.Namespace) -> dict[str, float]:
    """Print and return the figures of one size."""
    rows = crop_histograms(options.photos, n_images, options.work, seed=options.seed)
    figures: dict[str, float] = {}
    repeats = options.repeats
    dupkit(rows[:2000])
    figures["dupkit"], n_pairs = seconds(dupkit, rows, repeats)
    stages = candidate_pairs(build_histograms(rows), max_rms=MAX_RMS, progress=False).attrs["stages"]
    print(f"\n{n_images:,} images, {stages['pairs']:,} pairs, {n_pairs:,} below {MAX_RMS:g}")
    before = stages["pairs"]
    for stage, left in list(stages.items())[1:]:
        share = 1 - left / before
        print(f"  {stage:9} discard {share:8.3%} of what is left; {left / stages['pairs']:10.4%} of all pairs remain")
        before = max(left, 1)
    print(f"  {'dupkit':28} {figures['dupkit']:9.3f} s")
    peers: dict[str, tuple[Callable[[NDArray[np.float32]], int], int]] = {
        "faiss IndexFlatL2": (faiss_range_search, options.peers_up_to),
        "float32 product A @ A.T": (bare_product, options.peers_up_to),
        "scikit-learn radius": (sklearn_radius, min(options.peers_up_to, 20_000)),
    }
    for name, (function, up_to) in peers.items():
        if n_images > up_to:
            print(f"  {name:28} left out beyond {up_to:,} images")
            continue
        figures[name], found = seconds(function, rows, 1 if n_images > 20_000 else repeats)
        # Peers work in float32: pairs within a rounding error of the bound may differ.
        note = f"{found:,} pairs" if found else ""
        print(f"  {name:28} {figures[name]:9.3f} s   dupkit {figures['dupkit'] / figures[name]:.3f} x   {note}")
    if n_images <= SIZES[0]:
        sample = rows[:150]
        loop, _ = seconds(original_script, sample, 1)
        loop *= n_images * (n_images - 1) / (len(sample) * (len(sample) - 1))
        print(f"  {'the original loop':28} {loop:9.0f} s   extrapolated from {len(sample)} images")
    peak = peak_bytes(options.work / f"crops-{options.seed}-{n_images}.npy")
    print(f"  peak memory {peak / 1e9:.2f} GB, with {rows.nbytes / 1e9:.2f} GB of histograms in it")
    return figures


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=Path("../shared/data/dev-photos/files"))
    parser.add_argument("--work", type=Path, default=Path("/tmp/dupkit-bench"), help="where histograms are kept")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peers-up-to", type=int, default=50_000, help="leave the peers out beyond this many images")
    options = parser.parse_args(arguments)
    print(f"{platform.machine()}, {CPU_COUNT} cores, load {os.getloadavg()[0]:.1f}, numpy {np.__version__}")
    figures = {n_images: measure_size(n_images, options) for n_images in options.sizes}
    small, large = min(20_000, max(options.sizes)), max(options.sizes)
    if small in figures and large > small:
        exponent = math.log(figures[large]["dupkit"] / figures[small]["dupkit"]) / math.log(large / small)
        print(f"\nfrom {small:,} to {large:,} images dupkit's time grows like n^{exponent:.2f}")
    print(f"peak of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
