"""Write the tables as CSV files, with a manifest that says how they came about."""

from __future__ import annotations

import csv
import io
import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from dupkit.cells import neutral_cell, percent_encoded
from dupkit.schema import check_table

MANIFEST = "manifest.json"
"""Name of the file that makes a folder a report of ours."""

CSV_FILES = ("images.csv", "pairs.csv", "groups.csv", "rms_counts.csv")
"""The tables of a report."""

_MADE_BY = "dupkit"
_VERSIONED = ("dupkit", "numpy", "pandas", "pillow", "scipy", "dask")


def write_report(
    out: str | os.PathLike[str],
    *,
    images: pd.DataFrame,
    pairs: pd.DataFrame,
    groups: pd.DataFrame,
    rms_counts: pd.DataFrame,
    parameters: Mapping[str, object] | None = None,
    seconds: Mapping[str, float] | None = None,
) -> Path:
    """Write images.csv, pairs.csv, groups.csv, rms_counts.csv and manifest.json to a folder.

    Each file is written beside its place and renamed, the manifest last. pairs.csv starts with ``path_a`` and
    ``path_b``; groups.csv with ``path``. Names are as in every table (display form, formula cells neutralised by an
    apostrophe); the columns ``path_bytes``, ``path_bytes_a`` and ``path_bytes_b`` keep them exactly, percent-encoded.

    Parameters
    ----------
    out : path
        The folder; made if absent.
    images, pairs, groups, rms_counts : DataFrame
        Tables of the schema; written as they are, all rows.
    parameters : mapping, optional
        What the run was asked for; goes to the manifest.
    seconds : mapping of str to float, optional
        Seconds per stage; goes to the manifest.

    Returns
    -------
    Path
        manifest.json.

    Raises
    ------
    FileExistsError
        The folder holds one of these names and no manifest of dupkit's; nothing is written.
    NotADirectoryError
        ``out`` is a file.
    """
    tables = {"images": images, "pairs": pairs, "groups": groups, "rms_counts": rms_counts}
    for name, table in tables.items():
        check_table(table, name)
    folder = check_report_folder(out)
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "images.csv": _csv_text(
            images.reset_index().assign(path_bytes=images["path_bytes"].map(percent_encoded).array)
        ),
        "pairs.csv": _csv_text(_with_paths(pairs, images, {"a": "image_a", "b": "image_b"})),
        "groups.csv": _csv_text(_with_paths(groups, images, {"": "image_id"})),
        "rms_counts.csv": _csv_text(rms_counts),
    }
    manifest = {
        "made_by": _MADE_BY,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "parameters": dict(parameters or {}),
        "counts": report_counts(images, pairs, groups),
        "pairs": {key: value for key, value in pairs.attrs.items() if isinstance(value, str | int | float | bool)},
        "seconds": {stage: round(value, 3) for stage, value in (seconds or {}).items()},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _VERSIONED}},
        "files": list(CSV_FILES),
    }
    contents[MANIFEST] = json.dumps(manifest, indent=2, ensure_ascii=True, allow_nan=False, default=str) + "\n"
    for name, text in contents.items():
        _replace(folder / name, text)
    return folder / MANIFEST


def check_report_folder(out: str | os.PathLike[str]) -> Path:
    """Return the folder of a report, or raise where writing one there would replace somebody else's file.

    Raises
    ------
    FileExistsError
        It holds a file of a report's name but no manifest of dupkit's.
    NotADirectoryError
        It is a file.
    """
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        msg = f"--out {folder} is a file; name a folder for the report"
        raise NotADirectoryError(msg)
    if _is_report(folder):
        return folder
    for name in (*CSV_FILES, MANIFEST):
        if os.path.lexists(folder / name):
            msg = f"{folder / name} is there already and is not dupkit's; name another folder for the report"
            raise FileExistsError(msg)
    return folder


def report_counts(images: pd.DataFrame, pairs: pd.DataFrame, groups: pd.DataFrame) -> dict[str, int]:
    """Return the numbers that a person asks for first: images, unreadable, other files, pairs, exact, groups."""
    return {
        "images": len(images),
        "unreadable": int((images["error"] != "").sum()),
        "other_files": int(images.attrs.get("other_files", 0)),
        "pairs": len(pairs),
        "exact_pairs": int((pairs["kind"] == "exact").sum()),
        "groups": int(groups["group_id"].nunique()),
        "files_in_groups": len(groups),
    }


def _is_report(folder: Path) -> bool:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("made_by") == _MADE_BY


def _with_paths(table: pd.DataFrame, images: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """Put the images' paths first and their exact bytes last; `columns` maps a suffix to the column of image_ids."""
    first, last = {}, {}
    for suffix, column in columns.items():
        end = f"_{suffix}" if suffix else ""
        rows = images.loc[table[column]]
        first[f"path{end}"] = rows["path"].array
        last[f"path_bytes{end}"] = rows["path_bytes"].map(percent_encoded).array
    paths = pd.DataFrame(first, index=table.index)
    return pd.concat([paths, table, pd.DataFrame(last, index=table.index)], axis=1)


def _csv_text(table: pd.DataFrame) -> str:
    neutral = table.copy()
    for column in neutral.columns[neutral.dtypes == "str"]:
        neutral[column] = neutral[column].map(neutral_cell, na_action="ignore")
    text = io.StringIO()
    # \n on every system: the same tables give the same bytes.
    neutral.to_csv(text, index=False, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    return text.getvalue()


def _replace(path: Path, text: str) -> None:
    """Write a file of our own so that a reader, or a power cut, sees the old one or the new one whole."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with part.open("w", encoding="utf-8", newline="") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)
