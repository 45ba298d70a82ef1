"""Groups of duplicates: the connected components of pairs, each with one picture that is kept and why."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dupkit.review.keepers import KEEPER_RULES, KeeperOrder, in_reference, keeper_order, kept_because, lacking_words
from dupkit.schema import build_table, check_table


def group_pairs(
    pairs: pd.DataFrame,
    images: pd.DataFrame,
    *,
    threshold: float | None,
    keeper_rules: Sequence[str] = KEEPER_RULES,
    chosen: np.ndarray | None = None,
) -> pd.DataFrame:
    """Return the groups table: connected components of the pairs below a threshold.

    Parameters
    ----------
    pairs : DataFrame
        The pairs table. ``largest_rms`` looks at all of them, also above the threshold.
    images : DataFrame
        The images table.
    threshold : float or None
        Pairs with ``rms < threshold`` connect; a pair that structure proposed does not. None: every pair connects,
        which is the way to group approved pairs.
    keeper_rules : sequence of str
        Which member is kept; see :func:`dupkit.review.keepers.check_rules`.
    chosen : ndarray of shape (n_images,), int64, optional
        Choices made by hand, which count before the rules; smaller is better.

    Raises
    ------
    TypeError
        ``threshold`` is no number.
    ValueError
        ``threshold`` is negative or NaN, a rule is unknown, a table is not of the schema, or a pair names an image
        that is not in ``images``.

    Examples
    --------
    >>> from dupkit.schema import empty_table
    >>> len(group_pairs(empty_table("pairs"), empty_table("images"), threshold=500))
    0
    """
    check_table(pairs, "pairs")
    check_table(images, "images")
    first, second = image_positions(pairs, images)
    rms = pairs["rms"].to_numpy()
    connects = np.ones(len(pairs), dtype=bool)
    if threshold is not None:
        connects = below_threshold(pairs, check_threshold(threshold))
    order = keeper_order(images, keeper_rules, chosen=chosen)
    labels, in_group = _components(first[connects], second[connects], len(images))
    members = np.flatnonzero(in_group)
    ids = images.index.to_numpy()
    # Groups are numbered by their smallest image_id, and members follow by image_id.
    members = members[np.argsort(ids[members], kind="stable")]
    _, first_seen, codes = np.unique(labels[members], return_index=True, return_inverse=True)
    number = np.argsort(np.argsort(first_seen))[codes]
    by_group = np.argsort(number, kind="stable")
    members, number = members[by_group], number[by_group]
    group_of_image = np.full(len(images), -1, dtype=np.int64)
    group_of_image[members] = number
    is_keeper, reasons = keepers_and_reasons(order, images, members, number)
    inside = (group_of_image[first] == group_of_image[second]) & (group_of_image[first] >= 0)
    largest = np.zeros(int(number.max(initial=-1)) + 1)
    np.maximum.at(largest, group_of_image[first[inside]], rms[inside])
    return build_table(
        "groups",
        {
            "group_id": number,
            "image_id": ids[members],
            "is_keeper": is_keeper,
            "reason": reasons,
            "largest_rms": largest[number],
        },
        attrs={"threshold": threshold, "keeper_rules": order.rules},
    )


def check_threshold(threshold: float) -> float:
    """Return a threshold as float.

    Raises
    ------
    TypeError
        It is no number.
    ValueError
        It is negative or NaN.
    """
    if isinstance(threshold, bool) or not isinstance(threshold, (int, float, np.integer, np.floating)):
        msg = f"threshold: {threshold!r} is no number; allowed is 0 or more, 500 say"
        raise TypeError(msg)
    if not threshold >= 0:
        msg = f"threshold: {threshold!r} is not allowed; it must be 0 or more: pairs with rms below it count"
        raise ValueError(msg)
    return float(threshold)


def below_threshold(pairs: pd.DataFrame, threshold: float) -> np.ndarray:
    """Return for each pair whether it is below a threshold: strictly, and found by the measure, not proposed."""
    return np.asarray((pairs["rms"].to_numpy() < threshold) & ~proposed_by_structure(pairs))


def proposed_by_structure(pairs: pd.DataFrame) -> np.ndarray:
    """Return for each pair whether another measure than the slider's proposed it, structure say; never below it."""
    return np.asarray((pairs["proposed_by"] != pairs["measure"]).to_numpy(dtype=bool))


def image_positions(pairs: pd.DataFrame, images: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of ``images`` that the two images of each pair stand in.

    Raises
    ------
    ValueError
        An image of a pair is not in ``images``.
    """
    first = images.index.get_indexer(pd.Index(pairs["image_a"]))
    second = images.index.get_indexer(pd.Index(pairs["image_b"]))
    for column, found in (("image_a", first), ("image_b", second)):
        if (found < 0).any():
            row = int(np.argmax(found < 0))
            msg = (
                f"pairs: {column} {pairs[column].iloc[row]} in row {row} is no image_id of images; "
                "pass the images table that the pairs were made from"
            )
            raise ValueError(msg)
    return first, second


def keepers_and_reasons(
    order: KeeperOrder, images: pd.DataFrame, members: np.ndarray, group: np.ndarray
) -> tuple[np.ndarray, list[str]]:
    """Return for each member of its group whether it is kept, and why or why not in words.

    Parameters
    ----------
    order : KeeperOrder
    images : DataFrame
        The images table.
    members : ndarray of int
        Rows of ``images``.
    group : ndarray of int
        Group of each member: 0, 1, ..., in ascending order, two or more members each.
    """
    if not len(members):
        return np.zeros(0, dtype=bool), []
    by_rank = np.lexsort((order.rank[members], group))
    starts = np.flatnonzero(np.diff(group[by_rank], prepend=-1))
    keeper_rows, runner_up_rows = by_rank[starts], by_rank[starts + 1]
    keeper_of_member = members[keeper_rows][group]
    is_keeper = np.zeros(len(members), dtype=bool)
    is_keeper[keeper_rows] = True
    reasons = lacking_words(order, images, members, keeper_of_member, in_reference(images))
    kept = kept_because(order, members[keeper_rows], members[runner_up_rows])
    for row, words in zip(keeper_rows.tolist(), kept, strict=True):
        reasons[row] = words
    return is_keeper, reasons


def _components(first: np.ndarray, second: np.ndarray, n_images: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each image's component and whether that has two or more members."""
    if not n_images:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=bool)
    # The edges are ones, not distances: a distance of 0 is no edge to a sparse graph.
    graph = coo_array((np.ones(len(first), dtype=np.int8), (first, second)), shape=(n_images, n_images))
    _, labels = connected_components(graph, directed=False)
    return labels, np.bincount(labels)[labels] > 1
