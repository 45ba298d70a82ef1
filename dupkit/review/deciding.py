"""Decide: each decision is durable in SQLite before any trait changes, and can be taken back as one step."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dupkit.review.browsing import Browsing
from dupkit.review.decisions import DECISION_WORDS, Decision, now, person


class Deciding(Browsing):
    """A list of pairs that are decided, one or many at a time; see :class:`dupkit.review.browsing.Browsing`."""

    def approve(self) -> None:
        """Decide that the current pair is the same picture, and go on."""
        self._decide_current("approved")

    def reject(self) -> None:
        """Decide that the current pair are two pictures, and go on."""
        self._decide_current("rejected")

    def skip(self) -> None:
        """Leave the current pair for later, and go on."""
        self._decide_current("skipped")

    def keep_left(self) -> None:
        """Approve the current pair and keep its image_a."""
        self._decide_current("approved", side=self.first)

    def keep_right(self) -> None:
        """Approve the current pair and keep its image_b."""
        self._decide_current("approved", side=self.second)

    def keep_both(self) -> None:
        """Reject the current pair: both stay."""
        self._decide_current("rejected")

    def _decide_current(self, decision: str, side: np.ndarray | None = None) -> None:
        if self.current < 0:
            self.message = "No pair is in view"
            return
        position = self.current
        keeper = -1 if side is None else int(side[position])
        self._write(np.array([position]), decision, keepers=np.array([keeper]))
        self.message = f"{decision.capitalize()}: {self._pair_words(position)}"
        self.next_undecided()

    def decide(self, position: int, decision: str, *, keeper: int | None = None) -> None:
        """Decide one pair, in view or not; the view stays.

        Parameters
        ----------
        position : int
            Row of ``pairs``.
        decision : str
            ``"approved"``, ``"rejected"`` or ``"skipped"``.
        keeper : int, optional
            image_id of the picture to keep, where a person chose it.
        """
        row = -1 if keeper is None else self.row_of_image(keeper)
        self._write(np.array([position]), decision, keepers=np.array([row]))
        self.message = f"{decision.capitalize()}: {self._pair_words(position)}"

    def undo(self) -> bool:
        """Take back the last step, one pair or many; return False where there is none."""
        if not self._batches:
            self.message = "Nothing to undo"
            return False
        # What others decided since must stay: only decisions that are still ours are taken back.
        self._load()
        batch, first, last = self._batches[-1]
        taken = self.decisions.read_rows(first=first, last=last)
        positions = self.standing.positions_of([row.path_a for row in taken], [row.path_b for row in taken])
        taken_ids = self.standing.taken_ids(positions)
        ours = (positions < 0) | ((first <= taken_ids) & (taken_ids <= last))
        who, when = person(), now()
        rows = [self._again(row, who, when) for row, is_ours in zip(taken, ours.tolist(), strict=True) if is_ours]
        if rows:
            touched = self._write_rows(rows, undoes=batch)
            if len(rows) == 1 and len(touched):
                self.current = int(touched[0])
        self._batches.pop()
        self.message = f"Undone: {len(rows):,} decision{'s' if len(rows) != 1 else ''}"
        return True

    def _again(self, row: Decision, who: str, when: str) -> Decision:
        return Decision(
            row.path_a,
            row.path_b,
            row.content_hash_a,
            row.content_hash_b,
            decision=row.was or "undone",
            keeper=row.keeper_was,
            was=row.decision,
            keeper_was=row.keeper,
            stands_for=row.was_id,
            rms=row.rms,
            measure=row.measure,
            sampling=row.sampling,
            threshold=self.threshold,
            decided_by=who,
            decided_at=when,
        )

    def _write(self, positions: np.ndarray, decision: str, *, keepers: np.ndarray) -> None:
        code = DECISION_WORDS.index(decision) if decision in DECISION_WORDS[1:4] else 0
        if not code:
            msg = f"decision: {decision!r} is none; allowed are approved, rejected, skipped"
            raise ValueError(msg)
        if not len(positions):
            return
        self._load()
        batch, first, last = self.decisions.add(self._rows(positions, decision, keepers))
        self._batches.append((batch, first, last))
        self._saw(first, last)
        self.standing.record(positions, np.full(len(positions), code, dtype=np.int8), keepers, first)
        self.revision += 1

    def _write_rows(self, rows: list[Decision], *, undoes: int | None = None) -> np.ndarray:
        """Write rows made elsewhere as one batch and return the positions that they touch."""
        batch, first, last = self.decisions.add(rows, undoes=undoes)
        self._saw(first, last)
        touched = self.standing.load(
            [self.decisions.stored(row, first + k, batch, undoes) for k, row in enumerate(rows)]
        )
        if undoes is None:
            self._batches.append((batch, first, last))
        self.revision += 1
        return touched

    def _rows(self, positions: np.ndarray, decision: str, keepers: np.ndarray) -> Iterator[Decision]:
        who, when = person(), now()
        paths, hashes, standing, threshold = self._path, self._hash, self.standing, self.threshold
        for a, b, keeper, was, keeper_was, was_id, rms in zip(
            self.first[positions].tolist(),
            self.second[positions].tolist(),
            keepers.tolist(),
            standing.code[positions].tolist(),
            standing.keeper[positions].tolist(),
            standing.taken_id[positions].tolist(),
            self.rms[positions].tolist(),
            strict=True,
        ):
            yield Decision(
                paths[a],
                paths[b],
                hashes[a],
                hashes[b],
                decision=decision,
                keeper=paths[keeper] if keeper >= 0 else "",
                was=DECISION_WORDS[was],
                keeper_was=paths[keeper_was] if keeper_was >= 0 else "",
                was_id=was_id,
                rms=rms,
                measure=self.measure,
                sampling=self.sampling,
                threshold=threshold,
                decided_by=who,
                decided_at=when,
            )

    def _saw(self, first: int, last: int) -> None:
        # Rows of other processes in between are read by the next refresh, ours then a second time, in their order.
        if first == self._seen + 1:
            self._seen = last

    def _pair_words(self, position: int) -> str:
        return f"{self._path[self.first[position]]} and {self._path[self.second[position]]}"
