"""Move a file to another device where the plan asks for it: copy, compare, name, then remove the source."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from collections.abc import Callable

from dupkit import at
from dupkit.files import display_path, open_regular
from dupkit.moves import journal
from dupkit.moves.failures import RefusalError, at_path, describe_failure
from dupkit.moves.journal import Move, Plan
from dupkit.moves.names import part_name
from dupkit.moves.proof import Facts, facts_of
from dupkit.moves.rename import (
    remove_copied_source,
    remove_own_files,
    rename_no_replace,
)
from dupkit.moves.tree import Tree, split_path

_CHUNK_BYTES = 1 << 20

FREE_MARGIN_BYTES = 1 << 24
"""Room left on the other device beyond the file: a copy that fills a disk to the last block hurts others."""


def copy_across(
    tree: Tree,
    connection: sqlite3.Connection,
    plan: Plan,
    move: Move,
    start: bytes,
    end: bytes,
    facts: Facts,
    failure: OSError,
) -> str:
    """Copy a checked file to its place on another device and remove the source; return what could not be kept.

    Parameters
    ----------
    tree, connection, plan, move
        Where and what.
    start, end : bytes
        From where to where, relative to the root.
    facts : Facts
        Of the source as it was checked.
    failure : OSError
        What the rename said; raised again unless it is EXDEV and the plan allows a copy.
    """
    # Windows lacks fstatvfs; a folder there that leads to another disk is a junction, which was refused already.
    if failure.errno != errno.EXDEV or not plan.across_devices or not hasattr(os, "fstatvfs"):
        raise failure
    (start_folder, start_name), (end_folder, end_name) = split_path(start), split_path(end)
    source_folder, target_folder = tree.folder(start_folder), tree.folder(end_folder)
    part = part_name(plan.plan_id, str(move.move_id))
    way = tree.way(end_folder, plan.plan_id)
    with at_path(end):
        room = os.fstatvfs(target_folder)
        if room.f_bavail * room.f_frsize < facts.size_bytes + FREE_MARGIN_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    remove_own_files(target_folder, (part,))
    copied: Facts | None = None
    with at_path(start):
        source = open_regular(start_name, dir_fd=source_folder)
    try:
        with at_path(end):
            target = at.open_at(part, os.O_CREAT | os.O_EXCL | os.O_RDWR | at.O_CLOEXEC, 0o600, dir_fd=target_folder)
            try:
                _copy_bytes(source, target)
                lost = _copy_facts(source, target)
                os.fsync(target)
                _compare(source, target, end)
                copied = facts_of(at.fstat(target))
            finally:
                os.close(target)
            journal.note_copy(connection, plan.plan_id, move.move_id, copied.identity)
            rename_no_replace(target_folder, part, target_folder, end_name, way=way)
            os.fsync(target_folder)
        if facts_of(at.fstat(source)) != facts:
            raise RefusalError(f"{display_path(start)} was written to while it was copied")
        with at_path(start):
            remove_copied_source(source_folder, start_name, facts.device, facts.inode)
    except BaseException:
        remove_own_files(target_folder, (part,))
        # Only while the source is there: an answer "failed" may be wrong, and then the copy is the file.
        if copied is not None and _is_there(source_folder, start_name, facts):
            remove_own_copy(target_folder, end_name, copied.identity)
        raise
    finally:
        os.close(source)
    return lost


def _is_there(folder: int, name: bytes, facts: Facts) -> bool:
    try:
        return facts_of(at.lstat(name, dir_fd=folder)).identity == facts.identity
    except FileNotFoundError:
        return False


def remove_own_copy(folder: int, name: bytes, identity: str) -> None:
    """Remove a file that is our copy by its identity; any other file of that name stays."""
    try:
        found = at.lstat(name, dir_fd=folder)
    except FileNotFoundError:
        return
    if facts_of(found).identity == identity:
        remove_copied_source(folder, name, found.st_dev, found.st_ino)


def _copy_bytes(source: int, target: int) -> None:
    os.lseek(source, 0, os.SEEK_SET)
    while chunk := os.read(source, _CHUNK_BYTES):
        view = memoryview(chunk)
        while view:
            view = view[os.write(target, view) :]


def _compare(source: int, target: int, end: bytes) -> None:
    """Read both again from the start and compare."""
    os.lseek(source, 0, os.SEEK_SET)
    os.lseek(target, 0, os.SEEK_SET)
    if hasattr(os, "posix_fadvise"):
        # What was flushed may be dropped from memory, so that the disk itself answers.
        os.posix_fadvise(target, 0, 0, os.POSIX_FADV_DONTNEED)
    while True:
        wanted, got = os.read(source, _CHUNK_BYTES), os.read(target, _CHUNK_BYTES)
        if wanted != got:
            raise OSError(errno.EIO, "the copy does not read back as it was written", end)
        if not wanted:
            return


def _copy_facts(source: int, target: int) -> str:
    """Give the copy the source's owner, mode, extended attributes and times; return what could not be kept."""
    facts = at.fstat(source)
    steps: list[tuple[str, Callable[[], None]]] = [
        ("owner", lambda: os.fchown(target, facts.st_uid, facts.st_gid)),
        ("mode", lambda: os.fchmod(target, stat.S_IMODE(facts.st_mode))),
        ("attributes", lambda: _copy_attributes(source, target)),
        ("times", lambda: os.utime(target, ns=(facts.st_atime_ns, facts.st_mtime_ns))),
    ]
    lost = []
    for what, step in steps:
        try:
            step()
        except OSError as error:
            lost.append(f"{what} ({describe_failure(error)})")
    return ", ".join(lost)


def _copy_attributes(source: int, target: int) -> None:
    if not hasattr(os, "listxattr"):  # pragma: no cover  (macOS)
        raise OSError(errno.ENOTSUP, "this Python cannot read them")
    for name in os.listxattr(source):
        os.setxattr(target, name, os.getxattr(source, name))
