"""Bulk rules: decide many pairs by what the tables say about them, seen first and undone as one step.

A rule is a dict that the page can send as JSON: ``decision`` ("approved", "rejected" or "skipped"), any other filters
of :mod:`dupkit.review.listing` (``show`` is ``"below"`` the threshold unless it says otherwise), and optionally

- ``keep``: "" (the keeper rules decide), ``"larger"`` (more pixels, then the larger file) or ``"folder:NAME"`` (the
  one below that folder; pairs with both or none below it are left alone)
- ``decided_too``: True to decide again what was decided already; skipped pairs count as undecided
- ``same_bytes``: True or False, for pairs whose two files do or do not hold the same bytes
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dupkit.review.decisions import DECISION_WORDS
from dupkit.review.keepers import below_folder
from dupkit.review.listing import FILTERS, check_filters

SUGGESTED_RULES: tuple[tuple[str, dict[str, object]], ...] = (
    ("Approve all same bytes", {"decision": "approved", "show": "all", "same_bytes": True}),
    ("Approve all same pixels", {"decision": "approved", "show": "all", "verdict": ["same pixels"]}),
    ("Approve same pictures below the threshold", {"decision": "approved", "verdict": ["same picture"]}),
    ("Reject look-alikes below the threshold", {"decision": "rejected", "verdict": ["look-alike"]}),
)
"""Rules to offer, each with its words."""

_DECISIONS = DECISION_WORDS[1:4]
_OWN_KEYS = ("decision", "keep", "decided_too", "same_bytes")


@dataclass(frozen=True)
class BulkStep:
    """What a rule would decide: rows of the pairs table and for each the row of the image to keep, or -1."""

    decision: str
    positions: np.ndarray
    keepers: np.ndarray


def check_rule(rule: Mapping[str, object]) -> dict[str, object]:
    """Return a rule.

    Raises
    ------
    ValueError
        A key or its value is not allowed.
    """
    for name in rule:
        if name not in (*_OWN_KEYS, *FILTERS):
            msg = f"rule: {name!r} is no part of a rule; allowed are {', '.join((*_OWN_KEYS, *FILTERS))}"
            raise ValueError(msg)
    if rule.get("decision") not in _DECISIONS:
        msg = f"rule: decision={rule.get('decision')!r} is not allowed; it must be one of {', '.join(_DECISIONS)}"
        raise ValueError(msg)
    keep = rule.get("keep", "")
    if not isinstance(keep, str) or not (keep in ("", "larger") or keep.startswith("folder:")):
        msg = f"rule: keep={keep!r} is not allowed; it must be '', 'larger' or 'folder:NAME'"
        raise ValueError(msg)
    check_filters(rule_filters(rule))
    return dict(rule)


def rule_filters(rule: Mapping[str, object]) -> dict[str, object]:
    """Return the part of a rule that is a filter of the list."""
    return {name: value for name, value in rule.items() if name in FILTERS and name not in _OWN_KEYS}


def bulk_step(
    rule: Mapping[str, object],
    found: np.ndarray,
    codes: np.ndarray,
    pairs: pd.DataFrame,
    images: pd.DataFrame,
    first: np.ndarray,
    second: np.ndarray,
) -> BulkStep:
    """Return what a rule decides among the pairs that its filter lets through.

    Parameters
    ----------
    rule : mapping
        A rule of :func:`check_rule`.
    found : ndarray of int
        Rows of ``pairs`` that the filter lets through.
    codes : ndarray of shape (n_pairs,), int8
        Standing decisions.
    pairs, images : DataFrame
        The tables.
    first, second : ndarray of shape (n_pairs,), int
        Rows of ``images`` of each pair.
    """
    decision = str(rule["decision"])
    code = DECISION_WORDS.index(decision)
    if rule.get("decided_too"):
        found = found[codes[found] != code]
    else:
        found = found[(codes[found] == 0) | ((codes[found] == 3) & (code != 3))]
    if "same_bytes" in rule:
        same = pairs["same_bytes"].to_numpy(dtype=bool, na_value=False)[found]
        known = pairs["same_bytes"].notna().to_numpy()[found]
        found = found[same if rule["same_bytes"] else known & ~same]
    keep = str(rule.get("keep", ""))
    keepers = np.full(len(found), -1, dtype=np.int64)
    if keep == "larger":
        a, b = first[found], second[found]
        pixels = images["width"].to_numpy() * images["height"].to_numpy()
        sizes = images["size_bytes"].to_numpy()
        b_larger = (pixels[b] > pixels[a]) | ((pixels[b] == pixels[a]) & (sizes[b] > sizes[a]))
        keepers = np.where(b_larger, b, a)
    elif keep:
        inside = below_folder(images["path"], keep.removeprefix("folder:"))
        a_in, b_in = inside[first[found]], inside[second[found]]
        found, a_in = found[a_in != b_in], a_in[a_in != b_in]
        keepers = np.where(a_in, first[found], second[found])
    return BulkStep(decision, found, keepers)


def preview_table(
    step: BulkStep,
    codes: np.ndarray,
    pairs: pd.DataFrame,
    images: pd.DataFrame,
    first: np.ndarray,
    second: np.ndarray,
) -> pd.DataFrame:
    """Return what a rule would decide, a row for each pair, in the table's order.

    Columns: position, path_a, path_b, rms, verdict, decision (now), would_be, keeper ('' = by the rules).
    """
    rows = step.positions
    paths = images["path"]
    words = np.array(DECISION_WORDS, dtype=object)
    chosen = step.keepers >= 0
    keeper = np.full(len(rows), "", dtype=object)
    keeper[chosen] = paths.iloc[step.keepers[chosen]].to_numpy(dtype=object)
    return pd.DataFrame(
        {
            "position": rows,
            "path_a": paths.iloc[first[rows]].array,
            "path_b": paths.iloc[second[rows]].array,
            "rms": pairs["rms"].to_numpy()[rows],
            "verdict": pairs["verdict"].iloc[rows].array,
            "decision": pd.Series(words[codes[rows]], dtype="str"),
            "would_be": pd.Series([step.decision] * len(rows), dtype="str"),
            "keeper": pd.Series(keeper, dtype="str"),
        }
    )
