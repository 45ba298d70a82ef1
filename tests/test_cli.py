"""The command line as a person or a script uses it: files written, words printed, exit codes, bytes on the disk."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from dupkit.cells import percent_decoded
from dupkit.cli import main
from dupkit.demo import paint_picture
from tests import naive


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five pictures: a pair of equal files in two folders, a mirrored copy, two others; a broken one; a text."""
    folder = tmp_path_factory.mktemp("painted") / "album"
    (folder / "sub").mkdir(parents=True)
    pictures = [paint_picture(seed).reduce(2) for seed in range(3)]
    for picture, name in zip(pictures, ("a.jpg", "b.jpg", "c.jpg"), strict=True):
        picture.save(folder / name, quality=90)
    shutil.copyfile(folder / "a.jpg", folder / "sub" / "a again.jpg")
    pictures[1].transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "sub" / "b mirrored.png")
    pictures[1].save(folder / "b.png")
    (folder / "broken.jpg").write_bytes((folder / "a.jpg").read_bytes()[:2000])
    (folder / "notes.txt").write_text("notes")
    return folder


@pytest.fixture
def album(painted: Path, tmp_path: Path) -> Path:
    """The painted album, a test's own copy."""
    return Path(shutil.copytree(painted, tmp_path / "album"))


@pytest.fixture
def copies(painted: Path, tmp_path: Path) -> Path:
    """One picture five times: whoever moves four of them moves more than half."""
    folder = tmp_path / "copies"
    folder.mkdir()
    for number in range(5):
        shutil.copyfile(painted / "a.jpg", folder / f"{number}.jpg")
    return folder


class Terminal(io.StringIO):
    """A standard input that a person sits at."""

    def isatty(self) -> bool:
        return True


def contents(folder: Path) -> dict[bytes, str]:
    """The SHA-256 of every file below a folder, by its path's bytes."""
    found = {}
    for at, _, names in os.walk(os.fsencode(folder)):
        for name in names:
            path = os.path.join(at, name)
            with open(path, "rb") as stream:
                found[os.path.relpath(path, os.fsencode(folder))] = hashlib.sha256(stream.read()).hexdigest()
    return found


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_scan_finds_what_the_original_script_would(photos: Path, tmp_path: Path, capsys) -> None:
    folder = tmp_path / "photos"
    chosen = [path for path in sorted(photos.rglob("*.jpg")) if path.stat().st_size < 300_000][::4]
    for path in chosen:
        target = folder / path.relative_to(photos)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    histograms = {}
    for path in folder.rglob("*.jpg"):
        with Image.open(path) as image:
            if image.mode in ("RGB", "L"):
                histograms[path.relative_to(folder).as_posix()] = naive.script_histogram(path)
    expected = naive.pairs_below(histograms, 900)
    assert len(expected) >= 5
    code, _, _ = run(capsys, "scan", folder, "--sampling", "original", "--threshold", 900, "--out", tmp_path / "out")
    assert code == 0
    found = {
        (percent_decoded(row["path_bytes_a"]).decode(), percent_decoded(row["path_bytes_b"]).decode()): float(
            row["rms"]
        )
        for row in rows_of(tmp_path / "out" / "pairs.csv")
        if float(row["rms"]) < 900
    }
    assert found.keys() == expected.keys()
    assert all(found[pair] == pytest.approx(rms, rel=1e-14) for pair, rms in expected.items())


def test_scan_writes_a_row_for_every_file_and_says_what_it_found(album: Path, tmp_path: Path, capsys) -> None:
    code, out, _ = run(capsys, "scan", album, "--out", tmp_path / "out")
    assert code == 0
    assert "7 images · 1 unreadable · 1 other files" in out
    images = {row["path"]: row for row in rows_of(tmp_path / "out" / "images.csv")}
    assert set(images) == {"a.jpg", "b.jpg", "b.png", "broken.jpg", "c.jpg", "sub/a again.jpg", "sub/b mirrored.png"}
    assert {path for path, row in images.items() if row["error"]} == {"broken.jpg"}
    verdicts = {(row["path_a"], row["path_b"]): row["verdict"] for row in rows_of(tmp_path / "out" / "pairs.csv")}
    assert verdicts["a.jpg", "sub/a again.jpg"] == "same bytes"
    assert verdicts["b.png", "sub/b mirrored.png"].startswith("same")
    assert not any("broken.jpg" in pair for pair in verdicts)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["counts"]["other_files"] == 1
    assert manifest["parameters"]["threshold"] == 500


def test_scan_leaves_the_folder_as_it_was(album: Path, tmp_path: Path, capsys) -> None:
    before = contents(album)
    run(capsys, "scan", album, "--out", tmp_path / "out")
    assert contents(album) == before


def test_scan_filters_by_verdict(album: Path, tmp_path: Path, capsys) -> None:
    code, _, _ = run(capsys, "scan", album, "--verdict", "same bytes", "--out", tmp_path / "out")
    assert code == 0
    assert [row["verdict"] for row in rows_of(tmp_path / "out" / "pairs.csv")] == ["same bytes"]


def test_a_threshold_above_the_usual_max_rms_raises_it(album: Path, tmp_path: Path, capsys) -> None:
    code, _, _ = run(capsys, "scan", album, "--threshold", 3000, "--out", tmp_path / "out")
    assert code == 0
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["parameters"]["max_rms"] == 3000


def test_scan_by_hellinger_has_its_own_threshold(album: Path, tmp_path: Path, capsys) -> None:
    code, _, _ = run(capsys, "scan", album, "--measure", "hellinger", "--out", tmp_path / "out")
    assert code == 0
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["parameters"]["threshold"] < 100
    assert {row["measure"] for row in rows_of(tmp_path / "out" / "pairs.csv")} == {"hellinger"}


def test_only_pairs_with_a_new_picture_are_searched_beside_a_reference(album: Path, tmp_path: Path, capsys) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    shutil.copyfile(album / "a.jpg", archive / "old.jpg")
    shutil.copyfile(album / "a.jpg", archive / "old twin.jpg")
    code, _, _ = run(capsys, "scan", album, "--reference", archive, "--out", tmp_path / "out")
    assert code == 0
    exact = {
        (row["path_a"], row["path_b"]) for row in rows_of(tmp_path / "out" / "pairs.csv") if row["kind"] == "exact"
    }
    flat = {frozenset(pair) for pair in exact}
    assert frozenset(("../archive/old.jpg", "a.jpg")) in flat
    assert frozenset(("../archive/old.jpg", "../archive/old twin.jpg")) not in flat


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scan"], "required: FOLDER"),
        (["scan", "ALBUM", "--threshold", "-3"], "'-3' is no distance; give a number from 0 on"),
        (["scan", "ALBUM", "--threshold", "nan"], "'nan' is no distance"),
        (["scan", "ALBUM", "--threshold", "much"], "'much' is no distance"),
        (["scan", "ALBUM", "--max-rms", "100"], "--max-rms 100 is below the threshold 500"),
        (["scan", "ALBUM", "--max-rms", "100", "--threshold", "200"], "--max-rms 100 is below the threshold 200"),
        (["scan", "ALBUM", "--measure", "psnr"], "invalid choice: 'psnr'"),
        (["scan", "ALBUM", "--sampling", "slow"], "invalid choice: 'slow'"),
        (["scan", "ALBUM", "--scheduler", "fibres"], "'fibres' is no scheduler"),
        (["scan", "ALBUM/absent"], "absent"),
        (["scan", "ALBUM/a.jpg"], "a.jpg"),
        (["scan", "ALBUM/empty"], "empty"),
        (["scan", "ALBUM", "--reference", "ALBUM/absent"], "absent"),
        (["lab", "ALBUM", "--port", "99999"], "'99999' is no port"),
        (["lab", "ALBUM/absent"], "is no folder"),
        (["plan", "ALBUM", "--approve", "all"], "invalid choice: 'all'"),
        (["plan", "ALBUM", "--decisions", "ALBUM/absent.csv"], "absent.csv"),
        (["apply"], "required: ID"),
        (["apply", "no-such-plan"], "no-such-plan"),
        (["apply", "x", "--confirm", "many"], "'many' is no number of moves"),
        (["undo", "no-such-plan"], "no-such-plan"),
        (["undo"], "nothing to undo"),
        (["demo", "ALBUM"], "is not empty"),
        (["frobnicate"], "invalid choice: 'frobnicate'"),
    ],
)
def test_a_bad_call_ends_2_with_one_clear_line(
    album: Path, tmp_path: Path, capsys, monkeypatch, arguments, message
) -> None:
    monkeypatch.chdir(tmp_path)
    (album / "empty").mkdir()
    before = contents(album)
    try:
        code = main([argument.replace("ALBUM", str(album)) for argument in arguments])
    except SystemExit as ended:
        code = ended.code
    error = capsys.readouterr().err
    assert code == 2
    assert message in error
    assert error.count("\n") == 1
    assert error.startswith("dupkit")
    assert contents(album) == before
    assert not (tmp_path / "dupkit-report").exists()


def test_a_report_is_not_written_among_the_photos_unasked(album: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(album)
    code, _, error = run(capsys, "scan", ".")
    assert code == 2
    assert "name another folder with --out" in error


def test_plan_apply_undo_by_command_line(album: Path, capsys) -> None:
    before = contents(album)
    code, out, _ = run(capsys, "plan", album, "--approve", "same-bytes")
    assert code == 0
    assert contents(album) == before
    plan_id = re.fullmatch(r"plan (\S+)", out.splitlines()[-1]).group(1)
    assert "exact duplicates/sub/a again.jpg" in out

    code, out, _ = run(capsys, "apply", plan_id)
    assert code == 0
    assert "1 moved · 0 skipped · 0 failed" in out
    after = contents(album)
    assert after[b"exact duplicates/sub/a again.jpg"] == before[b"sub/a again.jpg"]
    assert b"sub/a again.jpg" not in after

    code, out, _ = run(capsys, "apply", plan_id)
    assert code == 0
    assert "done already" in out

    code, out, _ = run(capsys, "undo", "--list")
    assert code == 0
    assert plan_id in out

    code, out, _ = run(capsys, "undo", plan_id)
    assert code == 0
    assert "1 undone" in out
    restored = {path: digest for path, digest in contents(album).items() if not path.endswith(b"moved.csv")}
    assert restored == before


def test_a_plan_without_decisions_says_so_and_moves_nothing(album: Path, capsys) -> None:
    code, out, _ = run(capsys, "plan", album)
    assert code == 0
    assert "nothing would move" in out
    assert re.fullmatch(r"plan \S+", out.splitlines()[-1])


def test_a_large_plan_wants_its_number_and_moves_nothing_without(copies: Path, capsys, monkeypatch) -> None:
    before = contents(copies)
    _, out, _ = run(capsys, "plan", copies, "--approve", "exact")
    plan_id = out.split()[-1]
    monkeypatch.setattr("sys.stdin", io.StringIO())
    code, _, error = run(capsys, "apply", plan_id)
    assert code == 2
    assert "--confirm 4" in error
    assert contents(copies) == before
    assert run(capsys, "apply", plan_id, "--confirm", 3)[0] == 2
    assert contents(copies) == before
    assert run(capsys, "apply", plan_id, "--confirm", 4)[0] == 0
    assert len(list((copies / "exact duplicates").glob("*.jpg"))) == 4


def test_a_terminal_is_asked_for_the_number(copies: Path, capsys, monkeypatch) -> None:
    _, out, _ = run(capsys, "plan", copies, "--approve", "exact")
    plan_id = out.split()[-1]
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("builtins.input", lambda prompt: "yes")
    code, out, _ = run(capsys, "apply", plan_id)
    assert (code, "nothing has moved" in out) == (2, True)
    monkeypatch.setattr("builtins.input", lambda prompt: "4")
    assert run(capsys, "apply", plan_id)[0] == 0


def test_undo_list_answers_without_the_scientific_stack() -> None:
    code = (
        "import sys; from dupkit.cli import main; main(['undo', '--list']);"
        "print(*[name for name in ('numpy', 'pandas', 'PIL', 'dask', 'scipy') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines() == ["no plans yet", ""]


def test_demo_writes_an_album_and_prints_its_truth(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("dupkit.demo.N_ORIGINALS", 3)
    code, out, _ = run(capsys, "demo", tmp_path / "demo")
    assert code == 0
    assert Path(out.strip()).is_file()


def test_cache_says_what_it_holds_and_is_emptied(album: Path, tmp_path: Path, capsys) -> None:
    run(capsys, "scan", album, "--out", tmp_path / "out")
    code, out, _ = run(capsys, "cache", "--info")
    assert code == 0
    assert os.environ["DUPKIT_CACHE"] in out
    assert run(capsys, "cache", "--clear")[0] == 0
    assert not list(Path(os.environ["DUPKIT_CACHE"]).rglob("*.parquet"))


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_output_that_is_full_is_not_called_a_refusal(tmp_path: Path, unbuffered: str) -> None:
    """Code 2 would say that nothing was begun."""
    call = [sys.executable, "-m", "dupkit", "demo", str(tmp_path / "album")]
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(call, stdout=full, stderr=subprocess.PIPE, text=True, env=environment, check=False)
    assert (done.returncode, (tmp_path / "album").is_dir()) == (1, True)
    assert done.stderr == "dupkit demo: the output cannot be written (No space left on device); what was done stands\n"


def test_selftest_says_what_this_disk_guarantees(tmp_path: Path, capsys) -> None:
    code, out, _ = run(capsys, "selftest", tmp_path)
    assert code == 0
    assert out.strip()
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".dupkit-")] == []


@pytest.mark.parametrize("command", ["", "scan", "lab", "demo", "plan", "apply", "undo", "cache", "selftest"])
def test_every_command_explains_itself(command: str, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "--help"])
    assert ended.value.code == 0
    assert "usage: dupkit" in capsys.readouterr().out
