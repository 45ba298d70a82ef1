"""Windows: calls on a name in an opened folder, as other systems make them with ``dir_fd``.

A name is opened relative to its folder's handle (NtCreateFile), never through a link or junction (a reparse point), and
a rename refuses a taken name in the kernel. Folders are held without FILE_SHARE_DELETE, so that nobody can rename one
or put a junction in its place meanwhile; files that are read are held without FILE_SHARE_WRITE.

The functions take what those of :mod:`os` take and raise what those raise; :mod:`dupkit.at` chooses.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

O_DIRECTORY = 1 << 28
"""Flag of :func:`open_at` for a folder: a bit that Windows' own flags leave free."""

_BINARY: int = getattr(os, "O_BINARY", 0)

_READ_ATTRIBUTES, _DELETE, _SYNCHRONIZE = 0x80, 0x1_0000, 0x10_0000
_READ_FILE, _WRITE_FILE = 0x12_0089, 0x12_0116
_LIST_FOLDER = 0x1 | 0x20 | _READ_ATTRIBUTES | _SYNCHRONIZE
_ADD_TO_FOLDER = 0x2 | 0x4
"""Access rights (winnt.h); flushing a folder needs the right to add to it."""

_SHARE_READ, _SHARE_WRITE, _SHARE_DELETE = 1, 2, 4
_OPEN, _CREATE = 1, 2
_FOLDER_ONLY, _FILE_ONLY = 0x01, 0x40
_AS_IT_IS = 0x20 | 0x4000 | 0x20_0000
"""Synchronous; folders too; a reparse point itself instead of what it leads to (options of NtCreateFile)."""

_CASE_INSENSITIVE = 0x40
_NORMAL = 0x80
_REPARSE_POINT = 0x400
_BASIC, _RENAME, _DISPOSITION, _DEVICE = 4, 10, 13, 4
"""Classes of information (FILE_INFORMATION_CLASS; the last of FS_INFORMATION_CLASS)."""

_REMOTE_DEVICE = 0x10
_ALREADY_EXISTS, _ACCESS_DENIED = 183, 5
_OPEN_EXISTING, _BACKUP_SEMANTICS = 3, 0x0200_0000
_RENAME_SIZE_MIN = 24
"""Smallest FILE_RENAME_INFORMATION that the kernel takes, bytes."""

_EPOCH = 116_444_736_000_000_000
"""1970 in Windows' time, which counts 100 ns since 1601."""


class _Name(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("maximum", ctypes.c_ushort), ("buffer", ctypes.c_char_p))


class _Attributes(ctypes.Structure):
    _fields_ = (
        ("length", ctypes.c_uint32),
        ("root", ctypes.c_void_p),
        ("name", ctypes.POINTER(_Name)),
        ("attributes", ctypes.c_uint32),
        ("security", ctypes.c_void_p),
        ("quality", ctypes.c_void_p),
    )


class _Answer(ctypes.Structure):
    _fields_ = (("status", ctypes.c_void_p), ("information", ctypes.c_void_p))


@cache
def _library(name: str) -> Any:
    return vars(ctypes)["WinDLL"](name, use_last_error=True)


@cache
def _runtime() -> Any:
    return import_module("msvcrt")


def _handle(descriptor: int) -> int:
    return int(_runtime().get_osfhandle(descriptor))


def _checked(status: int) -> None:
    """Raise the OSError of a call that did not succeed; Python finds its errno from Windows' own number."""
    if status < 0:
        raise _failure(int(_library("ntdll").RtlNtStatusToDosError(ctypes.c_long(status))))


def _failure(number: int, path: bytes | None = None) -> OSError:
    words = vars(ctypes)["FormatError"](number).strip()  # known to type checkers on Windows only
    return OSError(0, f"{words} (Windows error {number})", path, number)


def _encoded(name: bytes) -> bytes:
    """Return one part of a path as Windows has it; a part that could mean more than one is refused."""
    if not name or any(byte in b"/\\:\0" for byte in name):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), name)
    return os.fsdecode(name).encode("utf-16-le", "surrogatepass")


def _opened(name: bytes, folder: int, access: int, share: int, how: int, options: int) -> int:
    """Return a handle of a name in an opened folder, itself where it is a link."""
    text = _encoded(name)
    counted = _Name(len(text), len(text), text)
    attributes = _Attributes(
        ctypes.sizeof(_Attributes), _handle(folder), ctypes.pointer(counted), _CASE_INSENSITIVE, None, None
    )
    handle, answer = ctypes.c_void_p(), _Answer()
    _checked(
        _library("ntdll").NtCreateFile(
            ctypes.byref(handle),
            ctypes.c_uint32(access),
            ctypes.byref(attributes),
            ctypes.byref(answer),
            None,
            ctypes.c_uint32(_NORMAL),
            ctypes.c_uint32(share),
            ctypes.c_uint32(how),
            ctypes.c_uint32(options | _AS_IT_IS),
            None,
            ctypes.c_uint32(0),
        )
    )
    return handle.value or 0


def _close(handle: int) -> None:
    _library("ntdll").NtClose(ctypes.c_void_p(handle))


def _descriptor(handle: int, flags: int) -> int:
    try:
        return int(_runtime().open_osfhandle(handle, flags | _BINARY))
    except OSError:
        _close(handle)
        raise


def _set(handle: int, kind: int, information: bytes) -> int:
    answer = _Answer()
    return int(
        _library("ntdll").NtSetInformationFile(
            ctypes.c_void_p(handle),
            ctypes.byref(answer),
            information,
            ctypes.c_uint32(len(information)),
            ctypes.c_uint32(kind),
        )
    )


def _queried(question: str, descriptor: int, size: int, kind: int) -> bytes:
    """Return the information of a kind, ``size`` bytes of it, that the kernel has of what is open."""
    room, answer = ctypes.create_string_buffer(size), _Answer()
    ask = getattr(_library("ntdll"), question)
    handle = ctypes.c_void_p(_handle(descriptor))
    _checked(ask(handle, ctypes.byref(answer), room, ctypes.c_uint32(size), ctypes.c_uint32(kind)))
    return room.raw


def open_at(path: bytes, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
    """Return a descriptor of a file, or of a folder with O_DIRECTORY; a link in ``dir_fd`` is refused (ELOOP)."""
    if dir_fd is None:
        return _open_root(path) if flags & O_DIRECTORY else os.open(path, flags | _BINARY, mode)
    if flags & O_DIRECTORY:
        handle = _open_folder(path, dir_fd)
        descriptor = _descriptor(handle, os.O_RDONLY)
    else:
        writes = flags & (os.O_WRONLY | os.O_RDWR)
        access = _READ_FILE | (_WRITE_FILE if writes else 0)
        how = _CREATE if flags & os.O_CREAT else _OPEN  # only ever with O_EXCL
        handle = _opened(path, dir_fd, access, _SHARE_READ | _SHARE_DELETE, how, _FILE_ONLY)
        descriptor = _descriptor(handle, os.O_RDWR if writes else os.O_RDONLY)
    if stat.S_ISLNK(fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.ELOOP, "it is a link or a junction", path)
    return descriptor


def _open_folder(name: bytes, folder: int) -> int:
    share = _SHARE_READ | _SHARE_WRITE
    try:
        return _opened(name, folder, _LIST_FOLDER | _ADD_TO_FOLDER, share, _OPEN, _FOLDER_ONLY)
    except PermissionError:  # a folder that one may only read holds keepers all the same
        return _opened(name, folder, _LIST_FOLDER, share, _OPEN, _FOLDER_ONLY)


def _open_root(path: bytes) -> int:
    """Return a descriptor of a folder by its absolute path, which is the user's word and may lie behind links."""
    create = _library("kernel32").CreateFileW
    create.restype = ctypes.c_void_p
    handle = create(
        ctypes.c_wchar_p(os.fsdecode(path)),
        ctypes.c_uint32(_LIST_FOLDER | _ADD_TO_FOLDER),
        ctypes.c_uint32(_SHARE_READ | _SHARE_WRITE),
        None,
        ctypes.c_uint32(_OPEN_EXISTING),
        ctypes.c_uint32(_BACKUP_SEMANTICS),
        None,
    )
    if handle is None or handle == ctypes.c_void_p(-1).value:
        raise _last_error(path)
    descriptor = _descriptor(handle, os.O_RDONLY)
    if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    return descriptor


def _last_error(path: bytes) -> OSError:
    return _failure(int(vars(ctypes)["get_last_error"]()), path)


def fstat(descriptor: int) -> os.stat_result:
    """Return the facts of an open file or folder; its ctime is the time of its last change, as elsewhere."""
    found = os.fstat(descriptor)
    basic = _queried("NtQueryInformationFile", descriptor, 40, _BASIC)
    _, _, _, changed, attributes = struct.unpack_from("@qqqqI", basic)
    mode = stat.S_IFLNK | 0o777 if attributes & _REPARSE_POINT else found.st_mode
    more = {
        "st_atime_ns": found.st_atime_ns,
        "st_mtime_ns": found.st_mtime_ns,
        "st_ctime_ns": (changed - _EPOCH) * 100,
    }
    return os.stat_result((mode, *tuple(found)[1:10]), more)


def lstat(path: bytes, *, dir_fd: int | None = None) -> os.stat_result:
    """Return the facts of what has a name, a link itself included."""
    if dir_fd is None:
        return os.lstat(path)
    share = _SHARE_READ | _SHARE_WRITE | _SHARE_DELETE
    descriptor = _descriptor(_opened(path, dir_fd, _READ_ATTRIBUTES | _SYNCHRONIZE, share, _OPEN, 0), os.O_RDONLY)
    try:
        return fstat(descriptor)
    finally:
        os.close(descriptor)


def mkdir(path: bytes, mode: int = 0o777, *, dir_fd: int) -> None:
    """Make a folder; who may use it, it inherits, so the mode is ignored."""
    _close(_opened(path, dir_fd, _LIST_FOLDER, _SHARE_READ | _SHARE_WRITE, _CREATE, _FOLDER_ONLY))


def unlink(path: bytes, *, dir_fd: int) -> None:
    """Remove a file."""
    _remove(path, dir_fd, _FILE_ONLY)


def rmdir(path: bytes, *, dir_fd: int) -> None:
    """Remove an empty folder."""
    _remove(path, dir_fd, _FOLDER_ONLY)


def _remove(name: bytes, folder: int, kind: int) -> None:
    share = _SHARE_READ | _SHARE_WRITE | _SHARE_DELETE
    handle = _opened(name, folder, _DELETE | _SYNCHRONIZE, share, _OPEN, kind)
    try:
        _checked(_set(handle, _DISPOSITION, b"\1"))
    finally:
        _close(handle)


def link(source: bytes, target: bytes, *, src_dir_fd: int, dst_dir_fd: int, follow_symlinks: bool = True) -> None:
    """Refuse: Windows' own rename refuses a taken name, so the way by a link is not needed."""
    raise OSError(errno.ENOTSUP, "not needed on Windows", target)


def rename_no_replace(source_folder: int, source: bytes, target_folder: int, target: bytes) -> int:
    """Return 0, or the errno of a rename that the kernel refuses where the name is taken."""
    share = _SHARE_READ | _SHARE_WRITE | _SHARE_DELETE
    try:
        name = _encoded(target)
        handle = _opened(source, source_folder, _DELETE | _SYNCHRONIZE, share, _OPEN, _FILE_ONLY)
        try:
            # FILE_RENAME_INFORMATION: ReplaceIfExists is the first byte, and it is 0.
            information = struct.pack("@BPI", 0, _handle(target_folder), len(name)) + name
            _checked(_set(handle, _RENAME, information.ljust(_RENAME_SIZE_MIN, b"\0")))
        finally:
            _close(handle)
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def listdir(folder: int) -> list[str]:
    """Return the names in an opened folder; while it is open its path stays its own."""
    room = ctypes.create_unicode_buffer(1 << 15)
    length = _library("kernel32").GetFinalPathNameByHandleW(
        ctypes.c_void_p(_handle(folder)), room, ctypes.c_uint32(len(room)), ctypes.c_uint32(0)
    )
    if not 0 < length < len(room):
        raise _last_error(b"")
    return os.listdir(room.value)  # noqa: PTH208


def lock(folder: int) -> Callable[[], None]:
    """Lock an opened folder against other movers of this machine; return what frees it. It dies with its process.

    The lock is a named object that its holder alone has made; folders themselves cannot be locked here.

    Raises
    ------
    BlockingIOError
        Another one holds it.
    OSError
        The folder lies on another machine, whose movers would not see the lock (ENOTSUP).
    """
    device = _queried("NtQueryVolumeInformationFile", folder, 8, _DEVICE)
    if struct.unpack_from("@II", device)[1] & _REMOTE_DEVICE:
        raise OSError(errno.ENOTSUP, "Windows has no lock on a network folder that other machines see")
    found = os.fstat(folder)
    # The bits that every version of Python gives.
    name = f"Global\\dupkit-{found.st_dev & 0xFFFF_FFFF}-{found.st_ino & 0xFFFF_FFFF_FFFF_FFFF}"
    kernel = _library("kernel32")
    kernel.CreateMutexW.restype = ctypes.c_void_p
    vars(ctypes)["set_last_error"](0)
    handle = kernel.CreateMutexW(None, 0, ctypes.c_wchar_p(name))
    number = int(vars(ctypes)["get_last_error"]())
    if handle and number != _ALREADY_EXISTS:
        return lambda: _close(handle)
    if handle:
        _close(handle)
    if number in (_ALREADY_EXISTS, _ACCESS_DENIED):
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    raise _last_error(b"")
