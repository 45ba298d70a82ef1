"""The CSV files: every row, exact names, no formula, never somebody else's file replaced."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas as pd
import pytest

from dupkit.cells import original_cell, percent_decoded
from dupkit.files import display_path
from dupkit.report import write_report
from dupkit.schema import TABLES, build_table, empty_table

NAMES = [b"=1+1.jpg", b"a,\"b\".jpg", b"caf\xc3\xa9.jpg", b"new\nline.jpg", b"not\xffutf8.jpg"]  # fmt: skip


@pytest.fixture
def tables() -> dict[str, pd.DataFrame]:
    n = len(NAMES)
    zero = [0] * n
    images = build_table(
        "images",
        {
            **dict.fromkeys((c for c in TABLES["images"].column_names), zero),
            "path": [display_path(name) for name in NAMES],
            "path_bytes": NAMES,
            "format": ["JPEG"] * n,
            "content_hash": ["00"] * n,
            "error": ["", "", "", "", "truncated"],
        },
        attrs={"root": "/photos", "other_files": 7, "sampling": "fast"},
    )
    pairs = pd.concat([empty_table("pairs"), empty_table("pairs")])
    pairs = build_table(
        "pairs",
        {
            "image_a": [0, 1], "image_b": [3, 2], "rms": [0.0, 123.456789012345678], "kind": ["exact", "maybe"],
            "measure": ["rms", "rms"], "proposed_by": ["rms", "rms"], "same_bytes": [True, pd.NA],
            "structure": [1.0, float("nan")], "transform": ["same", pd.NA], "verdict": ["same bytes", pd.NA],
        },
        attrs={"max_rms": 1000.0, "complete": True},
    )  # fmt: skip
    groups = build_table(
        "groups",
        {
            "group_id": [0, 0], "image_id": [0, 3], "is_keeper": [True, False], "reason": ["more pixels", "fewer"],
            "largest_rms": [0.0, 0.0],
        },
    )  # fmt: skip
    counts = build_table(
        "rms_counts", {"rms_left": [0.0, 10.0], "rms_right": [10.0, 20.0], "n_pairs": [1, 9], "sampled": [False, True]}
    )
    return {"images": images, "pairs": pairs, "groups": groups, "rms_counts": counts}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_name_comes_back_exactly(tables: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    write_report(tmp_path / "out", **tables)
    rows = rows_of(tmp_path / "out" / "images.csv")
    assert [percent_decoded(row["path_bytes"]) for row in rows] == NAMES
    assert [original_cell(row["path"]) for row in rows] == [display_path(name) for name in NAMES]
    assert rows[0]["path"] == "'=1+1.jpg"
    assert [row["error"] for row in rows] == ["", "", "", "", "truncated"]


def test_pairs_start_with_their_paths_and_keep_every_digit(tables: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    write_report(tmp_path / "out", **tables)
    rows = rows_of(tmp_path / "out" / "pairs.csv")
    assert list(rows[0])[:2] == ["path_a", "path_b"]
    assert list(rows[0])[2:12] == TABLES["pairs"].column_names
    assert [float(row["rms"]) for row in rows] == tables["pairs"]["rms"].tolist()
    assert rows[1]["verdict"] == rows[1]["same_bytes"] == rows[1]["structure"] == ""
    assert percent_decoded(rows[1]["path_bytes_b"]) == NAMES[2]


def test_the_manifest_counts_what_the_files_hold(tables: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    place = write_report(tmp_path / "out", **tables, parameters={"threshold": 500.0}, seconds={"scan": 1.23456})
    manifest = json.loads(place.read_text())
    assert manifest["counts"] == {
        "images": 5, "unreadable": 1, "other_files": 7, "pairs": 2, "exact_pairs": 1, "groups": 1, "files_in_groups": 2
    }  # fmt: skip
    assert manifest["parameters"] == {"threshold": 500.0}
    assert manifest["seconds"] == {"scan": 1.235}
    assert manifest["pairs"] == {"max_rms": 1000.0, "complete": True}
    assert set(manifest["versions"]) >= {"dupkit", "python", "numpy", "pillow"}


def test_an_empty_run_writes_four_tables_with_headers(tmp_path: Path) -> None:
    images = empty_table("images")
    write_report(
        tmp_path / "out",
        images=images,
        pairs=empty_table("pairs"),
        groups=empty_table("groups"),
        rms_counts=empty_table("rms_counts"),
    )
    assert (tmp_path / "out" / "pairs.csv").read_text().startswith("path_a,path_b,image_a,image_b,rms,kind")
    assert (tmp_path / "out" / "rms_counts.csv").read_text() == "rms_left,rms_right,n_pairs,sampled\n"


def test_our_own_report_is_replaced_and_nothing_is_left_beside_it(
    tables: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    write_report(tmp_path, **tables)
    first = (tmp_path / "pairs.csv").read_bytes()
    write_report(tmp_path, **(tables | {"pairs": tables["pairs"].iloc[:1].copy()}))
    assert (tmp_path / "pairs.csv").read_bytes() != first
    assert {path.name for path in tmp_path.iterdir() if not path.name.startswith(".dupkit")} == {
        "images.csv", "pairs.csv", "groups.csv", "rms_counts.csv", "manifest.json"
    }  # fmt: skip


@pytest.mark.parametrize("name", ["images.csv", "manifest.json"])
def test_somebody_elses_file_of_our_name_is_refused(tables: dict[str, pd.DataFrame], tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('{"made_by": "somebody"}')
    with pytest.raises(FileExistsError, match="not dupkit's; name another folder"):
        write_report(tmp_path, **tables)
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".dupkit")] == [name]
    assert (tmp_path / name).read_text() == '{"made_by": "somebody"}'


def test_a_file_in_the_folders_place_is_refused(tables: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(NotADirectoryError, match="is a file; name a folder"):
        write_report(tmp_path / "out", **tables)
