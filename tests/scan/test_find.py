"""scan_folder: what is found, what is left out, what is refused."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from dupkit.scan import scan_folder
from dupkit.schema import check_table
from tests.conftest import need

JPEG = b"\xff\xd8\xff\xe0 and so on"


def write(folder: Path, *names: str, data: bytes = JPEG) -> None:
    for name in names:
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)


def test_images_are_found_by_extension_or_by_first_bytes_and_the_rest_is_counted(tmp_path: Path) -> None:
    write(tmp_path, "a.jpg", "b.JPEG", "sub/c.heic", "no extension", "picture.txt")
    write(tmp_path, "notes.txt", "sub/film.mov", data=b"BM something else")
    write(tmp_path, "words.png", data=b"no picture at all")
    files = scan_folder(tmp_path)
    check_table(files, "files")
    assert files["path"].tolist() == ["a.jpg", "b.JPEG", "no extension", "picture.txt", "sub/c.heic", "words.png"]
    assert files.attrs["other_files"] == 2
    assert files.attrs["root"] == os.path.realpath(tmp_path)
    assert files.attrs["reference"] == ()
    status = (tmp_path / "a.jpg").stat()
    assert files.loc[0, ["size_bytes", "mtime_ns", "ctime_ns", "device", "inode"]].tolist() == [
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_dev,
        status.st_ino,
    ]


def test_rows_are_in_order_of_their_bytes(tmp_path: Path) -> None:
    write(tmp_path, "b.jpg", "a/z.jpg", "a.jpg", "a-b.jpg")
    paths = scan_folder(tmp_path)["path_bytes"].tolist()
    assert paths == sorted(paths) == [b"a-b.jpg", b"a.jpg", b"a/z.jpg", b"b.jpg"]


def test_the_destinations_are_never_scanned_at_any_depth(tmp_path: Path) -> None:
    write(tmp_path, "a.jpg", "exact duplicates/b.jpg", "2019/maybe duplicates/x/c.jpg", "exact duplicates.jpg")
    assert scan_folder(tmp_path)["path"].tolist() == ["a.jpg", "exact duplicates.jpg"]


def test_not_recursive_stays_in_the_folder(tmp_path: Path) -> None:
    write(tmp_path, "a.jpg", "sub/b.jpg")
    assert scan_folder(tmp_path, recursive=False)["path"].tolist() == ["a.jpg"]


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        (["*.png"], ["a.jpg", "x/a.jpg", "x/y/c.jpg"]),
        (["x"], ["a.jpg", "b.png"]),
        (["x/y/"], ["a.jpg", "b.png", "x/a.jpg"]),
        (["x/*.jpg"], ["a.jpg", "b.png"]),
        (["[ab].*"], ["x/y/c.jpg"]),
        (["nothing", "?.png"], ["a.jpg", "x/a.jpg", "x/y/c.jpg"]),
    ],
)
def test_exclude_takes_names_paths_and_folders(tmp_path: Path, exclude: list[str], left: list[str]) -> None:
    write(tmp_path, "a.jpg", "b.png", "x/a.jpg", "x/y/c.jpg")
    assert scan_folder(tmp_path, exclude=exclude)["path"].tolist() == left


def test_links_are_not_followed_and_each_oddity_with_an_image_name_has_a_row(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(tmp_path, "outside/secret.jpg")
    write(root, "a.jpg", "folder.jpg/inside.jpg")
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "link.jpg").symlink_to(tmp_path / "outside" / "secret.jpg")
    os.mkfifo(root / "fifo.jpg")
    os.mkfifo(root / "fifo")
    files = scan_folder(root)
    assert files["path"].tolist() == ["a.jpg", "fifo.jpg", "folder.jpg", "folder.jpg/inside.jpg", "link.jpg"]
    assert files.attrs["other_files"] == 0


def test_a_root_behind_a_link_is_that_folder(tmp_path: Path) -> None:
    write(tmp_path, "real/a.jpg")
    (tmp_path / "link").symlink_to("real")
    files = scan_folder(tmp_path / "link")
    assert files.attrs["root"] == os.path.realpath(tmp_path / "real")
    assert files["path"].tolist() == ["a.jpg"]


def test_names_of_any_bytes_are_found_and_shown(tmp_path: Path) -> None:
    need(sys.platform == "linux", "names are bytes on Linux only")
    names = [b"a\nb.jpg", b"bad \xff.jpg", b"x" * 251 + b".jpg", "été.jpg".encode(), b"back\\slash.jpg", b"=1+1.jpg"]
    for name in names:
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write(JPEG)
    files = scan_folder(tmp_path)
    assert sorted(names) == files["path_bytes"].tolist()
    assert files["path"].is_unique
    assert not files["path"].str.contains("\n").any()


def test_reference_folders_are_scanned_too_and_named(tmp_path: Path) -> None:
    write(tmp_path, "root/new.jpg", "root/old/a.jpg", "archive/b.jpg", "archive/exact duplicates/c.jpg")
    files = scan_folder(tmp_path / "root", reference=["old", tmp_path / "archive", tmp_path / "archive" / "."])
    assert files["path"].tolist() == ["../archive/b.jpg", "new.jpg", "old/a.jpg"]
    assert files.attrs["reference"] == ("../archive", "old")


def test_a_reference_folder_must_not_hold_the_root(tmp_path: Path) -> None:
    write(tmp_path, "root/a.jpg")
    for folder in (tmp_path, tmp_path / "root"):
        with pytest.raises(ValueError, match="holds the folder to scan"):
            scan_folder(tmp_path / "root", reference=[folder])


def test_bad_folders_are_refused_in_one_clear_line(tmp_path: Path) -> None:
    write(tmp_path, "a.jpg")
    (tmp_path / "empty").mkdir()
    write(tmp_path, "texts/a.txt", data=b"words")
    for folder, words in [
        (tmp_path / "absent", "is not there; pass a folder that exists"),
        (tmp_path / "a.jpg", "is not a folder; pass the folder that holds the pictures"),
        (tmp_path / "empty", "no image in this folder, among 0 other files; dupkit looks for JPEG"),
        (tmp_path / "texts", "no image in this folder, among 1 other files; dupkit looks for JPEG"),
    ]:
        with pytest.raises(ValueError, match=re.escape(words)) as caught:
            scan_folder(folder)
        assert str(folder) in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="is not there"):
        scan_folder(tmp_path, reference=["absent"])
    with pytest.raises(TypeError, match="expected a sequence of patterns"):
        scan_folder(tmp_path, exclude="*.jpg")
    with pytest.raises(TypeError, match="expected a sequence of folders"):
        scan_folder(tmp_path, reference="old")


def test_a_folder_that_may_not_be_read_is_refused_or_left_out_with_a_warning(tmp_path: Path) -> None:
    need(os.geteuid() != 0 or _can_drop(), "root reads everything")
    write(tmp_path, "a.jpg", "closed/b.jpg")
    tmp_path.chmod(0o755)
    code = (
        "import os, sys, warnings; os.setegid(65534); os.seteuid(65534) if os.geteuid() == 0 else None\n"
        "from dupkit.scan.find import scan_folder\n"
        "with warnings.catch_warnings(record=True) as seen:\n"
        "    warnings.simplefilter('always'); files = scan_folder(sys.argv[1])\n"
        "print(files['path'].tolist(), files.attrs['unreadable_folders'], [str(w.message) for w in seen])\n"
        "try:\n    scan_folder(sys.argv[1] + '/closed')\nexcept ValueError as error:\n    print(error)\n"
    )
    (tmp_path / "closed").chmod(0)
    try:
        out = _as_nobody(code, tmp_path)
    finally:
        (tmp_path / "closed").chmod(0o755)
    assert "['a.jpg'] 1 " in out
    assert "1 folders could not be read and were left out, for instance 'closed'" in out
    assert "cannot be read (Permission denied)" in out


def _can_drop() -> bool:
    return hasattr(os, "seteuid")


def _as_nobody(code: str, folder: Path) -> str:
    """Run code as a user without rights; pytest's own folders are root's alone, so they are opened for it."""
    import subprocess

    parents = [parent for parent in folder.parents if parent.stat().st_uid == os.geteuid() and parent != Path("/")]
    modes = {parent: parent.stat().st_mode for parent in parents}
    for parent in parents:
        parent.chmod(modes[parent] | 0o055)
    try:
        # Imports come first: the project's folder may be closed to that user.
        preload = "import dupkit.scan.find, pandas, pyarrow\n"
        done = subprocess.run(
            [sys.executable, "-c", preload + code, str(folder)], capture_output=True, text=True, check=True
        )
    finally:
        for parent, mode in modes.items():
            parent.chmod(mode)
    return done.stdout


def test_a_row_fits_numbers_of_64_bits() -> None:
    from dupkit.scan.find import signed

    assert signed(2**64 - 2) == -2
