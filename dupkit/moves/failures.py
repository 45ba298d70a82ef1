"""Why a move was not made, in words: the thing, and the operating system's reason by name."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from dupkit.files import display_path


class RefusalError(Exception):
    """A check of ours, not the operating system, says no to one move."""


class ConfirmationNeededError(ValueError):
    """The plan moves so much that the number of moves must be confirmed; ``n_moves`` is that number."""

    def __init__(self, message: str, n_moves: int) -> None:
        super().__init__(message)
        self.n_moves = n_moves


class UnknownPlanError(ValueError):
    """No plan has this id."""


class RootLockedError(RuntimeError):
    """Another process moves files under the same root."""


class JournalError(RuntimeError):
    """The journal could not be read or written; nothing moves without it."""


@contextmanager
def at_path(path: bytes) -> Iterator[None]:
    """Name the path in every OSError that the block raises."""
    try:
        yield
    except OSError as error:
        error.filename = path
        raise


@contextmanager
def near_path(path: bytes) -> Iterator[None]:
    """Name the path in those OSErrors of the block that name none: calls on descriptors do not."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = path
        raise


def describe_failure(error: BaseException) -> str:
    """Return a failure in words: path, name of the errno, the system's text.

    Examples
    --------
    >>> describe_failure(OSError(errno.ENOSPC, "No space left on device", b"a.jpg"))
    'a.jpg: ENOSPC: No space left on device'
    """
    if not isinstance(error, OSError) or error.errno is None:
        return str(error)
    name = error.filename
    shown = display_path(os.fsencode(name)) + ": " if isinstance(name, bytes | str) else ""
    return f"{shown}{errno.errorcode.get(error.errno, error.errno)}: {error.strerror or os.strerror(error.errno)}"
