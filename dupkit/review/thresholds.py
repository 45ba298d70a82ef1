"""Pairs, groups, files and bytes as functions of the threshold, computed once and looked up ever after.

Raising the threshold only merges groups. A spanning forest of the pairs, taken in order of rms, holds all merges: at
most one fewer than there are images. At each merge the better of the two keepers stays and the other one becomes a
file that would move, for good; so counts at any threshold are running sums over the merges.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree


@dataclass(frozen=True)
class Linkage:
    """All merges of groups, in order of rms (a single-linkage tree).

    Node ``i < n_images`` is an image, node ``n_images + k`` the group that merge ``k`` makes.

    Attributes
    ----------
    n_images : int
    left, right : ndarray of shape (n_merges,), int64
        The two nodes that a merge joins.
    height : ndarray of shape (n_merges,), float64
        rms of the pair that joins them, ascending.
    parent : ndarray of shape (n_images + n_merges,), int64
        The node that a node is merged into; -1 at a root.
    """

    n_images: int
    left: np.ndarray
    right: np.ndarray
    height: np.ndarray
    parent: np.ndarray

    def members(self, image: int, threshold: float) -> np.ndarray:
        """Return the rows of the images in one image's group below a threshold, ascending; itself alone if in none."""
        node = image
        while (above := int(self.parent[node])) >= 0 and self.height[above - self.n_images] < threshold:
            node = above
        found: list[int] = []
        stack = [node]
        while stack:
            node = stack.pop()
            if node < self.n_images:
                found.append(node)
            else:
                merge = node - self.n_images
                stack += (int(self.left[merge]), int(self.right[merge]))
        return np.sort(np.array(found, dtype=np.int64))


def link_pairs(first: np.ndarray, second: np.ndarray, rms: np.ndarray, n_images: int) -> Linkage:
    """Return all merges of groups that pairs make as the threshold rises.

    Parameters
    ----------
    first, second : ndarray of shape (n_pairs,), int
        Rows of the two images.
    rms : ndarray of shape (n_pairs,), float64
        Ascending.
    n_images : int
    """
    # The weight is the pair's place in the order: it breaks ties, and is never 0, which would be no edge at all.
    weights = np.arange(1, len(rms) + 1, dtype=np.float64)
    graph = coo_array((weights, (first, second)), shape=(n_images, n_images)).tocsr()
    tree = minimum_spanning_tree(graph).tocoo()
    by_weight = np.argsort(tree.data)
    edges = tree.data[by_weight].astype(np.int64) - 1
    n_merges = len(edges)
    group = list(range(n_images + n_merges))
    left, right = [0] * n_merges, [0] * n_merges
    node = n_images
    for merge, (image_a, image_b) in enumerate(zip(first[edges].tolist(), second[edges].tolist(), strict=True)):
        one, other = image_a, image_b
        # Each look-up of a group halves the way to it for the next one.
        while group[one] != one:
            group[one] = one = group[group[one]]
        while group[other] != other:
            group[other] = other = group[group[other]]
        left[merge], right[merge] = one, other
        group[one] = group[other] = node
        node += 1
    lefts, rights = np.array(left, dtype=np.int64), np.array(right, dtype=np.int64)
    parent = np.full(n_images + n_merges, -1, dtype=np.int64)
    parent[lefts] = parent[rights] = n_images + np.arange(n_merges)
    return Linkage(n_images, lefts, rights, rms[edges], parent)


@dataclass(frozen=True)
class ThresholdCounts:
    """Counts at every threshold; a lookup each.

    Attributes
    ----------
    rms : ndarray of shape (n_pairs,), float64
        Of the pairs that count, ascending.
    height : ndarray of shape (n_merges,), float64
        rms at which each merge happens, ascending.
    groups, files, n_bytes : ndarray of shape (n_merges + 1,), int64
        After so many merges: groups, files that would move and the bytes in them.
    moves_at : ndarray of shape (n_images,), float64
        An image would move at every threshold above this one; infinite: at none.
    size_bytes : ndarray of shape (n_images,), int64
        What each image adds to the bytes when it moves.
    folders : list of str
        Folders of the images, sorted.
    folder_of_image : ndarray of shape (n_images,), int64
        Rows of ``folders``.
    """

    rms: np.ndarray
    height: np.ndarray
    groups: np.ndarray
    files: np.ndarray
    n_bytes: np.ndarray
    moves_at: np.ndarray
    size_bytes: np.ndarray
    folders: list[str]
    folder_of_image: np.ndarray

    def at(self, threshold: float) -> dict[str, int]:
        """Return ``n_pairs``, ``n_groups``, ``n_files`` and ``n_bytes`` strictly below a threshold."""
        merges = int(np.searchsorted(self.height, threshold, side="left"))
        return {
            "n_pairs": int(np.searchsorted(self.rms, threshold, side="left")),
            "n_groups": int(self.groups[merges]),
            "n_files": int(self.files[merges]),
            "n_bytes": int(self.n_bytes[merges]),
        }

    def curve(self, max_rms: int) -> dict[str, np.ndarray]:
        """Return ``threshold`` 0, 1, ..., max_rms, and ``pairs``, ``groups``, ``files``, ``bytes`` below each."""
        thresholds = np.arange(max_rms + 1)
        merges = np.searchsorted(self.height, thresholds, side="left")
        return {
            "threshold": thresholds,
            "pairs": np.searchsorted(self.rms, thresholds, side="left"),
            "groups": self.groups[merges],
            "files": self.files[merges],
            "bytes": self.n_bytes[merges],
        }

    def by_folder(self, threshold: float) -> pd.DataFrame:
        """Return a row for each folder with files that would move, most bytes first: folder, n_files, n_bytes."""
        moving = np.flatnonzero(self.moves_at < threshold)
        codes = self.folder_of_image[moving]
        files = np.bincount(codes, minlength=len(self.folders))
        # Weights are float64: exact up to 2**53 bytes.
        sizes = np.bincount(codes, weights=self.size_bytes[moving], minlength=len(self.folders)).astype(np.int64)
        rows = np.flatnonzero(files)
        rows = rows[np.lexsort((rows, -sizes[rows]))]
        return pd.DataFrame(
            {
                "folder": pd.Series([self.folders[row] for row in rows], dtype="str"),
                "n_files": files[rows].astype(np.int64),
                "n_bytes": sizes[rows],
            }
        )


def count_thresholds(
    linkage: Linkage, rms: np.ndarray, images: pd.DataFrame, rank: np.ndarray, reference: np.ndarray
) -> ThresholdCounts:
    """Return the counts at every threshold for one order of keepers.

    Parameters
    ----------
    linkage : Linkage
    rms : ndarray of shape (n_pairs,), float64
        Of the pairs that the linkage was made from, ascending.
    images : DataFrame
        The images table.
    rank : ndarray of shape (n_images,), int64
        The order of keepers; the smallest rank of a group is kept.
    reference : ndarray of shape (n_images,), bool
        Images that never move; their ranks come before all others.
    """
    n_images, n_merges = linkage.n_images, len(linkage.height)
    best = np.concatenate((rank, np.zeros(n_merges, dtype=np.int64))).tolist()
    losers = [0] * n_merges
    for merge, (left, right) in enumerate(zip(linkage.left.tolist(), linkage.right.tolist(), strict=True)):
        one, other = best[left], best[right]
        if one > other:
            one, other = other, one
        best[n_images + merge] = one
        losers[merge] = other
    image_at_rank = np.argsort(rank)
    moved = image_at_rank[np.array(losers, dtype=np.int64)]
    moves = ~reference
    sizes = np.where(moves, images["size_bytes"].to_numpy(), 0)
    single = (linkage.left < n_images).astype(np.int64) + (linkage.right < n_images)
    moves_at = np.full(n_images, np.inf)
    moves_at[moved] = linkage.height
    moves_at[reference] = np.inf
    folder_names = [path.rpartition("/")[0] for path in images["path"].tolist()]
    codes, folders = pd.factorize(np.array(folder_names, dtype=object), sort=True)
    return ThresholdCounts(
        rms=rms,
        height=linkage.height,
        groups=_running(single - 1),
        files=_running(moves[moved].astype(np.int64)),
        n_bytes=_running(sizes[moved]),
        moves_at=moves_at,
        size_bytes=sizes,
        folders=[str(folder) for folder in folders],
        folder_of_image=codes,
    )


def _running(steps: np.ndarray) -> np.ndarray:
    return np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(steps, dtype=np.int64)))
