"""compute_histograms: one answer whatever the scheduler, the cache, the order and the interruptions."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dupkit.scan import cache_info, clear_cache, compute_histograms, problems, scan_folder
from dupkit.schema import check_histograms, check_table, empty_table
from tests.naive import script_histogram

Tables = tuple[pd.DataFrame, pd.DataFrame]


def scanned(folder: Path, **options: object) -> Tables:
    images, histograms = compute_histograms(scan_folder(folder), progress=False, **options)
    check_table(images, "images")
    check_histograms(histograms)
    return images, histograms


def assert_same(one: Tables, other: Tables) -> None:
    for a, b in zip(one, other, strict=True):
        pd.testing.assert_frame_equal(a, b)
        assert a.attrs == b.attrs


@pytest.fixture
def no_decoding(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From now on, asking a worker for anything is an error."""

    def forbid() -> None:
        def ask(*_: object, **__: object) -> None:
            pytest.fail("a file was read again")

        monkeypatch.setattr("dupkit.scan.batches.ask", ask)

    return forbid


@pytest.fixture
def settled_album(album: Callable[..., Path]) -> Callable[..., Path]:
    """An album whose files were not changed within the last moment: only such ones are known by their times."""

    def make(*args: object, **options: object) -> Path:
        folder = album(*args, **options)
        time.sleep(0.15)
        return folder

    return make


def test_every_file_has_a_row_and_every_readable_one_a_histogram(album: Callable[..., Path]) -> None:
    folder = album(3)
    (folder / "empty.jpg").touch()
    (folder / "text.png").write_text("words")
    os.mkfifo(folder / "fifo.jpg")
    (folder / "link.jpg").symlink_to("000.jpg")
    (folder / "folder.jpg").mkdir()
    shutil.copy(folder / "001.jpg", folder / "folder.jpg" / "same.jpg")
    images, histograms = scanned(folder)
    assert dict(zip(images["path"], images["error"], strict=True)) == {
        "000.jpg": "",
        "001.jpg": "",
        "002.jpg": "",
        "empty.jpg": "empty file",
        "fifo.jpg": "not a regular file: a FIFO",
        "folder.jpg": "not a regular file: a folder",
        "folder.jpg/same.jpg": "",
        "link.jpg": "not a regular file: a link",
        "text.png": "not an image that dupkit reads: text",
    }
    assert histograms.index.tolist() == images.index[images["error"] == ""].tolist()
    assert images.loc[1, "content_hash"] == images.loc[6, "content_hash"]
    assert histograms.loc[1].equals(histograms.loc[6])
    assert images.attrs["sampling"] == histograms.attrs["sampling"] == "fast"
    assert histograms.attrs["root"] == images.attrs["root"]


def test_original_sampling_is_the_script(album: Callable[..., Path]) -> None:
    folder = album(3, size=(900, 700))
    images, histograms = scanned(folder, sampling="original")
    for path, row in zip(images["path"], histograms.to_numpy(), strict=True):
        assert row.tolist() == script_histogram(folder / path)


@pytest.mark.parametrize("sampling", ["fast", "original"])
@pytest.mark.parametrize("scheduler", ["threads", "synchronous", "processes"])
def test_every_scheduler_gives_the_same_tables(album: Callable[..., Path], scheduler: str, sampling: str) -> None:
    folder = album(40)
    (folder / "020.jpg").write_bytes((folder / "020.jpg").read_bytes()[:2000])
    expected = scanned(folder, sampling=sampling, cache=False, scheduler="synchronous")
    assert expected[0].loc[20, "error"] == "damaged: cut off"
    assert_same(scanned(folder, sampling=sampling, cache=False, scheduler=scheduler), expected)


def test_a_cluster_gives_the_same_tables_and_opens_loopback_ports_only(album: Callable[..., Path]) -> None:
    import psutil
    from distributed import Client, LocalCluster

    folder = album(40)
    expected = scanned(folder, cache=False, scheduler="synchronous")
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
            security=True,
        ) as cluster,
        Client(cluster) as client,
    ):
        assert_same(scanned(folder, cache=False), expected)  # the active client
        assert_same(scanned(folder, cache=False, scheduler=client), expected)
        assert_same(scanned(folder), expected)
        assert_same(scanned(folder, cache=False, scheduler="threads"), expected)
        me = psutil.Process()
        for process in [me, *me.children(recursive=True)]:
            for connection in process.net_connections("inet"):
                if connection.status == psutil.CONN_LISTEN:
                    assert connection.laddr.ip == "127.0.0.1"


def test_an_interrupted_run_goes_on_where_it_stopped(
    album: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = album(70)
    expected = scanned(folder, cache=False)
    real, batches = __import__("dupkit.scan.histograms", fromlist=["unpack"]).unpack, []

    def interrupted(data: bytes) -> object:
        batches.append(data)
        if len(batches) == 40:
            raise KeyboardInterrupt
        return real(data)

    monkeypatch.setattr("dupkit.scan.histograms.unpack", interrupted)
    with pytest.raises(KeyboardInterrupt):
        scanned(folder)
    before = len(batches)
    assert_same(scanned(folder), expected)
    assert len(batches) - before <= 70 - 32


def test_a_killed_run_loses_at_most_one_part(album: Callable[..., Path]) -> None:
    folder = album(120, size=(500, 375))
    time.sleep(0.15)
    code = (
        "import sys, dupkit.scan.store as store, dupkit.scan.batches as batches; from dupkit.scan import *\n"
        "store._PART_IMAGES = 16; batches._BATCH_FILES = 4\n"
        "compute_histograms(scan_folder(sys.argv[1]), sampling='original', progress=False)"
    )
    cache = Path(os.environ["DUPKIT_CACHE"]) / "scan"
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)])
    deadline = time.monotonic() + 60
    while len(list(cache.rglob("*.parquet"))) < 4 and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() in (-signal.SIGKILL, 0)
    asked: list[bytes] = []
    from dupkit.scan import batches

    real = batches.ask

    def ask(job: str, root: bytes, paths: list[bytes], **options: object) -> object:
        asked.extend(paths)
        return real(job, root, paths, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "ask", ask)
        result = scanned(folder, sampling="original", scheduler="threads")
    assert len(asked) <= 120 - 16
    assert_same(result, scanned(folder, sampling="original", cache=False))


def test_a_rescan_reads_nothing_and_answers_the_same(
    settled_album: Callable[..., Path], no_decoding: Callable[[], None]
) -> None:
    folder = settled_album(8)
    (folder / "003.jpg").write_bytes(b"broken")
    (folder / "004.png").write_bytes(b"")
    time.sleep(0.15)
    first = scanned(folder)
    no_decoding()
    assert_same(scanned(folder), first)


def test_touched_and_renamed_files_are_hashed_and_not_decoded_again(
    settled_album: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = settled_album(8)
    before, histograms = scanned(folder)
    os.utime(folder / "001.jpg")
    (folder / "002.jpg").rename(folder / "other.jpg")
    shutil.move(folder / "003.jpg", folder.parent / "003.jpg")
    shutil.copy(folder.parent / "003.jpg", folder / "copied.jpg")
    from dupkit.scan import histograms as module

    known = []
    real = module.unpack
    monkeypatch.setattr(module, "unpack", lambda data: known.append(real(data)) or known[-1])
    after, again = scanned(folder)
    assert [record.known for record in known] == [True] * 3
    assert after["path"].tolist() == [
        "000.jpg",
        "001.jpg",
        *(f"00{n}.jpg" for n in range(4, 8)),
        "copied.jpg",
        "other.jpg",
    ]
    for path, old in [("001.jpg", "001.jpg"), ("other.jpg", "002.jpg"), ("copied.jpg", "003.jpg")]:
        old_id = before.index[before["path"] == old][0]
        new_id = after.index[after["path"] == path][0]
        facts = ["content_hash", "width", "height", "format", "orientation", "frames", "error"]
        assert after.loc[new_id, facts].tolist() == before.loc[old_id, facts].tolist()
        assert again.loc[new_id].tolist() == histograms.loc[old_id].tolist()
    assert after.loc[1, "mtime_ns"] == (folder / "001.jpg").stat().st_mtime_ns


def test_a_changed_file_is_computed_anew_even_if_size_and_mtime_are_as_before(
    settled_album: Callable[..., Path], rng: np.random.Generator
) -> None:
    folder = settled_album(2)
    place = folder / "000.bmp"
    Image.new("RGB", (20, 20), "red").save(place)
    status = place.stat()
    time.sleep(0.15)
    first, histograms = scanned(folder)
    Image.new("RGB", (20, 20), "blue").save(place)
    os.utime(place, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (place.stat().st_size, place.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    second, again = scanned(folder)
    assert first["content_hash"][0] != second["content_hash"][0]
    assert histograms["b_255"][0] == 0
    assert again["b_255"][0] == 480_000


def test_a_file_that_changed_just_now_is_never_known_by_its_times(album: Callable[..., Path]) -> None:
    """Its clock may not tick between the scan and the next change: the racy file of version control."""
    from dupkit.scan.cache import settled

    second = 1_000_000_000
    assert not settled(5 * second + 40_000_000, 5 * second + 1, 5 * second + 1)
    assert settled(5 * second + 240_000_000, 5 * second + 1, 5 * second + 1)
    assert not settled(6 * second, 5 * second, 5 * second)  # whole seconds only: a coarse clock
    assert not settled(5 * second, 9 * second, 4 * second)  # times from the future prove nothing
    assert settled(8 * second, 5 * second, 5 * second)


def test_a_file_that_changes_between_finding_and_reading_has_its_new_state(album: Callable[..., Path]) -> None:
    folder = album(3)
    files = scan_folder(folder)
    Image.new("RGB", (9, 9)).save(folder / "001.jpg")
    (folder / "002.jpg").unlink()
    images, _ = compute_histograms(files, progress=False)
    assert images.loc[1, ["size_bytes", "width"]].tolist() == [(folder / "001.jpg").stat().st_size, 9]
    assert images["error"].tolist() == ["", "", "no longer there"]
    assert files.loc[1, "size_bytes"] != images.loc[1, "size_bytes"]  # the caller's table is as it was


def test_a_folder_that_became_a_link_is_not_followed(album: Callable[..., Path]) -> None:
    folder = album(2)
    (folder / "sub").mkdir()
    shutil.copy(folder / "000.jpg", folder / "sub" / "a.jpg")
    files = scan_folder(folder)
    (folder / "sub").rename(folder.parent / "elsewhere")
    (folder / "sub").symlink_to(folder.parent / "elsewhere")
    images, _ = compute_histograms(files, progress=False)
    assert images["error"].tolist()[:2] == ["", ""]
    assert images.loc[2, "error"].startswith("could not be read")
    assert images.loc[2, "content_hash"] == ""


def test_samplings_do_not_mix_in_the_cache(settled_album: Callable[..., Path]) -> None:
    folder = settled_album(3)
    fast = scanned(folder)
    original = scanned(folder, sampling="original")
    assert not fast[1].equals(original[1])
    assert_same(scanned(folder), fast)
    assert_same(scanned(folder, sampling="original"), original)


def test_two_runs_on_one_cache_at_once_are_safe(settled_album: Callable[..., Path]) -> None:
    folder = settled_album(60)
    code = (
        "import sys, dupkit.scan.store as store; from dupkit.scan import *; store._PART_IMAGES = 8\n"
        "images, histograms = compute_histograms(scan_folder(sys.argv[1]), progress=False)\n"
        "print(histograms.to_numpy().sum(), (images['error'] == '').sum())"
    )
    runs = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", code, str(folder)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = {run.communicate(timeout=120)[0] for run in runs}
    assert len(answers) == 1
    assert all(run.returncode == 0 for run in runs)
    assert_same(scanned(folder), scanned(folder, cache=False))


def test_a_reference_folder_outside_the_root_is_read_too(album: Callable[..., Path]) -> None:
    root, archive = album(2), album(2, name="archive")
    images, histograms = compute_histograms(scan_folder(root, reference=[archive]), progress=False)
    assert images["path"].tolist() == ["../archive/000.jpg", "../archive/001.jpg", "000.jpg", "001.jpg"]
    assert (images["error"] == "").all()
    assert images.attrs["reference"] == ("../archive",)
    assert len(histograms) == 4


def test_bad_arguments_are_refused_before_any_work(album: Callable[..., Path]) -> None:
    files = scan_folder(album(1))
    with pytest.raises(ValueError, match=re.escape("sampling: expected 'fast' or 'original', but got 'slow'")):
        compute_histograms(files, sampling="slow")
    with pytest.raises(ValueError, match=re.escape("scheduler: 'cloud' is unknown; allowed: 'synchronous'")):
        compute_histograms(files, scheduler="cloud")
    with pytest.raises(ValueError, match=re.escape("files: expected the column 'path'")):
        compute_histograms(files.drop(columns="path"))
    with pytest.raises(TypeError, match="expected a pandas DataFrame"):
        compute_histograms([])
    with pytest.raises(ValueError, match="attrs"):
        compute_histograms(empty_table("files"))


def test_no_rows_give_empty_tables(album: Callable[..., Path]) -> None:
    images, histograms = compute_histograms(scan_folder(album(1)).iloc[:0], progress=False)
    check_table(images, "images")
    check_table(histograms, "histograms")
    assert len(images) == len(histograms) == 0


def test_a_folder_of_broken_files_has_reasons_only(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    (tmp_path / "b.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    images, histograms = scanned(tmp_path)
    assert images["error"].tolist() == ["damaged: cut off"] * 2
    assert len(histograms) == 0
    table = problems(images)
    assert table.to_dict("records") == [
        {"reason": "damaged: cut off", "n_files": 2, "size_bytes": 8, "example": "a.jpg"}
    ]


def test_progress_shows_images_rate_and_unreadable_files(
    album: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = album(3)
    (folder / "broken.jpg").write_bytes(b"nothing")
    compute_histograms(scan_folder(folder))
    shown = capsys.readouterr().err
    assert "4/4" in shown
    assert "1 unreadable" in shown
    assert "image/s" in shown
    compute_histograms(scan_folder(folder), progress=False)
    assert capsys.readouterr().err == ""


def test_the_cache_can_be_looked_at_and_emptied(album: Callable[..., Path], tmp_path: Path) -> None:
    scanned(album(3), cache=tmp_path / "mine")
    assert re.search(r"files: 1 files, .*\npictures: 1 files", cache_info(tmp_path / "mine"))
    clear_cache(tmp_path / "mine")
    assert cache_info(tmp_path / "mine").endswith("empty")
    assert cache_info().endswith("empty")
    clear_cache()


def test_the_cache_may_lie_in_any_store_of_fsspec(
    settled_album: Callable[..., Path], no_decoding: Callable[[], None]
) -> None:
    folder = settled_album(3)
    first = scanned(folder, cache="memory://photos/cache")
    no_decoding()
    assert_same(scanned(folder, cache="memory://photos/cache"), first)
    assert "memory://" in cache_info("memory://photos/cache")
