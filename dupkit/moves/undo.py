"""Undo a plan: every moved file goes back to its place, or beside it where that is taken, journaled like a move."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from dupkit import at
from dupkit.files import display_path, hash_descriptor
from dupkit.moves import journal
from dupkit.moves.apply import run
from dupkit.moves.carry import BATCH_MOVES, Carrier
from dupkit.moves.failures import UnknownPlanError
from dupkit.moves.journal import Move, Outcome, PlanSummary
from dupkit.moves.names import numbered_names, split_name
from dupkit.moves.proof import Facts, KeeperProof, facts_of
from dupkit.moves.recovery import recover_all, settle_root
from dupkit.moves.tree import LOCK_WAIT_S, Tree, split_path


def list_plans() -> list[PlanSummary]:
    """Return every plan with the counts of its moves, the latest first; interrupted ones are settled before."""
    with journal.opened_journal() as connection:
        recover_all(connection)
        return journal.summarise_plans(connection)


def undo_plan(
    plan_id: str | None = None,
    *,
    move_ids: Collection[int] | None = None,
    on_moved: Callable[[int], object] | None = None,
    batch_moves: int = BATCH_MOVES,
    wait_s: float = LOCK_WAIT_S,
) -> Outcome:
    """Bring the moved files of a plan back and return what became of each.

    A file whose place is taken comes back beside it under a new name, both are kept, and its message says so; a
    folder that is gone is made again; a file that was edited since comes back as it is now, and is flagged.

    Parameters
    ----------
    plan_id : str, optional
        The plan that was applied last, where not given.
    move_ids : collection of int, optional
        Only these of its moves; all where not given.
    on_moved : callable, optional
        Called with the number of moves that ended since the last call.
    batch_moves : int
        Moves that share the waits for the disk.
    wait_s : float
        How long to wait for another mover under the same root.

    Raises
    ------
    UnknownPlanError
        No plan has this id, or none has moved anything, or a move id is not the plan's.
    RootLockedError
        Another process moves files under the same root.
    JournalError
        The journal could not be read or written.
    OSError
        The root is not there or may not be read.
    """
    with journal.opened_journal() as connection:
        recovered = recover_all(connection)
        plan_id = plan_id or _latest(journal.summarise_plans(connection))
        plan = journal.read_plan(connection, plan_id)
        with Tree(plan.root, wait_s=wait_s) as tree:
            recovered += tuple(settle_root(tree, connection))
            moves = journal.read_moves(connection, plan_id)
            unknown = sorted(set(move_ids or ()) - {move.move_id for move in moves})
            if unknown:
                msg = f"plan {plan_id} has no move {unknown[0]}; its moves are 0 to {len(moves) - 1}"
                raise UnknownPlanError(msg)
            # The last one first: its folders are the first to become empty.
            back = [
                move
                for move in reversed(moves)
                if move.status == journal.MOVED and (move_ids is None or move.move_id in move_ids)
            ]
            if not back:
                note = f"plan {plan_id}: nothing of it is moved"
                return Outcome(
                    plan_id, plan.root, _asked(moves, move_ids), already_done=True, recovered=recovered, notes=(note,)
                )
            taken: set[bytes] = set()
            bundles = [[_with_place(tree, move, taken)] for move in back]
            carrier = Carrier(tree, connection, plan, _check, undoing=True, on_moved=on_moved, batch_moves=batch_moves)
            notes = run(carrier, bundles, journal.UNDOING_PLAN)
        asked_back = {move.move_id for move in back}
        after = tuple(
            # Still moved in the journal, so that a later undo tries again; failed for who asked.
            replace(move, status=journal.FAILED)
            if move.status == journal.MOVED and move.move_id in asked_back
            else move
            for move in _asked(journal.read_moves(connection, plan_id), move_ids)
        )
        return Outcome(plan_id, plan.root, after, recovered=recovered, notes=tuple(notes))


def undo_since(plan_id: str) -> list[Outcome]:
    """Undo a plan and all plans under the same root that were applied after it, the latest first."""
    with journal.opened_journal() as connection:
        plan = journal.read_plan(connection, plan_id)
        later = [
            other.plan_id
            for other in sorted(journal.read_plans(connection, root=plan.root), key=lambda other: other.applied_at)
            if other.applied_at >= plan.applied_at and other.applied_at
        ]
    return [undo_plan(other) for other in reversed(later)]


def _latest(plans: list[PlanSummary]) -> str:
    applied = [plan for plan in plans if plan.counts.get(journal.MOVED)]
    if not applied:
        msg = "nothing is moved, so there is nothing to undo; `dupkit undo --list` shows the plans there are"
        raise UnknownPlanError(msg)
    return max(applied, key=lambda plan: plan.applied_at).plan_id


def _asked(moves: tuple[Move, ...], move_ids: Collection[int] | None) -> tuple[Move, ...]:
    return tuple(move for move in moves if move_ids is None or move.move_id in move_ids)


def _with_place(tree: Tree, move: Move, taken: set[bytes]) -> Move:
    """Return a move with the free place that it goes back to."""
    folder, name = split_path(move.source)
    stem, extension = split_name(name)
    place, number = move.source, 0
    while place in taken or _is_taken(tree, place):
        number += 1
        (name,) = numbered_names(stem, [extension], number if number > 1 else 0, word=b"restored")
        place = folder + b"/" + name if folder else name
    taken.add(place)
    return replace(move, back_to=place)


def _is_taken(tree: Tree, place: bytes) -> bool:
    try:
        return tree.lstat(place) is not None
    except OSError:
        return False  # the rename will say what is wrong with this place


def _check(move: Move, opened: int) -> tuple[Facts, KeeperProof | None, str]:
    facts = facts_of(at.fstat(opened))
    messages = []
    if move.back_to != move.source:
        messages.append(f"its place was taken: it is back as {display_path(move.back_to)}")
    if facts.size_bytes != move.size_bytes or hash_descriptor(opened) != move.content_hash:
        messages.append("it was edited since the move: it is back as it is now")
    return facts, None, "; ".join(messages)
