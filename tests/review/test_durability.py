"""Several threads and processes decide in one folder at once: nothing is lost, and nobody is locked out."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from dupkit.review.decisions import Decision, open_decisions
from dupkit.review.standing import Standing
from tests.review.tables import letters, make_images, make_pairs

N_PAIRS = 60


def at_once(*works: Callable[[], object]) -> None:
    """Do all in threads of their own; what one of them raises is raised here."""
    problems: list[BaseException] = []
    start = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> None:
        start.wait()
        try:
            work()
        except BaseException as problem:  # noqa: BLE001
            problems.append(problem)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


@pytest.fixture
def hurry() -> object:
    """Let threads take turns after a few instructions, so that two meet where they must not."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def row(number: int) -> Decision:
    return Decision(f"{number}.jpg", f"{number}-copy.jpg", "0" * 64, "1" * 64, "approved")


def test_threads_that_add_keep_their_batches_apart(hurry: object) -> None:
    decisions = open_decisions(make_images(letters(2)))
    steps = []

    def add(thread: int) -> None:
        steps.extend(decisions.add([row(thread)] * (thread + 1)) for _ in range(20))

    at_once(*(lambda thread=thread: add(thread) for thread in range(4)))
    stored = decisions.read()
    assert [decision_id for decision_id, *_ in stored] == list(range(1, 20 * (1 + 2 + 3 + 4) + 1))
    assert sorted(step.batch for step in steps) == list(range(1, 81))
    for step in steps:
        members = [values for values in stored if values[1] == step.batch]
        assert [values[0] for values in members] == list(range(step.first, step.last + 1))
        assert len({values[4] for values in members}) == 1
    decisions.close()


def test_a_cell_and_the_page_decide_at_once_and_the_review_knows_all_of_it(
    open_state, hurry: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that takes in what is stored must not meet one whose decision is written, but not yet known here."""
    images = make_images(letters(N_PAIRS + 1))
    pairs = make_pairs([(k, k + 1, float(k)) for k in range(N_PAIRS)])
    state = open_state(images, pairs)
    inside: list[int] = []
    record, load = Standing.record, Standing.load

    def alone(method: Callable[..., object]) -> Callable[..., object]:
        def watched(*values: object) -> object:
            inside.append(threading.get_ident())
            assert set(inside) == {threading.get_ident()}, "two threads change what stands"
            try:
                return method(*values)
            finally:
                inside.remove(threading.get_ident())

        return watched

    monkeypatch.setattr(Standing, "record", alone(record))
    monkeypatch.setattr(Standing, "load", alone(load))

    def decide(start: int, word: str) -> None:
        for position in range(start, N_PAIRS, 3):
            state.decide(position, word)

    def take_back() -> None:
        for _ in range(5):
            state.decide_group(0, "skipped")
            state.undo()

    def refresh() -> None:
        for _ in range(10):
            state.refresh()

    at_once(lambda: decide(0, "approved"), lambda: decide(1, "rejected"), take_back, refresh)
    again = open_state(images, pairs)
    assert state.standing.code.tolist() == again.standing.code.tolist()
    assert state.standing.taken_id.tolist() == again.standing.taken_id.tolist()
    assert state.tally() == again.tally()


# One interpreter that forks: three of them would import pandas three times.
_WRITERS = """
import os, sys
sys.path.insert(0, {root!r})
from dupkit.review import ReviewState
from tests.review.tables import letters, make_images, make_pairs
n = {n}
images, pairs = make_images(letters(n + 1)), make_pairs([(k, k + 1, float(k)) for k in range(n)])
for start, word in enumerate({words!r}):
    if os.fork() == 0:
        try:
            state = ReviewState(images, None, pairs)
            for k in range(start, n, 3):
                state.decide(k, word)
                state.threshold = k
        except BaseException as problem:
            print(problem, file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
sys.exit(max(os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(3)))
"""


def test_three_processes_at_once_lose_nothing_and_none_is_locked_out(open_state) -> None:
    words = ("approved", "rejected", "skipped")
    script = _WRITERS.format(root=str(Path(__file__).parents[2]), n=N_PAIRS, words=words)
    done = subprocess.run([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    state = open_state(make_images(letters(N_PAIRS + 1)), make_pairs([(k, k + 1, float(k)) for k in range(N_PAIRS)]))
    assert [state.decision_of(k) for k in range(N_PAIRS)] == [words[k % 3] for k in range(N_PAIRS)]
    assert [decision_id for decision_id, *_ in state.decisions.read()] == list(range(1, N_PAIRS + 1))
