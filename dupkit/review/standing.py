"""Which decision stands for each pair at hand, given all that were ever taken.

A decision on the same two files (root, paths and contents) is the pair's own; its latest counts. A rejection also
travels with the two contents, to other folders and new names: it stands where it is later than the pair's own
decision. An approval travels nowhere; elsewhere the pair only shows that it was approved before.

Two files with the same bytes are an exception, because "keep both" is then about the files and not the contents: the
rejection of such a pair stays with its two files while both are there, and never overrules an own decision.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from dupkit.review.decisions import DECISION_WORDS, Stored
from dupkit.review.ordering import stable_order

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
    """

    def __init__(self, images: pd.DataFrame, first: np.ndarray, second: np.ndarray, root: bytes) -> None:
        n_pairs, n_images = len(first), max(len(images), 1)
        self._root = root
        self._n_images = n_images
        self._hashes = images["content_hash"].tolist()
        self._row_of_path = {path: row for row, path in enumerate(images["path"].tolist())}
        content, uniques = pd.factorize(np.array(self._hashes, dtype=object))
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

    def position_of(self, path_a: str, path_b: str) -> int:
        """Return the position of the pair of two paths; -1 if it is none here."""
        image_a, image_b = self._row_of_path.get(path_a), self._row_of_path.get(path_b)
        if image_a is None or image_b is None or not len(self._pair_keys):
            return -1
        key = min(image_a, image_b) * self._n_images + max(image_a, image_b)
        place = int(np.searchsorted(self._pair_keys, key))
        there = place < len(self._pair_keys) and self._pair_keys[place] == key
        return int(self.by_images[place]) if there else -1

    def load(self, stored: Sequence[Stored]) -> np.ndarray:
        """Take in stored decisions, oldest first, and return the positions of the pairs that they touch."""
        own_rows, own_keys, content_rows, content_keys = [], [], [], []
        for row, one in enumerate(stored):
            pair = one.row
            content_a = self._content_of_hash.get(pair.content_hash_a)
            content_b = self._content_of_hash.get(pair.content_hash_b)
            if content_a is None or content_b is None:
                continue
            image_a, image_b = self._row_of_path.get(pair.path_a), self._row_of_path.get(pair.path_b)
            here = (
                one.root == self._root
                and image_a is not None
                and image_b is not None
                and self._hashes[image_a] == pair.content_hash_a
                and self._hashes[image_b] == pair.content_hash_b
            )
            if here and image_a is not None and image_b is not None:
                own_rows.append(row)
                own_keys.append(min(image_a, image_b) * self._n_images + max(image_a, image_b))
            if pair.decision != "skipped" and not (here and content_a == content_b):
                content_rows.append(row)
                content_keys.append(min(content_a, content_b) * self._n_contents + max(content_a, content_b))
        rows, places = _found(own_rows, own_keys, self._pair_keys)
        positions = self.by_images[places]
        position_of_row = dict(zip(rows, positions.tolist(), strict=True))
        steps = Counter((one.batch, one.row.decided_at) for one in stored)
        looked_at = [steps[stored[row].batch, stored[row].row.decided_at] <= MOST_LOOKED_AT for row in rows]
        self._own_looked_at[positions] = looked_at
        self._take_own(
            positions,
            np.array([stored[row].decision_id for row in rows], dtype=np.int64),
            np.array([_CODES[stored[row].row.decision] for row in rows], dtype=np.int8),
            np.array([self._row_of_path.get(stored[row].row.keeper, -1) for row in rows], dtype=np.int64),
        )
        rows, contents = _found(content_rows, content_keys, self._content_keys)
        for row, content in zip(rows, contents.tolist(), strict=True):
            one = stored[row]
            source = position_of_row.get(row, _source_elsewhere(one))
            self._take_content(content, one.decision_id, _CODES[one.row.decision], source)
        return self._settle(np.concatenate((positions, self._pairs_with(np.unique(contents)))))

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
        speak = ~self._same_content[positions] & (codes != SKIPPED)
        contents, sources = self._content_pair[positions[speak]], positions[speak]
        spoken = np.unique(contents)
        if len(spoken) == len(contents):
            ids, codes = ids[speak], codes[speak]
            heard = (codes != UNDONE) | (self._content_source[contents] == sources)
            self._content_id[contents[heard]] = ids[heard]
            self._content_code[contents[heard]] = codes[heard]
            self._content_source[contents[heard]] = sources[heard]
        else:
            for content, one_id, code, source in zip(
                contents.tolist(), ids[speak].tolist(), codes[speak].tolist(), sources.tolist(), strict=True
            ):
                self._take_content(content, one_id, code, source)
        return self._settle(np.concatenate((positions, self._pairs_with(spoken))))

    def _take_own(self, positions: np.ndarray, ids: np.ndarray, codes: np.ndarray, keepers: np.ndarray) -> None:
        # Where a position stands there twice, numpy keeps the last one: the latest.
        self.own_id[positions] = ids
        self._own_code[positions] = codes
        self._own_keeper[positions] = keepers

    def _take_content(self, content: int, decision_id: int, code: int, source: int) -> None:
        if code == UNDONE and self._content_source[content] != source:
            return
        self._content_id[content] = decision_id
        self._content_code[content] = code
        self._content_source[content] = source

    def _pairs_with(self, contents: np.ndarray) -> np.ndarray:
        starts, ends = self._content_starts[contents], self._content_starts[contents + 1]
        if len(contents) == 1:
            return self._by_content[starts[0] : ends[0]]
        marked = np.zeros(len(self._content_keys), dtype=bool)
        marked[contents] = True
        return np.flatnonzero(marked[self._content_pair]) if len(contents) else np.zeros(0, dtype=np.int64)

    def _settle(self, touched: np.ndarray) -> np.ndarray:
        touched = np.unique(touched)
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


def _found(rows: list[int], keys: list[int], sorted_keys: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Return the rows whose key is there, and its place in ``sorted_keys``."""
    if not rows or not len(sorted_keys):
        return [], np.zeros(0, dtype=np.int64)
    wanted = np.array(keys, dtype=np.int64)
    places = np.minimum(np.searchsorted(sorted_keys, wanted), len(sorted_keys) - 1)
    there = sorted_keys[places] == wanted
    return [row for row, found in zip(rows, there.tolist(), strict=True) if found], places[there]


def _source_elsewhere(stored: Stored) -> int:
    """Return a negative number for the two files of a decision that are not a pair here."""
    return -1 - (hash((stored.root, stored.row.path_a, stored.row.path_b)) & 0x3FFF_FFFF_FFFF_FFFF)
