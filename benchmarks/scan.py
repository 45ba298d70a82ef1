"""Time the scan of a folder against its peers, and against the floor: decoding alone.

    python -m benchmarks.scan FOLDER [--repeats 5] [--only NAME ...]

Each tool runs in a fresh process with two workers, is timed in it after its imports, on files that the system has read
before, without a cache. Tools take turns, so that a busy minute hits all of them. Printed: medians of the seconds by
the clock and of processor time, images a second, the ratio of the seconds to czkawka's, and the peak memory of the
process tree (each process's own and its share of what is shared), of one more run, before: watching it takes time.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

WORKERS = 2

TORCH_MODULES = (
    "torch",
    "torch.nn",
    "torch.utils",
    "torch.utils.data",
    "torchvision",
    "torchvision.models",
    "torchvision.models.vision_transformer",
    "torchvision.transforms",
)

Stages = dict[str, float]


class Clock:
    """Seconds between stages, and processor time, from the moment that it is made: after the imports."""

    def __init__(self) -> None:
        self.stages: Stages = {}
        self._processor = _processor_seconds()
        self._last = time.perf_counter()

    def stage(self, name: str) -> None:
        """Note the time since the last stage."""
        now = time.perf_counter()
        self.stages[name] = now - self._last
        self._last = now

    def processor_seconds(self) -> float:
        """Return the processor time of this process and of those that it started, which are ended first."""
        if "dupkit.scan.workers" in sys.modules:
            sys.modules["dupkit.scan.workers"].close_workers()
        return _processor_seconds() - self._processor


def _processor_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def dupkit_job(folder: Path, sampling: str, *, rescan: bool = False) -> Clock:
    """Time dupkit's whole job: find, histograms with hashes and thumbnails, candidate pairs."""
    import dask
    import distributed  # noqa: F401  (everything is imported before the clock starts)

    from dupkit import candidate_pairs, compute_histograms, read_thumbnails, scan_folder

    with tempfile.TemporaryDirectory() as cache, dask.config.set(num_workers=WORKERS):
        if rescan:
            compute_histograms(scan_folder(folder), sampling=sampling, cache=cache, progress=False)
        clock = Clock()
        files = scan_folder(folder)
        clock.stage("find")
        images, histograms = compute_histograms(files, sampling=sampling, cache=cache, progress=False)
        clock.stage("histograms")
        read_thumbnails(images, cache=cache)
        clock.stage("thumbnails")
        candidate_pairs(histograms, progress=False)
        clock.stage("pairs")
        return clock


def script_job(folder: Path) -> Clock:
    """Time the original script's first stage: threads, full decode, 800 x 600 LANCZOS, histogram."""
    from PIL import Image

    def histogram(place: Path) -> list[int] | None:
        try:
            with Image.open(place) as image:
                return image.resize((800, 600), Image.Resampling.LANCZOS).histogram()
        except (OSError, SyntaxError, ValueError):
            return None

    return over_threads(folder, histogram, "histograms")


def floor_job(folder: Path) -> Clock:
    """Time decoding alone, JPEG at a fraction of its size: nothing that reads every picture can be faster."""
    from PIL import Image

    def decode(place: Path) -> None:
        try:
            with Image.open(place) as image:
                image.draft("RGB", (200, 150))
                image.load()
        except (OSError, SyntaxError, ValueError):
            return

    return over_threads(folder, decode, "decode")


def over_threads(folder: Path, function: Callable[[Path], object], stage: str) -> Clock:
    """Time a function over all files of a folder in threads."""
    from PIL import Image

    Image.init()
    clock = Clock()
    places = [place for place in sorted(folder.rglob("*")) if place.is_file()]
    with ThreadPoolExecutor(WORKERS) as threads:
        list(threads.map(function, places))
    clock.stage(stage)
    return clock


def czkawka_job(folder: Path) -> Clock:
    """Time czkawka's whole job."""
    import czkawka  # noqa: F401

    from benchmarks.peers import czkawka_pairs

    clock = Clock()
    czkawka_pairs(folder)
    clock.stage("all")
    return clock


class Empty(type):
    """A class of classes in which every name is the class itself."""

    def __getattr__(cls, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return cls


class StandIn(ModuleType):
    """A module in which every name is an empty class."""

    __path__: ClassVar[list[str]] = []

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return sys.modules.get(f"{self.__name__}.{name}") or Empty(name, (), {"__init__": lambda *_, **__: None})


def imagededup_job(folder: Path) -> Clock:
    """Time imagededup's pHash and its search. The package wants torch, which pHash never touches: a stand-in does."""
    for name in TORCH_MODULES:
        sys.modules.setdefault(name, StandIn(name))
    from imagededup.methods.hashing import PHash

    from benchmarks.peers import PHASH_DISTANCE

    clock = Clock()
    finder = PHash(verbose=False)
    hashes = finder.encode_images(image_dir=str(folder), recursive=True, num_enc_workers=WORKERS)
    clock.stage("hashes")
    finder.find_duplicates(encoding_map=hashes, max_distance_threshold=PHASH_DISTANCE, num_dist_workers=WORKERS)
    clock.stage("pairs")
    return clock


JOBS: dict[str, Callable[[Path], Clock]] = {
    "dupkit fast": lambda folder: dupkit_job(folder, "fast"),
    "dupkit fast, again": lambda folder: dupkit_job(folder, "fast", rescan=True),
    "dupkit original": lambda folder: dupkit_job(folder, "original"),
    "script's histograms": script_job,
    "czkawka": czkawka_job,
    "imagededup pHash": imagededup_job,
    "floor: decoding": floor_job,
}


def run_once(name: str, folder: Path, *, watch: bool = False) -> tuple[Stages, float, float] | None:
    """Run one tool in a fresh process; return its seconds by stage, processor time, and the peak of its tree, MB."""
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **os.environ,
            "HOME": home,
            "XDG_CACHE_HOME": home,
            "DUPKIT_CACHE": home,
            "DUPKIT_STATE": home,
            "RAYON_NUM_THREADS": str(WORKERS),
            "OMP_NUM_THREADS": "1",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.scan", str(folder), "--child", name],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        peak = [0.0]
        watcher = threading.Thread(target=watch_memory, args=(process.pid, peak))
        if watch:
            watcher.start()
        out, errors = process.communicate()
        if watch:
            watcher.join()
    if process.returncode:
        print(f"{name}: {(errors.strip().splitlines() or ['failed'])[-1]}", file=sys.stderr)
        return None
    stages, processor = json.loads(out.strip().splitlines()[-1])
    return stages, processor, peak[0]


def watch_memory(pid: int, peak: list[float]) -> None:
    """Keep the peak of a process tree's proportional set size, MB."""
    import psutil

    try:
        root = psutil.Process(pid)
        while root.is_running() and root.status() != psutil.STATUS_ZOMBIE:
            total = 0
            for process in [root, *root.children(recursive=True)]:
                try:
                    total += process.memory_full_info().pss
                except psutil.Error:
                    continue
            peak[0] = max(peak[0], total / 1e6)
            time.sleep(0.05)
    except psutil.Error:
        return


def count_images(folder: Path) -> int:
    """Return how many images dupkit finds in a folder; reads them all, so that the first tool pays for no disk."""
    from dupkit import scan_folder

    files = scan_folder(folder)
    for path in files["path_bytes"]:
        place = folder / os.fsdecode(path)
        if place.is_file():
            place.read_bytes()
    return len(files)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=list(JOBS), default=list(JOBS))
    parser.add_argument("--child", choices=list(JOBS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        clock = JOBS[options.child](options.folder)
        print(json.dumps([clock.stages, clock.processor_seconds()]))
        return
    n_images = count_images(options.folder)
    watched = {name: run_once(name, options.folder, watch=True) for name in options.only}
    results: dict[str, list[Any]] = {name: [] for name in options.only}
    for _ in range(options.repeats):
        for name, runs in results.items():
            runs.append(run_once(name, options.folder) if watched[name] else None)
    print(f"{n_images:,} images, {WORKERS} workers, medians of {options.repeats}")
    print(f"{'':22}{'seconds':>9}{'cpu s':>8}{'images/s':>10}{'peak MB':>9}{'ratio':>7}  stages")
    totals = {
        name: statistics.median(sum(run[0].values()) for run in runs) for name, runs in results.items() if runs[0]
    }
    reference = totals.get("czkawka")
    for name, runs in results.items():
        if name not in totals:
            print(f"{name:22}{'not installed here':>27}")
            continue
        stages = {stage: statistics.median(run[0][stage] for run in runs) for stage in runs[0][0]}
        ratio = f"{totals[name] / reference:7.2f}" if reference else f"{'':7}"
        words = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in stages.items())
        processor = statistics.median(run[1] for run in runs)
        peak = (watched[name] or (0, 0, 0))[2]
        print(
            f"{name:22}{totals[name]:9.2f}{processor:8.2f}{n_images / totals[name]:10,.0f}{peak:9,.0f}{ratio}  {words}"
        )


if __name__ == "__main__":
    main()
