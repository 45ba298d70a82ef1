"""Crops: resampling against a slow oracle, windows found and aligned, the words for them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from dupkit.pairs.agreement import SIDE
from dupkit.pairs.alignment import aligned_pictures, refine_windows
from dupkit.pairs.crops import WINDOWS_PER_IMAGE, Searches, most_alike
from dupkit.pairs.orientations import INVERSE, ORIENTATION_WORDS, orient
from dupkit.pairs.resample import resampled, window_matrix, window_slopes
from dupkit.pairs.structure import measure_structure
from dupkit.pairs.transform import align
from dupkit.pairs.verdict import SAME_PICTURE_CROPPED
from dupkit.pairs.windows import LARGEST_ASPECT, NO_ASPECT, aspect_steps, library_of
from tests import naive
from tests.pairs.scenes import scenes

WINDOWS = {
    "80 % in a corner": (0.2, 0.0, 0.8, 0.8),
    "80 % inside": (0.07, 0.13, 0.8, 0.8),
    "95 %": (0.03, 0.01, 0.95, 0.95),
    "top cut off": (0.2, 0.0, 0.8, 1.0),
    "square of 4 : 3": (0.0, 0.12, 1.0, 0.75),
}


def cut(picture: np.ndarray, window: tuple[float, float, float, float], side: int = 64) -> np.ndarray:
    """A thumbnail of a window of a large picture, by plain averaging."""
    top, left, height, width = (len(picture) * share for share in window)
    box = (left, top, left + width, top + height)
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BOX, box=box))


@pytest.fixture(scope="module")
def large() -> np.ndarray:
    return scenes(3, side=400, seed=11)


def measured(first, second, aspects):
    return measure_structure(np.stack([first, second]), np.array(aspects), np.array([0]), np.array([1]))


def test_resampling_is_the_oracles():
    picture = scenes(1, side=16)[0].astype(np.float32)
    window = (0.1, 0.25, 0.7, 0.55)
    found = resampled(picture[None], np.array([window], np.float32), 4)[0]
    np.testing.assert_allclose(found, naive.window_picture(picture.tolist(), *window, 4), atol=0.3)


def test_every_row_of_a_window_matrix_is_a_mean():
    starts, lengths = np.array([0.0, 0.3, 0.0]), np.array([1.0, 0.7, 0.02])
    np.testing.assert_allclose(window_matrix(starts, lengths, 12, 64).sum(axis=-1), 1, atol=1e-5)


def test_slopes_are_differences_of_the_matrix():
    start, length = np.array([0.13], np.float32), np.array([0.71], np.float32)
    step = np.float32(1e-3)
    matrix, by_start, by_length = window_slopes(start, length, 8, 64)
    np.testing.assert_allclose(matrix, window_matrix(start, length, 8, 64), atol=1e-6)
    for slope, ahead, behind in (
        (by_start, (start + step, length), (start - step, length)),
        (by_length, (start, length + step), (start, length - step)),
    ):
        difference = (window_matrix(*ahead, 8, 64) - window_matrix(*behind, 8, 64)) / (2 * step)
        np.testing.assert_allclose(slope, difference, atol=0.05 * np.abs(slope).max())


def test_windows_lie_inside_and_have_the_contents_aspect():
    for steps in range(-LARGEST_ASPECT, LARGEST_ASPECT + 1):
        windows = library_of(steps).windows
        assert (windows[:, :2] >= 0).all()
        assert (windows[:, :2] + windows[:, 2:] <= 1 + 1e-6).all()
        np.testing.assert_allclose(np.log(windows[:, 3] / windows[:, 2]), 0.04 * steps, atol=1e-4)


def test_aspects_beyond_any_crop_are_not_searched():
    assert aspect_steps(np.array([0.5]), np.array([2.0]))[0] == NO_ASPECT
    assert aspect_steps(np.array([1.5]), np.array([1.5]))[0] == 0


@pytest.mark.parametrize("name", WINDOWS)
def test_a_crop_is_found_and_its_place_measured_both_ways(large: np.ndarray, name: str):
    window = WINDOWS[name]
    aspect = 4 / 3
    whole, part = cut(large[0], (0, 0, 1, 1)), cut(large[0], window)
    aspects = (aspect, aspect * window[3] / window[2])
    there = measured(whole, part, aspects)
    back = measured(part, whole, aspects[::-1])
    assert there.structure[0] > SAME_PICTURE_CROPPED
    np.testing.assert_allclose(there.window_a[0], window, atol=0.015)
    assert there.window_b[0].tolist() == [0, 0, 1, 1]
    # The other way round the same, with a and b in each other's place.
    assert back.structure[0] == pytest.approx(there.structure[0], abs=1e-6)
    np.testing.assert_allclose(back.window_b[0], there.window_a[0], atol=1e-6)
    assert back.window_a[0].tolist() == [0, 0, 1, 1]
    assert there.cropped[0]
    assert back.cropped[0]


@pytest.mark.parametrize("word", ["mirrored", "rotated 90", "rotated 180"])
def test_a_crop_of_a_turned_picture_is_found(large: np.ndarray, word: str):
    # Ninety per cent: enough of the whole is left to tell how it was turned.
    orientation = ORIENTATION_WORDS.index(word)
    whole = cut(large[1], (0, 0, 1, 1))
    part = np.ascontiguousarray(orient(cut(large[1], (0.04, 0.05, 0.9, 0.9)), orientation))
    aspects = (1.2, 1 / 1.2 if orientation >= 4 else 1.2)
    there = measured(whole, part, aspects)
    back = measured(part, whole, aspects[::-1])
    assert there.structure[0] > SAME_PICTURE_CROPPED
    assert there.orientation[0] == orientation
    assert back.orientation[0] == INVERSE[orientation]
    np.testing.assert_allclose(there.window_a[0], (0.04, 0.05, 0.9, 0.9), atol=0.015)
    np.testing.assert_allclose(back.window_b[0], there.window_a[0], atol=1e-6)


def test_align_lays_b_on_a(large: np.ndarray):
    window = WINDOWS["80 % inside"]
    whole, part = cut(large[2], (0, 0, 1, 1)), cut(large[2], window)
    alignment = align(whole, part, aspect_a=1.5, aspect_b=1.5)
    assert alignment.words == "cropped, about 80 %"
    assert alignment.orientation == 0
    np.testing.assert_allclose(alignment.window_a, window, atol=0.015)
    shown = resampled(whole[None].astype(np.float32), np.array([alignment.window_a], np.float32), SIDE)[0]
    seen = resampled(part[None].astype(np.float32), np.array([alignment.window_b], np.float32), SIDE)[0]
    assert np.abs(shown - seen).mean() < 4
    assert np.abs(shown - seen).mean() < np.abs(shown - np.roll(seen, 2)).mean() / 2


def test_refining_moves_a_window_to_its_place(large: np.ndarray):
    window = np.array([[0.07, 0.13, 0.8, 0.8]], np.float32)
    whole, part = (cut(large[0], w)[None].astype(np.float32) for w in ((0, 0, 1, 1), window[0]))
    start = window + np.array([[0.02, -0.02, -0.03, -0.03]], np.float32)
    refined, hopeful = refine_windows(whole, part, start, np.ones(1, np.float32))
    assert hopeful.all()
    assert np.abs(refined - window).max() < 0.015
    first, second = aligned_pictures(whole, part, refined)
    assert np.abs(first - second).mean() < 4


def test_refining_never_leaves_the_picture():
    pictures = scenes(6, seed=2).astype(np.float32)
    windows = np.tile(np.array([0.3, 0.29, 0.7, 0.71], np.float32), (3, 1))
    refined, _ = refine_windows(pictures[:3], pictures[3:], windows, np.ones(3, np.float32))
    assert (refined >= 0).all()
    assert (refined[:, :2] + refined[:, 2:] <= 1 + 1e-6).all()


def test_the_cap_keeps_each_pair_that_is_among_the_most_alike_of_one_of_its_images():
    n = WINDOWS_PER_IMAGE + 20
    a, b = np.triu_indices(n, 1)
    likeness = np.random.default_rng(4).random(len(a)).astype(np.float32)
    zeros = np.zeros(len(a))
    every = Searches(np.arange(len(a)), a, b, zeros.astype(np.int8), zeros, likeness, np.zeros((len(a), 4), np.float32))
    kept, left_out = most_alike(every)
    best = {image: np.argsort(-likeness * ((a == image) | (b == image)))[:WINDOWS_PER_IMAGE] for image in range(n)}
    expected = sorted({int(pair) for pairs in best.values() for pair in pairs})
    assert kept.pair.tolist() == expected
    assert left_out.tolist() == sorted(set(range(len(a))) - set(expected))
    assert len(left_out) > 0
