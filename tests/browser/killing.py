"""Decide at random in processes that are killed: ``python -m tests.browser.killing FOLDER N_KILLS SEED``.

Each process is a kernel without a browser: the page's widget, its questions, its answers, its database. It says what it
is about to decide, and says it again when the answer has gone out, which is when the page shows the next pair. Some
answers later, at a random moment, SIGKILL ends it. What it had answered must be on the disk, in order; what it was
about to decide may be.

One interpreter imports dupkit and forks the processes: 200 of them would spend minutes on importing pandas.
"""

from __future__ import annotations

import gc
import os
import random
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

import comm
import pandas as pd

from dupkit.database import FILE_NAME, open_database
from dupkit.widgets import ReviewWidget
from tests.review.tables import letters, make_images, make_pairs
from tests.widgets.conftest import Browser

ACTS = {
    "approve": ("approved", ""),
    "reject": ("rejected", ""),
    "skip": ("skipped", ""),
    "keep_left": ("approved", "left"),
    "keep_both": ("rejected", ""),
}
"""What each key decides, and the keeper that it chooses."""

N_PAIRS = 30

MOST_ANSWERS = 5
"""Answers before a process is killed, at most."""

WORDS = ("decides", "answered")
"""What a process writes to its pipe before and after each decision."""

LONGEST_WAIT = 0.004
"""Seconds from the last answer to the kill, at most: about as long as one more decision takes."""


Tables = tuple[pd.DataFrame, pd.DataFrame]


def decide_until_killed(tables: Tables, seed: int, pipe: int) -> NoReturn:
    """Decide random pairs for ever, as the page's keys do, and write every step to a pipe."""
    rng = random.Random(seed)
    images, pairs = tables
    widget = ReviewWidget(images, None, pairs)
    publish, saying = widget.comm.publish_msg, ""

    def sent(*values: Any, **keys: Any) -> None:
        publish(*values, **keys)
        if saying:
            os.write(pipe, f"answered {saying}\n".encode())

    widget.comm.publish_msg = sent
    while True:
        position, act = rng.randrange(N_PAIRS), rng.choice(list(ACTS))
        os.write(pipe, f"decides {position} {act}\n".encode())
        saying = f"{position} {act}"
        widget.comm.ask("act", act=act, position=position)
        saying = ""


def stored(place: Path) -> list[tuple[str, str, str]]:
    """Return path_a, decision and keeper of every decision on the disk."""
    with closing(sqlite3.connect(place / FILE_NAME)) as connection:
        return connection.execute("SELECT path_a, decision, keeper FROM decision ORDER BY decision_id").fetchall()


def kill_one(tables: Tables, rng: random.Random) -> tuple[list[str], list[str]]:
    """Start a process, kill it at a random moment, and return what it was about to decide and what it had answered."""
    reading, writing = os.pipe()
    seed = rng.randrange(1 << 30)
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            decide_until_killed(tables, seed, writing)
        except BaseException as problem:  # noqa: BLE001
            print(f"{type(problem).__name__}: {problem}", file=sys.stderr, flush=True)
        os._exit(1)
    os.close(writing)
    n_answers, wait = rng.randint(1, MOST_ANSWERS), rng.random() * LONGEST_WAIT
    lines: list[str] = []
    with os.fdopen(reading, encoding="utf-8") as stream:
        while sum(line.startswith("answered") for line in lines) < n_answers and (line := stream.readline()):
            lines.append(line)
        end = time.perf_counter() + wait
        while time.perf_counter() < end:
            pass
        os.kill(child, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        lines += stream.readlines()
    if code != -signal.SIGKILL:
        msg = f"the process ended by itself, {code}"
        raise RuntimeError(msg)
    decided, answered = ([line.split(" ", 1)[1].strip() for line in lines if line.startswith(word)] for word in WORDS)
    return decided, answered


def expected_rows(steps: list[str], paths: list[str]) -> Iterator[tuple[str, str, str]]:
    """Give what is stored of each step, as :func:`stored` does."""
    for step in steps:
        position, act = step.split()
        decision, keeper = ACTS[act]
        path = paths[int(position)]
        yield path, decision, path if keeper else ""


def kill_many(place: Path, n_kills: int, seed: int) -> tuple[int, int, int]:
    """Kill processes one after another on one database; return answered decisions, lost ones, and in-between ones.

    In-between: on the disk, though no answer went out.
    """
    os.environ["DUPKIT_STATE"] = str(place)
    comm.create_comm = Browser
    open_database(place / FILE_NAME).close()
    rng = random.Random(seed)
    images = make_images(letters(N_PAIRS + 1))
    tables = images, make_pairs([(k, k + 1, float(k)) for k in range(N_PAIRS)])
    paths = images["path"].tolist()
    # A process that is forked shares what nobody touches.
    gc.freeze()
    n_answered = n_lost = n_between = 0
    before: list[tuple[str, str, str]] = []
    for _ in range(n_kills):
        decided, answered = kill_one(tables, rng)
        rows = stored(place)
        new = rows[len(before) :]
        wanted = list(expected_rows(decided, paths))
        n_answered += len(answered)
        if rows[: len(before)] != before or new != wanted[: len(new)]:
            n_lost += len(answered)
        else:
            n_lost += max(len(answered) - len(new), 0)
            n_between += max(len(new) - len(answered), 0)
        before = rows
    return n_answered, n_lost, n_between


if __name__ == "__main__":
    print(*kill_many(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
