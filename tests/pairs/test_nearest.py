import re

import numpy as np
import pytest

from dupkit import nearest_neighbours
from dupkit.pairs import MEASURES
from dupkit.schema import build_histograms
from tests import naive


def rows_of(rng, n_rows):
    rows = np.floor(rng.dirichlet(np.full(256, 0.5), (n_rows, 3)).reshape(n_rows, 768) * 480_000)
    for row in range(0, n_rows - 1, 3):
        rows[row + 1] = rows[row]
        moved = rng.integers(0, 2, 768) * np.tile([1, -1], 384)
        rows[row + 1] += np.where(rows[row + 1] + moved >= 0, moved, 0)
    rows[-1] = 0
    rows[-1, [0, 300, 600]] = 480_000
    return rows


@pytest.mark.parametrize("tile_size", [1, 5, 39, 40, 41, None])
@pytest.mark.parametrize("measure", list(MEASURES))
def test_neighbours_equal_the_plain_loops(measure, tile_size):
    rng = np.random.default_rng(0)
    rows = rows_of(rng, 40).astype(np.float32)
    rows[20:24] = rows[19]
    ids = rng.permutation(90)[:40]
    table = nearest_neighbours(build_histograms(rows, index=ids), measure=measure, tile_size=tile_size, progress=False)
    named = dict(zip(ids.tolist(), MEASURES[measure].transform(rows), strict=True))
    distances = naive.all_distances(named)
    assert table.index.tolist() == ids.tolist()
    for image, neighbour, rms in table.itertuples():
        ranked = sorted((d, (a + b) - image) for (a, b), d in distances.items() if image in (a, b))
        assert (rms, neighbour) == ranked[0]


def test_too_few_images_have_no_neighbours():
    rows = np.full((2, 768), 1875, dtype=np.float32)
    assert len(nearest_neighbours(build_histograms(rows[:0]))) == 0
    assert len(nearest_neighbours(build_histograms(rows[:1]))) == 0
    table = nearest_neighbours(build_histograms(rows, index=[9, 4]))
    assert table["neighbour"].tolist() == [4, 9]
    assert table["rms"].tolist() == [0.0, 0.0]


def test_a_stop_leaves_out_the_images_that_were_not_searched():
    rows = rows_of(np.random.default_rng(1), 40).astype(np.float32)
    calls = []
    table = nearest_neighbours(
        build_histograms(rows),
        tile_size=4,
        scheduler="synchronous",
        progress=False,
        stop=lambda: calls.append(1) or len(calls) > 1,
    )
    assert 0 < len(table) < 40


def test_bad_input_gets_one_clear_line():
    rows = np.full((3, 768), 1875, dtype=np.float32)
    with pytest.raises(ValueError, match=re.escape("tile_size: expected a whole number of images in a tile")):
        nearest_neighbours(build_histograms(rows), tile_size=0)
    with pytest.raises(ValueError, match="measure: 'x' is unknown"):
        nearest_neighbours(build_histograms(rows), measure="x")
    rows[1, 0] = -3
    with pytest.raises(ValueError, match=r"image_id 1, column 'r_000': -3\.0 is negative"):
        nearest_neighbours(build_histograms(rows))
