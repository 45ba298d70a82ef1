"""Measure stored decisions without a page: reopening, undoing, kills. A part of ``python -m benchmarks.review``."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.figures import figure, say
from benchmarks.million import N_PAIRS, million_tables
from dupkit.widgets import ReviewWidget

N_STORED = 100_000
N_KILLS = 200


def measure_decisions(photos: str, place: Path) -> None:
    """Print the figures of decisions on the disk, over a million pairs and in a state folder of their own."""
    place.mkdir(mode=0o700)
    os.environ["DUPKIT_STATE"] = str(place)
    with figure("reopening"):
        images, pairs, counts = million_tables(photos)
        widget = ReviewWidget(images, None, pairs, rms_counts=counts)
        rows = np.sort(np.random.default_rng(5).permutation(N_PAIRS)[:N_STORED])
        widget.state.filters = {"positions": rows.tolist()}
        widget.state.apply_rule({"decision": "approved", "positions": rows.tolist()})
        # As if each had been decided by a key of its own.
        widget.state.decisions._connection.execute("UPDATE decision SET batch = decision_id")
        widget.state.decisions.close()
        start, spent = time.perf_counter(), time.process_time()
        widget = ReviewWidget(images, None, pairs, rms_counts=counts)
        widget._hello({})
        spent = time.process_time() - spent
        say(f"{N_STORED:,} stored decisions reopen, to the first answer", time.perf_counter() - start, "s", 2)
        print(f"  {spent:.1f} CPU s")
    with figure("undo of a rule"):
        rule = {"decision": "rejected", "show": "all", "rms": [0, 150]}
        n_decided = widget.state.apply_rule(rule)
        start, spent = time.perf_counter(), time.process_time()
        widget.state.undo()
        spent = time.process_time() - spent
        print(f"a rule about {n_decided:,} pairs undone in {time.perf_counter() - start:.1f} s, {spent:.1f} CPU s")
        widget.state.decisions.close()
    with figure("kills"):
        kills = place / "kills"
        kills.mkdir(mode=0o700)
        command = [sys.executable, "-m", "tests.browser.killing", str(kills), str(N_KILLS), "6"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
        answered, lost, between = (int(word) for word in done.stdout.split())
        say(f"{N_KILLS} processes killed after {answered} decisions that were shown: lost", lost, "", 0)
        print(f"  {between} more were on the disk when the kill came before their answer")
