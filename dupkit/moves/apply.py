"""Apply a stored plan: every move checked again by content, journaled, and made without overwriting."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress

from dupkit.files import display_path
from dupkit.moves import journal
from dupkit.moves.carry import BATCH_MOVES, Carrier
from dupkit.moves.failures import ConfirmationNeededError, RefusalError
from dupkit.moves.journal import Move, Outcome, Plan
from dupkit.moves.proof import DecodeCheck, Facts, KeeperProof, check_side_file, prove_keeper
from dupkit.moves.recovery import finish_plan, recover_all, settle_plan, settle_root
from dupkit.moves.selftest import why_unsafe
from dupkit.moves.tree import LOCK_WAIT_S, Tree

MANY_FILES = 10_000
"""A plan of this many files wants its number confirmed."""


def apply_plan(
    plan_id: str,
    *,
    confirm: int | None = None,
    decode_check: DecodeCheck | None = None,
    disk_check: Callable[[bytes], str] = why_unsafe,
    on_moved: Callable[[int], object] | None = None,
    batch_moves: int = BATCH_MOVES,
    wait_s: float = LOCK_WAIT_S,
) -> Outcome:
    """Move the files of a plan and return what became of each.

    Interrupted moves of any root are settled first. What is moved already is not moved again; what failed is tried
    again; what a check refused, or an undo brought back, needs a new plan.

    Parameters
    ----------
    plan_id : str
        As ``save_plan`` returned it.
    confirm : int, optional
        The number of moves, needed where they are more than half of the pictures under the root or 10,000 files.
    decode_check : callable (root, path) -> str, optional
        Decodes a keeper and returns '' or why it does not decode; without one only byte-identical duplicates move.
    disk_check : callable (root) -> str
        Returns '' or why moves are not safe on the root's disk; outside Linux the default runs the self-test there.
    on_moved : callable, optional
        Called with the number of moves that ended since the last call.
    batch_moves : int
        Moves that share the waits for the disk.
    wait_s : float
        How long to wait for another mover under the same root.

    Raises
    ------
    UnknownPlanError
        No plan has this id.
    ConfirmationNeededError
        The number is needed and missing, or is another; nothing moved.
    RootLockedError
        Another process moves files under the same root.
    JournalError
        The journal could not be read or written.
    OSError
        The root is not there or may not be read; or moves are not safe on its disk (ENOTSUP).
    """
    with journal.opened_journal() as connection:
        recovered = recover_all(connection)
        plan = journal.read_plan(connection, plan_id)
        with Tree(plan.root, wait_s=wait_s) as tree:
            recovered += tuple(settle_root(tree, connection))
            plan = journal.read_plan(connection, plan_id)
            moves = journal.read_moves(connection, plan_id)
            bundles = _bundles_to_move(moves)
            if not bundles:
                words = "was undone; make a new plan" if plan.undone_at else "is done already"
                note = f"plan {plan_id} {words}" if moves else f"plan {plan_id} has no moves"
                return Outcome(plan_id, plan.root, moves, already_done=True, recovered=recovered, notes=(note,))
            check_confirmation(plan, bundles, confirm, n_rows=len(moves))
            if why := disk_check(plan.root):
                raise OSError(errno.ENOTSUP, f"moves are not safe on this disk, so nothing moved: {why}", plan.root)
            notes = _carry(tree, connection, plan, bundles, decode_check, on_moved, batch_moves)
        return Outcome(
            plan_id, plan.root, journal.read_moves(connection, plan_id), recovered=recovered, notes=tuple(notes)
        )


def check_confirmation(plan: Plan, bundles: Sequence[Sequence[Move]], confirm: int | None, *, n_rows: int) -> None:
    """Raise unless a plan is small or its number of moves is confirmed.

    Raises
    ------
    ConfirmationNeededError
        See :func:`apply_plan`.
    """
    n_moves = sum(map(len, bundles))
    if confirm is not None and confirm in (n_moves, n_rows):  # with or without the rows that the plan refused
        return
    if confirm is not None:
        msg = f"plan {plan.plan_id} has {n_moves} moves, not {confirm}; confirm {n_moves}, or plan again"
        raise ConfirmationNeededError(msg, n_moves)
    if len(bundles) * 2 > plan.n_images:
        why = f"{len(bundles)} of the {plan.n_images} pictures under {display_path(plan.root)}, more than half"
    elif n_moves >= MANY_FILES:
        why = f"{n_moves} files, {MANY_FILES} or more"
    else:
        return
    msg = f"plan {plan.plan_id} moves {why}: confirm the number of moves, {n_moves} (--confirm {n_moves})"
    raise ConfirmationNeededError(msg, n_moves)


def _bundles_to_move(moves: Sequence[Move]) -> list[list[Move]]:
    """Return each picture that is still to move with its side files."""
    bundles: dict[int, list[Move]] = {}
    for move in moves:
        if move.status in (journal.PLANNED, journal.FAILED):
            bundles.setdefault(move.move_id if move.side_of is None else move.side_of, []).append(move)
    return list(bundles.values())


def _carry(
    tree: Tree,
    connection: sqlite3.Connection,
    plan: Plan,
    bundles: list[list[Move]],
    decode_check: DecodeCheck | None,
    on_moved: Callable[[int], object] | None,
    batch_moves: int,
) -> list[str]:
    moving = {move.source for bundle in bundles for move in bundle}
    decoded: set[str] = set()

    def check(move: Move, source: int) -> tuple[Facts, KeeperProof | None, str]:
        if move.side_of is not None and not move.keeper_hash:
            return check_side_file(move, source), None, ""
        proof = prove_keeper(tree, move, source, moving=moving, decode_check=decode_check, decoded=decoded)
        return proof.source, proof, ""

    carrier = Carrier(tree, connection, plan, check, on_moved=on_moved, batch_moves=batch_moves)
    return run(carrier, bundles, journal.APPLYING)


def run(carrier: Carrier, bundles: list[list[Move]], busy: str) -> list[str]:
    """Carry bundles between the journal's notes of beginning and end; settle what an interruption leaves."""
    tree, connection, plan = carrier.tree, carrier.connection, carrier.plan
    journal.begin(connection, plan, busy, tree.identity)
    try:
        carrier.carry(bundles)
        if carrier.left_open:
            notes = settle_plan(tree, connection, journal.read_plan(connection, plan.plan_id))
        else:
            notes = finish_plan(tree, connection, plan)
    except BaseException:
        # Whatever came (Ctrl-C, a full disk under the journal): if settling does not work now, the next start does it.
        with suppress(OSError, sqlite3.Error, RefusalError):
            settle_plan(tree, connection, journal.read_plan(connection, plan.plan_id))
        raise
    return [*carrier.notes, *notes]
