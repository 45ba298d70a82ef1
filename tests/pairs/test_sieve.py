"""The margin: derived in the sieve's docstrings, held here against exact rational numbers and against real rounding."""

from fractions import Fraction

import numpy as np
import pytest

from dupkit.pairs import MEASURES
from dupkit.pairs.projection import FEATURE_ERROR, LONG, SHORT, leading_components, plausible, project
from dupkit.pairs.sieve import (
    _SLACK,
    Sieve,
    features_bound,
    left_factor,
    products_bound,
    products_shrink,
    squared_radius,
)
from dupkit.pairs.tiles import make_tiles, split


def wide_rows(rng, n_rows):
    """Histograms of every size of bins: flat, photo-like and with all pixels in a few bins, 1e6 apart."""
    rows = [rng.dirichlet(np.full(256, spread), 3).ravel() for spread in rng.choice([0.001, 0.01, 0.1, 1, 100], n_rows)]
    return np.floor(np.array(rows) * 480_000).astype(np.float32)


def exact_shrink(n_features):
    n_terms, u, t = n_features + 2, Fraction(1, 2**24), Fraction(_SLACK)
    gamma = n_terms * u / (1 - n_terms * u)
    return (1 + 1 / t) * 2 * Fraction(FEATURE_ERROR) ** 2 + 2 * gamma


@pytest.mark.parametrize("n_features", [SHORT + 1, 3, 100])
def test_the_margin_is_what_the_derivation_asks_for_and_hardly_more(n_features):
    margin = Fraction(products_shrink(n_features))
    assert margin >= exact_shrink(n_features)
    assert margin * Fraction(999, 1000) < exact_shrink(n_features)


@pytest.mark.parametrize("rms", [1e-12, 0.3, 500.0, 1000.0, 42_000.0])
def test_bounds_are_rounded_up(rms):
    squared = squared_radius(rms)
    slack = Fraction(_SLACK)
    assert Fraction(float(products_bound(squared))) > Fraction(squared) * (1 + slack) ** 2
    assert Fraction(float(products_bound(squared))) < max(Fraction(squared) * (1 + 3 * slack), Fraction(2e-30))
    for longest in (0.0, 1.0, 1e6):
        least = Fraction(rms) * Fraction(np.sqrt(768.0)) + 2 * Fraction(FEATURE_ERROR) * Fraction(longest)
        assert Fraction(float(features_bound(squared, longest))) > least**2 * (1 + Fraction(67, 2**24))


def test_the_largest_and_smallest_bounds_stay_within_float32():
    assert squared_radius(1e300) <= 1.0001e30
    for rms in (5e-324, 1e300):
        for bound in (products_bound(squared_radius(rms)), features_bound(squared_radius(rms), 1e6)):
            assert np.isfinite(bound)
            assert bound >= np.finfo(np.float32).tiny


@pytest.mark.parametrize("measure", list(MEASURES))
@pytest.mark.parametrize("seed", range(3))
def test_features_stay_within_their_stated_error(seed, measure):
    rows = MEASURES[measure].transform(wide_rows(np.random.default_rng(seed), 60))
    basis = leading_components(rows[:40])
    assert np.abs(basis.directions.T @ basis.directions - np.eye(LONG)).max() < 1e-14
    centred = rows.astype(np.longdouble) - basis.centre
    components = centred @ basis.directions.astype(np.longdouble)
    for features, n_components in zip(project(rows, basis), (SHORT, LONG), strict=True):
        rest = centred - components[:, :n_components] @ basis.directions[:, :n_components].T.astype(np.longdouble)
        exact = np.column_stack([components[:, :n_components], np.sqrt((rest**2).sum(axis=1))])
        off = np.sqrt(((features - exact) ** 2).sum(axis=1))
        assert (off <= FEATURE_ERROR * np.sqrt((exact**2).sum(axis=1))).all()


@pytest.mark.parametrize("measure", list(MEASURES))
@pytest.mark.parametrize("seed", range(3))
def test_no_look_ever_exceeds_the_distance_by_more_than_its_bound_allows(seed, measure):
    rows = MEASURES[measure].transform(wide_rows(np.random.default_rng(seed), 80))
    short, long = project(rows, leading_components(rows[::2]))
    sieve = Sieve.build(make_tiles(short, [np.arange(len(rows))], 10), short, long)
    order = make_tiles(short, [np.arange(len(rows))], 10).order
    products = left_factor(sieve.right) @ sieve.right.T
    first, second = np.triu_indices(len(rows), 1)
    apart = sieve.apart(first, second)
    for i, j, features in zip(first, second, apart, strict=True):
        squared = float(((rows[order[i]] - rows[order[j]]) ** 2).sum())
        assert products[i, j] <= products_bound(squared)
        assert features <= features_bound(squared, sieve.longest)
        tile = int(np.searchsorted(sieve.starts, j, side="right")) - 1
        assert sieve.beside_box(sieve.right[[i], : SHORT + 1], tile)[0] <= features_bound(squared, sieve.longest)
        assert i in sieve.columns_near(tile, features_bound(squared, sieve.longest), from_tile=0)


@pytest.mark.parametrize("size", [1, 2, 7, 50, 51, 200])
def test_tiles_hold_every_row_once_and_none_of_two_parts(size):
    rng = np.random.default_rng(size)
    features = rng.normal(size=(101, 5)).astype(np.float32)
    features[:30] = features[0]
    parts = [rng.permutation(101)[:60], np.arange(0)]
    parts[1] = np.setdiff1d(np.arange(101), parts[0])
    tiles = make_tiles(features, parts, size)
    assert sorted(tiles.order[:60]) == sorted(parts[0])
    assert sorted(tiles.order[60:]) == sorted(parts[1])
    assert 60 in tiles.starts
    assert np.diff(tiles.starts).max() <= size
    for tile, (start, stop) in enumerate(zip(tiles.starts[:-1], tiles.starts[1:], strict=True)):
        rows = features[tiles.order[start:stop]]
        np.testing.assert_array_equal(tiles.low[tile], rows.min(axis=0))
        np.testing.assert_array_equal(tiles.high[tile], rows.max(axis=0))
    assert split(features, np.arange(0), size)[1] == []


def test_the_sieve_discards_most_pairs_of_spread_rows():
    rng = np.random.default_rng(3)
    rows = MEASURES["rms"].transform(wide_rows(rng, 200))
    short, long = project(rows, leading_components(rows))
    sieve = Sieve.build(make_tiles(short, [np.arange(200)], 16), short, long)
    left = np.zeros(4, dtype=np.int64)
    buffer = np.empty(1000, dtype=np.float32)
    found = [pair for tile in range(len(sieve)) for pair in sieve.search(tile, squared_radius(100.0), buffer, left)]
    assert (left[:-1] >= left[1:]).all()
    assert left[3] == sum(len(first) for first, _ in found) < 200 * 199 / 2 / 10


def test_a_quick_look_doubts_whatever_may_be_invalid():
    rows = np.full((5, 768), 1875, dtype=np.float32)
    assert plausible(rows)
    assert plausible(rows[:0])
    for value in (np.nan, np.inf, -np.inf, -0.001, 1875 + 257):
        bad = rows.copy()
        bad[3, 700] = value
        assert not plausible(bad)
