"""Dupkit's own two folders, outside every photo folder and open to their owner only (0700).

The state folder holds what cannot be made again: decisions and the journal of moves. The cache folder holds what can.
"""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path, user_state_path

STATE_VARIABLE = "DUPKIT_STATE"
"""Environment variable that names another state folder."""

CACHE_VARIABLE = "DUPKIT_CACHE"
"""Environment variable that names another cache folder."""


def state_folder() -> Path:
    """Return the folder of decisions, journal and notebook copies; made if absent.

    ``DUPKIT_STATE`` overrides the platform's place.

    Raises
    ------
    OSError
        It cannot be made.
    """
    return _private_folder(os.environ.get(STATE_VARIABLE) or user_state_path("dupkit", appauthor=False))


def cache_folder() -> Path:
    """Return the folder of histograms and thumbnails, which may be deleted at any time; made if absent.

    ``DUPKIT_CACHE`` overrides the platform's place.

    Raises
    ------
    OSError
        It cannot be made.
    """
    return _private_folder(os.environ.get(CACHE_VARIABLE) or user_cache_path("dupkit", appauthor=False))


def _private_folder(place: str | Path) -> Path:
    folder = Path(place).expanduser().absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
