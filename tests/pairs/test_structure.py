"""The second opinion on whole pictures: its parts against slow oracles, its symmetry, what it cannot be sure of."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from io import BytesIO
from multiprocessing import get_context

import dask
import numpy as np
import pytest
from PIL import Image, ImageOps

from benchmarks.alterations import KINDS, altered_copy
from dupkit.pairs.agreement import SIDE, SPOILT_BLOCKS, agreement, detail_of, shape_likeness
from dupkit.pairs.likeness import block_likeness, pair_likeness, shrink, waves_of
from dupkit.pairs.orientations import INVERSE, N_ORIENTATIONS, ORIENTATION_WORDS, orient, orient_each
from dupkit.pairs.structure import measure_structure
from dupkit.pairs.verdict import LOOK_ALIKE, SAME_PICTURE
from tests import naive
from tests.pairs.scenes import scenes


def one_pair(first: np.ndarray, second: np.ndarray, aspects=(1.0, 1.0)):
    return measure_structure(np.stack([first, second]), np.array(aspects), np.array([0]), np.array([1]))


def test_agreement_is_the_oracles():
    rng = np.random.default_rng(1)
    clean = shrink(scenes(6), SIDE)
    for k, strength in enumerate((0.0, 2.0, 8.0, 30.0)):
        noisy = (clean[k] + rng.normal(0, strength, clean[k].shape)).astype(np.float32)
        expected = naive.picture_agreement(clean[k], noisy)
        assert agreement(clean[k : k + 1], noisy[None])[0] == pytest.approx(expected, abs=2e-3)
        noisy[4:9, 2:30] = 200
        expected = naive.picture_agreement(clean[k], noisy, spoilt=SPOILT_BLOCKS)
        assert agreement(clean[k : k + 1], noisy[None], spoilt=SPOILT_BLOCKS)[0] == pytest.approx(expected, abs=2e-3)
    assert agreement(clean[:1], clean[1:2])[0] == pytest.approx(naive.picture_agreement(clean[0], clean[1]), abs=2e-3)


def test_detail_is_the_oracles():
    picture = shrink(scenes(1), SIDE)
    np.testing.assert_allclose(detail_of(picture)[0], naive.picture_detail(picture[0]), atol=1e-3)


def test_agreement_is_symmetric_and_does_not_depend_on_the_batch():
    pictures = shrink(scenes(40, seed=3), SIDE)
    first, second = np.repeat(pictures[:8], 5, axis=0), np.tile(pictures[:5], (8, 1, 1))
    np.testing.assert_array_equal(agreement(first, second), agreement(second, first))
    one_by_one = [agreement(first[k : k + 1], second[k : k + 1])[0] for k in range(len(first))]
    np.testing.assert_array_equal(agreement(first, second), one_by_one)


def test_agreement_forgives_brightness_and_contrast_but_not_another_picture():
    pictures = shrink(scenes(2), SIDE)
    assert agreement(pictures[:1], 0.6 * pictures[:1] + 20)[0] > 0.99
    assert agreement(pictures[:1], pictures[1:])[0] < LOOK_ALIKE


def test_a_caption_spoils_its_own_pixels_only():
    pictures = shrink(scenes(1), SIDE)
    captioned = pictures.copy()
    captioned[:, -4:] = 230
    captioned[:, -2, 4:20:2] = 120
    assert agreement(pictures, captioned, spoilt=SPOILT_BLOCKS)[0] > SAME_PICTURE


def test_words_across_a_picture_spoil_their_own_blocks_only():
    pictures = shrink(scenes(1, seed=12), SIDE)
    marked = pictures.copy()
    marked[:, 12:15, 1:15:3] += 120
    strict = agreement(pictures, marked)[0]
    assert strict < 0.95
    assert agreement(pictures, marked, spoilt=SPOILT_BLOCKS)[0] > strict + 0.02


def test_a_slope_has_no_shapes_and_a_blurred_scene_has():
    y, x = np.mgrid[0:32, 0:32].astype(np.float32)
    slopes = np.stack([2 * x, 3 * x - y, y])
    assert (shape_likeness(slopes, slopes) == 0).all()
    blurred = np.stack([60 * np.sin(x / 7) * np.cos(y / 5), 60 * np.cos(x / 4 + y / 9)]).astype(np.float32)
    np.testing.assert_allclose(shape_likeness(blurred, 0.5 * blurred + slopes[:2]), 1, atol=1e-3)
    assert shape_likeness(blurred[:1], blurred[1:])[0] < 0.5


def test_a_copy_whose_middle_is_blurred_is_the_same_picture():
    # Its middle has no fine detail; it was called a look-alike of its own copies before.
    y, x = np.mgrid[0:64, 0:64]
    picture = 120 + 50 * np.sin(x / 13) * np.cos(y / 11)
    rim = np.ones((64, 64), bool)
    rim[8:-8, 8:-8] = False
    picture[rim] = scenes(1, seed=13)[0][rim]
    picture = picture.round().astype(np.uint8)
    copy = np.clip(0.9 * picture + np.random.default_rng(2).normal(0, 1, picture.shape), 0, 255).astype(np.uint8)
    other = picture.copy()
    other[8:-8, 8:-8] = (120 + 50 * np.cos(x / 8 + y / 17))[8:-8, 8:-8]
    assert one_pair(picture, copy).structure[0] >= SAME_PICTURE
    assert LOOK_ALIKE <= one_pair(picture, other).structure[0] < SAME_PICTURE


def test_likeness_is_the_oracles_in_every_orientation():
    pictures = scenes(2)
    found = pair_likeness(waves_of(pictures), np.array([0]), np.array([1]))[0]
    small = shrink(pictures, 16)
    expected = [naive.waves_likeness(orient(small[0], o).tolist(), small[1].tolist()) for o in range(N_ORIENTATIONS)]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_block_likeness_is_the_largest_pair_likeness():
    waves = waves_of(scenes(30))
    blocks = block_likeness(waves, slice(0, 12), slice(12, 30))
    a, b = np.divmod(np.arange(12 * 18), 18)
    np.testing.assert_allclose(blocks.ravel(), pair_likeness(waves, a, b + 12).max(axis=1), atol=1e-5)


@pytest.mark.parametrize("orientation", range(N_ORIENTATIONS))
def test_a_picture_agrees_with_itself_in_every_orientation(orientation: int):
    picture = scenes(1)[0]
    turned = np.ascontiguousarray(orient(picture, orientation))
    there, back = one_pair(picture, turned), one_pair(turned, picture)
    assert there.structure[0] == pytest.approx(1, abs=1e-4)
    assert back.structure[0] == pytest.approx(1, abs=1e-4)
    assert there.orientation[0] == orientation
    assert back.orientation[0] == INVERSE[orientation]


def test_orientation_words_mean_what_pillow_does():
    picture = np.arange(16, dtype=np.uint8).reshape(4, 4)
    image = Image.fromarray(picture)
    for word, expected in {
        "same": image,
        "mirrored": ImageOps.mirror(image),
        "rotated 90": image.transpose(Image.Transpose.ROTATE_90),
        "rotated 180": image.transpose(Image.Transpose.ROTATE_180),
        "rotated 270": image.transpose(Image.Transpose.ROTATE_270),
        "mirrored and rotated 90": ImageOps.mirror(image).transpose(Image.Transpose.ROTATE_90),
        "mirrored and rotated 180": ImageOps.mirror(image).transpose(Image.Transpose.ROTATE_180),
        "mirrored and rotated 270": ImageOps.mirror(image).transpose(Image.Transpose.ROTATE_270),
    }.items():
        np.testing.assert_array_equal(orient(picture, ORIENTATION_WORDS.index(word)), np.asarray(expected), word)


def test_orient_each_turns_each_in_its_own_way_and_inverse_undoes_it():
    pictures = scenes(8)
    orientations = np.arange(8, dtype=np.int8)
    turned = orient_each(pictures.copy(), orientations)
    for number in range(8):
        np.testing.assert_array_equal(turned[number], orient(pictures[number], number))
    np.testing.assert_array_equal(orient_each(turned, np.array(INVERSE, np.int8)), pictures)


def test_flat_and_nearly_flat_pictures_have_no_structure():
    rng = np.random.default_rng(5)
    flat = np.full((64, 64), 128, np.uint8)
    noisy = (128 + rng.integers(-1, 2, (64, 64))).astype(np.uint8)
    slope = np.tile(np.linspace(0, 200, 64), (64, 1)).astype(np.uint8)
    scene = scenes(1)[0]
    for first in (flat, noisy, slope):
        for second in (flat, noisy, slope, scene):
            assert np.isnan(one_pair(first, second).structure[0])


def test_different_pictures_are_not_the_same():
    pictures = scenes(60, seed=7)
    a, b = np.triu_indices(len(pictures), 1)
    found = measure_structure(pictures, np.ones(len(pictures)), a, b)
    assert (found.structure < LOOK_ALIKE).all()


def test_no_pairs_give_no_structures():
    nothing = np.empty(0, np.intp)
    found = measure_structure(np.empty((0, 64, 64), np.uint8), np.empty(0), nothing, nothing)
    assert len(found.structure) == 0
    assert len(found.cropped) == 0


def test_every_scheduler_gives_the_same():
    pictures = np.concatenate([scenes(12, seed=8), scenes(12, seed=8)[:, ::-1]])
    a, b = np.triu_indices(len(pictures), 1)
    aspects = np.ones(len(pictures))
    expected = measure_structure(pictures, aspects, a, b, scheduler="synchronous")
    threads = measure_structure(pictures, aspects, a, b, scheduler="threads")
    # One pool for all steps: starting processes is most of the time.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool, dask.config.set(pool=pool):
        processes = measure_structure(pictures, aspects, a, b, scheduler="processes")
    for found in (threads, processes):
        np.testing.assert_array_equal(found.structure, expected.structure)
        np.testing.assert_array_equal(found.orientation, expected.orientation)
        np.testing.assert_array_equal(found.window_a, expected.window_a)


def test_benchmark_kinds_all_make_a_readable_file():
    picture = Image.fromarray(scenes(1, side=128)[0]).convert("RGB")
    for kind in KINDS:
        first = altered_copy(picture, kind, np.random.default_rng(4))
        assert first == altered_copy(picture, kind, np.random.default_rng(4))
        with Image.open(BytesIO(first[1])) as opened:
            opened.load()


def test_two_pictures_in_one_frame_are_not_the_same():
    # The frame is the strongest detail of both; 522 such pairs of 15 million were called the same before.
    framed = scenes(12, seed=9)
    framed = framed // 4 + 90
    for side in (framed, framed.swapaxes(1, 2)):
        side[:, :4] = 255
        side[:, -4:] = 255
        side[:, 4:6] = 0
        side[:, -6:-4] = 0
    a, b = np.triu_indices(len(framed), 1)
    found = measure_structure(framed, np.ones(len(framed)), a, b)
    assert (found.structure < SAME_PICTURE).all()
    assert one_pair(framed[0], framed[0]).structure[0] == pytest.approx(1, abs=1e-4)


def test_one_line_of_text_on_two_black_pictures_is_no_evidence():
    rng = np.random.default_rng(10)
    text = (rng.random((3, 40)) < 0.5) * 200
    pictures = rng.integers(0, 4, (2, 64, 64)).astype(np.uint8)
    pictures[:, 55:58, 10:50] = text
    assert not one_pair(*pictures).structure[0] >= SAME_PICTURE
