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
    size : ndarray of shape (n_images + n_merges,), int64
        Images in each node.
    above : ndarray of shape (n_images,), int64
        Another image of the larger group that the image's group was merged into; -1 none. A way to the top of few
        steps, because the smaller group always hangs below the larger one.
    above_height : ndarray of shape (n_images,), float64
        rms of that merge.
    merges, merge_starts : ndarray of int64
        Merges of the groups that each image is the top of, ascending.
    """

    n_images: int
    left: np.ndarray
    right: np.ndarray
    height: np.ndarray
    size: np.ndarray
    above: np.ndarray
    above_height: np.ndarray
    merges: np.ndarray
    merge_starts: np.ndarray

    def node(self, image: int, threshold: float) -> int:
        """Return the node of an image's group below a threshold; the image itself if it is in none."""
        while self.above[image] >= 0 and self.above_height[image] < threshold:
            image = int(self.above[image])
        own = self.merges[self.merge_starts[image] : self.merge_starts[image + 1]]
        n_below = int(np.searchsorted(self.height[own], threshold, side="left"))
        return self.n_images + int(own[n_below - 1]) if n_below else image

    def members(self, node: int) -> np.ndarray:
        """Return the rows of the images in a node, ascending."""
        found: list[int] = []
        stack = [node]
        while stack:
            node = stack.pop()
            if node < self.n_images:
                found.append(node)
            else:
                stack += (int(self.left[node - self.n_images]), int(self.right[node - self.n_images]))
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
    edges = _spanning_pairs(first, second, n_images)
    n_merges = len(edges)
    above, above_merge = [-1] * n_images, [0] * n_images
    node_of = list(range(n_images))
    size = [1] * n_images + [0] * n_merges
    left, right, tops = [0] * n_merges, [0] * n_merges, [0] * n_merges
    ends = zip(first[edges].tolist(), second[edges].tolist(), strict=True)
    for merge, (image_a, image_b) in enumerate(ends):
        top, other = image_a, image_b
        while above[top] >= 0:
            top = above[top]
        while above[other] >= 0:
            other = above[other]
        if size[node_of[top]] < size[node_of[other]]:
            top, other = other, top
        left[merge], right[merge] = node_of[top], node_of[other]
        node = n_images + merge
        size[node] = size[node_of[top]] + size[node_of[other]]
        node_of[top] = node
        tops[merge] = top
        above[other], above_merge[other] = top, merge
    heights = rms[edges]
    top_of_merge = np.array(tops, dtype=np.int64)
    merges = np.argsort(top_of_merge, kind="stable")
    return Linkage(
        n_images=n_images,
        left=np.array(left, dtype=np.int64),
        right=np.array(right, dtype=np.int64),
        height=heights,
        size=np.array(size, dtype=np.int64),
        above=np.array(above, dtype=np.int64),
        above_height=heights[above_merge] if n_merges else np.zeros(n_images),
        merges=merges,
        merge_starts=np.searchsorted(top_of_merge[merges], np.arange(n_images + 1)),
    )


def _spanning_pairs(first: np.ndarray, second: np.ndarray, n_images: int) -> np.ndarray:
    """Return the rows of the pairs that join two groups when pairs are taken in order, ascending."""
    if not len(first):
        return np.zeros(0, dtype=np.int64)
    # The weight is the pair's place in the order: it breaks ties, and is never 0, which would be no edge at all.
    weights = np.arange(1, len(first) + 1, dtype=np.float64)
    graph = coo_array((weights, (first, second)), shape=(n_images, n_images)).tocsr()
    return np.sort(minimum_spanning_tree(graph).data.astype(np.int64)) - 1


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
    best_rank : ndarray of shape (n_images + n_merges,), int64
        Rank of the keeper of each node of the linkage.
    image_at_rank : ndarray of shape (n_images,), int64
        The image of each rank.
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
    best_rank: np.ndarray
    image_at_rank: np.ndarray
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
        best_rank=np.array(best, dtype=np.int64),
        image_at_rank=image_at_rank,
        moves_at=moves_at,
        size_bytes=sizes,
        folders=[str(folder) for folder in folders],
        folder_of_image=codes,
    )


def _running(steps: np.ndarray) -> np.ndarray:
    return np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(steps, dtype=np.int64)))
