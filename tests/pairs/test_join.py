"""Every pair below the bound, exactly, whatever the tiles, the order of images and the limit on pairs."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dupkit import candidate_pairs
from dupkit.pairs import MEASURES, pair_distances
from dupkit.pairs import sieve as sieve_module
from dupkit.pairs.arguments import pairs_in
from dupkit.schema import build_histograms, check_table
from tests import naive

FLAT = np.full(768, 1875.0)


def moved(*moves):
    """A flat histogram with some pixels moved: (from bin, to bin, pixels)."""
    row = FLAT.copy()
    for source, target, pixels in moves:
        row[source] -= pixels
        row[target] += pixels
    return row


def one_hot(*levels):
    row = np.zeros(768)
    for channel, level in enumerate(levels):
        row[256 * channel + level] = 480_000
    return row


def photo_like(rng, n_rows, *, spread=0.3):
    rows = rng.dirichlet(np.full(256, spread), (n_rows, 3)).reshape(n_rows, 768)
    return np.floor(rows * 480_000)


def clustered(rng, n_clusters, size, *, pixels=400):
    rows = []
    for centre in photo_like(rng, n_clusters):
        for _ in range(size):
            row = centre.copy()
            for channel in range(3):
                a, b = rng.integers(0, 256, (2, 12)) + 256 * channel
                shift = np.minimum(rng.integers(0, pixels, 12), row[a])
                for k in range(12):
                    shift[k] = min(shift[k], row[a[k]])
                    row[a[k]] -= shift[k]
                    row[b[k]] += shift[k]
            rows.append(row)
    return np.array(rows)


def table(rows, ids=None):
    return build_histograms(
        np.asarray(rows, dtype=np.float32), index=ids, attrs={"root": "/photos", "sampling": "fast"}
    )


def triples(pairs):
    return list(zip(pairs["rms"], pairs["image_a"], pairs["image_b"], strict=True))


def naive_distances(histograms, measure="rms"):
    rows = dict(zip(histograms.index.tolist(), MEASURES[measure].transform(histograms.to_numpy()), strict=True))
    return naive.all_distances(rows)


def search(histograms, **options):
    return candidate_pairs(histograms, progress=False, scheduler="synchronous", **options)


def assert_exact(histograms, max_rms, distances, **options):
    pairs = search(histograms, max_rms=max_rms, **options)
    check_table(pairs, "pairs")
    assert triples(pairs) == naive.closest_pairs(distances, max_rms, 10**9)[0]
    return pairs


@pytest.mark.parametrize("measure", list(MEASURES))
@pytest.mark.parametrize("seed", range(4))
def test_pairs_equal_the_plain_loops(seed, measure):
    rng = np.random.default_rng(seed)
    histograms = table(np.concatenate([clustered(rng, 6, 4), photo_like(rng, 10)]), rng.permutation(100)[:34])
    distances = naive_distances(histograms, measure)
    for share in (0.02, 0.1, 0.5, 1.1):
        max_rms = float(np.quantile(list(distances.values()), min(share, 1))) * (2 if share > 1 else 1)
        pairs = assert_exact(histograms, max_rms, distances, measure=measure)
        assert set(pairs["measure"]) <= {measure}
        assert set(pairs["proposed_by"]) <= {measure}


@pytest.mark.parametrize("tile_size", [1, 2, 7, 39, 40, 41, None])
@pytest.mark.parametrize("measure", list(MEASURES))
def test_the_answer_does_not_depend_on_the_tile_size(tile_size, measure):
    rng = np.random.default_rng(7)
    histograms = table(clustered(rng, 8, 5))
    distances = naive_distances(histograms, measure)
    for max_rms in np.quantile(list(distances.values()), [0.05, 0.5]):
        assert_exact(histograms, float(max_rms), distances, measure=measure, tile_size=tile_size)


@pytest.mark.parametrize("n_images", [0, 1, 2, 3, 769])
def test_few_images_and_more_images_than_bins(n_images):
    rng = np.random.default_rng(n_images)
    histograms = table(clustered(rng, n_images // 3 + 1, 3)[:n_images].reshape(-1, 768))
    histograms = histograms.iloc[:n_images]
    n_pairs = n_images * (n_images - 1) // 2
    a, b = np.triu_indices(n_images, 1)
    rms = pair_distances(histograms, a, b)
    max_rms = float(np.quantile(rms, 0.01)) if n_pairs > 1 else 1000.0
    pairs = search(histograms, max_rms=max_rms)
    check_table(pairs, "pairs")
    expected = sorted(zip(rms[rms < max_rms], a[rms < max_rms], b[rms < max_rms], strict=True))
    assert triples(pairs) == expected
    assert pairs.attrs["n_images"] == n_images
    assert pairs.attrs["n_pairs"] == n_pairs


def edge_rows():
    """Pairs at one distance in many directions: a centre with one shift each, and shifts that share a bin."""
    return [FLAT] + [moved((k, k + 20, 300)) for k in range(0, 18)] + [moved((300 + k, 330 + k, 300)) for k in range(4)]


@pytest.mark.parametrize("far", [[], [one_hot(0, 0, 0), one_hot(255, 255, 255), one_hot(0, 255, 7)]])
@pytest.mark.parametrize("measure", list(MEASURES))
def test_the_bound_is_strict_to_the_last_bit(measure, far):
    # Clusters on the threshold sphere: the bound is a distance that pairs have, and one ulp to each side of it. The
    # one-hot rows beside them (1.2e6 apart) make the rounding of their products as large as it gets.
    histograms = table(edge_rows() + far)
    distances = naive_distances(histograms, measure)
    for rms in sorted(set(distances.values()))[:12]:
        for bound in (np.nextafter(rms, 0), rms, np.nextafter(rms, np.inf)):
            assert_exact(histograms, float(bound), distances, measure=measure, tile_size=5)


@pytest.mark.parametrize("stage", ["products_bound", "features_bound"])
def test_a_mutant_of_the_margin_is_caught(stage, monkeypatch):
    histograms = table(edge_rows())
    distances = naive_distances(histograms)
    rms = float(np.nextafter(min(rms for rms in distances.values() if rms > 0), np.inf))
    expected = naive.closest_pairs(distances, rms, 10**9)[0]
    assert triples(search(histograms, max_rms=rms)) == expected
    right = getattr(sieve_module, stage)
    monkeypatch.setattr(sieve_module, stage, lambda *arguments: np.float32(0.999) * right(*arguments))
    assert triples(search(histograms, max_rms=rms)) != expected


@pytest.mark.parametrize(
    "rows",
    [
        [FLAT] * 30,
        [one_hot(k % 4, 3, 3) for k in range(24)],
        [one_hot(k, 255 - k, k) for k in range(0, 256, 16)],
        [moved((0, 1, pixels)) for pixels in range(0, 1800, 90)],
        [one_hot(9, 9, 9)] * 3 + [FLAT] * 3,
        np.concatenate([photo_like(np.random.default_rng(5), 6)] * 4),
    ],
    ids=["all equal", "one-hot, repeated", "one-hot, 1e6 apart", "two bins vary", "two classes", "four times each"],
)
def test_odd_sets_of_rows(rows):
    histograms = table(rows)
    distances = naive_distances(histograms)
    for bound in (5e-324, 1e-9, 1.0, 50.0, 500.0, 26_000.0, 1e9, 1e300):
        pairs = assert_exact(histograms, bound, distances, tile_size=4)
        assert ((pairs["rms"] == 0) == (pairs["kind"] == "exact")).all()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_small_set_of_rows(data):
    n_rows = data.draw(st.integers(2, 9))
    rows = []
    for _ in range(n_rows):
        moves = data.draw(
            st.lists(
                st.tuples(st.integers(0, 2), st.integers(0, 255), st.integers(0, 255), st.integers(0, 1875)), max_size=4
            )
        )
        row = FLAT.copy()
        for channel, source, target, pixels in moves:
            shift = min(pixels, row[256 * channel + source])
            row[256 * channel + source] -= shift
            row[256 * channel + target] += shift
        rows.append(row)
    histograms = table(rows)
    measure = data.draw(st.sampled_from(list(MEASURES)))
    distances = naive_distances(histograms, measure)
    rms = data.draw(st.sampled_from(sorted({*distances.values(), 10.0} - {0.0})))
    bound = data.draw(st.sampled_from([float(rms), float(np.nextafter(rms, np.inf)), 2 * float(rms)]))
    tile_size = data.draw(st.sampled_from([1, 2, n_rows, None]))
    pairs = assert_exact(histograms, bound, distances, measure=measure, tile_size=tile_size)
    more = search(histograms, max_rms=3 * bound, measure=measure)
    assert set(triples(pairs)) <= set(triples(more))


def test_permuting_the_images_changes_nothing():
    rng = np.random.default_rng(11)
    rows = np.concatenate([clustered(rng, 10, 4), [FLAT] * 4])
    expected = search(table(rows), max_rms=2000.0)
    assert len(expected) > 20
    for _ in range(3):
        order = rng.permutation(len(rows))
        pd.testing.assert_frame_equal(search(table(rows[order], order), max_rms=2000.0), expected)


def test_the_callers_table_is_not_changed_and_its_layout_does_not_matter():
    rows = clustered(np.random.default_rng(12), 5, 4)
    histograms = table(rows)
    before = histograms.copy(deep=True)
    expected = search(histograms)
    pd.testing.assert_frame_equal(histograms, before)
    by_columns = histograms.copy()
    by_columns = pd.DataFrame({name: by_columns[name].to_numpy().copy() for name in by_columns}, index=histograms.index)
    by_columns.attrs = histograms.attrs
    pd.testing.assert_frame_equal(search(by_columns), expected)


def test_the_attrs_say_what_was_done():
    histograms = table(clustered(np.random.default_rng(13), 5, 4))
    attrs = search(histograms, max_rms=300).attrs
    assert attrs["root"] == "/photos"
    assert attrs["sampling"] == "fast"
    assert (attrs["max_rms"], attrs["requested_max_rms"], attrs["measure"]) == (300.0, 300.0, "rms")
    assert (attrs["n_images"], attrs["n_pairs"], attrs["complete"], attrs["covered"]) == (20, 190, True, 1.0)
    stages = list(attrs["stages"].values())
    assert stages[0] == 190
    assert stages == sorted(stages, reverse=True)
    assert search(histograms, measure="hellinger").attrs["max_rms"] == MEASURES["hellinger"].max_rms
    assert search(histograms).attrs["max_rms"] == 1000.0


@pytest.mark.parametrize("tile_size", [1, 3, None])
def test_max_pairs_lowers_the_bound_to_the_distance_of_the_last_pair(tile_size):
    rng = np.random.default_rng(14)
    histograms = table(np.concatenate([clustered(rng, 4, 4), edge_rows()[:8]]))
    distances = naive_distances(histograms)
    n_pairs = sum(rms < 3000 for rms in distances.values())
    assert n_pairs > 40
    for max_pairs in (1, 2, 5, 9, 30, n_pairs - 1, n_pairs, n_pairs + 1):
        expected, bound = naive.closest_pairs(distances, 3000.0, max_pairs)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            pairs = search(histograms, max_rms=3000.0, max_pairs=max_pairs, tile_size=tile_size)
        assert triples(pairs) == expected
        assert pairs.attrs["max_rms"] == bound
        assert pairs.attrs["requested_max_rms"] == 3000.0
        assert pairs.attrs["complete"]
        assert bool(caught) == (max_pairs < n_pairs)
        if caught:
            assert f"more than {max_pairs:,} pairs lie below 3000" in str(caught[0].message)


def test_a_bound_guessed_from_a_sample_does_not_show(monkeypatch):
    # 600 images, 180,000 pairs, 1,000 wanted: the search begins below a guess. A guess that is far too low, and one
    # that is too high, lead to the same pairs.
    rng = np.random.default_rng(15)
    histograms = table(photo_like(rng, 600, spread=3.0))
    a, b = np.triu_indices(600, 1)
    from dupkit.pairs import search as search_module

    answers = []
    likely = search_module._likely_bound
    for factor in (1.0, 0.3, 3.0):
        monkeypatch.setattr(search_module, "_likely_bound", lambda *args, f=factor: min(args[1], f * likely(*args)))
        with pytest.warns(UserWarning, match="more than 1,000 pairs lie below 5000"):
            answers.append(candidate_pairs(histograms, max_rms=5000.0, max_pairs=1000, progress=False))
    rms = np.sort(pair_distances(histograms, a, b))
    assert answers[0].attrs["max_rms"] == rms[999]
    assert answers[0]["rms"].tolist() == rms[rms < rms[999]].tolist()
    for answer in answers[1:]:
        pd.testing.assert_frame_equal(answer, answers[0])
        assert answer.attrs["max_rms"] == rms[999]


def test_little_memory_holds_fewer_pairs_and_says_so():
    histograms = table(clustered(np.random.default_rng(18), 6, 6))
    distances = naive_distances(histograms)
    memory = next(memory for memory in range(1, 1 << 30, 1 << 14) if fits(memory, len(histograms)))
    with pytest.warns(UserWarning, match="returning every pair below .* raise max_memory for more"):
        pairs = search(histograms, max_rms=9000.0, max_memory=memory)
    assert 0 < len(pairs) < len(distances)
    assert triples(pairs) == naive.closest_pairs(distances, pairs.attrs["max_rms"], 10**9)[0]


def fits(memory, n_images):
    try:
        return pairs_in(memory, n_images) > 0
    except ValueError:
        return False


def test_identical_images_beyond_max_pairs_are_tied_to_the_first_of_their_kind():
    rng = np.random.default_rng(16)
    others = clustered(rng, 3, 3)
    rows = np.concatenate([[FLAT] * 60, others, [others[0]] * 2])
    histograms = table(rows)
    with pytest.warns(UserWarning, match="identical histograms alone make more than 500 pairs"):
        pairs = search(histograms, max_rms=2000.0, max_pairs=500)
    assert not pairs.attrs["complete"]
    exact = pairs[pairs["rms"] == 0]
    assert exact["image_a"].tolist() == [0] * 59 + [60] * 2
    assert exact["image_b"].tolist() == [*range(1, 60), 69, 70]
    alone = search(histograms.loc[[0, *range(60, 69)]], max_rms=2000.0)
    assert triples(pairs[pairs["rms"] > 0]) == triples(alone)
    assert pairs.attrs["max_rms"] == 2000.0
    with pytest.warns(UserWarning, match="identical"):
        few = search(histograms, max_rms=2000.0, max_pairs=7)
    assert triples(few) == [(0.0, 0, k) for k in range(1, 8)]
    assert not few.attrs["complete"]


def test_thousands_of_identical_images():
    pairs = search(table([FLAT] * 1200))
    assert len(pairs) == 1200 * 1199 // 2
    assert (pairs["rms"] == 0).all()
    assert pairs["image_a"].is_monotonic_increasing


def test_new_against_old_leaves_out_pairs_of_two_old_images():
    rng = np.random.default_rng(17)
    rows = clustered(rng, 7, 5)
    ids = rng.permutation(200)[: len(rows)]
    histograms = table(rows, ids)
    distances = naive_distances(histograms)
    for n_old in (0, 1, 20, 34, 35):
        old = ids[rng.permutation(len(ids))[:n_old]].tolist()
        expected, _ = naive.closest_pairs(distances, 2500.0, 10**9, old)
        by_ids = search(histograms, max_rms=2500.0, old_ids=old, tile_size=4)
        assert triples(by_ids) == expected
        new = histograms.loc[[image for image in ids.tolist() if image not in old]]
        by_table = search(new, max_rms=2500.0, against=histograms.loc[old])
        assert triples(by_table) == expected
        n_new = len(ids) - n_old
        assert by_table.attrs["n_pairs"] == by_ids.attrs["n_pairs"] == n_new * (n_new - 1) // 2 + n_new * n_old
        assert by_table.attrs["n_images"] == by_ids.attrs["n_images"] == len(ids)


def test_identical_images_in_a_cross_join_are_tied_through_new_ones():
    histograms = table([FLAT] * 40)
    with pytest.warns(UserWarning, match="identical"):
        pairs = search(histograms, max_pairs=100, old_ids=range(30))
    assert triples(pairs) == sorted((0.0, min(30, k), max(30, k)) for k in range(40) if k != 30)
