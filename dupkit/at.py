"""The calls of the operating system on a name in an opened folder: those of :mod:`os`, and their like on Windows.

A folder is opened part by part, and what happens then happens to names in it, so that no link leads elsewhere.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

if sys.platform == "win32":
    from dupkit.handles import O_DIRECTORY, fstat, link, listdir, lock, lstat, mkdir, open_at, rmdir, unlink
else:
    import fcntl
    from os import O_DIRECTORY, fstat, link, listdir, lstat, mkdir, rmdir, unlink
    from os import open as open_at

    def lock(folder: int) -> Callable[[], None]:
        """Lock an opened folder against other movers; return what frees it: here its descriptor's end does.

        Raises
        ------
        BlockingIOError
            Another one holds it.
        """
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return lambda: None


O_CLOEXEC: int = getattr(os, "O_CLOEXEC", 0)
"""Windows' descriptors are not inherited anyway."""

__all__ = [
    "O_CLOEXEC",
    "O_DIRECTORY",
    "fstat",
    "link",
    "listdir",
    "lock",
    "lstat",
    "mkdir",
    "open_at",
    "rmdir",
    "unlink",
]
