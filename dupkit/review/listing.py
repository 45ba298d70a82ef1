"""Which pairs the list shows, and in which order.

A filter is a dict that the page can send as JSON; every key may be absent:

- ``show``: ``"below"`` the threshold (the default), ``"structure"`` (pairs that structure proposed), ``"all"``
- ``rms``: ``[lowest, highest]``, both inclusive
- ``decision``: a list of ``""`` (undecided), ``"approved"``, ``"rejected"``, ``"skipped"``,
  ``"approved before"``, ``"rejected before"`` (the same two contents, elsewhere)
- ``verdict``: a list of verdicts; ``""`` is: not described
- ``folder``: at least one of the two images lies below it; ``folders``: a list of which at least one does
- ``name``: a text that one of the two paths contains, capitals or not
- ``size_bytes``: least size of the smaller of the two files
- ``positions``: rows of the pairs table, these only (whatever the threshold)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from dupkit.review.decisions import DECISION_WORDS
from dupkit.review.keepers import below_folder
from dupkit.review.ordering import stable_order

ORDERS = ("rms", "-rms", "edge", "size", "structure", "verdict", "folder", "decision")
"""Sort keys: rms up or down, distance of rms from the threshold, most bytes first, best structure first, ..."""

FILTERS = ("show", "rms", "decision", "verdict", "folder", "folders", "name", "size_bytes", "positions")
"""The keys of a filter."""

_SHOWN = ("below", "structure", "all")


class Listing:
    """Filter and sort the pairs of one table; what can be sorted once is sorted once.

    Parameters
    ----------
    pairs, images : DataFrame
        The tables.
    first, second : ndarray of shape (n_pairs,), int
        Rows of ``images`` of each pair's images.
    by_structure : ndarray of shape (n_pairs,), bool
        Pairs that structure proposed.
    by_images : ndarray of shape (n_pairs,), int
        The pairs in order of their images, which is the order of their paths.
    """

    def __init__(
        self,
        pairs: pd.DataFrame,
        images: pd.DataFrame,
        first: np.ndarray,
        second: np.ndarray,
        by_structure: np.ndarray,
        by_images: np.ndarray,
    ) -> None:
        self._pairs, self._images = pairs, images
        self._first, self._second = first, second
        self._by_structure = by_structure
        self._by_images = by_images
        self._rms = pairs["rms"].to_numpy()
        self._sorted: dict[str, np.ndarray] = {}
        self._masks: dict[tuple[str, str], np.ndarray] = {}
        self._verdicts: tuple[np.ndarray, list[str]] | None = None

    def positions(
        self,
        filters: Mapping[str, object],
        order: str,
        threshold: float,
        codes: np.ndarray,
        before: Mapping[str, np.ndarray],
    ) -> np.ndarray:
        """Return the rows of the pairs that a filter lets through, sorted; int64.

        Parameters
        ----------
        filters : mapping
            See the module's text.
        order : str
            One of :data:`ORDERS`; ties follow the table's order.
        threshold : float
        codes : ndarray of shape (n_pairs,), int8
            Standing decisions.
        before : mapping of str to ndarray of shape (n_pairs,), bool
            What was decided about the same two contents elsewhere, by the word of the filter.
        """
        if "positions" in filters:
            asked = np.asarray(filters["positions"], dtype=np.int64).reshape(-1)
            chosen = np.zeros(len(self._rms), dtype=bool)
            chosen[asked[(asked >= 0) & (asked < len(chosen))]] = True
        else:
            chosen = self._shown(str(filters.get("show", "below")), threshold)
        for name, wanted in filters.items():
            if name not in ("show", "positions"):
                chosen = chosen & self._mask(name, wanted, codes, before)
        if order == "rms":
            return np.flatnonzero(chosen)
        if order == "edge":
            kept = np.flatnonzero(chosen)
            return kept[np.argsort(np.abs(self._rms[kept] - threshold), kind="stable")]
        if order == "decision":
            kept = np.flatnonzero(chosen)
            return kept[np.argsort(codes[kept], kind="stable")]
        permutation = self._permutation(order)
        return np.asarray(permutation[chosen[permutation]])

    def _shown(self, show: str, threshold: float) -> np.ndarray:
        if show == "below":
            chosen = ~self._by_structure
            chosen[np.searchsorted(self._rms, threshold, side="left") :] = False
            return chosen
        return np.array(self._by_structure) if show == "structure" else np.ones(len(self._rms), dtype=bool)

    def _mask(self, name: str, wanted: object, codes: np.ndarray, before: Mapping[str, np.ndarray]) -> np.ndarray:
        if name == "decision":
            words = [str(word) for word in _listed(wanted)]
            plain = [DECISION_WORDS.index(word) for word in words if word in DECISION_WORDS]
            table = np.zeros(len(DECISION_WORDS), dtype=bool)
            table[plain] = True
            mask = table[codes]
            for word, marked in before.items():
                if word in words:
                    mask = mask | marked
            return np.asarray(mask)
        # The other filters depend on the tables only, and on a few words of the page: they are kept.
        key = (name, repr(wanted))
        if key not in self._masks:
            if len(self._masks) >= 16:
                self._masks.clear()
            self._masks[key] = self._fixed_mask(name, wanted)
        return self._masks[key]

    def _fixed_mask(self, name: str, wanted: object) -> np.ndarray:
        if name == "rms":
            low, high = (float(str(bound)) for bound in _listed(wanted))
            return np.asarray((self._rms >= low) & (self._rms <= high))
        if name == "verdict":
            codes, words = self.verdict_codes()
            table = np.array([word in _listed(wanted) for word in words], dtype=bool)
            return np.asarray(table[codes])
        if name == "size_bytes":
            sizes = self._images["size_bytes"].to_numpy()
            return np.asarray(np.minimum(sizes[self._first], sizes[self._second]) >= int(str(wanted)))
        paths = self._images["path"]
        inside = np.zeros(len(paths), dtype=bool)
        if name == "name":
            inside = paths.str.casefold().str.contains(str(wanted).casefold(), regex=False).to_numpy(dtype=bool)
        else:
            for folder in [wanted] if name == "folder" else _listed(wanted):
                inside |= below_folder(paths, str(folder))
        return np.asarray(inside[self._first] | inside[self._second])

    def verdict_codes(self) -> tuple[np.ndarray, list[str]]:
        """Return each pair's verdict as a code, and the verdicts by code; '' where not described."""
        if self._verdicts is None:
            codes, words = pd.factorize(self._pairs["verdict"], sort=True, use_na_sentinel=True)
            names = [str(word) for word in words]
            if "" not in names:
                names.append("")
            self._verdicts = np.where(codes < 0, names.index(""), codes).astype(np.int16), names
        return self._verdicts

    def _permutation(self, order: str) -> np.ndarray:
        if order not in self._sorted:
            self._sorted[order] = self._sort(order)
        return self._sorted[order]

    def _sort(self, order: str) -> np.ndarray:
        if order == "-rms":
            # The table ascends in rms. Equal ones stay in its order.
            starts = np.flatnonzero(np.diff(self._rms, prepend=-1.0) != 0)
            return stable_order(len(starts) - np.searchsorted(starts, np.arange(len(self._rms)), side="right"))
        if order == "size":
            sizes = self._images["size_bytes"].to_numpy()
            _, places = np.unique(-sizes, return_inverse=True)
            return stable_order(np.maximum(places[self._first], places[self._second]))
        if order == "structure":
            # Four decimals are what the page shows; not described comes last.
            structure = np.nan_to_num(self._pairs["structure"].to_numpy(), nan=-1.0)
            return stable_order(np.rint((1.0 - structure) * 10_000).astype(np.int64))
        if order == "verdict":
            codes, _ = self.verdict_codes()
            return stable_order(codes.astype(np.int64))
        return self._by_images


def check_order(order: str) -> str:
    """Return a sort key.

    Raises
    ------
    ValueError
        It is none of :data:`ORDERS`.
    """
    if order not in ORDERS:
        msg = f"order: {order!r} is no sort key; allowed are {', '.join(ORDERS)}"
        raise ValueError(msg)
    return order


def check_filters(filters: Mapping[str, object]) -> dict[str, object]:
    """Return a filter.

    Raises
    ------
    ValueError
        A key or its value is not allowed.
    """
    checks: dict[str, tuple[Callable[[object], bool], str]] = {
        "show": (lambda value: value in _SHOWN, f"one of {', '.join(_SHOWN)}"),
        "rms": (_is_range, "[lowest, highest]"),
        "decision": (_is_texts, "a list of decisions"),
        "verdict": (_is_texts, "a list of verdicts"),
        "folder": (lambda value: isinstance(value, str), "the name of a folder"),
        "folders": (_is_texts, "a list of folders"),
        "name": (lambda value: isinstance(value, str), "a part of a name"),
        "size_bytes": (lambda value: isinstance(value, int), "a number of bytes"),
        "positions": (_is_numbers, "a list of rows of the pairs table"),
    }
    for name, value in filters.items():
        if name not in checks:
            msg = f"filters: {name!r} is no filter; allowed are {', '.join(FILTERS)}"
            raise ValueError(msg)
        allowed, words = checks[name]
        if not allowed(value):
            msg = f"filters: {name}={value!r} is not allowed; it must be {words}"
            raise ValueError(msg)
    return dict(filters)


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _is_texts(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)


def _is_numbers(value: object) -> bool:
    return isinstance(value, (list, tuple, np.ndarray)) and all(isinstance(item, (int, np.integer)) for item in value)


def _is_range(value: object) -> bool:
    return (
        isinstance(value, (list, tuple)) and len(value) == 2 and all(isinstance(item, (int, float)) for item in value)
    )
