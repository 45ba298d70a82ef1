"""Give a file another name without ever overwriting one: the only module that renames or removes a user's file.

Names are relative to descriptors of opened folders, so that no link in any part of a path can lead elsewhere.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import sys
from contextlib import suppress
from functools import cache

from dupkit import at
from dupkit.handles import rename_no_replace as rename_by_handle
from dupkit.moves.names import part_name

KERNEL, LINK = "kernel", "link"
"""Two ways to rename without overwriting: a system call that refuses, or a hard link and the old name removed."""

_AT_FLAG = {"linux": 1, "darwin": 4}
"""RENAME_NOREPLACE of renameat2 on Linux, RENAME_EXCL of renameatx_np on macOS."""

_SYSCALL_RENAMEAT2 = {"x86_64": 316, "aarch64": 276, "riscv64": 276, "i686": 353, "armv7l": 382, "ppc64le": 357}
"""Number of renameat2 where the C library has no function of that name."""

_NO_SUCH_WAY = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM})
"""What a kernel or mount answers that does not know a rename without overwriting, or hard links (EPERM: vfat)."""


class NoSafeRenameError(OSError):
    """A mount offers no rename that is sure not to overwrite."""


def rename_no_replace(
    source_folder: int, source: bytes, target_folder: int, target: bytes, *, way: str = KERNEL
) -> None:
    """Rename a file to a name that must be free.

    Parameters
    ----------
    source_folder, target_folder : int
        Descriptors of open folders.
    source, target : bytes
        Names in them.
    way : str
        What :func:`find_way` found out for the target's mount.

    Raises
    ------
    FileExistsError
        The target's name is taken; nothing has changed.
    OSError
        The operating system said no; nothing has changed.
    """
    if way == LINK:
        _link_and_unlink(source_folder, source, target_folder, target)
    else:
        _kernel_rename(source_folder, source, target_folder, target)


def find_way(folder: int, plan_id: str) -> str:
    """Return how files can be renamed in a folder without overwriting, found out by trying it on files of our own.

    Some network mounts accept the flag and ignore it, so the answer EEXIST must really come.

    Raises
    ------
    NoSafeRenameError
        Neither way holds here.
    """
    names = tuple(part_name(plan_id, f"probe{number}") for number in (1, 2, 3))
    reasons = []
    try:
        for way in (KERNEL, LINK):
            reason = _try_way(folder, names, way)
            if not reason:
                return way
            reasons.append(f"{way}: {reason}")
    finally:
        remove_own_files(folder, names)
    msg = f"no rename that cannot overwrite works on this mount ({'; '.join(reasons)})"
    raise NoSafeRenameError(errno.ENOTSUP, msg)


def _try_way(folder: int, names: tuple[bytes, ...], way: str) -> str:
    """Return '' where a way renames to a free name and refuses a taken one, else what is wrong with it."""
    first, taken, free = names
    remove_own_files(folder, names)
    for name in (first, taken):
        os.close(at.open_at(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | at.O_CLOEXEC, 0o600, dir_fd=folder))
    before = at.lstat(taken, dir_fd=folder).st_ino
    refused = False
    try:
        try:
            rename_no_replace(folder, first, folder, taken, way=way)
        except FileExistsError:
            refused = True
            rename_no_replace(folder, first, folder, free, way=way)
    except OSError as error:
        if error.errno not in _NO_SUCH_WAY:
            raise
        return errno.errorcode.get(error.errno or 0, str(error))
    return "" if refused and at.lstat(taken, dir_fd=folder).st_ino == before else "it overwrites"


def remove_own_files(folder: int, names: tuple[bytes, ...]) -> None:
    """Remove temporary files of ours; absent ones and what is no regular file are left."""
    for name in names:
        with suppress(FileNotFoundError):
            if stat.S_ISREG(at.lstat(name, dir_fd=folder).st_mode):
                at.unlink(name, dir_fd=folder)


def remove_copied_source(folder: int, name: bytes, device: int, inode: int) -> None:
    """Remove a file whose copy on another device is complete, compared and durable; only if it still is that file.

    Raises
    ------
    OSError
        It is another file by now (ESTALE), or cannot be removed.
    """
    found = at.lstat(name, dir_fd=folder)
    if (found.st_dev, found.st_ino) != (device, inode):
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), name)
    at.unlink(name, dir_fd=folder)


def remove_empty_folder(parent: int, name: bytes) -> bool:
    """Remove a folder that dupkit made; return False where it is not empty, True where it is gone."""
    try:
        at.rmdir(name, dir_fd=parent)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            return False
        raise
    return True


@cache
def _c_library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _kernel_call(source_folder: int, source: bytes, target_folder: int, target: bytes) -> int:
    """Return 0 or the errno of one rename that refuses a taken name."""
    if sys.platform == "win32":
        return rename_by_handle(source_folder, source, target_folder, target)
    flag = _AT_FLAG.get(sys.platform)
    if flag is None:
        return errno.ENOSYS
    library = _c_library()
    arguments = (
        ctypes.c_int(source_folder),
        ctypes.c_char_p(source),
        ctypes.c_int(target_folder),
        ctypes.c_char_p(target),
        ctypes.c_uint(flag),
    )
    ctypes.set_errno(0)
    function = getattr(library, "renameat2" if sys.platform == "linux" else "renameatx_np", None)
    if function is not None:
        failed = function(*arguments)
    else:
        number = _SYSCALL_RENAMEAT2.get(os.uname().machine)
        if number is None:
            return errno.ENOSYS
        failed = library.syscall(ctypes.c_long(number), *arguments)
    return ctypes.get_errno() if failed else 0


def _kernel_rename(source_folder: int, source: bytes, target_folder: int, target: bytes) -> None:
    while (code := _kernel_call(source_folder, source, target_folder, target)) == errno.EINTR:
        pass
    if code:
        raise OSError(code, os.strerror(code), target)


def _link_and_unlink(source_folder: int, source: bytes, target_folder: int, target: bytes) -> None:
    at.link(source, target, src_dir_fd=source_folder, dst_dir_fd=target_folder, follow_symlinks=False)
    try:
        linked = at.lstat(target, dir_fd=target_folder)
        os.fsync(target_folder)
        now = at.lstat(source, dir_fd=source_folder)
        if (now.st_dev, now.st_ino) != (linked.st_dev, linked.st_ino):
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), source)
        at.unlink(source, dir_fd=source_folder)
    except OSError:
        # Taken back: the file keeps its first name. What we remove is the name that we made, never the last one.
        unlink_second_name(target_folder, target, source_folder, source)
        raise


def unlink_second_name(folder: int, name: bytes, other_folder: int, other: bytes) -> bool:
    """Remove one name of a file that is there under the other name too; return whether it was.

    Used where a link was made and the rename not finished.
    """
    try:
        second = at.lstat(name, dir_fd=folder)
        first = at.lstat(other, dir_fd=other_folder)
    except FileNotFoundError:
        return False
    if (second.st_dev, second.st_ino) != (first.st_dev, first.st_ino) or second.st_nlink < 2:
        return False
    at.unlink(name, dir_fd=folder)
    return True
