"""The list as groups: which groups below the threshold a list of pairs touches, in which order, and their pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dupkit.review.keepers import keeper_order, kept_because
from dupkit.review.ordering import stable_order

GROUPINGS = ("list", "bytes", "files", "far", "chains")
"""How groups can be sorted: by their first pair in the list of pairs, by what would move, by their largest rms."""

SHOWN_MEMBERS = 4
"""Members of a group that a row of the list shows; the keeper comes first."""


@dataclass(frozen=True)
class GroupList:
    """Groups in the order of the list; pairs and members of group ``i`` are ``starts[i]:starts[i + 1]``.

    Attributes
    ----------
    pairs : ndarray of int64
        The listed pairs that hold the groups together, group after group, each in the order of the list of pairs.
    pair_starts : ndarray of shape (n_groups + 1,), int64
    members : ndarray of int64
        Rows of images, group after group, the keeper first, then in the order of the keeper rules.
    member_starts : ndarray of shape (n_groups + 1,), int64
    n_pairs : ndarray of shape (n_groups,), int64
        Pairs that hold each group together, listed or not.
    n_files, n_bytes : ndarray of shape (n_groups,), int64
        Files that would move, and the bytes in them.
    largest_rms : ndarray of shape (n_groups,), float64
        Of two members that are a pair in the table, below the threshold or not.
    is_chain : ndarray of shape (n_groups,), bool
        Two members are not a pair below the threshold.
    """

    pairs: np.ndarray
    pair_starts: np.ndarray
    members: np.ndarray
    member_starts: np.ndarray
    n_pairs: np.ndarray
    n_files: np.ndarray
    n_bytes: np.ndarray
    largest_rms: np.ndarray
    is_chain: np.ndarray

    def __len__(self) -> int:
        return len(self.n_pairs)

    def pairs_of(self, group: int) -> np.ndarray:
        """Return the listed pairs of a group, rows of the pairs table."""
        return self.pairs[self.pair_starts[group] : self.pair_starts[group + 1]]

    def members_of(self, group: int) -> np.ndarray:
        """Return the members of a group, rows of images, the keeper first."""
        return self.members[self.member_starts[group] : self.member_starts[group + 1]]

    def group_at(self, place: int) -> int:
        """Return the group of the pair at a place of the list; -1 where there is none."""
        if not 0 <= place < len(self.pairs):
            return -1
        return int(np.searchsorted(self.pair_starts, place, side="right")) - 1


def list_groups(
    first: np.ndarray,
    second: np.ndarray,
    rms: np.ndarray,
    *,
    connecting: np.ndarray,
    listed: np.ndarray,
    rank: np.ndarray,
    moving_bytes: np.ndarray,
    may_move: np.ndarray,
    grouping: str,
) -> GroupList:
    """Return the groups that a list of pairs touches.

    Parameters
    ----------
    first, second : ndarray of shape (n_pairs,), int
        Rows of images of all pairs of the table.
    rms : ndarray of shape (n_pairs,), float64
        Ascending.
    connecting : ndarray of int
        Rows of the pairs that hold groups together.
    listed : ndarray of int
        Rows of the pairs in the list, in its order; those that connect nothing are left out.
    rank : ndarray of shape (n_images,), int64
        The smallest one of a group is kept.
    moving_bytes : ndarray of shape (n_images,), int64
        What each image adds to the bytes when it moves.
    may_move : ndarray of shape (n_images,), bool
        False: in a reference folder.
    grouping : str
        One of :data:`GROUPINGS`.

    Examples
    --------
    Images 0, 1 and 2 are a chain; 3 and 4 are a group whose file is larger.

    >>> first, second, rms = np.array([0, 3, 1]), np.array([1, 4, 2]), np.array([5.0, 7.0, 9.0])
    >>> found = list_groups(first, second, rms, connecting=np.arange(3), listed=np.arange(3), rank=np.arange(5),
    ...                     moving_bytes=np.array([1, 1, 1, 9, 9]), may_move=np.ones(5, bool), grouping="bytes")
    >>> [found.members_of(group).tolist() for group in range(len(found))], found.is_chain.tolist()
    ([[3, 4], [0, 1, 2]], [False, True])
    """
    n_images = len(rank)
    graph = coo_array(
        (np.ones(len(connecting), dtype=np.int8), (first[connecting], second[connecting])), shape=(n_images, n_images)
    )
    n_labels, labels = connected_components(graph, directed=False) if n_images else (0, np.zeros(0, dtype=np.int64))
    connects = np.zeros(len(rms), dtype=bool)
    connects[connecting] = True
    shown = listed[connects[listed]]
    size = np.bincount(labels, minlength=n_labels)
    n_pairs = np.bincount(labels[first[connecting]], minlength=n_labels)
    by_rank = np.argsort(rank)
    keeper = np.zeros(n_labels, dtype=np.int64)
    # Written from the last rank on, the best one stays.
    keeper[labels[by_rank[::-1]]] = by_rank[::-1]
    moves = may_move & (keeper[labels] != np.arange(n_images))
    n_files = np.bincount(labels[moves], minlength=n_labels)
    # Weights are float64: exact up to 2**53 bytes.
    n_bytes = np.bincount(labels[moves], weights=moving_bytes[moves], minlength=n_labels).astype(np.int64)
    largest = np.zeros(n_labels)
    inside = np.flatnonzero(labels[first] == labels[second])
    # The table ascends in rms: the last one that is written is the largest.
    largest[labels[first[inside]]] = rms[inside]
    is_chain = n_pairs < size * (size - 1) // 2

    place = np.full(n_labels, len(shown), dtype=np.int64)
    place[labels[first[shown[::-1]]]] = np.arange(len(shown))[::-1]
    groups = np.flatnonzero(place < len(shown))
    keys = {
        "list": [],
        "bytes": [-n_bytes[groups]],
        "files": [-n_files[groups]],
        "far": [-largest[groups]],
        "chains": [-largest[groups], ~is_chain[groups]],
    }[grouping]
    groups = groups[np.lexsort((place[groups], *keys))]
    number = np.full(n_labels, -1, dtype=np.int64)
    number[groups] = np.arange(len(groups))
    pairs = shown[stable_order(number[labels[first[shown]]])]
    inner = by_rank[number[labels[by_rank]] >= 0]
    members = inner[stable_order(number[labels[inner]])]
    return GroupList(
        pairs=pairs,
        pair_starts=_starts(number[labels[first[pairs]]], len(groups)),
        members=members,
        member_starts=_starts(number[labels[members]], len(groups)),
        n_pairs=n_pairs[groups],
        n_files=n_files[groups],
        n_bytes=n_bytes[groups],
        largest_rms=largest[groups],
        is_chain=is_chain[groups],
    )


def _starts(numbers: np.ndarray, n_groups: int) -> np.ndarray:
    return np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(np.bincount(numbers, minlength=n_groups))))


def keeper_words(
    listed: GroupList, groups: Sequence[int], images: pd.DataFrame, rules: Sequence[str], chosen: np.ndarray
) -> list[str]:
    """Return for each group why its keeper is kept, in words.

    Parameters
    ----------
    listed : GroupList
    groups : sequence of int
    images : DataFrame
        The images table.
    rules : sequence of str
        Keeper rules.
    chosen : ndarray of shape (n_images,), int64
        Choices by hand, smaller is better.
    """
    # What decides between the keeper and its runner-up needs these two only.
    rows = np.array([listed.members_of(group)[:2] for group in groups], dtype=np.int64).reshape(-1)
    order = keeper_order(images.iloc[rows].reset_index(drop=True), rules, chosen=chosen[rows])
    places = np.arange(0, len(rows), 2)
    return kept_because(order, places, places + 1)
