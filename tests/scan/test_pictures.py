"""Thumbnails, hashes of pixels, pictures for the page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dupkit.scan import (
    check_decodes,
    compute_histograms,
    pixel_hashes,
    read_facts,
    read_picture,
    read_thumbnails,
    reading,
    scan_folder,
)
from dupkit.scan.decode import UnreadableError
from dupkit.schema import check_table


@pytest.fixture
def images(album: Callable[..., Path]):
    folder = album(5)
    (folder / "002.jpg").write_bytes(b"broken")
    Image.open(folder / "000.jpg").save(folder / "000 same pixels.png")
    shutil.copy(folder / "001.jpg", folder / "001 same bytes.jpg")
    return compute_histograms(scan_folder(folder), progress=False)[0]


def test_thumbnails_are_those_of_the_pass_from_the_cache_or_not(images) -> None:
    thumbnails = read_thumbnails(images)
    check_table(thumbnails, "thumbnails")
    assert thumbnails.index.tolist() == images.index[images["error"] == ""].tolist()
    assert thumbnails.attrs["root"] == images.attrs["root"]
    assert all(grey.shape == (64, 64) and grey.dtype == np.uint8 for grey in thumbnails["grey"])
    for one, other in zip(thumbnails["grey"], read_thumbnails(images, cache=False)["grey"], strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_thumbnail_is_never_that_of_other_bytes(images) -> None:
    root = Path(images.attrs["root"])
    (root / "003.jpg").unlink()
    shutil.copy(root / "004.jpg", root / "000.jpg")
    left = read_thumbnails(images, cache=False)
    gone = images.index[images["path"].isin(["000.jpg", "003.jpg", "002.jpg"])]
    assert left.index.tolist() == [image_id for image_id in images.index if image_id not in gone]


def test_pixel_hashes_tell_same_pixels_in_any_format(images, monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = pixel_hashes(images, images.index[::-1])
    assert hashes.index.tolist() == images.index[::-1].tolist()
    by_path = dict(zip(images["path"][::-1], hashes, strict=True))
    assert by_path["000.jpg"] == by_path["000 same pixels.png"] != ""
    assert by_path["001.jpg"] == by_path["001 same bytes.jpg"] != by_path["000.jpg"]
    assert by_path["002.jpg"] == ""
    assert len(set(by_path.values())) == 5
    assert pixel_hashes(images, images.index[::-1], cache=False).equals(hashes)
    monkeypatch.setattr("dupkit.scan.batches.ask", None)
    assert pixel_hashes(images, images.index[::-1]).equals(hashes)
    with pytest.raises(KeyError):
        pixel_hashes(images, [99])
    assert pixel_hashes(images, []).tolist() == []


def test_a_pixel_hash_is_never_that_of_other_bytes(images) -> None:
    root = Path(images.attrs["root"])
    shutil.copy(root / "004.jpg", root / "000.jpg")
    position = images.index[images["path"] == "000.jpg"]
    assert pixel_hashes(images, position).tolist() == [""]


def test_a_picture_for_the_page_is_small_and_upright(images) -> None:
    root = images.attrs["root"]
    assert Image.open(BytesIO(read_picture(root, b"000.jpg", side=100))).size == (100, 75)
    assert Image.open(BytesIO(read_picture(root, b"000.jpg", side=None))).size == (320, 240)
    assert read_facts(root, b"000.jpg") == {"camera": "", "taken": ""}
    assert read_facts(root, b"002.jpg") == {"camera": "", "taken": ""}
    with pytest.raises(UnreadableError, match="not an image that dupkit reads: text"):
        read_picture(root, b"002.jpg", side=100)
    with pytest.raises(UnreadableError, match="no longer there"):
        read_picture(root, b"absent.jpg", side=100)


def test_check_decodes_says_why_not(images) -> None:
    root = os.fsencode(images.attrs["root"])
    assert check_decodes(root, b"000.jpg") == ""
    assert check_decodes(root, b"002.jpg") == "not an image that dupkit reads: text"
    Path(images.attrs["root"], "003.jpg").write_bytes(Path(images.attrs["root"], "003.jpg").read_bytes()[:-400])
    assert check_decodes(root, b"003.jpg") == "damaged: cut off"


def test_a_few_thumbnails_of_many_are_the_right_ones(album: Callable[..., Path]) -> None:
    images, _ = compute_histograms(scan_folder(album(9, name="nine")), progress=False)
    whole = read_thumbnails(images)["grey"]
    for ids in ([7], [2, 5], [8, 0]):
        few = read_thumbnails(images.loc[ids])["grey"]
        assert all((few[image_id] == whole[image_id]).all() for image_id in ids)
    assert len({picture.tobytes() for picture in whole}) == 9


def test_a_file_that_changes_while_it_is_read_has_no_histogram(
    album: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = album(1, name="one")
    honest = reading._hash

    def slow(stream: BytesIO) -> bytes:
        content = honest(stream)
        (folder / "000.jpg").write_bytes(b"other bytes")
        return content

    monkeypatch.setattr(reading, "_hash", slow)
    record = reading.FileReader(os.fsencode(folder)).record(b"000.jpg", "fast")
    assert (record.error, record.content_hash, record.counts) == ("changed while it was read", b"", b"")
