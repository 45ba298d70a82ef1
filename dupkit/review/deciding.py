"""Decide: each decision is durable in SQLite before any trait changes, and can be taken back as one step."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dupkit.review.browsing import Browsing
from dupkit.review.decisions import DECISION_WORDS, Decision, Step, now, person


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
        with self.decisions.lock:
            step = self._batches[-1] if self._batches else self.decisions.step_before(self._undo_before)
            undone = None if step is None else self._take_back(step)
        if undone is None:
            self.message = "Nothing to undo"
            return False
        if len(undone):
            self._changed()
        if len(undone) == 1 and undone[0] >= 0:
            self.current = int(undone[0])
        self.message = f"Undone: {len(undone):,} decision{'s' if len(undone) != 1 else ''}"
        return True

    def _take_back(self, step: Step) -> np.ndarray:
        """Undo a step as far as it is still ours; return the positions of its pairs, -1 for those that are gone."""
        # What others decided since must stay: only decisions that are still ours are taken back.
        self._load()
        positions = self.standing.positions_of(*zip(*self.decisions.paths_of(step), strict=True))
        taken_ids = self.standing.taken_ids(positions)
        ours = (positions < 0) | ((step.first <= taken_ids) & (taken_ids <= step.last))
        if ours.any():
            runs = _runs(ours, step.first)
            self.decisions.undo(runs, threshold=self.threshold, decided_by=person(), decided_at=now())
            self._load()
        if self._batches:
            self._batches.pop()
        else:
            self._undo_before = step.first
        return np.asarray(positions[ours])

    def _write(self, positions: np.ndarray, decision: str, *, keepers: np.ndarray) -> None:
        code = DECISION_WORDS.index(decision) if decision in DECISION_WORDS[1:4] else 0
        if not code:
            msg = f"decision: {decision!r} is none; allowed are approved, rejected, skipped"
            raise ValueError(msg)
        if not len(positions):
            return
        # A cell and the page may decide at the same moment, each in its own thread.
        with self.decisions.lock:
            self._load()
            step = self.decisions.add(self._rows(positions, decision, keepers))
            self._batches.append(step)
            # Rows of other processes in between are read by the next refresh, ours then again, in their order.
            if step.first == self._seen + 1:
                self._seen = step.last
            self.standing.record(positions, np.full(len(positions), code, dtype=np.int8), keepers, step.first)
        self._changed()

    def _write_rows(self, rows: list[Decision]) -> None:
        """Write rows made elsewhere as one batch."""
        with self.decisions.lock:
            self._batches.append(self.decisions.add(rows))
            self._load()
        self._changed()

    def _changed(self) -> None:
        # Never under the lock: whoever observes may wait for a thread that wants to decide.
        self.revision += 1

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

    def _pair_words(self, position: int) -> str:
        return f"{self._path[self.first[position]]} and {self._path[self.second[position]]}"


def _runs(chosen: np.ndarray, first: int) -> list[tuple[int, int]]:
    """Return the runs of chosen places as numbers from ``first`` on, both ends inclusive.

    Examples
    --------
    >>> _runs(np.array([True, True, False, True]), 10)
    [(10, 11), (13, 13)]
    """
    edges = np.flatnonzero(np.diff(chosen.astype(np.int8), prepend=0, append=0)) + first
    return [(start, end - 1) for start, end in edges.reshape(-1, 2).tolist()]
