"""Pairs that the RMS does not bring: brighter, cropped, turned; each once, in order, none of two old images."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dupkit.pairs import candidate_pairs, describe_pairs, pair_distances, propose, propose_pairs
from dupkit.pairs.contained import may_be_crops
from dupkit.schema import CHANNEL_SUM, build_histograms, check_table
from tests import naive
from tests.pairs.scenes import album, scenes


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """Forty scenes, then of the first ones: darker, mirrored and darker, a crop to 85 %."""
    large = scenes(40, side=256, seed=21)
    box = Image.Resampling.BOX
    small = np.stack([np.asarray(Image.fromarray(one).resize((64, 64), box)) for one in large])
    darker = (small[0] * 0.7).astype(np.uint8)
    turned = (small[1, :, ::-1] * 0.7 + 30).astype(np.uint8)
    part = np.asarray(Image.fromarray(large[2]).resize((64, 64), box, box=(10, 20, 227, 237)))
    return np.concatenate([small, [darker, turned, part]])


def proposed(pictures: np.ndarray, **options: object) -> tuple[pd.DataFrame, pd.DataFrame]:
    images, thumbnails, histograms = album(pictures)
    pairs = candidate_pairs(histograms, max_rms=500.0, progress=False)
    return pairs, propose_pairs(pairs, histograms, thumbnails, images=images, progress=False, **options)


def test_what_the_histogram_cannot_see_is_proposed(pictures: np.ndarray):
    _, found = proposed(pictures)
    check_table(found, "pairs")
    by = found.set_index(["image_a", "image_b"])["proposed_by"]
    assert by[0, 40] == "structure"
    assert by[1, 41] == "structure"
    assert by[2, 42] in ("structure", "hellinger")


def test_the_callers_pairs_stay_and_the_rest_is_sorted_in(pictures: np.ndarray):
    pairs, found = proposed(pictures)
    given = found[found["proposed_by"] == "rms"].reset_index(drop=True)
    pd.testing.assert_frame_equal(given, pairs, check_like=False)
    order = found.sort_values(["rms", "image_a", "image_b"], ignore_index=True)
    pd.testing.assert_frame_equal(found, order)
    assert not found.duplicated(["image_a", "image_b"]).any()
    assert (found["image_a"] < found["image_b"]).all()
    counts = found["proposed_by"].value_counts().drop("rms", errors="ignore").to_dict()
    assert {name: n for name, n in found.attrs["proposed"].items() if n} == counts
    assert found.attrs["proposals_complete"]
    assert found.attrs["max_rms"] == pairs.attrs["max_rms"]


def test_proposed_pairs_have_their_distance_by_the_definition(pictures: np.ndarray):
    _, _, histograms = album(pictures)
    _, found = proposed(pictures)
    expected = pair_distances(histograms, found["image_a"], found["image_b"], measure="rms")
    np.testing.assert_array_equal(found["rms"], expected)
    assert set(found["measure"]) == {"rms"}


def test_two_old_images_are_not_proposed(pictures: np.ndarray):
    _, found = proposed(pictures, old_ids=[0, 40])
    added = found[found["proposed_by"] != "rms"]
    assert (0, 40) not in set(zip(added["image_a"], added["image_b"], strict=True))
    assert (1, 41) in set(zip(added["image_a"], added["image_b"], strict=True))


def test_the_verdict_confirms_what_was_proposed(pictures: np.ndarray):
    images, thumbnails, _ = album(pictures)
    _, found = proposed(pictures)
    described = describe_pairs(found, images, thumbnails).set_index(["image_a", "image_b"])
    assert described["verdict"][[(0, 40), (1, 41), (2, 42)]].tolist() == ["same picture"] * 3
    assert described["transform"][0, 40] == "same"
    assert described["transform"][1, 41] == "mirrored"
    assert described["transform"][2, 42] == "cropped, about 85 %"
    assert set(described["verdict"].drop([(0, 40), (1, 41), (2, 42)])) <= {"look-alike", "unsure"}


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_every_scheduler_proposes_the_same(pictures: np.ndarray, scheduler: str):
    _, expected = proposed(pictures)
    _, found = proposed(pictures, scheduler=scheduler)
    pd.testing.assert_frame_equal(found, expected)


def test_hellinger_as_the_measure_is_extended_too(pictures: np.ndarray):
    images, thumbnails, histograms = album(pictures)
    pairs = candidate_pairs(histograms, measure="hellinger", max_rms=6.0, progress=False)
    found = propose_pairs(pairs, histograms, thumbnails, images=images, progress=False)
    assert set(found["measure"]) == {"hellinger"}
    assert (0, 40) in set(zip(found["image_a"], found["image_b"], strict=True))


def test_one_image_and_none_propose_nothing():
    for n in (0, 1):
        images, thumbnails, histograms = album(scenes(2))
        pairs = candidate_pairs(histograms[:n], progress=False)
        found = propose_pairs(pairs, histograms[:n], thumbnails[:n], images=images[:n], progress=False)
        check_table(found, "pairs")
        assert found.empty


def test_an_image_without_a_thumbnail_is_not_proposed(pictures: np.ndarray):
    images, thumbnails, histograms = album(pictures)
    pairs = candidate_pairs(histograms, max_rms=500.0, progress=False)
    found = propose_pairs(pairs, histograms, thumbnails.drop(index=40), images=images, progress=False)
    added = found[found["proposed_by"] != "rms"]
    assert 40 not in set(added["image_b"])
    assert (1, 41) in set(zip(added["image_a"], added["image_b"], strict=True))


def test_a_part_has_no_colour_that_the_whole_lacks():
    rng = np.random.default_rng(3)
    picture = rng.integers(0, 40, (100, 100)) * 4 + np.arange(100)
    parts = [picture, picture[:80, :80], np.clip(picture + 60, 0, 255)]
    levels = np.stack([np.bincount(part.ravel().astype(int), minlength=256) / part.size for part in parts])
    rows = np.tile(levels * CHANNEL_SUM, (1, 3)).astype(np.float32)
    first, second = (np.array(side) for side in ([0, 0, 1], [1, 2, 2]))
    found = may_be_crops(build_histograms(rows), first, second)
    expected = [
        [naive.excess_of_part(rows[part], rows[whole]) <= 0.02 for part, whole in ((b, a), (a, b))]
        for a, b in zip(first, second, strict=True)
    ]
    assert found.tolist() == expected
    assert expected[0][0]
    assert expected[1] == [False, False]


def test_a_bound_that_was_lowered_is_said(monkeypatch: pytest.MonkeyPatch):
    images, thumbnails, histograms = album(scenes(40, seed=4) // 8 + 100)
    pairs = candidate_pairs(histograms, max_rms=10.0, progress=False)
    complete = propose_pairs(pairs, histograms, thumbnails, images=images, progress=False)
    assert complete.attrs["proposals_complete"] is True
    monkeypatch.setattr(propose, "PROPOSALS_PER_IMAGE", 1)
    capped = propose_pairs(pairs, histograms, thumbnails, images=images, progress=False)
    assert capped.attrs["proposals_complete"] is False
