"""What stays for a person to look at: everything the measure found, and of the rest what is called the same picture."""

from __future__ import annotations

import pandas as pd

from dupkit.pairs import VERDICTS, confirmed_pairs
from dupkit.schema import build_table


def test_proposals_stay_only_where_they_are_called_the_same() -> None:
    n = len(VERDICTS)
    pairs = build_table(
        "pairs",
        {
            "image_a": [0] * 3 * n,
            "image_b": range(1, 3 * n + 1),
            "rms": [float(row) for row in range(3 * n)],
            "kind": ["maybe"] * 3 * n,
            "measure": ["rms"] * 3 * n,
            "proposed_by": ["rms"] * n + ["hellinger"] * n + ["structure"] * n,
            "same_bytes": [False] * 3 * n,
            "structure": [0.5] * 3 * n,
            "transform": ["same"] * 3 * n,
            "verdict": [*VERDICTS] * 3,
        },
        attrs={"max_rms": 1000.0},
    )
    kept = confirmed_pairs(pairs)
    assert list(zip(kept["proposed_by"], kept["verdict"], strict=True)) == [
        *(("rms", verdict) for verdict in VERDICTS),
        *(("hellinger", verdict) for verdict in VERDICTS if verdict.startswith("same")),
        *(("structure", verdict) for verdict in VERDICTS if verdict.startswith("same")),
    ]
    assert kept.attrs == pairs.attrs
    assert kept.index.equals(pd.RangeIndex(len(kept)))
