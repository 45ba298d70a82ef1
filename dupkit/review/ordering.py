"""Sort a million rows by a whole number, ties in the table's order, in a few hundredths of a second."""

from __future__ import annotations

import numpy as np

_LARGEST = np.iinfo(np.int64).max


def stable_order(keys: np.ndarray) -> np.ndarray:
    """Return the rows that sort non-negative whole numbers, ties in their order; int64.

    Notes
    -----
    Sorting one number made of key and row is several times faster than an indirect sort, as long as it fits 63 bits.

    Examples
    --------
    >>> stable_order(np.array([2, 0, 2, 1])).tolist()
    [1, 3, 0, 2]
    """
    n_rows = len(keys)
    if not n_rows or int(keys.max()) >= _LARGEST // n_rows - 1:
        return np.argsort(keys, kind="stable")
    joined = keys.astype(np.int64) * n_rows + np.arange(n_rows)
    joined.sort()
    return np.asarray(joined % n_rows)


def distinct(values: np.ndarray) -> np.ndarray:
    """Return the different values of non-negative whole numbers, ascending.

    Examples
    --------
    >>> distinct(np.array([3, 1, 3])).tolist()
    [1, 3]
    """
    ordered = np.sort(values)
    return np.asarray(ordered[np.diff(ordered, prepend=-1) != 0])
