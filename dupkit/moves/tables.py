"""Plans and moves as tables, for notebooks: save, load, apply, undo."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from typing import Any

import pandas as pd

from dupkit.files import DESTINATIONS, display_path, path_from_display
from dupkit.moves import journal
from dupkit.moves.apply import apply_plan
from dupkit.moves.choose import is_outside
from dupkit.moves.journal import Move, Outcome, Plan
from dupkit.moves.names import is_reserved
from dupkit.moves.proof import DecodeCheck
from dupkit.moves.recovery import recover_all
from dupkit.moves.undo import undo_plan
from dupkit.schema import build_table, check_table, table_root


def save_plan(moves: pd.DataFrame) -> str:
    """Store a plan in the journal and return its id, which ``apply_moves`` and ``dupkit apply`` ask for.

    Parameters
    ----------
    moves : DataFrame
        Moves table of :func:`plan_moves`; rows may have been dropped, a picture together with its side files.

    Raises
    ------
    TypeError, ValueError
        The table is not the schema's, lost its ``attrs``, or says what no plan may say: a keeper that moves, a
        destination outside the two folders or twice, a side file without its picture. Or the plan was applied already
        and has other moves now.
    """
    check_table(moves, "moves")
    root = table_root(moves, "moves")
    rows = _moves_of(moves)
    _check_moves(rows)
    attrs = moves.attrs
    for name in ("plan_id", "n_images"):
        if name not in attrs:
            msg = f"moves: attrs[{name!r}] is missing; pass the table of plan_moves"
            raise ValueError(msg)
    plan = Plan(
        attrs["plan_id"], os.fsencode(root), journal.now(), attrs["n_images"], bool(attrs.get("across_devices"))
    )
    with journal.opened_journal() as connection:
        return journal.store_plan(connection, plan, rows)


def load_plan(plan_id: str) -> pd.DataFrame:
    """Return the moves table of a stored plan, with the status of each move now; interrupted ones are settled before.

    Raises
    ------
    UnknownPlanError
        No plan has this id.
    """
    with journal.opened_journal() as connection:
        recover_all(connection)
        plan = journal.read_plan(connection, plan_id)
        return moves_table(plan, journal.read_moves(connection, plan_id))


def apply_moves(
    moves: pd.DataFrame | str,
    *,
    confirm: int | None = None,
    decode_check: DecodeCheck | None = None,
    on_moved: Callable[[int], object] | None = None,
) -> pd.DataFrame:
    """Move the files of a plan and return the moves table with what became of each.

    Parameters
    ----------
    moves : DataFrame or str
        Moves table of :func:`plan_moves`, stored first; or the id of a stored plan.
    confirm, decode_check, on_moved
        See :func:`dupkit.moves.apply_plan`.

    Returns
    -------
    DataFrame
        Moves table; ``attrs["notes"]`` and ``attrs["recovered"]`` say what else should be known.
    """
    plan_id = moves if isinstance(moves, str) else save_plan(moves)
    return _outcome_table(apply_plan(plan_id, confirm=confirm, decode_check=decode_check, on_moved=on_moved))


def undo_moves(
    plan_id: str | None = None,
    *,
    move_ids: Collection[int] | None = None,
    on_moved: Callable[[int], object] | None = None,
) -> pd.DataFrame:
    """Bring the moved files of a plan back and return the moves table with what became of each.

    Parameters
    ----------
    plan_id : str, optional
        The plan that was applied last, where not given.
    move_ids, on_moved
        See :func:`dupkit.moves.undo_plan`.
    """
    return _outcome_table(undo_plan(plan_id, move_ids=move_ids, on_moved=on_moved))


def moves_table(plan: Plan, moves: Iterable[Move]) -> pd.DataFrame:
    """Return moves of the journal as a moves table."""
    moves = tuple(moves)
    columns: dict[str, object] = {
        "move_id": [move.move_id for move in moves],
        "source": [display_path(move.source) for move in moves],
        "destination": [display_path(move.destination) for move in moves],
        "size_bytes": [move.size_bytes for move in moves],
        "content_hash": [move.content_hash for move in moves],
        "keeper": [display_path(move.keeper) for move in moves],
        "status": [move.shown_status for move in moves],
        "message": [move.message for move in moves],
    }
    attrs = {
        "root": os.fsdecode(plan.root),
        "plan_id": plan.plan_id,
        "n_images": plan.n_images,
        "across_devices": plan.across_devices,
        "keeper_hashes": {
            display_path(move.keeper): move.keeper_hash
            for move in moves
            if move.keeper_hash not in ("", move.content_hash)
        },
        "side_of": {move.move_id: move.side_of for move in moves if move.side_of is not None},
    }
    return build_table("moves", columns, attrs=attrs)


def _outcome_table(outcome: Outcome) -> pd.DataFrame:
    with journal.opened_journal() as connection:
        table = moves_table(journal.read_plan(connection, outcome.plan_id), outcome.moves)
    table.attrs.update(notes=list(outcome.notes), recovered=list(outcome.recovered))
    return table


def _moves_of(moves: pd.DataFrame) -> list[Move]:
    """Return the rows of a moves table as moves of the journal."""
    keeper_hashes: dict[str, str] = moves.attrs.get("keeper_hashes", {})
    side_of: dict[int, int] = moves.attrs.get("side_of", {})
    keeper_of = dict(zip(moves["move_id"].tolist(), moves["keeper"].tolist(), strict=True))
    rows = []
    for move_id, source, destination, size_bytes, content_hash, keeper, status, message in zip(
        *(moves[name].tolist() for name in moves.columns), strict=True
    ):
        main = side_of.get(move_id)
        refused = status == "skipped"
        rows.append(
            Move(
                move_id,
                path_from_display(source),
                path_from_display(destination),
                size_bytes,
                content_hash,
                path_from_display(keeper),
                # Settings go along with their picture and have its keeper; nobody's copy, they need no proof.
                keeper_hash="" if keeper_of.get(main) == keeper else keeper_hashes.get(keeper, content_hash),
                side_of=main,
                status=journal.REFUSED if refused else journal.PLANNED,
                message=message if refused else "",
            )
        )
    return rows


def _check_moves(moves: list[Move]) -> None:
    """Raise ValueError where a plan says what no plan may say."""
    going = [move for move in moves if move.status == journal.PLANNED]
    sources = {move.source for move in going}
    ids = {move.move_id for move in moves}
    faults = {
        "move_id stands there twice": _repeated([move.move_id for move in moves]),
        "source stands there twice": _repeated([move.source for move in going]),
        "destination stands there twice": _repeated([move.destination for move in going]),
        "the keeper moves itself": [move.keeper for move in going if move.keeper in sources],
        "the source is no path under the root": [move.source for move in going if not _is_inside(move.source)],
        "the source lies in a destination already": [
            m.source for m in going if m.source.split(b"/")[0] in DESTINATIONS
        ],
        "the destination is in neither of the two folders": [
            move.destination
            for move in going
            if not _is_inside(move.destination)
            or move.destination.split(b"/")[0] not in DESTINATIONS
            or is_reserved(move.destination)
        ],
        "a side file without its picture": [m.source for m in going if m.side_of is not None and m.side_of not in ids],
        "no content hash": [move.source for move in going if not move.content_hash],
    }
    for fault, found in faults.items():
        if found:
            shown = display_path(found[0]) if isinstance(found[0], bytes) else found[0]
            msg = f"moves: {fault}: {shown}; pass the table of plan_moves, rows dropped at most"
            raise ValueError(msg)


def _is_inside(path: bytes) -> bool:
    return not is_outside(path) and all(part not in (b"", b".", b"..") for part in path.split(b"/"))


def _repeated(values: list[Any]) -> list[Any]:
    seen: set[object] = set()
    repeated = []
    for value in values:
        if value in seen:
            repeated.append(value)
        seen.add(value)
    return repeated
