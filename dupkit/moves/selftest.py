"""Try the moves' guarantees on a disk of the user's, with files of our own, and say what its file system guarantees."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from dupkit.files import display_path
from dupkit.folders import STATE_VARIABLE
from dupkit.moves.names import OWN_PREFIX

TIME_LIMIT_S = 300
"""After this a trial counts as hung, seconds; it takes ten or so on a usual disk."""


@dataclass(frozen=True, slots=True)
class Check:
    """One guarantee that was tried: its name, whether it holds, what was seen."""

    name: str
    holds: bool
    seen: str


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What a file system guarantees."""

    folder: str
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether every guarantee holds, so that moves are safe here."""
        return all(check.holds for check in self.checks)

    def __str__(self) -> str:
        lines = [f"{'holds' if check.holds else 'FAILS'}  {check.name}: {check.seen}" for check in self.checks]
        verdict = "moves are safe here" if self.passed else "do not apply moves here; scan, review and plan work"
        return "\n".join([*lines, f"{self.folder}: {verdict}"])


def self_test(folder: str | os.PathLike[str] = ".") -> SelfTest:
    """Return what the file system of a folder guarantees, tried with files of our own that are gone afterwards.

    A process of its own applies, undoes, is killed and meets errors there, with a state folder of its own.

    Parameters
    ----------
    folder : path
        An existing folder on the disk to be tried; nothing in it is read or changed.

    Raises
    ------
    OSError
        The folder is not there or cannot be written to.
    """
    above = Path(folder).resolve(strict=True)
    shown = display_path(os.fsencode(above))
    place = above / (os.fsdecode(OWN_PREFIX) + "selftest-" + secrets.token_hex(4))
    place.mkdir(mode=0o700)
    try:
        with tempfile.TemporaryDirectory(prefix="dupkit-selftest-") as state:
            trial = subprocess.run(
                [sys.executable, "-m", "dupkit.moves.trial", place],
                env={**os.environ, STATE_VARIABLE: state},
                capture_output=True,
                check=False,
                timeout=TIME_LIMIT_S,
            )
        if trial.returncode:
            lines = trial.stderr.decode(errors="replace").strip().splitlines() or [f"status {trial.returncode}"]
            return SelfTest(shown, (Check("the trial runs to its end", holds=False, seen=lines[-1]),))
        found = json.loads(trial.stdout)
    except subprocess.TimeoutExpired:
        return SelfTest(shown, (Check("the trial runs to its end", holds=False, seen=f"hung for {TIME_LIMIT_S} s"),))
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return SelfTest(shown, tuple(Check(name, holds=not fault, seen=fault or seen) for name, fault, seen in found))


def why_unsafe(root: bytes) -> str:
    """Return '' where moves are safe on the disk of a root, else what was seen there.

    On Linux at once: what CI sweeps is Linux, and each mount's rename is tried before the first move. Elsewhere the
    self-test runs, which takes some seconds.
    """
    if sys.platform == "linux":
        return ""
    return "; ".join(f"{check.name}: {check.seen}" for check in self_test(os.fsdecode(root)).checks if not check.holds)
