"""The folder tree that files move in: its root opened and locked, its folders opened without following a link."""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from dupkit import at
from dupkit.files import display_path, opened_folder
from dupkit.moves.failures import RootLockedError, at_path, describe_failure
from dupkit.moves.rename import find_way

LOCK_WAIT_S = 30.0
"""How long an apply or undo waits for another one under the same root, seconds."""

_LOCK_POLL_S = 0.02
"""How often it asks, seconds."""

_OPEN_FOLDERS_MAX = 64
"""Descriptors of folders kept open: far below the usual limit of 1,024 files a process."""

_PRIVATE = 0o700
"""Mode of a folder until it gets the mode of the one that it mirrors."""


def split_path(path: bytes) -> tuple[bytes, bytes]:
    """Return a relative path's folder (empty: the root) and its last part.

    Examples
    --------
    >>> split_path(b"2019/may/a.jpg"), split_path(b"a.jpg")
    ((b'2019/may', b'a.jpg'), (b'', b'a.jpg'))
    """
    folder, _, name = path.rpartition(b"/")
    return folder, name


class Tree:
    """An opened root folder, locked against other movers until it is closed or its process dies.

    Parameters
    ----------
    root : bytes
        Absolute path.
    wait_s : float
        How long to wait for the lock; 0: not at all.

    Raises
    ------
    RootLockedError
        Another process holds the lock.
    OSError
        The root is not there, is no folder, or may not be read.
    """

    def __init__(self, root: bytes, *, wait_s: float = LOCK_WAIT_S) -> None:
        self.root = root
        self._folders: OrderedDict[bytes, int] = OrderedDict()
        self._unsynced: dict[bytes, None] = {}
        self._ways: dict[int, str] = {}
        self._unlock: Callable[[], None] = lambda: None
        with at_path(root):
            self.descriptor = at.open_at(root, os.O_RDONLY | at.O_DIRECTORY | at.O_CLOEXEC)
        try:
            self._lock(wait_s)
        except BaseException:
            os.close(self.descriptor)
            raise

    def _lock(self, wait_s: float) -> None:
        until = time.monotonic() + wait_s
        while True:
            try:
                with at_path(self.root):
                    self._unlock = at.lock(self.descriptor)
            except BlockingIOError:
                if time.monotonic() >= until:
                    msg = (
                        f"another dupkit is moving files under {display_path(self.root)}; "
                        "wait until it is done, then try again"
                    )
                    raise RootLockedError(msg) from None
                time.sleep(_LOCK_POLL_S)
            else:
                return

    def __enter__(self) -> Tree:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(value, OSError) and value.filename is None:
            value.filename = self.root
        self.close()

    def close(self) -> None:
        """Close every descriptor; the lock goes with the root's."""
        self._unlock()
        for descriptor in [*self._folders.values(), self.descriptor]:
            with suppress(OSError):  # what was read or renamed through it is settled by its own calls
                os.close(descriptor)
        self._folders.clear()

    @property
    def identity(self) -> str:
        """Number of the root folder in its file system: another disk at the same place has another one."""
        return str(at.fstat(self.descriptor).st_ino)

    def folder(self, path: bytes) -> int:
        """Return a descriptor of a folder below the root, kept open; a link in any part of the path is an error."""
        descriptor = self._folders.get(path)
        if descriptor is not None:
            self._folders.move_to_end(path)
            return descriptor
        while len(self._folders) >= _OPEN_FOLDERS_MAX:
            os.close(self._folders.popitem(last=False)[1])
        with at_path(path or b"."), opened_folder(self.descriptor, path) as opened:
            descriptor = os.dup(opened)
        self._folders[path] = descriptor
        return descriptor

    def folder_if_there(self, path: bytes) -> int | None:
        """Return a descriptor of a folder below the root; None where it is absent, no folder, or behind a link."""
        try:
            return self.folder(path)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return None
            raise

    def way(self, folder: bytes, plan_id: str) -> str:
        """Return how files are renamed on a folder's mount without overwriting; tried once a mount, with files of ours.

        Raises
        ------
        OSError
            There is no such way, or the folder cannot be written to.
        """
        descriptor = self.folder(folder)
        with at_path(folder or b"."):
            device = at.fstat(descriptor).st_dev
            if device not in self._ways:
                self._ways[device] = find_way(descriptor, plan_id)
        return self._ways[device]

    def lstat(self, path: bytes) -> os.stat_result | None:
        """Return the facts of what has this path, a link itself included; None where nothing has it."""
        folder, name = split_path(path)
        try:
            with at_path(path):
                return at.lstat(name, dir_fd=self.folder(folder))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def missing_folders(self, path: bytes) -> list[bytes]:
        """Return those of a folder and its parents that are not there, outermost first."""
        if path in self._folders:
            return []  # kept open, so there; where it goes meanwhile, the rename says so
        parts = path.split(b"/") if path else []
        paths = [b"/".join(parts[: count + 1]) for count in range(len(parts))]
        return [folder for folder in paths if self.lstat(folder) is None]

    def make_folder(self, path: bytes, *, like: bytes) -> None:
        """Make a folder and its missing parents, each with the mode of the folder that it mirrors.

        Parameters
        ----------
        path : bytes
            Relative to the root.
        like : bytes
            A folder with as many or fewer parts, read from the end: its modes are taken over, so that a private
            folder's pictures stay private where they go.
        """
        for missing in self.missing_folders(path):
            parent, name = split_path(missing)
            depth_from_end = path.count(b"/") - missing.count(b"/")
            mirrored = b"/".join(like.split(b"/")[: max(len(like.split(b"/")) - depth_from_end, 0)])
            model = self.lstat(mirrored) if mirrored else at.fstat(self.descriptor)
            with at_path(missing):
                with suppress(FileExistsError):
                    at.mkdir(name, _PRIVATE, dir_fd=self.folder(parent))
                if model is not None and stat.S_ISDIR(model.st_mode):
                    # Some mounts (vfat) know no modes, nor does Windows, where a folder inherits who may use it.
                    with suppress(PermissionError):
                        if sys.platform != "win32":
                            os.fchmod(self.folder(missing), stat.S_IMODE(model.st_mode))
            self.touched(parent)
            self.touched(missing)

    def forget(self, path: bytes) -> None:
        """Close a folder's descriptor, as the folder is about to go."""
        descriptor = self._folders.pop(path, None)
        if descriptor is not None:
            with suppress(OSError):
                os.close(descriptor)
        self._unsynced.pop(path, None)

    def touched(self, folder: bytes) -> None:
        """Note that names in a folder changed and are not durable yet."""
        self._unsynced[folder] = None

    def sync(self) -> dict[bytes, str]:
        """Make the names in every touched folder durable; return, by folder, the failures in words."""
        failures = {}
        for folder in self._unsynced:
            try:
                with at_path(folder or b"."):
                    os.fsync(self.folder(folder))
            except OSError as error:
                failures[folder] = describe_failure(error)
        self._unsynced.clear()
        return failures

    def why_strayed(self, path: bytes) -> str:
        """Return why a path does not lead to the folder that is kept open for it; '' where it does."""
        kept = self._folders.get(path)
        if kept is None:
            return ""
        try:
            with at_path(path or b"."), opened_folder(self.descriptor, path) as now:
                same = os.path.sameopenfile(kept, now)
        except OSError as error:
            return describe_failure(error)
        return "" if same else f"{display_path(path)} is another folder now"
