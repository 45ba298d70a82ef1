"""The state of a review: threshold, list, current pair, decisions, groups. No widgets: they only show it.

Built in three floors: ``browsing`` (look and go about), ``deciding`` (durable decisions) and, here, groups, bulk rules,
what decisions teach, and files.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from dupkit.review.deciding import Deciding
from dupkit.review.groups import group_pairs
from dupkit.review.neighbours import MOST_MEMBERS, Group, Neighbours, chosen_by_hand, describe_group
from dupkit.review.standing import APPROVED, REJECTED


class ReviewState(Deciding):
    """All that a review page shows and changes, without the page; see :class:`dupkit.review.browsing.Browsing`."""

    _neighbours: Neighbours | None = None

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
        return describe_group(self.images, members, rows, self.rms[inside], self.keeper_rules, chosen, n_images)

    def _whole_group(self, position: int) -> np.ndarray:
        group = self.group_of(position)
        if not group.whole:
            msg = (
                f"group: it holds {group.n_images:,} pictures, more than {MOST_MEMBERS} are not decided at once; "
                "lower the threshold, or decide its pairs by a rule"
            )
            raise ValueError(msg)
        return np.array(group.positions, dtype=np.int64)

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
        return self._decide_rows(self.neighbours.crossing(rows, at), "rejected", None)

    def _decide_rows(self, rows: np.ndarray, decision: str, keeper: int | None) -> int:
        row = -1 if keeper is None else self.row_of_image(keeper)
        self._write(rows, decision, keepers=np.full(len(rows), row, dtype=np.int64))
        self.message = f"{decision.capitalize()}: {len(rows):,} pair{'s' if len(rows) != 1 else ''}"
        return len(rows)

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
