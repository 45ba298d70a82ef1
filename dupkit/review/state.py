"""The state of a review: threshold, list, current pair, decisions, groups. No widgets: they only show it.

Built in three floors: ``browsing`` (look and go about), ``deciding`` (durable decisions) and, here, groups, bulk rules,
what decisions teach, and files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from dupkit.pairs.upright import stacked_pictures, upright_aspects
from dupkit.review.calibration import Calibration
from dupkit.review.deciding import Deciding
from dupkit.review.decisions import Decision
from dupkit.review.exchange import PairKey, decisions_table, merge, pair_key, read_decisions, write_decisions
from dupkit.review.grouping import GroupList, keeper_words, list_groups
from dupkit.review.groups import group_pairs
from dupkit.review.keepers import keeper_facts
from dupkit.review.neighbours import MOST_MEMBERS, Group, Neighbours, chosen_by_hand, describe_group, find_chains
from dupkit.review.overlay import Overlay, lay_on
from dupkit.review.rules import BulkStep, bulk_step, check_rule, preview_table, rule_filters
from dupkit.review.standing import APPROVED, REJECTED


class ReviewState(Deciding):
    """All that a review page shows and changes, without the page; see :class:`dupkit.review.browsing.Browsing`."""

    _neighbours: Neighbours | None = None
    _keeper_facts: pd.DataFrame | None = None
    _calibration: tuple[int, Calibration] | None = None
    groups: GroupList | None = None
    """What the list shows while ``grouping`` is not ''; made with it, and like it the same until it is made anew."""

    # Groups

    def group_of(self, position: int) -> Group:
        """Return the group below the threshold that a pair belongs to, without the pairs that were rejected.

        The pair itself counts, also where it was rejected or is not below the threshold.
        """
        ends = (int(self.first[position]), int(self.second[position]))
        nodes = {self._linkage.node(image, self.threshold) for image in ends}
        n_reached = sum(int(self._linkage.size[node]) for node in nodes)
        if n_reached > MOST_MEMBERS:
            return self._part_of_group(position, ends, nodes, n_reached)
        reach = np.sort(np.concatenate([self._linkage.members(node) for node in nodes]))
        inside = self.neighbours.within(reach)
        rows = inside[self._connects(inside, position)]
        members = self.neighbours.connected(ends[0], rows)
        inside = self.neighbours.within(members)
        return self._described(members, np.intersect1d(inside, rows), inside, len(members))

    def _connects(self, rows: np.ndarray, position: int) -> np.ndarray:
        below = (self.rms[rows] < self.threshold) & ~self.by_structure[rows]
        return np.asarray((below & (self.standing.code[rows] != REJECTED)) | (rows == position))

    def _part_of_group(self, position: int, ends: tuple[int, int], nodes: set[int], n_images: int) -> Group:
        """Describe a huge group by its keeper, the pair and the closest of its neighbours."""
        near = np.unique(np.concatenate([self.neighbours.of(image) for image in ends]))
        near = near[self._connects(near, position)][: MOST_MEMBERS // 4]
        best = min(int(self.counts.best_rank[node]) for node in nodes)
        keeper = int(self.counts.image_at_rank[best])
        members = np.unique(np.concatenate(([keeper, *ends], self.first[near], self.second[near])))
        inside = self.neighbours.within(members)
        return self._described(members, inside[self._connects(inside, position)], inside, n_images)

    def _described(self, members: np.ndarray, rows: np.ndarray, inside: np.ndarray, n_images: int) -> Group:
        chosen = self._chosen()[members]
        if self._keeper_facts is None:
            self._keeper_facts = keeper_facts(self.images)
        return describe_group(self._keeper_facts, members, rows, self.rms[inside], self.keeper_rules, chosen, n_images)

    def _whole_group(self, position: int) -> np.ndarray:
        group = self.group_of(position)
        if not group.whole:
            msg = (
                f"group: it holds {group.n_images:,} pictures, more than {MOST_MEMBERS} are not decided at once; "
                "lower the threshold, or decide its pairs by a rule"
            )
            raise ValueError(msg)
        return np.array(group.positions, dtype=np.int64)

    def _arranged(self, positions: np.ndarray) -> np.ndarray:
        if not self.grouping:
            self.groups = None
            return positions
        rank = np.empty(len(self.images), dtype=np.int64)
        rank[self.counts.image_at_rank] = np.arange(len(rank))
        chosen = self._chosen()
        if chosen.any():
            rank[np.lexsort((rank, chosen))] = np.arange(len(rank))
        self.groups = list_groups(
            self.first,
            self.second,
            self.rms,
            connecting=np.flatnonzero(self._connects(np.arange(len(self.pairs)), -1)),
            listed=positions,
            rank=rank,
            moving_bytes=self.counts.size_bytes,
            may_move=~self.reference,
            grouping=self.grouping,
        )
        return self.groups.pairs

    def keeper_words(self, groups: Sequence[int]) -> list[str]:
        """Return for some groups of the list why their keepers are kept."""
        if self.groups is None or not len(groups):
            return []
        return keeper_words(self.groups, groups, self.images, self.keeper_rules, self._chosen())

    def go_to_group(self, group: int) -> None:
        """Bring a group of the list into view: its first undecided pair, or its first one."""
        if self.groups is not None and 0 <= group < len(self.groups):
            rows = self.groups.pairs_of(group)
            self.current = int(rows[np.argmax(self.standing.code[rows] == 0)])

    def next_group(self, by: int = 1) -> bool:
        """Go to the next group of the list with undecided pairs, or to the one before this; False if there is none."""
        if self.groups is None:
            return False
        here = self.groups.group_at(self.place_of(self.current))
        if by < 0:
            self.go_to_group(here - 1)
            return here > 0
        open_places = np.flatnonzero(self.standing.code[self.visible] == 0)
        open_groups = np.searchsorted(self.groups.pair_starts, open_places, side="right") - 1
        after = np.concatenate((open_groups[open_groups > here], open_groups[open_groups < here]))
        if len(after):
            self.go_to_group(int(after[0]))
        return len(after) > 0

    @property
    def neighbours(self) -> Neighbours:
        """The pairs of each image, made when first asked for."""
        if self._neighbours is None:
            self._neighbours = Neighbours(self.first, self.second, len(self.images))
        return self._neighbours

    def keeper_of_group(self, position: int) -> int:
        """Return the image_id that is kept in the group of a pair."""
        return self.group_of(position).keeper

    def decide_group(self, position: int, decision: str, *, keeper: int | None = None) -> int:
        """Decide all pairs of a pair's group as one step; return how many changed.

        Parameters
        ----------
        position : int
            Row of ``pairs``.
        decision : str
            ``"approved"``, ``"rejected"`` or ``"skipped"``.
        keeper : int, optional
            image_id to keep, where a person chose it.

        Raises
        ------
        ValueError
            The group is too large to be decided at once.
        """
        rows = self._whole_group(position)
        return self._decide_rows(rows, decision, keeper)

    def set_keeper(self, position: int, image_id: int) -> int:
        """Choose the picture that the group of a pair keeps; return how many of its approved pairs now say so.

        The choice is kept with approved pairs: approve the group first (:meth:`decide_group` takes ``keeper=``).
        """
        rows = self._whole_group(position)
        return self._decide_rows(rows[self.standing.code[rows] == APPROVED], "approved", image_id)

    def cut_chain(self, position: int, *, at: int | None = None) -> int:
        """Reject the pairs that hold the two halves of a chain together, as one step; return how many.

        Parameters
        ----------
        position : int
            A pair of the group.
        at : int, optional
            The pair whose two images must come apart; the group's weakest link where not given.
        """
        rows = self._whole_group(position)
        if at is not None and at not in rows:
            msg = f"at: pair {at} does not hold the group of pair {position} together; give one of {rows.tolist()[:10]}"
            raise ValueError(msg)
        return self._decide_rows(self.neighbours.crossing(rows, at), "rejected", None)

    def _decide_rows(self, rows: np.ndarray, decision: str, keeper: int | None) -> int:
        row = -1 if keeper is None else self.row_of_image(keeper)
        self._write(rows, decision, keepers=np.full(len(rows), row, dtype=np.int64))
        self._say_many(decision, len(rows))
        return len(rows)

    def _say_many(self, decision: str, n: int) -> None:
        self.message = f"{decision.capitalize()}: {n:,} pair{'s' if n != 1 else ''}"

    def _chosen(self) -> np.ndarray:
        standing = self.standing
        return chosen_by_hand(self.first, self.second, standing.keeper, standing.own_id, len(self.images))

    def approved_pairs(self) -> pd.DataFrame:
        """Return the rows of ``pairs`` that stand approved, as a pairs table."""
        return self.pairs.iloc[np.flatnonzero(self.standing.code == APPROVED)].reset_index(drop=True)

    def approved_groups(self) -> pd.DataFrame:
        """Return the groups table of the approved pairs: what a plan of moves is made from."""
        return group_pairs(
            self.approved_pairs(), self.images, threshold=None, keeper_rules=self.keeper_rules, chosen=self._chosen()
        )

    def chains(self) -> pd.DataFrame:
        """Return the groups below the threshold in which two members are tied only by others, longest rms first.

        Columns: position (the weakest of the pairs that hold it together), n_images, n_pairs, largest_rms (of two
        members that are a pair in the table, below the threshold or not).
        """
        rows = np.flatnonzero(self._connects(np.arange(len(self.pairs)), -1))
        return find_chains(self.first, self.second, self.rms, rows, len(self.images))

    def overlay_of(self, position: int, thumbnails: pd.DataFrame) -> Overlay:
        """Return how b of a pair lies on a; it touches tables only, and takes a moment: any thread may ask.

        Parameters
        ----------
        position : int
            Row of ``pairs``.
        thumbnails : DataFrame
            The thumbnails table, or the part of it that holds the two images.
        """
        pair = self.pairs.iloc[position]
        both = [int(pair["image_a"]), int(pair["image_b"])]
        grey = stacked_pictures(thumbnails, np.array(both))
        aspect_a, aspect_b = upright_aspects(self.images.loc[both]).tolist()
        verdict = pair["verdict"] if isinstance(pair["verdict"], str) else ""
        return lay_on(grey[0], grey[1], aspect_a=aspect_a, aspect_b=aspect_b, verdict=verdict)

    # Bulk rules

    def preview_rule(self, rule: Mapping[str, object]) -> pd.DataFrame:
        """Return what a bulk rule would decide, a row for each pair; see :mod:`dupkit.review.rules`."""
        step = self._bulk_step(rule)
        return preview_table(step, self.standing.code, self.pairs, self.images, self.first, self.second)

    def count_rule(self, rule: Mapping[str, object]) -> int:
        """Return how many pairs a bulk rule would decide."""
        return len(self._bulk_step(rule).positions)

    def apply_rule(self, rule: Mapping[str, object]) -> int:
        """Decide what :meth:`preview_rule` shows, as one step that :meth:`undo` takes back; return how many pairs."""
        step = self._bulk_step(rule)
        self._write(step.positions, step.decision, keepers=step.keepers)
        self._say_many(step.decision, len(step.positions))
        return len(step.positions)

    def _bulk_step(self, rule: Mapping[str, object]) -> BulkStep:
        checked = check_rule(rule)
        found = self._found(rule_filters(checked), "rms")
        return bulk_step(checked, found, self.standing.code, self.pairs, self.images, self.first, self.second)

    # What decisions teach

    @property
    def calibration(self) -> Calibration:
        """What the decisions so far say about precision; made anew after each decision."""
        if self._calibration is None or self._calibration[0] != self.revision:
            counted = ~self.by_structure
            standing = self.standing
            made = Calibration(
                self.band_edges(), self._counted_rms, standing.code[counted], standing.looked_at[counted]
            )
            self._calibration = (self.revision, made)
        return self._calibration[1]

    def precision_bands(self) -> pd.DataFrame:
        """Return precision by band of rms; see :meth:`dupkit.review.calibration.Calibration.bands`."""
        return self.calibration.bands()

    def expected_false(self, threshold: float) -> dict[str, float]:
        """Return the false pairs to expect below a threshold, with an interval; see ``Calibration.expected_false``."""
        return self.calibration.expected_false(threshold)

    def precision_words(self, threshold: float) -> str:
        """Return what decisions say about a threshold, in one line for people."""
        return self.calibration.precision_words(threshold)

    def suggest_threshold(self, precision: float) -> dict[str, float]:
        """Return the thresholds ``exact`` and ``maybe`` for a precision; see ``Calibration.suggest_threshold``."""
        return self.calibration.suggest_threshold(precision)

    def suggestion_words(self, precision: float) -> str:
        """Return the suggested thresholds in one line for people."""
        return self.calibration.suggestion_words(precision)

    def review_next(self, n: int = 20) -> np.ndarray:
        """Make the list the pairs that teach most when decided next, and return them as rows of ``pairs``.

        Most come from the bands whose interval is widest. Pairs with the same bytes need no look. Setting ``filters``
        anew brings the other pairs back.
        """
        counted = np.flatnonzero(~self.by_structure)
        same_bytes = self.pairs["same_bytes"].to_numpy(dtype=bool, na_value=False)[counted]
        chosen = np.asarray(counted[self.calibration.choose_next(n, same_bytes)])
        if not len(chosen):
            self.message = "Every pair is decided"
            return chosen
        self.filters = {"positions": chosen.tolist()}
        self.current = int(self.visible[0])
        self.message = f"{len(chosen)} pairs that teach most"
        return chosen

    # Files

    def decisions_table(self) -> pd.DataFrame:
        """Return the decisions table of this folder: the standing decision of each pair, oldest first."""
        return decisions_table(list(self._standing_decisions().values()))

    def export_csv(self, path: str | os.PathLike[str]) -> Path:
        """Write the decisions table as CSV; see :func:`dupkit.review.exchange.write_decisions`."""
        place = write_decisions(self.decisions_table(), path)
        self.message = f"Decisions written to {place}"
        return place

    def import_csv(self, path: str | os.PathLike[str], *, conflicts: str = "ours") -> pd.DataFrame:
        """Take in the decisions of a CSV as one step, and return where they disagree with those that stood here.

        Parameters
        ----------
        path : path
        conflicts : str
            Whose decision stands then: ``"ours"``, ``"theirs"``, or the ``"latest"``.

        Raises
        ------
        ValueError
            The file is no decisions CSV; nothing is taken in.
        """
        self.refresh()
        merged = merge(self._standing_decisions(), read_decisions(path), conflicts)
        if merged.added:
            added = merged.added
            places = self.standing.positions_of([row.path_a for row in added], [row.path_b for row in added])
            taken_ids = self.standing.taken_ids(places)
            self._write_rows([replace(row, was_id=taken) for row, taken in zip(added, taken_ids.tolist(), strict=True)])
        n_conflicts = len(merged.conflicts)
        self.message = (
            f"Taken in: {len(merged.added):,} decisions; {merged.n_same:,} were known; {n_conflicts:,} conflicts"
        )
        return merged.conflicts

    def _standing_decisions(self) -> dict[PairKey, Decision]:
        standing: dict[PairKey, Decision] = {}
        for row in self.decisions.read_rows():
            key = pair_key(row)
            standing.pop(key, None)
            if row.decision != "undone":
                standing[key] = row
        # Rejections that travelled here from other folders and names.
        positions = np.flatnonzero(self.standing.code == REJECTED)
        for row in self._rows(positions, "rejected", np.full(len(positions), -1)):
            if (known := standing.get(pair_key(row))) is None or known.decision != "rejected":
                standing[pair_key(row)] = row
        return standing
