"""Run the fault suite and print what was tried and found: ``python -m tests.faults [--full] [--only WORD]``."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from tests.faults import chaos, disks, sweep
from tests.faults.mutants import MUTANTS
from tests.faults.races import race
from tests.faults.traps import TRAPS

Result = tuple[int, list[str]]


@contextmanager
def scenario_sets(place: Path) -> Iterator[list[sweep.Scenario]]:
    """Give every scenario; those across devices only where a mount can be made."""
    if not disks.can_mount():
        yield sweep.scenarios(place / "same")
        return
    with sweep.mounted_across(place / "across") as album:
        yield sweep.scenarios(place / "same", album)


def kills(place: Path, share: int | None, seed: int) -> Result:
    return _swept(place / "kills", lambda scenario: sweep.sweep_kills(scenario, Random(seed), share))


def failures(place: Path, share: int | None, seed: int) -> Result:
    return _swept(place / "failures", lambda scenario: sweep.sweep_failures(scenario, Random(seed), share))


def lies(place: Path, share: int | None, seed: int) -> Result:
    return _swept(place / "lies", lambda scenario: sweep.sweep_lies(scenario, Random(seed), share))


def _swept(place: Path, one: Callable[[sweep.Scenario], Result]) -> Result:
    points, faults = 0, []
    with scenario_sets(place) as scenarios:
        for scenario in scenarios:
            tried, found = one(scenario)
            points, faults = points + tried, faults + found
    with sweep.without_kernel_rename():
        for scenario in sweep.scenarios(place / "link")[:2]:
            tried, found = one(scenario)
            points, faults = points + tried, faults + found
    return points, faults


def races(place: Path, n_races: int, seed: int) -> Result:
    won, lost, faults = race(place / "race", n_races, seed=seed)
    print(f"  races: we were first in {won:,}, they in {lost:,}", flush=True)
    return n_races, faults


def traps(place: Path) -> Result:
    faults = []
    for name, function in TRAPS.items():
        faults += [f"{name}: {fault}" for fault in function(place / "traps" / name)]
    return len(TRAPS), faults


def mutants(place: Path) -> Result:
    missed = [f"not caught: {m.name}" for n, m in enumerate(MUTANTS) if not m.caught(place / "mutants" / str(n))]
    return len(MUTANTS), missed


def every_disk(place: Path) -> Result:
    kinds = {**(disks.ROOT_ONLY if disks.can_mount() else {}), **disks.OUTSIDE}
    faults = [f"{name}: {f}" for n, (name, one) in enumerate(kinds.items()) for f in one(place / "disks" / str(n))]
    return len(kinds), faults


def steps(place: Path, *, full: bool, seed: int) -> dict[str, Callable[[], Result]]:
    """Return each line of the table and what fills it."""
    n_trees, n_plans, n_runs, n_races = (10_000, 1_000_000, 1_000, 100_000) if full else (300, 20_000, 20, 10_000)
    return {
        "kill -9 at a system call, recovery killed too": lambda: kills(place, None if full else 50, seed),
        "a system call fails": lambda: failures(place, 500 if full else 60, seed),
        "a call happens and says that it failed": lambda: lies(place, None if full else 15, seed),
        "destination appears in the race window": lambda: races(place, n_races, seed),
        "traps: edits, links, folders, FIFOs, places taken": lambda: traps(place),
        "random plans without a last copy moved": lambda: (n_plans, chaos.random_plans(n_plans, seed)),
        "random trees applied and undone": lambda: (
            n_trees,
            [fault for number in range(n_trees) for fault in chaos.round_trip(place / "tree", seed * n_trees + number)],
        ),
        "crowds of two to eight processes": lambda: (n_runs, chaos.crowds(place / "crowd", n_runs, seed)),
        "disks: full, read-only, attributes, users, from outside": lambda: every_disk(place),
        "mutants caught": lambda: mutants(place),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--full", action="store_true", help="the whole sweep (about half an hour) instead of a share")
    parser.add_argument("--only", default="", help="only lines whose name holds this word")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    memory = Path("/dev/shm")
    # Mounts are taken away on the way out, so an end from outside must be one that Python sees.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    place = Path(tempfile.mkdtemp(prefix="dupkit-faults-", dir=memory if os.access(memory, os.W_OK) else None))
    place.chmod(0o755)  # another user shall look in
    os.environ["DUPKIT_STATE"] = str(place / "state")
    lines, bad = [], 0
    try:
        for name, step in steps(place, full=options.full, seed=options.seed).items():
            if options.only not in name:
                continue
            start = time.monotonic()
            tried, faults = step()
            bad += len(faults)
            lines.append(f"| {name} | {tried:,} | {len(faults)} | {time.monotonic() - start:,.0f} s |")
            print(lines[-1], *faults[:10], sep="\n  ", flush=True)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    print("\n| what | tried | faults | took |\n|---|---|---|---|", *lines, sep="\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
