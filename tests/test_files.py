"""Paths as text and back; opening regular files only; links followed nowhere."""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dupkit.cells import neutral_cell, original_cell, percent_decoded, percent_encoded
from dupkit.files import (
    NotARegularFileError,
    display_path,
    hash_descriptor,
    in_destination,
    open_regular,
    opened_folder,
    path_from_display,
)

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

PATHS = st.binary(min_size=1, max_size=40) | st.text(min_size=1, max_size=20).map(
    lambda text: text.encode("utf-8", "surrogatepass")
)


@given(PATHS)
def test_a_displayed_path_leads_back_to_its_bytes(path: bytes) -> None:
    assert path_from_display(display_path(path)) == path


@given(PATHS)
def test_a_displayed_path_fits_a_str_column_and_has_nothing_invisible(path: bytes) -> None:
    text = display_path(path)
    text.encode("utf-8")  # no surrogates
    assert not any(character in text for character in "\n\r\t\x00\u202e\u2028\ufeff")


@given(PATHS)
def test_percent_encoding_leads_back_and_is_no_formula(path: bytes) -> None:
    text = percent_encoded(path)
    assert percent_decoded(text) == path
    assert not text.startswith(FORMULA_STARTS)


@given(st.text(max_size=20))
def test_a_neutral_cell_leads_back_and_is_no_formula(text: str) -> None:
    assert original_cell(neutral_cell(text)) == text
    assert not neutral_cell(text).startswith(FORMULA_STARTS)


def test_a_regular_file_is_opened_and_hashed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc" * 100_000)
    descriptor = open_regular(os.fsencode(path))
    assert hash_descriptor(descriptor) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert hash_descriptor(descriptor) == hashlib.sha256(path.read_bytes()).hexdigest()  # from the start again
    os.close(descriptor)


def test_nothing_but_a_regular_file_is_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for name, kind in [("folder", "a folder"), ("link", "a link"), ("fifo", "a FIFO"), ("socket", "a socket")]:
            with pytest.raises(NotARegularFileError, match=kind):
                open_regular(os.fsencode(tmp_path / name))
    with pytest.raises(NotARegularFileError, match="a device"):
        open_regular(b"/dev/null")
    with pytest.raises(FileNotFoundError):
        open_regular(os.fsencode(tmp_path / "absent"))


def test_a_folder_behind_a_link_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "root" / "a" / "b").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "root" / "away").symlink_to(tmp_path / "elsewhere")
    root = os.fsencode(tmp_path / "root")
    with opened_folder(root, b"a/b") as descriptor:
        assert os.path.samestat(os.fstat(descriptor), (tmp_path / "root" / "a" / "b").stat())
    with pytest.raises(OSError, match="away"), opened_folder(root, b"away"):
        pass
    with pytest.raises(OSError, match="away"), opened_folder(root, b"away/../a"):
        pass


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    before = len(os.listdir("/proc/self/fd"))
    for path in (b"a/b", b"a/absent", b"a/b/absent/c"):
        try:
            with opened_folder(os.fsencode(tmp_path), path):
                pass
        except FileNotFoundError:
            pass
    with pytest.raises(NotARegularFileError):
        open_regular(os.fsencode(tmp_path / "a"))
    assert len(os.listdir("/proc/self/fd")) == before


def test_destinations_are_known_at_any_depth_and_by_whole_names_only() -> None:
    assert in_destination(b"exact duplicates/a.jpg")
    assert in_destination(b"x/maybe duplicates/y/a.jpg")
    assert not in_destination(b"exact duplicates")  # a file of that name
    assert not in_destination(b"inexact duplicates/a.jpg")
