"""What candidate_pairs refuses: one clear line each, before any work."""

import re

import numpy as np
import pytest

from dupkit import candidate_pairs
from dupkit.schema import build_histograms, empty_table

FLAT = np.full(768, 1875.0)


def table(rows, ids=None):
    return build_histograms(
        np.asarray(rows, dtype=np.float32), index=ids, attrs={"root": "/photos", "sampling": "fast"}
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_rms": 0}, "max_rms: expected a finite number above 0, but got 0; below is strict"),
        ({"max_rms": -1.0}, "max_rms: expected a finite number above 0, but got -1.0"),
        ({"max_rms": float("nan")}, "max_rms: expected a finite number above 0, but got nan"),
        ({"max_rms": float("inf")}, "max_rms: expected a finite number above 0, but got inf"),
        ({"max_rms": "500"}, "max_rms: expected a number above 0, but got '500'"),
        ({"max_rms": True}, "max_rms: expected a number above 0, but got True"),
        ({"measure": "cosine"}, "measure: 'cosine' is unknown; allowed: 'rms', 'hellinger'"),
        ({"measure": None}, "measure: None is unknown; allowed: 'rms', 'hellinger'"),
        ({"tile_size": 0}, "tile_size: expected a whole number of images in a tile, 1 or more, but got 0"),
        ({"tile_size": 2.5}, "tile_size: expected a whole number of images in a tile, 1 or more, but got 2.5"),
        ({"max_pairs": 0}, "max_pairs: expected a whole number of pairs to hold, 1 or more, but got 0"),
        ({"max_memory": 0}, "max_memory: expected a whole number of bytes, 1 or more, but got 0"),
        ({"max_memory": 1000}, "max_memory: 1,000 bytes are too few for 3 images; give at least "),
        ({"scheduler": "cluster"}, "scheduler: 'cluster' is unknown; allowed: 'synchronous', 'threads', 'processes'"),
        ({"old_ids": [7]}, "old_ids: image_id 7 is not in the histograms table"),
        ({"against": table([FLAT] * 2)}, "against: image_id 0 is in both tables; they share one numbering"),
        ({"against": table([FLAT], [9]), "old_ids": [0]}, "against and old_ids: expected one of them"),
    ],
)
def test_bad_arguments_get_one_clear_line(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        candidate_pairs(table([FLAT] * 3), **options)


def test_tables_of_two_samplings_are_not_compared():
    other = table([FLAT], [9])
    other.attrs["sampling"] = "original"
    with pytest.raises(ValueError, match="against: its sampling is 'original', but that of histograms is 'fast'"):
        candidate_pairs(table([FLAT] * 2), against=other)


@pytest.mark.parametrize("n_rows", [3, 1500])
@pytest.mark.parametrize(
    ("value", "words"),
    [(np.nan, "is not finite"), (np.inf, "is not finite"), (-1.0, "is negative"), (3000.0, "sums to 481125")],
)
def test_rows_that_are_no_histograms_are_refused(value, words, n_rows):
    rows = np.tile(FLAT, (n_rows, 1))
    rows[n_rows - 2, 5] = value
    with pytest.raises(ValueError, match=f"image_id {n_rows - 2}.*{words}"):
        candidate_pairs(table(rows), progress=False)
    with pytest.raises(ValueError, match=f"image_id {n_rows - 2}.*{words}"):
        candidate_pairs(table([FLAT], [n_rows]), against=table(rows), progress=False)


def test_channel_sums_at_the_edge_of_the_tolerance_are_accepted():
    rows = np.tile(FLAT, (3, 1))
    rows[1, 0] += 250
    assert len(candidate_pairs(table(rows), progress=False)) == 3


def test_other_tables_are_refused():
    with pytest.raises(TypeError, match="histograms: expected a pandas DataFrame, but got ndarray"):
        candidate_pairs(np.zeros((2, 768)))
    with pytest.raises(ValueError, match="histograms: expected the column 'r_000'"):
        candidate_pairs(empty_table("pairs"))
