"""A seeded share of the fault suite, every kind once; `python -m tests.faults --full` runs all of it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.conftest import need
from tests.faults import chaos, disks, sweep
from tests.faults.mutants import MUTANTS, Mutant
from tests.faults.races import race
from tests.faults.syscalls import can_trace
from tests.faults.traps import TRAPS

KILLS_A_SCENARIO, FAILURES_A_SCENARIO, LIES_A_SCENARIO = 40, 50, 15
"""Over nine scenarios: more than 300 kill points and 400 injections."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in memory where there is one: thousands of small trees."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory)) if os.access(memory, os.W_OK) else tmp_path / "faults"
    monkeypatch.setenv("DUPKIT_STATE", str(folder / "state"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


SAME_DEVICE = ("apply", "undo", "recover", "recover undo")
ACROSS = ("apply across devices", "undo across devices", "recover across devices")


def sweep_share(place: Path, name: str, *, across: bool) -> list[str]:
    need(can_trace(), "ptrace is driven on Linux on x86-64 only")
    if across:
        need(disks.can_mount(), "two devices need root on Linux, to mount one")
        with sweep.mounted_across(place / "across") as album:
            return _share(sweep.scenarios(place / "same", album), name)
    return _share(sweep.scenarios(place / "same"), name)


def _share(scenarios: list[sweep.Scenario], name: str) -> list[str]:
    scenario = next(found for found in scenarios if found.name == name)
    n_kills, faults = sweep.sweep_kills(scenario, Random(name), KILLS_A_SCENARIO)
    n_failures, more = sweep.sweep_failures(scenario, Random(name), FAILURES_A_SCENARIO)
    assert (n_kills, n_failures) == (KILLS_A_SCENARIO, FAILURES_A_SCENARIO)
    _, lies = sweep.sweep_lies(scenario, Random(name), LIES_A_SCENARIO)
    return [*faults, *more, *lies]


@pytest.mark.parametrize("name", SAME_DEVICE)
def test_no_call_killed_or_failed_loses_a_file(place: Path, name: str) -> None:
    assert sweep_share(place, name, across=False) == []


@pytest.mark.root
@pytest.mark.parametrize("name", ACROSS)
def test_no_call_killed_or_failed_loses_a_file_across_devices(place: Path, name: str) -> None:
    assert sweep_share(place, name, across=True) == []


@pytest.mark.parametrize("name", ["apply", "undo"])
def test_no_call_killed_or_failed_loses_a_file_where_links_stand_for_renames(place: Path, name: str) -> None:
    with sweep.without_kernel_rename():
        assert sweep_share(place, name, across=False) == []


@pytest.mark.parametrize("name", sorted(TRAPS))
def test_trap(place: Path, name: str) -> None:
    need(can_trace(), "ptrace is driven on Linux on x86-64 only")
    assert TRAPS[name](place) == []


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_dupkit_made_wrong_is_caught(place: Path, mutant: Mutant) -> None:
    need(can_trace(), "ptrace is driven on Linux on x86-64 only")
    assert mutant.caught(place)


def test_no_race_overwrites(place: Path) -> None:
    won, lost, faults = race(place / "race", 10_000)
    assert faults == []
    assert won
    assert lost


def test_random_trees_come_back_exactly(place: Path) -> None:
    assert [fault for seed in range(200) for fault in chaos.round_trip(place / "tree", seed)] == []


def test_no_random_plan_moves_a_last_copy() -> None:
    assert chaos.random_plans(20_000, seed=7) == []


def test_crowds_move_each_file_once(place: Path) -> None:
    assert chaos.crowds(place / "crowd", 20, seed=3) == []


@pytest.mark.root
@pytest.mark.parametrize("name", sorted(disks.ROOT_ONLY))
def test_disk(place: Path, name: str) -> None:
    need(disks.can_mount(), "mounts, attributes and other users need root on Linux")
    assert disks.ROOT_ONLY[name](place) == []


@pytest.mark.parametrize("name", sorted(disks.OUTSIDE))
def test_command_line_from_outside(place: Path, name: str) -> None:
    need(can_trace() and shutil.which("strace"), "needs strace and ptrace on Linux on x86-64")
    assert disks.OUTSIDE[name](place) == []
