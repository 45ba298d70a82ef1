"""The mover's part of the page: CSV out and in, the plan as a table to read, apply, undo."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from dupkit.files import path_from_display
from dupkit.folders import state_folder
from dupkit.moves import ConfirmationNeededError, apply_moves, list_plans, plan_moves, save_plan, undo_moves
from dupkit.report.plots import bytes_in_words
from dupkit.review.state import ReviewState
from dupkit.scan import check_decodes
from dupkit.widgets.answers import Answer, Later, Question

EXPORT_NAME = "decisions.csv"
"""Name of the CSV of decisions; a number is added where another file than ours has that name."""

MOST_ROWS = 500
"""Rows of a plan that go to the page; the others are counted."""


class Mover:
    """Answer the page's questions about files: what leaves and enters as CSV, what moves and comes back.

    Parameters
    ----------
    state : ReviewState
    export_folder : path-like, optional
        Where "Export CSV" writes; see :func:`default_export_folder`.
    moved : dict
        Filled with where each moved image lies now, for whoever shows pictures.
    say : callable
        Shows one line on the page while files move.
    """

    def __init__(
        self,
        state: ReviewState,
        *,
        export_folder: str | os.PathLike[str] | None,
        moved: dict[int, bytes],
        say: Callable[[str], None],
    ) -> None:
        self.state = state
        self.say = say
        self.moved = moved
        self.export_folder = Path(export_folder) if export_folder is not None else default_export_folder(state.root)
        self.planned: pd.DataFrame | None = None
        self.plan_id: str | None = None
        self.answers: dict[str, Callable[[Question], Answer | Later]] = {
            "export": self.export,
            "import": self.take_in,
            "plan": self.plan,
            "apply": self.apply,
            "undo_moves": self.undo,
        }

    def export(self, _question: Question) -> Answer:
        """Write the decisions as CSV and say where."""
        path = self.export_folder / EXPORT_NAME
        try:
            self.state.export_csv(path)
        except FileExistsError:
            # Somebody else's file has that name.
            path = _free_name(path)
            self.state.export_csv(path)
        return Answer({"words": f"Decisions written to {path}"})

    def take_in(self, question: Question) -> Answer:
        """Take in a CSV of decisions; where two people disagree is listed, neither is lost."""
        with tempfile.TemporaryDirectory(prefix="dupkit-") as folder:
            path = Path(folder) / "decisions.csv"
            path.write_bytes(bytes(question["buffers"][0]))
            conflicts = self.state.import_csv(path)
        values: dict[str, Any] = {"words": self.state.message}
        if len(conflicts):
            values |= _table(conflicts, f"{len(conflicts):,} conflicts: this folder says one thing, the CSV another")
        return Answer(values)

    def plan(self, _question: Question) -> Answer:
        """Return the moves that the approved pairs ask for, as a table to read; nothing moves."""
        groups = self.state.approved_groups()
        groups = groups[groups["is_keeper"] | ~groups["image_id"].isin(list(self.moved))]
        n_members = groups.groupby("group_id")["image_id"].transform("size")
        groups = groups[n_members > 1].reset_index(drop=True)
        moves = plan_moves(groups, self.state.approved_pairs(), self.state.images)
        going = moves[moves["status"] == "planned"]
        self.planned, self.plan_id = (moves, None) if len(going) else (None, None)
        if not len(moves):
            words = "Nothing to move: " + ("all of it has moved." if self.moved else "no pair is approved yet.")
            return Answer({"words": words})
        size = bytes_in_words(float(going["size_bytes"].sum()))
        stay = f", {len(moves) - len(going):,} stay for the reasons in the table" if len(going) < len(moves) else ""
        words = f"{len(going):,} files would move, {size} in them{stay}. Nothing has moved yet: read the table first."
        return Answer({"words": words, **_table(_plan_table(moves), f"Plan: {len(going):,} moves")})

    def apply(self, question: Question) -> Answer | Later:
        """Do the planned moves; above the brake ask for their number first."""
        if self.planned is None:
            return Answer({"words": "Nothing is planned: press Plan moves first and read the table."})
        moves = self.planned
        if self.plan_id is None:
            self.plan_id = save_plan(moves)
        plan_id, confirm = self.plan_id, _number(question.get("confirm"), int((moves["status"] == "planned").sum()))
        progress = self._progress("moved", int((moves["status"] == "planned").sum()))

        def work() -> Answer:
            try:
                done = apply_moves(plan_id, confirm=confirm, decode_check=check_decodes, on_moved=progress)
            except ConfirmationNeededError as brake:
                return Answer({"words": str(brake), "ask_for": brake.n_moves})
            self.planned = None
            self._note_moved(done)
            return Answer({"words": _outcome(done, "moved"), "moved": True, **_table(_plan_table(done), "Moves")})

        return Later(work)

    def undo(self, _question: Question) -> Answer | Later:
        """Move back what the latest plan that is applied here moved."""
        plan_id = self._latest_applied()
        if plan_id is None:
            return Answer({"words": "Nothing to undo: no plan of this folder is applied."})

        def work() -> Answer:
            back = undo_moves(plan_id)
            image_of = self._image_of_path()
            for source in back.loc[back["status"] == "undone", "source"]:
                self.moved.pop(image_of.get(source, -1), None)
            return Answer(
                {"words": _outcome(back, "undone"), "moved": True, **_table(_plan_table(back), "Moves undone")}
            )

        return Later(work)

    def _latest_applied(self) -> str | None:
        """Return the id of the plan of this folder that was applied last and is not undone."""
        root = os.fsencode(self.state.root)
        applied = [plan for plan in list_plans() if plan.root == root and plan.counts.get("moved", 0)]
        return max(applied, key=lambda plan: plan.applied_at).plan_id if applied else None

    def _progress(self, word: str, n_moves: int) -> Callable[[int], None]:
        n_done = 0

        def tell(n_more: int) -> None:
            nonlocal n_done
            n_done += n_more
            self.say(f"{n_done:,} of {n_moves:,} {word} …")

        return tell

    def _note_moved(self, moves: pd.DataFrame) -> None:
        image_of = self._image_of_path()
        done = moves[moves["status"] == "moved"]
        for source, destination in zip(done["source"], done["destination"], strict=True):
            if source in image_of:
                self.moved[image_of[source]] = path_from_display(destination)

    def _image_of_path(self) -> dict[str, int]:
        images = self.state.images
        return dict(zip(images["path"].tolist(), images.index.tolist(), strict=True))


def default_export_folder(root: str) -> Path:
    """Return the current folder, or the state folder where the current one lies below the photos.

    Besides its two destinations dupkit writes nothing below the root.
    """
    here = Path.cwd().resolve()
    return state_folder() if here.is_relative_to(Path(root).resolve()) else here


def _free_name(path: Path) -> Path:
    number = 2
    free = path
    while free.exists():
        free = path.with_stem(f"{path.stem}-{number}")
        number += 1
    return free


def _number(typed: object, n_moves: int) -> int | None:
    if typed is None:
        return None
    digits = str(typed).replace(",", "").strip()
    if not digits.isdigit():
        msg = f"confirm: {str(typed)!r} is no number; type {n_moves}, the number of moves"
        raise ValueError(msg)
    return int(digits)


def _outcome(moves: pd.DataFrame, word: str) -> str:
    counts = moves["status"].value_counts()
    n_done = int(counts.get(word, 0))
    parts = [f"{n_done:,} file{'' if n_done == 1 else 's'} moved{'' if word == 'moved' else ' back'}"]
    parts += [f"{int(counts[status]):,} {status}" for status in ("skipped", "failed") if counts.get(status, 0)]
    reasons = moves.loc[moves["status"].isin(["skipped", "failed"]), "message"]
    return ", ".join(parts) + (f": {reasons.iloc[0]}" if len(reasons) else ".")


def _plan_table(moves: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "file": moves["source"],
            "goes to": moves["destination"],
            "size": [bytes_in_words(size) for size in moves["size_bytes"].head(MOST_ROWS)]
            + [""] * max(0, len(moves) - MOST_ROWS),
            "kept": moves["keeper"],
            "status": moves["status"],
            "": moves["message"],
        }
    )


def _table(frame: pd.DataFrame, title: str) -> dict[str, Any]:
    rows = [[str(cell) for cell in row] for row in frame.head(MOST_ROWS).itertuples(index=False, name=None)]
    return {
        "title": title,
        "table": {"columns": [str(name) for name in frame.columns], "rows": rows},
        "n_rows": len(frame),
    }
