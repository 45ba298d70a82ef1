"""The forms for macOS and Windows behind the same functions, against a libc and a kernel made up here.

What these cannot show, how the real ones behave, is what the self-test asks the user's disk before each apply there.
"""

# ruff: noqa: N802  (Windows' own names)

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from dupkit import at, files, handles
from dupkit.moves import journal, rename, selftest
from dupkit.moves.apply import apply_plan
from dupkit.moves.selftest import Check, SelfTest
from dupkit.moves.tree import Tree
from tests.conftest import need
from tests.faults import trapped_ends, trapped_moves  # noqa: F401  (they set the traps)
from tests.faults.album import PLAN_ID, snapshot
from tests.faults.sweep import undo
from tests.faults.traps import TRAPS, fresh


class Libc:
    """The one function of macOS that is used, with a list of answers."""

    def __init__(self, *answers: int) -> None:
        self.answers, self.calls = list(answers), []

    def renameatx_np(self, *arguments: object) -> int:
        self.calls.append(tuple(argument.value for argument in arguments))
        ctypes.set_errno(self.answers.pop(0))
        return -1 if ctypes.get_errno() else 0


def on_macos(monkeypatch: pytest.MonkeyPatch, *answers: int) -> Libc:
    libc = Libc(*answers)
    monkeypatch.setattr(rename, "sys", SimpleNamespace(platform="darwin"))
    monkeypatch.setattr(rename, "_c_library", lambda: libc)
    return libc


def test_macos_asks_the_kernel_to_refuse_a_taken_name(monkeypatch: pytest.MonkeyPatch) -> None:
    rename_excl = 4  # sys/stdio.h; 2 would swap the two files
    libc = on_macos(monkeypatch, 0)
    rename.rename_no_replace(3, b"a\xff.jpg", 4, b"b.jpg")
    assert libc.calls == [(3, b"a\xff.jpg", 4, b"b.jpg", rename_excl)]


def test_macos_tells_each_errno_and_asks_again_after_a_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    libc = on_macos(monkeypatch, errno.EINTR, errno.EEXIST, errno.EXDEV)
    with pytest.raises(FileExistsError):
        rename.rename_no_replace(3, b"a", 4, b"b")
    assert len(libc.calls) == 2
    with pytest.raises(OSError, match="b") as caught:
        rename.rename_no_replace(3, b"a", 4, b"b")
    assert caught.value.errno == errno.EXDEV


def test_macos_uses_a_link_where_a_disk_knows_no_such_rename(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    on_macos(monkeypatch, errno.ENOTSUP)
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        assert rename.find_way(folder, "p") == rename.LINK
    finally:
        os.close(folder)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_nothing_moves_elsewhere_before_the_self_test_has_passed(
    system: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    album = fresh(tmp_path)
    checks = (Check("a rename never overwrites", holds=False, seen="it overwrites"), Check("b", holds=True, seen=""))
    tested = []

    def self_test(folder: str) -> SelfTest:
        tested.append(folder)
        return SelfTest(folder, checks)

    monkeypatch.setattr(selftest, "self_test", self_test)
    assert selftest.why_unsafe(os.fsencode(album.root)) == ""  # Linux asks each mount at its first rename
    monkeypatch.setattr(selftest, "sys", SimpleNamespace(platform=system))
    with pytest.raises(OSError, match="nothing moved: a rename never overwrites: it overwrites") as caught:
        apply_plan(PLAN_ID)
    assert caught.value.errno == errno.ENOTSUP
    assert tested == [str(album.root)]
    assert snapshot(album.root) == album.before
    assert not album.busy()


COLLISION, NOT_FOUND, NO_FOLDER, A_FOLDER, NOT_EMPTY = 0xC0000035, 0xC0000034, 0xC0000103, 0xC00000BA, 0xC0000101
ERRNOS = {
    COLLISION: errno.EEXIST,
    NOT_FOUND: errno.ENOENT,
    NO_FOLDER: errno.ENOTDIR,
    A_FOLDER: errno.EACCES,
    NOT_EMPTY: errno.ENOTEMPTY,
}
RENAME, DISPOSITION = 10, 13
OPEN, CREATE, FOLDER_ONLY, FILE_ONLY = 1, 2, 0x01, 0x40
SHARE_WRITE, SHARE_DELETE = 2, 4


class Windows:
    """So much of Windows' kernel as the mover asks, over the files of this system."""

    def __init__(self) -> None:
        self.paths: dict[int, bytes] = {}
        self.opened: list[tuple[bytes, int, int]] = []  # name, access, share
        self.remote = False
        self.mutex_taken = False
        self.CreateFileW = lambda path, *_: self._new(os.fsencode(path.value))  # a function, for its restype
        self.CreateMutexW = lambda *_: None if self.mutex_taken else 1

    def _new(self, path: bytes) -> int:
        handle = 4 * (len(self.paths) + 1)
        self.paths[handle] = path
        return handle

    def RtlNtStatusToDosError(self, status: ctypes.c_long) -> int:
        return status.value & 0xFFFFFFFF

    def NtClose(self, handle: ctypes.c_void_p) -> int:
        return 0

    def NtCreateFile(self, handle, access, attributes, _answer, _a, _n, share, how, options, *_) -> int:  # type: ignore[no-untyped-def]
        asked = attributes._obj
        assert asked.length == 48
        counted = asked.name.contents
        address = ctypes.c_void_p.from_buffer(counted, handles._Name.buffer.offset).value
        name = os.fsencode(ctypes.string_at(address, counted.length).decode("utf-16-le", "surrogatepass"))
        path = os.path.join(self.paths[asked.root], name)
        kind = stat.S_IFMT(os.lstat(path).st_mode) if os.path.lexists(path) else 0
        self.opened.append((name, access.value, share.value))
        if how.value == CREATE:
            if kind:
                return _negative(COLLISION)
            os.mkdir(path) if options.value & FOLDER_ONLY else os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
        elif not kind:
            return _negative(NOT_FOUND)
        elif options.value & FOLDER_ONLY and kind == stat.S_IFREG:
            return _negative(NO_FOLDER)
        elif options.value & FILE_ONLY and kind == stat.S_IFDIR:
            return _negative(A_FOLDER)
        handle._obj.value = self._new(path)
        return 0

    def NtSetInformationFile(self, handle, _answer, information, length, kind) -> int:  # type: ignore[no-untyped-def]
        path = self.paths[handle.value]
        assert length.value == len(information)
        if kind.value == RENAME:
            assert length.value >= 24
            replaces, folder, n_bytes = struct.unpack_from("@BPI", information)
            name = information[20 : 20 + n_bytes].decode("utf-16-le", "surrogatepass")
            target = os.path.join(self.paths[folder], os.fsencode(name))
            if os.path.lexists(target) and not replaces:
                return _negative(COLLISION)
            os.rename(path, target)
        else:
            assert (kind.value, information) == (DISPOSITION, b"\1")
            try:
                os.rmdir(path) if os.path.isdir(path) else os.unlink(path)
            except OSError:
                return _negative(NOT_EMPTY)
        return 0

    def NtQueryInformationFile(self, handle, _answer, basic, _length, _kind) -> int:  # type: ignore[no-untyped-def]
        found = os.lstat(self.paths[handle.value])
        changed = found.st_ctime_ns // 100 + 116_444_736_000_000_000
        struct.pack_into("@qqqqI", basic, 0, 0, 0, 0, changed, 0x400 * stat.S_ISLNK(found.st_mode))
        return 0

    def NtQueryVolumeInformationFile(self, _handle, _answer, device, _length, _kind) -> int:  # type: ignore[no-untyped-def]
        struct.pack_into("@II", device, 0, 7, 0x10 * self.remote)
        return 0

    def GetFinalPathNameByHandleW(self, handle, room, _length, _flags) -> int:  # type: ignore[no-untyped-def]
        room.value = os.fsdecode(self.paths[handle.value])
        return len(room.value)

    def get_osfhandle(self, descriptor: int) -> int:
        return self._new(os.readlink(b"/proc/self/fd/%d" % descriptor))

    def open_osfhandle(self, handle: int, flags: int) -> int:
        path = self.paths[handle]
        is_plain = stat.S_IFMT(os.lstat(path).st_mode) in (stat.S_IFREG, stat.S_IFDIR)
        return os.open(path, flags if is_plain else os.O_PATH | os.O_NOFOLLOW)


def _negative(status: int) -> int:
    return status - (1 << 32)


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> Windows:
    """Give a Windows to the mover: every call goes through dupkit/handles.py."""
    need(sys.platform == "linux", "the kernel made up here finds its files by /proc")
    kernel = Windows()
    for name in set(at.__all__) - {"O_CLOEXEC", "lock"}:
        monkeypatch.setattr(at, name, getattr(handles, name))
    monkeypatch.setattr(files, "_FOLDER_FLAGS", files._READ_FLAGS | handles.O_DIRECTORY)
    monkeypatch.setattr(rename, "_kernel_call", handles.rename_no_replace)
    monkeypatch.setattr(handles, "_library", lambda _name: kernel)
    monkeypatch.setattr(handles, "_runtime", lambda: kernel)
    monkeypatch.setattr(handles, "_failure", lambda number, path=None: OSError(ERRNOS[number], hex(number), path))
    return kernel


def test_windows_moves_and_undoes(windows: Windows, tmp_path: Path) -> None:
    album = fresh(tmp_path)
    outcome = apply_plan(PLAN_ID, decode_check=lambda _root, _path: "")
    assert {move.shown_status for move in outcome.moves} == {journal.MOVED}
    assert album.check() == []
    undo()
    assert snapshot(album.root) == album.before
    assert len(windows.opened) > 100


@pytest.mark.parametrize(
    "name",
    [
        "destination_appears",
        "source_replaced",
        "source_replaced_in_the_window",
        "source_edited",
        "keeper_edited",
        "keeper_gone_in_the_window",
        "hard_link_of_the_keeper",
        "folder_becomes_a_link",
        "place_taken_when_undone",
        "folder_gone_when_undone",
        "side_file_cannot_follow",
    ],
)
def test_windows_springs_no_trap(name: str, windows: Windows, tmp_path: Path) -> None:
    assert TRAPS[name](tmp_path) == []


def test_windows_holds_what_it_reads(windows: Windows, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.jpg").write_bytes(b"x")
    with files.opened_folder(os.fsencode(tmp_path), b"folder") as folder:
        os.close(files.open_regular(b"a.jpg", dir_fd=folder))
    shares = {name: share for name, _, share in windows.opened}
    assert not shares[b"folder"] & SHARE_DELETE  # nobody renames it, or puts a junction in its place
    assert not shares[b"a.jpg"] & SHARE_WRITE
    assert shares[b"a.jpg"] & SHARE_DELETE  # or the mover itself could not rename it


def test_windows_never_asks_to_replace(windows: Windows, tmp_path: Path) -> None:
    for name in ("ours.jpg", "theirs.jpg"):
        (tmp_path / name).write_text(name)
    with files.opened_folder(os.fsencode(tmp_path)) as folder:
        with pytest.raises(FileExistsError):
            rename.rename_no_replace(folder, b"ours.jpg", folder, b"theirs.jpg")
        assert rename.find_way(folder, "p") == rename.KERNEL
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        name: name for name in ("ours.jpg", "theirs.jpg")
    }


@pytest.mark.parametrize("name", [b"", b"a\\b", b"a/b", b"a.jpg:stream", b"a\0b"])
def test_windows_refuses_a_name_that_is_more_than_one_part(name: bytes, windows: Windows, tmp_path: Path) -> None:
    with files.opened_folder(os.fsencode(tmp_path)) as folder, pytest.raises(OSError, match="Invalid") as caught:
        at.lstat(name, dir_fd=folder)
    assert caught.value.errno == errno.EINVAL


def test_windows_opens_no_link_and_tells_the_time_of_change(windows: Windows, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "link").symlink_to("a.jpg")
    (tmp_path / "junction").symlink_to(".")
    with files.opened_folder(os.fsencode(tmp_path)) as folder:
        for name, flags in ((b"link", os.O_RDONLY), (b"junction", at.O_DIRECTORY)):
            with pytest.raises(OSError, match="link or a junction") as caught:
                at.open_at(name, flags, dir_fd=folder)
            assert caught.value.errno == errno.ELOOP
            assert stat.S_ISLNK(at.lstat(name, dir_fd=folder).st_mode)
        wanted = os.lstat(tmp_path / "a.jpg")
        found = at.lstat(b"a.jpg", dir_fd=folder)
    for fact in ("st_mode", "st_ino", "st_dev", "st_size", "st_mtime_ns"):
        assert getattr(found, fact) == getattr(wanted, fact), fact
    assert found.st_ctime_ns == wanted.st_ctime_ns // 100 * 100


def test_windows_locks_by_a_name_that_only_its_maker_has(
    windows: Windows, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    number = 0
    monkeypatch.setitem(vars(ctypes), "set_last_error", lambda _number: None)
    monkeypatch.setitem(vars(ctypes), "get_last_error", lambda: number)
    monkeypatch.setattr(at, "lock", handles.lock)
    with files.opened_folder(os.fsencode(tmp_path)) as folder:
        at.lock(folder)()
        number = 183  # ERROR_ALREADY_EXISTS: made by another one
        with pytest.raises(BlockingIOError):
            at.lock(folder)
        windows.mutex_taken, number = True, 5  # ERROR_ACCESS_DENIED: another user's
        with pytest.raises(BlockingIOError):
            at.lock(folder)
        windows.remote = True
        with pytest.raises(OSError, match="network folder"):
            at.lock(folder)
    windows.remote, number, windows.mutex_taken = False, 0, False
    Tree(os.fsencode(tmp_path)).close()
