"""The tables' contract: what is built fits, what does not fit is refused in one clear line."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from dupkit.schema import (
    CHANNEL_SUM,
    HISTOGRAM_COLUMNS,
    TABLES,
    build_histograms,
    build_table,
    check_histograms,
    check_table,
    empty_table,
    table_root,
)


def histograms(n_images: int = 3) -> pd.DataFrame:
    values = np.zeros((n_images, 768), np.float32)
    values[:, [0, 256, 512]] = CHANNEL_SUM
    return build_histograms(values)


@pytest.mark.parametrize("name", TABLES)
def test_an_empty_table_fits_its_schema(name: str) -> None:
    check_table(empty_table(name), name)


def test_the_histogram_columns_are_the_768_of_the_contract() -> None:
    assert len(HISTOGRAM_COLUMNS) == 768
    assert (HISTOGRAM_COLUMNS[0], HISTOGRAM_COLUMNS[256], HISTOGRAM_COLUMNS[-1]) == ("r_000", "g_000", "b_255")


def test_histograms_share_memory_with_their_array() -> None:
    values = np.zeros((4, 768), np.float32)
    assert np.shares_memory(build_histograms(values).to_numpy(), values)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda table: table.to_numpy(), "histograms: expected a pandas DataFrame, but got ndarray"),
        (
            lambda table: table.iloc[:, :767],
            "histograms: expected the column 'b_255' at position 767, but got no more columns",
        ),
        (lambda table: table.assign(x=1), "histograms: unknown column 'x' at the end"),
        (lambda table: table.astype("float64"), "histograms: column 'r_000' must be float32, but is float64"),
        (lambda table: table.rename_axis("id"), "histograms: the index must be 'image_id', but is 'id'"),
        (
            lambda table: table.set_axis(pd.Index([1, 1, 2], name="image_id")),
            "histograms: image_id 1 stands there twice",
        ),
        (lambda table: table.assign(r_000=np.float32(np.nan)), "image_id 0, column 'r_000': nan is not finite"),
        (lambda table: table.assign(r_001=np.float32(-1)), "image_id 0, column 'r_001': -1.0 is negative"),
        (
            lambda table: table.assign(g_000=np.float32(5)),
            "image_id 0: channel g sums to 5; it must be within 256 of 480000",
        ),
    ],
)
def test_a_wrong_histograms_table_is_refused_with_its_first_fault(spoil, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        check_histograms(spoil(histograms()))


def test_channel_sums_may_differ_by_their_tolerance_inclusive() -> None:
    table = histograms(1)
    check_histograms(table.assign(r_000=np.float32(CHANNEL_SUM - 256)))
    with pytest.raises(ValueError, match="channel r"):
        check_histograms(table.assign(r_000=np.float32(CHANNEL_SUM - 257)))


def test_build_table_names_missing_and_unknown_columns() -> None:
    with pytest.raises(ValueError, match=re.escape("groups: columns missing ['is_keeper'")):
        build_table("groups", {"group_id": [1], "image_id": [2], "x": [3]})


def test_a_table_without_its_root_is_refused() -> None:
    with pytest.raises(ValueError, match=re.escape("images: attrs['root'] is missing")):
        table_root(empty_table("images"), "images")
