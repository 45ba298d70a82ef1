"""Images whose histograms are identical, thousands of them at times: black frames, blank scans, the same icon."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dupkit.pairs.projection import BLOCK_ROWS, Rows


def first_of_each(rows: Rows, new: NDArray[np.intp], old: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return, for every row, the position of the row that stands for all identical ones.

    That is the first of `new` in its set of identical rows, or of `old` where the set has no new row.
    """
    position_of: dict[bytes, int] = {}
    first = np.arange(len(rows))
    for part in (new, old):
        for start in range(0, len(part), BLOCK_ROWS):
            positions = part[start : start + BLOCK_ROWS]
            # Adding 0 makes -0 a 0: equal numbers, equal bytes.
            block = rows.stored_at(positions) + np.float32(0)
            for position, row in zip(positions.tolist(), block, strict=True):
                first[position] = position_of.setdefault(row.tobytes(), position)
    return first


def ties(
    first: NDArray[np.intp], new: NDArray[np.intp], old: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the pairs that tie each set of identical rows together: every other row with the one that stands for all.

    Two old rows are no pair.
    """
    is_new = np.zeros(len(first), dtype=bool)
    is_new[new] = True
    members = np.concatenate([new, old])
    tied = members[(first[members] != members) & is_new[first[members]]]
    return first[tied], tied
