"""The engine against float64 brute force on histograms of real photos."""

import numpy as np
import pytest

from benchmarks.crop_histograms import crop_histograms
from dupkit import candidate_pairs, nearest_neighbours, rms_counts
from dupkit.schema import build_histograms


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("crops")


@pytest.mark.data
def test_5000_crops_of_photos_have_the_pairs_of_brute_force_to_the_bit(photos, work):
    rows = crop_histograms(photos, 5000, work, seed=3)
    # These are integers, every product is below 2^53: float64 products are exact, whatever BLAS does.
    assert (rows == np.rint(rows)).all()
    wide = rows.astype(np.float64)
    lengths = (wide**2).sum(axis=1)
    expected, counts, nearest = [], np.zeros(5000, dtype=np.int64), np.full(5000, np.inf)
    for start in range(0, 5000, 500):
        rms = np.sqrt((lengths[start : start + 500, None] + lengths - 2 * wide[start : start + 500] @ wide.T) / 768)
        rms[np.arange(500), np.arange(start, start + 500)] = np.inf
        nearest[start : start + 500] = rms.min(axis=1)
        first, second = np.nonzero(np.arange(start, start + 500)[:, None] < np.arange(5000))
        rms = rms[first, second]
        counts += np.bincount((rms / 10).astype(np.int64), minlength=5000)
        near = rms < 1000
        expected += zip(rms[near], first[near] + start, second[near], strict=True)
    expected.sort()
    histograms = build_histograms(rows)
    for max_rms in (1000.0, 500.0):
        expected = [pair for pair in expected if pair[0] < max_rms]
        assert len(expected) > 5000
        pairs = candidate_pairs(histograms, max_rms=max_rms, progress=False)
        assert list(zip(pairs["rms"], pairs["image_a"], pairs["image_b"], strict=True)) == expected
        old = np.arange(4500)
        new = candidate_pairs(histograms.iloc[4500:], against=histograms.iloc[:4500], max_rms=max_rms, progress=False)
        by_ids = candidate_pairs(histograms, old_ids=old, max_rms=max_rms, progress=False)
        arrivals = [pair for pair in expected if pair[2] >= 4500]
        for table in (new, by_ids):
            assert list(zip(table["rms"], table["image_a"], table["image_b"], strict=True)) == arrivals
    np.testing.assert_array_equal(nearest_neighbours(histograms, progress=False)["rms"], nearest)
    table = rms_counts(histograms, progress=False)
    np.testing.assert_array_equal(table["n_pairs"], counts[: len(table)])
    assert counts[len(table) :].sum() == 0
