import re

import numpy as np
import pandas as pd
import pytest

from dupkit import candidate_pairs, rms_counts
from dupkit.pairs import MEASURES, counts, pair_distances
from dupkit.schema import build_histograms, check_table, empty_table
from tests import naive


def rows_of(rng, n_rows, *, whole=True):
    rows = rng.dirichlet(np.full(256, 0.5), (n_rows, 3)).reshape(n_rows, 768) * 480_000
    rows[n_rows // 2] = rows[0]
    return (np.floor(rows) if whole else rows).astype(np.float32)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("measure", list(MEASURES))
def test_counts_equal_the_plain_loops(measure, whole):
    rng = np.random.default_rng(0)
    rows = rows_of(rng, 30, whole=whole)
    table = rms_counts(build_histograms(rows), measure=measure, progress=False)
    check_table(table, "rms_counts")
    distances = naive.all_distances(dict(enumerate(MEASURES[measure].transform(rows)))).values()
    for left, right, n_pairs, sampled in table.itertuples(index=False):
        assert n_pairs == sum(left <= rms < right for rms in distances)
        assert not sampled
    assert table["n_pairs"].sum() == 30 * 29 // 2 == table.attrs["n_pairs"]
    assert table["rms_left"].tolist() == [0.0, *table["rms_right"].tolist()[:-1]]
    assert table.attrs["standard_error"] == ()


@pytest.mark.parametrize("n_images", [2, 255, 256, 257, 600])
def test_counts_equal_measured_distances_over_tile_borders(n_images):
    histograms = build_histograms(rows_of(np.random.default_rng(n_images), n_images))
    table = rms_counts(histograms, progress=False)
    rms = pair_distances(histograms, *np.triu_indices(n_images, 1))
    edges = [*table["rms_left"], table["rms_right"].iloc[-1]]
    np.testing.assert_array_equal(table["n_pairs"], np.histogram(rms, edges)[0])


def test_a_distance_on_an_edge_belongs_to_the_bin_that_begins_there():
    # Every bin of two rows differs by k: their distance is k. In the second half the bins have fractions that make
    # the products round: 56 bits and more.
    rng = np.random.default_rng(7)
    signs = np.tile([1.0, -1.0], 384)
    whole = [np.full(768, 1875.0) + shift * signs for shift in (0, 5, 10, 15, 20)]
    base = 1875 + rng.integers(-4096, 4096, (12, 384)).repeat(2, axis=1) / 4096 * np.tile([1, -1], 384)
    rows = np.concatenate([whole, base, base + 10 * signs]).astype(np.float32)
    table = rms_counts(build_histograms(rows), progress=False)
    distances = list(naive.all_distances(dict(enumerate(rows))).values())
    assert distances.count(10.0) >= 3 + 12
    for left, right, n_pairs, _ in table.itertuples(index=False):
        assert n_pairs == sum(left <= rms < right for rms in distances)


def test_counts_below_a_bound_are_the_pairs_below_it():
    histograms = build_histograms(rows_of(np.random.default_rng(1), 120))
    table = rms_counts(histograms, progress=False)
    pairs = candidate_pairs(histograms, max_rms=2500.0, progress=False)
    assert table.loc[table["rms_right"] <= 2500, "n_pairs"].sum() == len(pairs)


@pytest.mark.parametrize("measure", list(MEASURES))
def test_a_sample_is_exact_below_max_rms_and_within_its_standard_error_above(measure):
    rng = np.random.default_rng(2)
    histograms = build_histograms(rows_of(rng, 400))
    exact = rms_counts(histograms, measure=measure, progress=False)
    max_rms = float(exact["rms_left"][np.searchsorted(np.cumsum(exact["n_pairs"]), 400)])
    table = rms_counts(
        histograms, measure=measure, max_rms=max_rms, exact_images=100, sampled_pairs=20_000, progress=False
    )
    check_table(table, "rms_counts")
    below = (~table["sampled"]).to_numpy()
    assert below.sum() == round(max_rms / MEASURES[measure].bin_width)
    n_bins = min(len(table), len(exact))
    np.testing.assert_array_equal(table["n_pairs"][below], exact["n_pairs"][: below.sum()])
    assert table["n_pairs"].sum() == exact["n_pairs"].sum() == 400 * 399 // 2
    errors = np.array(table.attrs["standard_error"])
    assert len(errors) == len(table)
    assert (errors[below] == 0).all()
    assert table.attrs["n_sampled"] == 20_000
    busy = np.flatnonzero((exact["n_pairs"][:n_bins] > 800) & table["sampled"][:n_bins])
    assert len(busy) >= 5
    off = (table["n_pairs"][busy] - exact["n_pairs"][busy]) / errors[busy]
    assert 0.3 < np.sqrt((off**2).mean()) < 2
    again = rms_counts(
        histograms, measure=measure, max_rms=max_rms, exact_images=100, sampled_pairs=20_000, progress=False
    )
    pd.testing.assert_frame_equal(again, table)


def test_a_stop_gives_up_the_exact_count_for_a_sample():
    histograms = build_histograms(rows_of(np.random.default_rng(3), 60))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counts, "SAMPLED_PAIRS", 1000)
        table = rms_counts(histograms, progress=False, sampled_pairs=1000, stop=lambda: True)
    assert table["sampled"].all()
    assert table["n_pairs"].sum() == 60 * 59 // 2


@pytest.mark.parametrize("n_images", [0, 1])
def test_too_few_images_for_a_pair(n_images):
    table = rms_counts(build_histograms(rows_of(np.random.default_rng(4), 3)[:n_images]))
    check_table(table, "rms_counts")
    assert len(table) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_rms": -5}, "max_rms: expected a finite number above 0, but got -5"),
        ({"measure": "x"}, "measure: 'x' is unknown"),
        ({"exact_images": 0}, "exact_images: expected a whole number of images, 1 or more, but got 0"),
        ({"sampled_pairs": -1}, "sampled_pairs: expected a whole number of pairs, 1 or more, but got -1"),
        ({"scheduler": "gpu"}, "scheduler: 'gpu' is unknown"),
    ],
)
def test_bad_arguments_get_one_clear_line(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        rms_counts(build_histograms(rows_of(np.random.default_rng(5), 3)), **options)


def test_bad_tables_are_refused():
    rows = rows_of(np.random.default_rng(6), 4)
    rows[2, 3] = np.nan
    for exact_images in (1, 10):
        with pytest.raises(ValueError, match="image_id 2, column 'r_003': nan is not finite"):
            rms_counts(build_histograms(rows), exact_images=exact_images)
    with pytest.raises(ValueError, match="expected the column 'r_000'"):
        rms_counts(empty_table("pairs"))
