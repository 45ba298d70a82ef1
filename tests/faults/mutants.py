"""Dupkit made wrong on purpose, one way at a time: a trap must notice each, or the traps prove nothing."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

from dupkit import database, files
from dupkit.moves import apply, carry, copying, journal, proof, recovery, rename, tree, undo
from tests.faults import races, trapped_ends, trapped_moves  # noqa: F401  (they set the traps)
from tests.faults.traps import TRAPS


@dataclass(frozen=True)
class Mutant:
    """One thing that dupkit does wrong, and the trap that is made for it."""

    name: str
    patches: tuple[tuple[object, str, object], ...]
    trap: str

    def caught(self, place: Path) -> bool:
        """Return whether the trap notices, or the run ends in an error."""
        with self.applied():
            try:
                return bool(TRAPS[self.trap](place))
            except Exception:  # noqa: BLE001
                return True

    @contextmanager
    def applied(self) -> Iterator[None]:
        with ExitStack() as stack:
            for thing, name, value in self.patches:
                stack.enter_context(patch.object(thing, name, value))
            yield


def _overwriting_rename(source_folder: int, source: bytes, target_folder: int, target: bytes) -> int:
    os.rename(source, target, src_dir_fd=source_folder, dst_dir_fd=target_folder)
    return 0


_real_kernel_call = rename._kernel_call


def _existence_then_rename(source_folder: int, source: bytes, target_folder: int, target: bytes) -> int:
    """What comparable tools do: ask whether the name is free, a moment later rename."""
    try:
        os.stat(target, dir_fd=target_folder)
    except FileNotFoundError:
        time.sleep(0.0005)
        return _overwriting_rename(source_folder, source, target_folder, target)
    return 17


def _proof_without_reading(the_tree: tree.Tree, move: journal.Move, source: int, **_: object) -> proof.KeeperProof:
    found = the_tree.lstat(move.keeper)
    if found is None:
        raise carry.RefusalError(f"{os.fsdecode(move.keeper)} is not there")
    made = object.__new__(proof.KeeperProof)
    for name, value in (
        ("path", move.keeper),
        ("facts", proof.facts_of(found)),
        ("source", proof.check_source(move, source)),
    ):
        object.__setattr__(made, name, value)
    return made


def _proof_by_hard_link(the_tree: tree.Tree, move: journal.Move, source: int, **more: object) -> proof.KeeperProof:
    try:
        return proof.prove_keeper(the_tree, move, source, **more)  # type: ignore[arg-type]
    except carry.RefusalError as refusal:
        if "hard link" not in str(refusal):
            raise
        return _proof_without_reading(the_tree, move, source)


def _proof_by_moving_keeper(the_tree: tree.Tree, move: journal.Move, source: int, **more: object) -> proof.KeeperProof:
    return proof.prove_keeper(the_tree, move, source, **{**more, "moving": ()})  # type: ignore[arg-type]


_real_write_batch = journal.write_batch


def _commit_before_rename(connection: sqlite3.Connection, plan_id: str, **changes: object) -> None:
    changes["intents"] = [replace(move, status="moved") for move in changes.get("intents", ())]  # type: ignore[attr-defined]
    _real_write_batch(connection, plan_id, **changes)  # type: ignore[arg-type]


def _no_intent(connection: sqlite3.Connection, plan_id: str, **changes: object) -> None:
    changes["intents"] = ()
    _real_write_batch(connection, plan_id, **changes)  # type: ignore[arg-type]


def _link_and_ignore_unlink(source_folder: int, source: bytes, target_folder: int, target: bytes) -> None:
    os.link(source, target, src_dir_fd=source_folder, dst_dir_fd=target_folder, follow_symlinks=False)
    with suppress(OSError):
        os.unlink(source, dir_fd=source_folder)


_real_relocate = carry.Carrier._relocate


def _relocate_unseen(self: carry.Carrier, move: journal.Move, facts: proof.Facts) -> None:
    """Do not look what was renamed."""
    with suppress(carry.RefusalError):
        _real_relocate(self, move, facts)


_real_settle = recovery._settle


def _settle_by_name(the_tree: tree.Tree, plan: journal.Plan, move: journal.Move) -> journal.Move:
    """Take any file of the right name for the moved one."""
    if the_tree.lstat(recovery._ends(move)[1]) is not None:
        return replace(move, status=recovery._ARRIVED[move.status])
    return _real_settle(the_tree, plan, move)


def _place_that_follows_links(the_tree: tree.Tree, place: bytes) -> bool:
    folder, name = tree.split_path(place)
    try:
        os.stat(name, dir_fd=the_tree.folder(folder))
    except OSError:
        return False
    return True


def _same_size_is_the_same(move: journal.Move, source: int, keeper: int) -> None:
    if os.fstat(source).st_size != os.fstat(keeper).st_size:
        raise carry.RefusalError("another size")


_real_open = database.open_database


def _database_in_a_hurry(path: Path | None = None) -> sqlite3.Connection:
    connection = _real_open(path)
    connection.execute("PRAGMA synchronous = OFF")
    return connection


def _nothing(*_: object, **__: object) -> None:
    return None


def _no_failures(*_: object) -> dict[bytes, str]:
    return {}


MUTANTS = (
    Mutant(
        "os.rename for the primitive",
        ((rename, "_kernel_call", _overwriting_rename), (tree, "find_way", lambda *_: "kernel")),
        "destination_appears",
    ),
    Mutant(
        "ask whether the name is free, then rename",
        ((rename, "_kernel_call", _existence_then_rename), (tree, "find_way", lambda *_: "kernel")),
        "races",
    ),
    Mutant("keeper not read", ((apply, "prove_keeper", _proof_without_reading),), "keeper_edited"),
    Mutant(
        "keeper not looked at again after the rename",
        ((proof.KeeperProof, "check_again", _nothing),),
        "keeper_edited_in_the_window",
    ),
    Mutant("sizes compared, not bytes", ((proof, "_compare", _same_size_is_the_same),), "source_edited"),
    Mutant("hashes not compared", ((proof, "_same_hash", _nothing),), "keeper_edited"),
    Mutant("keeper not decoded", ((proof, "_decode", _nothing),), "keeper_does_not_decode"),
    Mutant("hard link taken for a copy", ((apply, "prove_keeper", _proof_by_hard_link),), "hard_link_of_the_keeper"),
    Mutant("fsync of the folders dropped", ((tree.Tree, "sync", _no_failures),), "intent_before_rename_before_end"),
    Mutant(
        "end written before the rename", ((journal, "write_batch", _commit_before_rename),), "killed_about_the_renames"
    ),
    Mutant("no intent written", ((journal, "write_batch", _no_intent),), "killed_about_the_renames"),
    Mutant(
        "journal not flushed", ((journal, "open_database", _database_in_a_hurry),), "intent_before_rename_before_end"
    ),
    Mutant(
        "error of unlink ignored",
        ((rename, "_link_and_unlink", _link_and_ignore_unlink),),
        "second_name_cannot_be_removed",
    ),
    Mutant(
        "what was renamed is not looked at",
        ((carry.Carrier, "_relocate", _relocate_unseen),),
        "source_replaced_in_the_window",
    ),
    Mutant(
        "recovery goes by names",
        ((recovery, "_settle", _settle_by_name),),
        "foreign_file_at_the_destination_after_a_kill",
    ),
    Mutant("exists for lexists", ((undo, "_is_taken", _place_that_follows_links),), "place_taken_when_undone"),
    Mutant(
        "links in a path followed",
        ((files, "_FOLDER_FLAGS", files._FOLDER_FLAGS & ~os.O_NOFOLLOW),),
        "folder_becomes_a_link",
    ),
    Mutant("no lock", ((tree.Tree, "_lock", _nothing),), "second_mover_waits"),
    Mutant("side file left behind", ((carry.Carrier, "_put_back", lambda *_: {}),), "side_file_cannot_follow"),
    Mutant("copy not read back", ((copying, "_compare", _nothing),), "copy_reads_back_differently"),
    Mutant("a keeper of the plan may move", ((apply, "prove_keeper", _proof_by_moving_keeper),), "keeper_moves_itself"),
    Mutant(
        "recovery dropped",
        ((recovery, "settle_root", lambda *_: []), (apply, "settle_root", lambda *_: [])),
        "killed_about_the_renames",
    ),
)
