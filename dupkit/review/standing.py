"""Which decision stands for each pair at hand, given all that were ever taken.

A decision on the same two files (root, paths and contents) is the pair's own; its latest counts. A rejection also
travels with the two contents, to other folders and new names: it stands where it is later than the pair's own
decision. An approval travels nowhere; elsewhere the pair only shows that it was approved before.

Two files with the same bytes are an exception, because "keep both" is then about the files and not the contents: the
rejection of such a pair stays with its two files while both are there, and never overrules an own decision.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import repeat

import numpy as np
import pandas as pd

from dupkit.review.decisions import DECISION_WORDS, Stored
from dupkit.review.ordering import distinct, stable_order

APPROVED, REJECTED, SKIPPED, UNDONE = 1, 2, 3, 4
_CODES = {word: code for code, word in enumerate(DECISION_WORDS)}


MOST_LOOKED_AT = 50
"""Pairs decided in one step that a person still saw one by one (a group, say); a rule decides more."""


class Standing:
    """The standing decision of every pair, kept up to date as decisions are added.

    Parameters
    ----------
    images : DataFrame
        The images table.
    first, second : ndarray of shape (n_pairs,), int
        Rows of ``images`` of the two images of each pair.
    root : bytes
        Folder of the images.

    Attributes
    ----------
    code : ndarray of shape (n_pairs,), int8
        0 undecided, 1 approved, 2 rejected, 3 skipped.
    counts : ndarray of shape (4,), int64
        How many pairs stand undecided, approved, rejected and skipped.
    looked_at : ndarray of shape (n_pairs,), bool
        Decided, and in a step of few pairs: a person saw it.
    approved_before : ndarray of shape (n_pairs,), bool
        Undecided here, but the same two contents were approved elsewhere.
    keeper : ndarray of shape (n_pairs,), int64
        Row of the image chosen by hand to be kept; -1: by the rules.
    by_images : ndarray of shape (n_pairs,), int64
        The pairs in order of their images.
    own_id : ndarray of shape (n_pairs,), int64
        decision_id of the pair's own latest decision; 0 none.
    taken_id : ndarray of shape (n_pairs,), int64
        The same, but where an undo brought an earlier decision back: the decision_id of that one.
    """

    def __init__(self, images: pd.DataFrame, first: np.ndarray, second: np.ndarray, root: bytes) -> None:
        n_pairs, n_images = len(first), max(len(images), 1)
        self._root = root
        self._n_images = n_images
        self._row_of_path = {path: row for row, path in enumerate(images["path"].tolist())}
        content, uniques = pd.factorize(images["content_hash"])
        self._content = content
        self._content_of_hash = {text: code for code, text in enumerate(uniques.tolist()) if text}
        self._n_contents = max(len(uniques), 1)
        low, high = np.minimum(first, second), np.maximum(first, second)
        keys = low.astype(np.int64) * n_images + high
        self.by_images = stable_order(keys)
        self._pair_keys = keys[self.by_images]
        content_a, content_b = content[first].astype(np.int64), content[second].astype(np.int64)
        contents = np.minimum(content_a, content_b) * self._n_contents + np.maximum(content_a, content_b)
        self._by_content = stable_order(contents)
        in_order = contents[self._by_content]
        is_new = np.diff(in_order, prepend=-1) != 0
        starts = np.flatnonzero(is_new)
        self._content_keys = in_order[starts]
        self._content_starts = np.append(starts, n_pairs)
        self._content_pair = np.empty(n_pairs, dtype=np.int64)
        self._content_pair[self._by_content] = np.cumsum(is_new) - 1
        self._same_content = content_a == content_b
        self.own_id = np.zeros(n_pairs, dtype=np.int64)
        self.taken_id = np.zeros(n_pairs, dtype=np.int64)
        self._own_code = np.zeros(n_pairs, dtype=np.int8)
        self._own_keeper = np.full(n_pairs, -1, dtype=np.int64)
        self._content_id = np.zeros(len(self._content_keys), dtype=np.int64)
        self._content_code = np.zeros(len(self._content_keys), dtype=np.int8)
        # Which two files the statement about the contents came from: only they can take it back.
        self._content_source = np.zeros(len(self._content_keys), dtype=np.int64)
        self.code = np.zeros(n_pairs, dtype=np.int8)
        self.keeper = np.full(n_pairs, -1, dtype=np.int64)
        self.approved_before = np.zeros(n_pairs, dtype=bool)
        self._own_looked_at = np.zeros(n_pairs, dtype=bool)
        self.looked_at = np.zeros(n_pairs, dtype=bool)
        self.counts = np.array([n_pairs, 0, 0, 0], dtype=np.int64)

    @property
    def rejected_before(self) -> np.ndarray:
        """Whether each pair stands rejected by what was decided about the same two contents elsewhere; bool."""
        return np.asarray((self.code == REJECTED) & (self._own_code != REJECTED))

    def position_of(self, path_a: str, path_b: str) -> int:
        """Return the position of the pair of two paths; -1 if it is none here."""
        return int(self.positions_of([path_a], [path_b])[0])

    def positions_of(self, paths_a: Sequence[str], paths_b: Sequence[str]) -> np.ndarray:
        """Return the positions of pairs by their paths; -1 where a pair is none here."""
        image_a, image_b = _looked_up(self._row_of_path, paths_a), _looked_up(self._row_of_path, paths_b)
        positions = np.full(len(paths_a), -1, dtype=np.int64)
        here = np.flatnonzero((image_a >= 0) & (image_b >= 0))
        keys = np.minimum(image_a, image_b)[here] * self._n_images + np.maximum(image_a, image_b)[here]
        there, places = _found(keys, self._pair_keys)
        positions[here[there]] = self.by_images[places]
        return positions

    def taken_ids(self, positions: np.ndarray) -> np.ndarray:
        """Return ``taken_id`` of some positions; 0 for those that are -1."""
        found = np.zeros(len(positions), dtype=np.int64)
        here = np.flatnonzero(positions >= 0)
        found[here] = self.taken_id[positions[here]]
        return found

    def load(self, stored: Sequence[Stored]) -> np.ndarray:
        """Take in stored decisions, oldest first, whole batches; return the positions of the pairs that they touch."""
        if not stored:
            return np.zeros(0, dtype=np.int64)
        (
            ids_read,
            batches,
            undoes,
            roots,
            paths_a,
            paths_b,
            hashes_a,
            hashes_b,
            words,
            keeper_paths,
            stand_for,
            times,
        ) = zip(*stored, strict=True)
        content_a = _looked_up(self._content_of_hash, hashes_a)
        content_b = _looked_up(self._content_of_hash, hashes_b)
        known = np.flatnonzero((content_a >= 0) & (content_b >= 0))
        if not len(known):
            return known
        image_a, image_b = _looked_up(self._row_of_path, paths_a), _looked_up(self._row_of_path, paths_b)
        here = np.array([root == self._root for root in roots], dtype=bool)
        here &= (image_a >= 0) & (image_b >= 0)
        here &= (self._content[image_a] == content_a) & (self._content[image_b] == content_b)
        here[(content_a < 0) | (content_b < 0)] = False
        codes = np.array([_CODES[word] for word in words], dtype=np.int8)
        ids = np.array(ids_read, dtype=np.int64)
        position = np.full(len(stored), -1, dtype=np.int64)
        rows = np.flatnonzero(here)
        keys = np.minimum(image_a, image_b)[rows] * self._n_images + np.maximum(image_a, image_b)[rows]
        there, places = _found(keys, self._pair_keys)
        rows = rows[there]
        position[rows] = self.by_images[places]
        self._own_looked_at[position[rows]] = _together(batches, times)[rows] <= MOST_LOOKED_AT
        keepers = _looked_up(self._row_of_path, keeper_paths)[rows]
        self._take_own(position[rows], ids[rows], codes[rows], keepers)
        is_undo = np.array([batch is not None for batch in undoes], dtype=bool)
        self.taken_id[position[rows]] = np.where(is_undo, np.array(stand_for, dtype=np.int64), ids)[rows]
        speak = known[(codes[known] != SKIPPED) & ~(here[known] & (content_a[known] == content_b[known]))]
        keys = np.minimum(content_a, content_b)[speak] * self._n_contents + np.maximum(content_a, content_b)[speak]
        there, contents = _found(keys, self._content_keys)
        speak = speak[there]
        sources = position[speak]
        for place in np.flatnonzero(sources < 0).tolist():
            row = speak[place]
            sources[place] = _source_elsewhere(roots[row], paths_a[row], paths_b[row])
        self._take_contents(contents, ids[speak], codes[speak], sources)
        return self._settle(np.concatenate((position[rows], self._pairs_with(distinct(contents)))))

    def record(self, positions: np.ndarray, codes: np.ndarray, keepers: np.ndarray, first_id: int) -> np.ndarray:
        """Take in a batch of own decisions just written, and return the positions of all pairs that it touches.

        Parameters
        ----------
        positions : ndarray of int
            Pairs decided, each once, in the order written.
        codes : ndarray of int8
            1 approved, 2 rejected, 3 skipped, 4 undone.
        keepers : ndarray of int
            Row of the keeper chosen by hand, or -1.
        first_id : int
            decision_id of the first one; the others follow.
        """
        ids = first_id + np.arange(len(positions), dtype=np.int64)
        self._own_looked_at[positions] = len(positions) <= MOST_LOOKED_AT
        self._take_own(positions, ids, codes, keepers)
        self.taken_id[positions] = ids
        speak = ~self._same_content[positions] & (codes != SKIPPED)
        contents = self._content_pair[positions[speak]]
        self._take_contents(contents, ids[speak], codes[speak], positions[speak])
        return self._settle(np.concatenate((positions, self._pairs_with(distinct(contents)))))

    def _take_own(self, positions: np.ndarray, ids: np.ndarray, codes: np.ndarray, keepers: np.ndarray) -> None:
        # Where a position stands there twice, numpy keeps the last one: the latest.
        self.own_id[positions] = ids
        self._own_code[positions] = codes
        self._own_keeper[positions] = keepers

    def _take_contents(self, contents: np.ndarray, ids: np.ndarray, codes: np.ndarray, sources: np.ndarray) -> None:
        """Take in statements about contents, oldest first; only its own source takes a statement back."""
        taken_back = np.zeros(len(self._content_keys) if len(contents) > 1 else 0, dtype=bool)
        if len(contents) > 1:
            taken_back[contents[codes == UNDONE]] = True
            slow = taken_back[contents]
        else:
            slow = codes == UNDONE
        fast = ~slow
        self._content_id[contents[fast]] = ids[fast]
        self._content_code[contents[fast]] = codes[fast]
        self._content_source[contents[fast]] = sources[fast]
        for row in np.flatnonzero(slow).tolist():
            content = contents[row]
            if codes[row] != UNDONE or self._content_source[content] == sources[row]:
                self._content_id[content] = ids[row]
                self._content_code[content] = codes[row]
                self._content_source[content] = sources[row]

    def _pairs_with(self, contents: np.ndarray) -> np.ndarray:
        starts, ends = self._content_starts[contents], self._content_starts[contents + 1]
        if len(contents) == 1:
            return self._by_content[starts[0] : ends[0]]
        marked = np.zeros(len(self._content_keys), dtype=bool)
        marked[contents] = True
        return np.flatnonzero(marked[self._content_pair]) if len(contents) else np.zeros(0, dtype=np.int64)

    def _settle(self, touched: np.ndarray) -> np.ndarray:
        touched = distinct(touched)
        content, own = self._content_pair[touched], self._own_code[touched]
        own_counts = (own != 0) & (own != UNDONE)
        travels = (self._content_code[content] == REJECTED) & (self._content_id[content] > self.own_id[touched])
        travels &= ~(self._same_content[touched] & own_counts)
        code = np.where(travels, REJECTED, np.where(own_counts, own, 0)).astype(np.int8)
        self.counts += np.bincount(code, minlength=4) - np.bincount(self.code[touched], minlength=4)
        self.code[touched] = code
        self.looked_at[touched] = np.where(travels, True, self._own_looked_at[touched]) & (code != 0)
        self.keeper[touched] = np.where(code == APPROVED, self._own_keeper[touched], -1)
        self.approved_before[touched] = (code == 0) & (self._content_code[content] == APPROVED)
        return touched


def _looked_up(table: Mapping[str, int], words: Sequence[str]) -> np.ndarray:
    return np.fromiter(map(table.get, words, repeat(-1)), dtype=np.int64, count=len(words))


def _found(keys: np.ndarray, sorted_keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which keys are there, as rows of ``keys``, and their places in ``sorted_keys``."""
    if not len(keys) or not len(sorted_keys):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    places = np.minimum(np.searchsorted(sorted_keys, keys), len(sorted_keys) - 1)
    there = np.flatnonzero(sorted_keys[places] == keys)
    return there, places[there]


def _source_elsewhere(root: bytes, path_a: str, path_b: str) -> int:
    """Return a negative number for the two files of a decision that are not a pair here."""
    return -1 - (hash((root, path_a, path_b)) & 0x3FFF_FFFF_FFFF_FFFF)


def _together(batches: Sequence[int], times: Sequence[str]) -> np.ndarray:
    """Return for each decision how many were taken in one step: of one batch, and at one time.

    The decisions of another person come as one batch, each with its own time.
    """
    starts = np.flatnonzero(np.diff(np.array(batches, dtype=np.int64), prepend=-1))
    sizes = np.diff(starts, append=len(batches))
    together = np.repeat(sizes, sizes)
    for start, size in zip(
        starts[sizes > MOST_LOOKED_AT].tolist(), sizes[sizes > MOST_LOOKED_AT].tolist(), strict=True
    ):
        several = Counter(times[start : start + size])
        together[start : start + size] = [several[time] for time in times[start : start + size]]
    return together
