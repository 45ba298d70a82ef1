import re

import numpy as np
import pytest

from dupkit.pairs import MEASURES, pair_distances
from dupkit.pairs.distance import root_mean_squares
from dupkit.schema import build_histograms, empty_table
from tests import naive


def dirichlet_rows(rng, n_rows, *, whole=False):
    rows = rng.dirichlet(np.full(256, 0.3), (n_rows, 3)).reshape(n_rows, 768) * 480_000
    return (np.floor(rows) if whole else rows).astype(np.float32)


@pytest.mark.parametrize("whole", [True, False])
def test_the_sum_has_the_stated_order_to_the_bit(whole):
    rows = dirichlet_rows(np.random.default_rng(0), 12, whole=whole).astype(np.float64)
    got = root_mean_squares(rows[:6], rows[6:])
    assert got.tolist() == [naive.row_rms(a, b) for a, b in zip(rows[:6], rows[6:], strict=True)]


@pytest.mark.parametrize("n_rows", [1, 2, 3, 7, 64, 65, 1000])
def test_a_pair_has_the_same_distance_among_any_number_of_others(n_rows):
    rng = np.random.default_rng(n_rows)
    rows = np.sqrt(dirichlet_rows(rng, n_rows).astype(np.float64))
    others = np.sqrt(dirichlet_rows(rng, n_rows).astype(np.float64))
    alone = [root_mean_squares(rows[k : k + 1], others[k : k + 1])[0] for k in range(n_rows)]
    np.testing.assert_array_equal(root_mean_squares(rows, others), alone)
    np.testing.assert_array_equal(root_mean_squares(others, rows), alone)


def test_hellinger_smooths_within_channels_and_takes_roots():
    rows = dirichlet_rows(np.random.default_rng(1), 4)
    rows[3] = 0
    rows[3, [255, 256, 767]] = 480_000
    got = MEASURES["hellinger"].transform(rows)
    np.testing.assert_allclose(got, [naive.hellinger_row(row) for row in rows], rtol=1e-12, atol=1e-6)


@pytest.mark.parametrize("name", list(MEASURES))
def test_a_row_is_transformed_by_itself(name):
    rows = dirichlet_rows(np.random.default_rng(2), 9)
    together = MEASURES[name].transform(rows)
    np.testing.assert_array_equal(together, np.concatenate([MEASURES[name].transform(row[None]) for row in rows]))
    assert together.dtype == np.float64


def test_pair_distances_reads_rows_by_image_id():
    rows = dirichlet_rows(np.random.default_rng(3), 4, whole=True)
    histograms = build_histograms(rows, index=[30, 10, 20, 40])
    got = pair_distances(histograms, [10, 40, 20], [30, 10, 20])
    assert got.tolist() == [naive.row_rms(rows[1], rows[0]), naive.row_rms(rows[3], rows[1]), 0.0]
    assert pair_distances(histograms, [], []).shape == (0,)


def test_pair_distances_refuses_what_it_cannot_measure():
    histograms = build_histograms(dirichlet_rows(np.random.default_rng(4), 2))
    with pytest.raises(ValueError, match=re.escape("image_id 7 is not in the histograms table")):
        pair_distances(histograms, [0], [7])
    with pytest.raises(ValueError, match="two lists of one length"):
        pair_distances(histograms, [0, 1], [1])
    with pytest.raises(ValueError, match="measure: 'cosine' is unknown; allowed: 'rms', 'hellinger'"):
        pair_distances(histograms, [0], [1], measure="cosine")
    with pytest.raises(ValueError, match="histograms: expected the column 'r_000'"):
        pair_distances(empty_table("groups"), [0], [1])
