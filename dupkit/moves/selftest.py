"""Try the moves' guarantees on a disk of the user's, with files of our own."""

from __future__ import annotations

import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from dupkit.moves.failures import describe_failure
from dupkit.moves.names import OWN_PREFIX
from dupkit.moves.rename import find_way


@dataclass(frozen=True, slots=True)
class Check:
    """One guarantee that was tried: its name, whether it holds, what was seen."""

    name: str
    holds: bool
    seen: str


def self_test(folder: str | os.PathLike[str]) -> tuple[Check, ...]:
    """Return what the file system of a folder guarantees; files of our own only, gone afterwards.

    Parameters
    ----------
    folder : path
        An existing folder on the disk to be tried.

    Raises
    ------
    OSError
        The folder is not there or cannot be written to.
    """
    place = Path(folder).resolve() / (os.fsdecode(OWN_PREFIX) + "selftest-" + secrets.token_hex(4))
    place.mkdir(mode=0o700)
    try:
        return (_rename_check(place),)
    finally:
        shutil.rmtree(place)


def _rename_check(place: Path) -> Check:
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        way = find_way(descriptor, "selftest")
    except OSError as error:
        return Check("a rename never overwrites", holds=False, seen=describe_failure(error))
    finally:
        os.close(descriptor)
    return Check("a rename never overwrites", holds=True, seen=f"by {way}")
