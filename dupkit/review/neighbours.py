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

MOST_MEMBERS = 500
"""Largest group that is shown and decided as a whole: nobody looks through more; the threshold is too high then."""

_NEVER_GIVEN_UP = 1 << 40
"""More than any decision_id."""


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
    n_images : int
        How many members there are; more than ``image_ids`` where the group is too large to show (see ``whole``).
    whole : bool
        False: of a huge group only the keeper, the pair and its nearest neighbours are listed. Such a group cannot
        be decided with one key.
    """

    image_ids: tuple[int, ...]
    keeper: int
    reasons: tuple[str, ...]
    positions: tuple[int, ...]
    largest_rms: float
    is_chain: bool
    n_images: int
    whole: bool


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

    def of(self, image: int) -> np.ndarray:
        """Return the rows of all pairs of one image, ascending."""
        return np.sort(self._rows[self._starts[image] : self._starts[image + 1]])

    def within(self, members: np.ndarray) -> np.ndarray:
        """Return the rows of all pairs of two members, ascending.

        Parameters
        ----------
        members : ndarray of int
            Rows of the images table, ascending.
        """
        parts = [self._rows[self._starts[member] : self._starts[member + 1]] for member in members.tolist()]
        rows = np.unique(np.concatenate(parts)) if parts else np.zeros(0, dtype=np.int64)
        return np.asarray(rows[_among(self._first[rows], members) & _among(self._second[rows], members)])

    def connected(self, image: int, rows: np.ndarray) -> np.ndarray:
        """Return the images that some pairs connect with one image, itself too, ascending."""
        nodes, codes = np.unique(np.concatenate(([image], self._first[rows], self._second[rows])), return_inverse=True)
        a, b = codes[1 : len(rows) + 1], codes[len(rows) + 1 :]
        graph = coo_array((np.ones(len(rows), dtype=np.int8), (a, b)), shape=(len(nodes), len(nodes)))
        _, labels = connected_components(graph, directed=False)
        return np.asarray(nodes[labels == labels[codes[0]]])

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
        # Join pairs in order of rms, but never the two ends. What is then on either side of the gap is given up.
        edges = _spanning_order(a, b, len(nodes))
        place = edges[-1] if weakest is None else int(np.searchsorted(rows, weakest))
        end_a, end_b = a[place], b[place]
        labels = np.arange(len(nodes))
        for one, other in zip(a.tolist(), b.tolist(), strict=True):
            kept, given = labels[one], labels[other]
            if kept != given and {kept, given} != {labels[end_a], labels[end_b]}:
                labels[labels == given] = kept
        return np.asarray(rows[(labels[a] == labels[end_a]) != (labels[b] == labels[end_a])])


def _spanning_order(a: np.ndarray, b: np.ndarray, n_nodes: int) -> list[int]:
    weights = np.arange(1, len(a) + 1, dtype=np.float64)
    tree = minimum_spanning_tree(coo_array((weights, (a, b)), shape=(n_nodes, n_nodes)).tocsr())
    return [int(weight) - 1 for weight in np.sort(tree.data)]


def describe_group(
    images: pd.DataFrame,
    members: np.ndarray,
    connecting: np.ndarray,
    inside_rms: np.ndarray,
    rules: Sequence[str],
    chosen: np.ndarray | None,
    n_images: int,
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
    n_images : int
        Members of the group, where it is too large to give them all.
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
        is_chain=len(connecting) < n_images * (n_images - 1) // 2,
        n_images=n_images,
        whole=n_images == len(members),
    )


def find_chains(
    first: np.ndarray, second: np.ndarray, rms: np.ndarray, rows: np.ndarray, n_images: int
) -> pd.DataFrame:
    """Return the groups in which two members are not a pair, largest rms first: position, n_images, n_pairs, ...

    Parameters
    ----------
    first, second : ndarray of shape (n_pairs,), int
        Rows of images.
    rms : ndarray of shape (n_pairs,), float64
    rows : ndarray of int
        The pairs that connect, by rms.
    n_images : int
    """
    graph = coo_array((np.ones(len(rows), dtype=np.int8), (first[rows], second[rows])), shape=(n_images, n_images))
    n_groups, labels = connected_components(graph, directed=False) if n_images else (0, np.zeros(0, dtype=np.int64))
    members = np.bincount(labels, minlength=n_groups)
    group = labels[first[rows]]
    n_pairs = np.bincount(group, minlength=n_groups)
    inside = np.flatnonzero(labels[first] == labels[second])
    largest = np.zeros(n_groups)
    np.maximum.at(largest, labels[first[inside]], rms[inside])
    weakest = np.zeros(n_groups, dtype=np.int64)
    # Rows ascend in rms: the last one that is written is the weakest link.
    weakest[group] = rows
    chains = np.flatnonzero(n_pairs < members * (members - 1) // 2)
    chains = chains[np.lexsort((weakest[chains], -largest[chains]))]
    return pd.DataFrame(
        {
            "position": weakest[chains],
            "n_images": members[chains],
            "n_pairs": n_pairs[chains],
            "largest_rms": largest[chains],
        }
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
    place[winners] = np.where(lost[winners], 0, -_NEVER_GIVEN_UP) - decision_id[made]
    return place


def _among(values: np.ndarray, members: np.ndarray) -> np.ndarray:
    places = np.minimum(np.searchsorted(members, values), len(members) - 1)
    return np.asarray(members[places] == values)
