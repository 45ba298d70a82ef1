"""Run a function in a forked child and stop it at its k-th system call: killed there, or the call failed.

The child is traced with ptrace, so that SQLite's own calls count too, and let go at full speed after the k-th: a point
costs milliseconds because the parent has imported everything already. Linux on x86-64 only.
"""

from __future__ import annotations

import ctypes
import errno
import os
import pickle
import platform
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass

_TRACEME, _POKEUSER, _GETREGS, _DETACH, _SYSCALL, _SETOPTIONS = 0, 6, 12, 17, 24, 0x4200
_TRACESYSGOOD, _EXITKILL = 0x1, 0x100000
_END_MARK = 121  # getpgid: the function is done, what follows is the child's own business
_SYSCALL_STOP = signal.SIGTRAP | 0x80
_RAX_OFFSET, _ORIG_RAX_OFFSET = 10 * 8, 15 * 8

# What touches files, and so can be a boundary of a move or fail in one.
CALLS = {
    0: "read", 1: "write", 2: "open", 3: "close", 4: "stat", 5: "fstat", 6: "lstat", 8: "lseek", 17: "pread64",
    18: "pwrite64", 21: "access", 32: "dup", 72: "fcntl", 73: "flock", 74: "fsync", 75: "fdatasync", 76: "truncate",
    77: "ftruncate", 80: "chdir", 82: "rename", 83: "mkdir", 84: "rmdir", 85: "creat", 86: "link", 87: "unlink",
    89: "readlink", 90: "chmod", 91: "fchmod", 92: "chown", 93: "fchown", 137: "statfs", 138: "fstatfs",
    187: "readahead", 188: "setxattr", 190: "fsetxattr", 191: "getxattr", 193: "fgetxattr", 194: "listxattr",
    196: "flistxattr", 217: "getdents64", 221: "fadvise64", 235: "utimes", 257: "openat", 258: "mkdirat",
    262: "newfstatat", 263: "unlinkat", 264: "renameat", 265: "linkat", 268: "fchmodat", 280: "utimensat",
    285: "fallocate", 292: "dup3", 316: "renameat2", 326: "copy_file_range", 332: "statx", 437: "openat2",
}  # fmt: skip

_REGISTER_NAMES = (
    "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base "
    "ds es fs gs"
)


class _Registers(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_ulonglong) for name in _REGISTER_NAMES.split())


@dataclass
class Run:
    """How a traced child ended."""

    killed: bool
    calls: list[str]
    """Names of the counted calls, as far as they were traced."""
    stopped_at: str
    """Name of the call that was killed or failed; '' where there was no k-th."""
    value: object
    """What the function returned, or the exception that it raised (its text, where it cannot be pickled)."""


def can_trace() -> bool:
    return sys.platform == "linux" and platform.machine() == "x86_64"


_libc = ctypes.CDLL(None, use_errno=True)
if can_trace():
    _libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
    _libc.ptrace.restype = ctypes.c_long


def _ptrace(request: int, pid: int, address: int = 0, data: object = 0) -> None:
    if _libc.ptrace(request, pid, address, data) == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"ptrace {request}: {os.strerror(code)}")


def run_traced(
    function: Callable[[], object],
    *,
    kill_at: int | None = None,
    fail_at: int | None = None,
    code: int = 0,
    lie: bool = False,
    only: frozenset[str] | None = None,
) -> Run:
    """Run a function in a child; kill it before its k-th counted call, or fail that call with an errno.

    ``lie``: the call happens and says that it failed, as a network mount does whose answer was lost.
    """
    out = tempfile.TemporaryFile()  # noqa: SIM115
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        _child(function, out.fileno())
    try:
        return _trace(pid, out, kill_at, fail_at, -code if lie else code, only)
    finally:
        out.close()


def _child(function: Callable[[], object], out: int) -> None:
    try:
        _libc.ptrace(_TRACEME, 0, 0, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        try:
            value = function()
            os.getpgid(0)
            data = pickle.dumps(value)
        except BaseException as error:  # noqa: BLE001
            os.getpgid(0)
            data = (
                pickle.dumps(error) if _plain(error) else pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))
            )
        os.write(out, data)
    finally:
        os._exit(0)


def _plain(error: BaseException) -> bool:
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301
    except Exception:  # noqa: BLE001
        return False
    return True


def _trace(
    pid: int, out: object, kill_at: int | None, fail_at: int | None, code: int, only: frozenset[str] | None
) -> Run:
    os.waitpid(pid, 0)
    _ptrace(_SETOPTIONS, pid, 0, _TRACESYSGOOD | _EXITKILL)
    registers = _Registers()
    calls: list[str] = []
    stopped_at = ""
    entering = True
    deliver = 0
    stop = kill_at if kill_at is not None else fail_at
    while True:
        _ptrace(_SYSCALL, pid, 0, deliver)
        _, status = os.waitpid(pid, 0)
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            break
        deliver = 0
        if os.WSTOPSIG(status) != _SYSCALL_STOP:
            # An exec stops with a plain SIGTRAP, which is meant for us.
            deliver = 0 if os.WSTOPSIG(status) == signal.SIGTRAP else os.WSTOPSIG(status)
            continue
        if not entering:
            entering = True
            continue
        entering = False
        _ptrace(_GETREGS, pid, 0, ctypes.addressof(registers))
        if registers.orig_rax == _END_MARK:
            _ptrace(_DETACH, pid, 0, 0)
            _, status = os.waitpid(pid, 0)
            break
        name = CALLS.get(registers.orig_rax)
        if name is None or (only is not None and name not in only):
            continue
        if len(calls) == stop:
            stopped_at = name
            if kill_at is not None:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                return Run(True, calls, name, None)
            if code > 0:
                _ptrace(_POKEUSER, pid, _ORIG_RAX_OFFSET, ctypes.c_void_p(2**64 - 1))
            _ptrace(_SYSCALL, pid, 0, 0)
            os.waitpid(pid, 0)
            _ptrace(_POKEUSER, pid, _RAX_OFFSET, ctypes.c_void_p(2**64 - abs(code)))
            _ptrace(_DETACH, pid, 0, 0)
            _, status = os.waitpid(pid, 0)
            calls.append(name)
            break
        calls.append(name)
    out.seek(0)  # type: ignore[attr-defined]
    data = out.read()  # type: ignore[attr-defined]
    value = pickle.loads(data) if data else RuntimeError(f"the child ended without an answer, status {status}")  # noqa: S301
    return Run(os.WIFSIGNALED(status), calls, stopped_at, value)


ERRNOS = (
    errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE, errno.EXDEV,
    errno.EINVAL, errno.ESTALE, errno.ENAMETOOLONG,
)  # fmt: skip
"""The reasons of issue 7."""
