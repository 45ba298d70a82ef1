"""Bring journal and disk together again after an interruption, before anything else moves or is shown.

Idempotent: a recovery that is interrupted itself is done again from the start.
"""

from __future__ import annotations

import os
import sqlite3
from dataclasses import replace

from dupkit.files import DESTINATIONS, display_path, hash_descriptor, open_regular
from dupkit.moves import journal
from dupkit.moves.copying import remove_own_copy
from dupkit.moves.failures import RootLockedError, at_path, describe_failure
from dupkit.moves.journal import Move, Plan
from dupkit.moves.listing import write_listings
from dupkit.moves.names import part_name
from dupkit.moves.proof import facts_of
from dupkit.moves.rename import (
    remove_empty_folder,
    remove_own_files,
    rename_no_replace,
    unlink_second_name,
)
from dupkit.moves.tree import Tree, split_path


def recover(root: bytes | None = None) -> tuple[str, ...]:
    """Settle every interrupted plan whose root is there and not locked; return what was found and done, in words.

    Parameters
    ----------
    root : bytes, optional
        Only the plans of this root (absolute, as stored).
    """
    with journal.opened_journal() as connection:
        return recover_all(connection, root=root)


def recover_all(connection: sqlite3.Connection, *, root: bytes | None = None) -> tuple[str, ...]:
    """Do the same over an open journal."""
    notes: list[str] = []
    roots = dict.fromkeys(plan.root for plan in journal.read_plans(connection, root=root, busy=True))
    for place in roots:
        try:
            with Tree(place, wait_s=0) as tree:
                notes += settle_root(tree, connection)
        except RootLockedError:
            continue  # its holder lives and is at work
        except OSError as error:
            notes.append(f"{display_path(place)}: an interrupted move waits to be settled: {describe_failure(error)}")
    return tuple(notes)


def settle_root(tree: Tree, connection: sqlite3.Connection) -> list[str]:
    """Settle the interrupted plans of a locked root; return what was found and done."""
    notes = []
    for plan in journal.read_plans(connection, root=tree.root, busy=True):
        notes += settle_plan(tree, connection, plan)
    return notes


def settle_plan(tree: Tree, connection: sqlite3.Connection, plan: Plan) -> list[str]:
    """Settle one plan: where each file of an intent lies now decides its status; leftovers of ours are removed."""
    open_moves = [move for move in journal.read_moves(connection, plan.plan_id) if move.status in _OPEN]
    settled = _whole_bundles(tree, plan, [_settle(tree, plan, move) for move in open_moves])
    for move in open_moves:
        for path in (move.source, move.destination, move.back_to):
            if tree.folder_if_there(split_path(path)[0]) is not None:
                tree.touched(split_path(path)[0])
    notes = list(tree.sync().values())
    journal.write_batch(connection, plan.plan_id, ended=settled)
    if any(move.status in _OPEN for move in settled):
        place = display_path(plan.root)
        return [*notes, f"plan {plan.plan_id}: {place} is not the folder it was (another disk?): nothing settled"]
    notes += finish_plan(tree, connection, plan)
    happened = sum(
        move.status == _ARRIVED[move_before.status] for move, move_before in zip(settled, open_moves, strict=True)
    )
    lost = [move.message for move in settled if move.status == journal.FAILED]
    return [
        f"plan {plan.plan_id} was interrupted while {plan.busy}: of {len(open_moves)} open moves {happened} had "
        f"happened, {len(open_moves) - happened - len(lost)} had not",
        *lost,
        *notes,
    ]


_OPEN = (journal.MOVING, journal.UNDOING)
_ARRIVED = {journal.MOVING: journal.MOVED, journal.UNDOING: journal.UNDONE}
_STAYED = {journal.MOVING: journal.PLANNED, journal.UNDOING: journal.MOVED}


def _ends(move: Move) -> tuple[bytes, bytes]:
    """Return from where to where an open move leads."""
    return (move.destination, move.back_to) if move.status == journal.UNDOING else (move.source, move.destination)


def _settle(tree: Tree, plan: Plan, move: Move) -> Move:
    """Return an open move as it ended, after taking half of a link or copy back."""
    start, end = _ends(move)
    (start_folder, start_name), (end_folder, end_name) = split_path(start), split_path(end)
    there = tree.lstat(end)
    descriptor = tree.folder_if_there(end_folder)
    if plan.across_devices and descriptor is not None:
        remove_own_files(descriptor, (part_name(plan.plan_id, str(move.move_id)),))
    here = tree.lstat(start)
    here_ours = here is not None and facts_of(here).identity == move.identity
    there_ours = there is not None and facts_of(there).identity == move.identity
    if here_ours and there_ours:
        unlink_second_name(tree.folder(end_folder), end_name, tree.folder(start_folder), start_name)
        return replace(move, status=_STAYED[move.status])
    if here_ours and there is not None and move.copy_identity and facts_of(there).identity == move.copy_identity:
        remove_own_copy(tree.folder(end_folder), end_name, move.copy_identity)
        return replace(move, status=_STAYED[move.status])
    # A file system gets another device number when it is mounted again: then the content tells.
    if there_ours or (not here_ours and there is not None and _hash(tree, end) == move.content_hash):
        return replace(move, status=_ARRIVED[move.status], message="found in its place after an interruption")
    if here is not None:
        return replace(move, status=_STAYED[move.status])
    if plan.root_identity != tree.identity:
        return move
    words = f"{display_path(start)}: neither there nor at {display_path(end)} after an interruption"
    return replace(move, status=journal.FAILED, message=words)


def _hash(tree: Tree, path: bytes) -> str:
    folder, name = split_path(path)
    try:
        descriptor = open_regular(name, dir_fd=tree.folder(folder))
    except FileNotFoundError:
        return ""
    except OSError as error:
        if error.errno is None:  # no regular file: not ours
            return ""
        raise
    try:
        return hash_descriptor(descriptor)
    finally:
        os.close(descriptor)


def _whole_bundles(tree: Tree, plan: Plan, settled: list[Move]) -> list[Move]:
    """Take a picture back whose side file did not move with it, and the other way round."""
    bundles: dict[int, list[Move]] = {}
    for move in settled:
        bundles.setdefault(move.move_id if move.side_of is None else move.side_of, []).append(move)
    whole = []
    for bundle in bundles.values():
        torn = len({move.status for move in bundle}) > 1 and plan.busy == journal.APPLYING
        whole += [_taken_back(tree, plan, move) if torn and move.status == journal.MOVED else move for move in bundle]
    return whole


def _taken_back(tree: Tree, plan: Plan, move: Move) -> Move:
    (start_folder, start_name), (end_folder, end_name) = split_path(move.source), split_path(move.destination)
    try:
        from_folder, to_folder = tree.folder(end_folder), tree.folder(start_folder)
        way = tree.way(end_folder, plan.plan_id)
        rename_no_replace(from_folder, end_name, to_folder, start_name, way=way)
    except OSError as error:
        here = tree.lstat(move.source)  # the answer of a network mount may be wrong
        if here is None or facts_of(here).identity != move.identity:
            words = f"its side files did not move; it could not be put back: {describe_failure(error)}"
            return replace(move, message=words)
    return replace(move, status=journal.PLANNED, message="")


def finish_plan(tree: Tree, connection: sqlite3.Connection, plan: Plan) -> list[str]:
    """Remove temporary files and unused folders of ours, write the listings, note the end; return what went wrong.

    Where something could not be done, the plan stays to be finished at the next start.
    """
    moves = journal.read_moves(connection, plan.plan_id)
    folders = {split_path(path)[0] for move in moves for path in (move.destination, move.back_to) if path}
    probes = tuple(part_name(plan.plan_id, f"probe{number}") for number in (1, 2, 3))
    failures = []
    for folder in (*DESTINATIONS, *sorted(folders)):
        try:
            descriptor = tree.folder_if_there(folder)
            if descriptor is not None:
                remove_own_files(descriptor, probes)
        except OSError as error:
            failures.append(f"a temporary file of ours is left: {describe_failure(error)}")
    notes, unwritten = write_listings(tree, connection, plan.plan_id)
    gone, kept = _remove_unused_folders(tree, connection, plan, moves)
    failures += [*unwritten, *kept]
    journal.end(connection, plan.plan_id, gone_folders=gone, finished=not failures)
    return [*notes, *failures]


def _remove_unused_folders(
    tree: Tree, connection: sqlite3.Connection, plan: Plan, moves: tuple[Move, ...]
) -> tuple[list[bytes], list[str]]:
    """Remove the folders that plans of this root made and that hold nothing.

    Returns
    -------
    gone : list of bytes
        Those that are gone or the user's from now on.
    failures : list of str
        Why one could not be removed.
    """
    in_use = set()
    for move in moves:
        if move.status == journal.MOVED:
            folder = split_path(move.destination)[0]
            while folder and folder not in in_use:
                in_use.add(folder)
                folder = split_path(folder)[0]
    gone, failures = [], []
    for path in journal.made_folders(connection, plan.root):
        if path in in_use:
            continue
        parent, name = split_path(path)
        tree.forget(path)
        try:
            with at_path(path):
                above = tree.folder_if_there(parent)
                removed = above is None or remove_empty_folder(above, name)
        except OSError as error:
            failures.append(f"an empty folder of ours is left: {describe_failure(error)}")
            continue
        if removed and above is not None:
            tree.touched(parent)
        if removed or path.split(b"/", 1)[0] not in DESTINATIONS:
            gone.append(path)  # or an undo made it again for the user's files: theirs from now on
    tree.sync()
    return gone, failures
