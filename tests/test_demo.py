"""The demo album: the same for a seed, with its truth, never among somebody's photos."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest

from dupkit import demo
from dupkit.demo import demo_album, paint_picture, write_demo


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "album"
    write_demo(folder)
    return folder


def test_the_album_has_about_120_pictures_and_two_that_cannot_be_read(album: Path) -> None:
    pictures = sorted(album.rglob("*.jpg"))
    assert 115 <= len(pictures) <= 130
    assert {path.name for path in pictures} >= {"download broke off.jpg", "not a picture.jpg"}


def test_the_truth_names_files_of_the_album_in_order_and_every_kind(album: Path) -> None:
    with (album / "truth.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert all((album / row["a"]).is_file() and (album / row["b"]).is_file() and row["a"] < row["b"] for row in rows)
    assert {row["label"] for row in rows} == {"duplicate", "transformed"}
    kinds = {row["kind"] for row in rows}
    assert kinds >= {
        "re-encoded", "half size", "mirrored", "rotated 90", "cropped", "brighter", "watermarked", "grey", "same bytes"
    }  # fmt: skip


def test_the_truth_of_same_bytes_is_every_pair_of_equal_files(album: Path) -> None:
    by_hash: dict[str, list[str]] = {}
    for path in album.rglob("*.jpg"):
        by_hash.setdefault(hashlib.sha256(path.read_bytes()).hexdigest(), []).append(str(path.relative_to(album)))
    equal = {tuple(sorted(names)) for names in by_hash.values() if len(names) > 1}
    with (album / "truth.csv").open(encoding="utf-8", newline="") as stream:
        told = {(row["a"], row["b"]) for row in csv.DictReader(stream) if row["kind"] == "same bytes"}
    assert told == equal


def test_a_seed_paints_one_picture_and_another_seed_another() -> None:
    for seed in range(4):
        once, again, other = (np.asarray(paint_picture(number)) for number in (seed, seed, seed + 4))
        assert np.array_equal(once, again)
        assert once.shape != other.shape or not np.array_equal(once, other)


def test_the_pictures_are_not_noise() -> None:
    for seed in range(8):
        grey = np.asarray(paint_picture(seed).convert("L"), dtype=float)
        neighbours = np.corrcoef(grey[:, :-1].ravel(), grey[:, 1:].ravel())[0, 1]
        assert neighbours > 0.7
        assert grey.std() > 8


def test_an_album_is_never_written_among_other_files(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="is not empty"):
        write_demo(tmp_path)
    with pytest.raises(NotADirectoryError, match="is a file"):
        write_demo(tmp_path / "mine.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_album_of_the_state_folder_is_painted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "N_ORIGINALS", 2)
    first = demo_album()
    (first / "truth.csv").write_text("kept")
    assert demo_album() == first
    assert (first / "truth.csv").read_text() == "kept"
