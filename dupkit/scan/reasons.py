"""Count the reasons why files could not be read."""

from __future__ import annotations

import pandas as pd

from dupkit.schema import check_table


def problems(images: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each reason why files could not be read, the most frequent first.

    Parameters
    ----------
    images : DataFrame
        The images table.

    Returns
    -------
    DataFrame
        ``reason``, ``n_files``, ``size_bytes`` (of those files together) and ``example`` (the path of the first one).
        ``images[images["error"] == reason]`` is the list behind a row.
    """
    check_table(images, "images")
    bad = images[images["error"] != ""]
    groups = bad.groupby("error", sort=True)
    table = pd.DataFrame(
        {
            "n_files": groups.size(),
            "size_bytes": groups["size_bytes"].sum(),
            "example": groups["path"].first(),
        }
    )
    table.index.name = "reason"
    return table.reset_index().sort_values("n_files", ascending=False, kind="stable", ignore_index=True)
