"""Which of the described pairs are worth a person's time."""

from __future__ import annotations

import pandas as pd

from dupkit.pairs.verdict import SAME_VERDICTS
from dupkit.schema import check_table


def confirmed_pairs(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return every pair that the histograms' measure found and, of the proposed others, those called the same picture.

    Proposals cast a wide net, so most of them turn out to be look-alikes; a pair below ``max_rms`` always stays.

    Parameters
    ----------
    pairs : DataFrame
        The pairs table of :func:`dupkit.describe_pairs`.

    Returns
    -------
    DataFrame
        A new pairs table in the same order, with the same ``attrs``.

    Raises
    ------
    ValueError
        The table is not of the schema.

    Examples
    --------
    >>> from dupkit.schema import empty_table
    >>> len(confirmed_pairs(empty_table("pairs")))
    0
    """
    check_table(pairs, "pairs")
    found = pairs["proposed_by"] == pairs["measure"]
    return pairs[found | pairs["verdict"].isin(SAME_VERDICTS)].reset_index(drop=True)
