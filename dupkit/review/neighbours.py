"""The group that a pair belongs to: its members, its keeper, the pairs inside it, and whether it is a chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

from dupkit.review.groups import keepers_and_reasons
from dupkit.review.keepers import keeper_order


@dataclass(frozen=True)
class Group:
    """One group, as the page shows it.

    Attributes
    ----------
    image_ids : tuple of int
        Members, ascending.
    keeper : int
        image_id of the picture that is kept.
    reasons : tuple of str
        For each member why it is kept, or what it lacks.
    positions : tuple of int
        Rows of the pairs table that hold the group together, by rms.
    largest_rms : float
        Largest rms of two members that are a pair in the table, whether below the threshold or not.
    is_chain : bool
        Two members are not a pair below the threshold: only others tie them together.
    """

    image_ids: tuple[int, ...]
    keeper: int
    reasons: tuple[str, ...]
    positions: tuple[int, ...]
    largest_rms: float
    is_chain: bool


class Neighbours:
    """Find the pairs of an image at once.

    Parameters
    ----------
    first, second : ndarray of shape (n_pairs,), int
        Rows of the images table.
    n_images : int
    """

    def __init__(self, first: np.ndarray, second: np.ndarray, n_images: int) -> None:
        self._first, self._second = first, second
        # The value is the pair's row plus one: an explicit 0 might be dropped.
        rows = np.arange(1, len(first) + 1)
        graph = coo_array(
            (np.concatenate((rows, rows)), (np.concatenate((first, second)), np.concatenate((second, first)))),
            shape=(n_images, n_images),
        ).tocsr()
        self._starts, self._rows = graph.indptr, graph.data - 1

    def within(self, members: np.ndarray) -> np.ndarray:
        """Return the rows of all pairs of two members, ascending.

        Parameters
        ----------
        members : ndarray of int
            Rows of the images table, ascending.
        """
        parts = [self._rows[self._starts[member] : self._starts[member + 1]] for member in members.tolist()]
        rows = np.unique(np.concatenate(parts)) if parts else np.zeros(0, dtype=np.int64)
        return rows[_among(self._first[rows], members) & _among(self._second[rows], members)]

    def connected(self, image: int, rows: np.ndarray) -> np.ndarray:
        """Return the images that some pairs connect with one image, itself too, ascending."""
        nodes, codes = np.unique(np.concatenate(([image], self._first[rows], self._second[rows])), return_inverse=True)
        a, b = codes[1 : len(rows) + 1], codes[len(rows) + 1 :]
        graph = coo_array((np.ones(len(rows), dtype=np.int8), (a, b)), shape=(len(nodes), len(nodes)))
        _, labels = connected_components(graph, directed=False)
        return nodes[labels == labels[codes[0]]]

    def crossing(self, rows: np.ndarray, weakest: int | None = None) -> np.ndarray:
        """Return the pairs to give up so that a connected group falls into two.

        Parameters
        ----------
        rows : ndarray of int
            The pairs that hold one group together, in order of rms.
        weakest : int, optional
            The pair whose two images must come apart; that with the largest rms of the group's spanning tree where
            not given.
        """
        nodes, codes = np.unique(np.concatenate((self._first[rows], self._second[rows])), return_inverse=True)
        a, b = codes[: len(rows)], codes[len(rows) :]
        shape = (len(nodes), len(nodes))
        tree = minimum_spanning_tree(coo_array((np.arange(1, len(rows) + 1), (a, b)), shape=shape).tocsr()).tocoo()
        edges = np.sort(tree.data.astype(np.int64) - 1)
        place = len(rows) - 1 if weakest is None else int(np.searchsorted(rows, weakest))
        # Without the edges from the cut on, walk up from the closest: what still joins the two ends is left out.
        labels = np.arange(len(nodes))
        end_a, end_b = a[place], b[place]
        if weakest is None:
            end_a, end_b = a[edges[-1]], b[edges[-1]]
        for edge in edges.tolist():
            low, high = labels[a[edge]], labels[b[edge]]
            if {low, high} == {labels[end_a], labels[end_b]}:
                continue
            labels[labels == high] = low
        return rows[(labels[a] == labels[end_a]) != (labels[b] == labels[end_a])]


def describe_group(
    images: pd.DataFrame,
    members: np.ndarray,
    connecting: np.ndarray,
    inside_rms: np.ndarray,
    rules: Sequence[str],
    chosen: np.ndarray | None,
) -> Group:
    """Return a group with its keeper and reasons.

    Parameters
    ----------
    images : DataFrame
        The images table.
    members : ndarray of int
        Its rows, two or more, ascending.
    connecting : ndarray of int
        Rows of the pairs below the threshold among the members.
    inside_rms : ndarray of float64
        rms of all stored pairs of two members.
    rules : sequence of str
        Keeper rules.
    chosen : ndarray of shape (n_members,), int64, optional
        Choices by hand, smaller is better.
    """
    few = images.iloc[members]
    order = keeper_order(few, rules, chosen=chosen)
    is_keeper, reasons = keepers_and_reasons(
        order, few, np.arange(len(members)), np.zeros(len(members), dtype=np.int64)
    )
    ids = few.index.to_numpy()
    return Group(
        image_ids=tuple(ids.tolist()),
        keeper=int(ids[np.argmax(is_keeper)]),
        reasons=tuple(reasons),
        positions=tuple(connecting.tolist()),
        largest_rms=float(inside_rms.max(initial=0.0)),
        is_chain=len(connecting) < len(members) * (len(members) - 1) // 2,
    )


def chosen_by_hand(
    first: np.ndarray, second: np.ndarray, keeper: np.ndarray, decision_id: np.ndarray, n_images: int
) -> np.ndarray:
    """Return for each image its place by the choices made by hand; smaller is kept before larger.

    Chosen and never given up comes first, then chosen here and given up there, then all others; the later choice
    counts more.

    Parameters
    ----------
    first, second, keeper : ndarray of int
        Rows of images: the two of each pair and the one that was chosen; -1 none.
    decision_id : ndarray of int
    n_images : int
    """
    place = np.zeros(n_images, dtype=np.int64)
    made = np.flatnonzero(keeper >= 0)
    made = made[np.argsort(decision_id[made], kind="stable")]
    winners = keeper[made]
    lost = np.zeros(n_images, dtype=bool)
    for side in (first[made], second[made]):
        lost[side[side != winners]] = True
    # decision_ids are far below 2**40.
    place[winners] = np.where(lost[winners], -1, -(1 << 40)) - decision_id[made] * np.where(lost[winners], 1, 1)
    return place


def _among(values: np.ndarray, members: np.ndarray) -> np.ndarray:
    places = np.minimum(np.searchsorted(members, values), len(members) - 1)
    return np.asarray(members[places] == values)
