"""Decisions -> moved files, and back: plan, apply, undo, recover, through a journal and without overwriting.

``plan_moves`` only looks; ``apply_moves`` and ``undo_moves`` change the disk. The functions with tables are for
notebooks; :func:`apply_plan`, :func:`undo_plan` and :func:`list_plans` do the same with the standard library only.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dupkit.moves.apply import apply_plan as apply_plan
    from dupkit.moves.failures import ConfirmationNeededError as ConfirmationNeededError
    from dupkit.moves.failures import JournalError as JournalError
    from dupkit.moves.failures import RootLockedError as RootLockedError
    from dupkit.moves.failures import UnknownPlanError as UnknownPlanError
    from dupkit.moves.journal import Move as Move
    from dupkit.moves.journal import Outcome as Outcome
    from dupkit.moves.journal import PlanSummary as PlanSummary
    from dupkit.moves.plan import plan_moves as plan_moves
    from dupkit.moves.recovery import recover as recover
    from dupkit.moves.selftest import self_test as self_test
    from dupkit.moves.tables import apply_moves as apply_moves
    from dupkit.moves.tables import load_plan as load_plan
    from dupkit.moves.tables import save_plan as save_plan
    from dupkit.moves.tables import undo_moves as undo_moves
    from dupkit.moves.undo import list_plans as list_plans
    from dupkit.moves.undo import undo_plan as undo_plan
    from dupkit.moves.undo import undo_since as undo_since

# `dupkit undo --list` needs no pandas: a name is imported when it is first used (PEP 562).
_MODULES = {
    "ConfirmationNeededError": "failures",
    "JournalError": "failures",
    "Move": "journal",
    "Outcome": "journal",
    "PlanSummary": "journal",
    "RootLockedError": "failures",
    "UnknownPlanError": "failures",
    "apply_moves": "tables",
    "apply_plan": "apply",
    "list_plans": "undo",
    "load_plan": "tables",
    "plan_moves": "plan",
    "recover": "recovery",
    "save_plan": "tables",
    "self_test": "selftest",
    "undo_moves": "tables",
    "undo_plan": "undo",
    "undo_since": "undo",
}

__all__ = [*_MODULES]  # noqa: PLE0604  (keys are strings)


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        msg = f"module 'dupkit.moves' has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(import_module(f"dupkit.moves.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
