"""Tables over a real folder for the tests of moves, made without scan or review."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import pandas as pd

from dupkit.files import display_path
from dupkit.schema import build_table


def write_files(root: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def images_of(root: Path, names: Iterable[str], *, reference: Collection[str] = (), **columns: object) -> pd.DataFrame:
    """Return an images table of files under a root, in the order given."""
    names = list(names)
    facts = [(root / name).lstat() for name in names]
    hashes = [hashlib.sha256((root / name).read_bytes()).hexdigest() for name in names]
    table = {
        "path": [display_path(os.fsencode(name)) for name in names],
        "path_bytes": [os.fsencode(name) for name in names],
        "size_bytes": [found.st_size for found in facts],
        "mtime_ns": [found.st_mtime_ns for found in facts],
        "ctime_ns": [found.st_ctime_ns for found in facts],
        "device": [found.st_dev for found in facts],
        "inode": [found.st_ino for found in facts],
        "format": ["JPEG"] * len(names),
        "width": [10] * len(names),
        "height": [10] * len(names),
        "orientation": [1] * len(names),
        "frames": [1] * len(names),
        "content_hash": hashes,
        "error": [""] * len(names),
        **columns,
    }
    return build_table("images", table, attrs={"root": str(root), "other_files": 0, "reference": tuple(reference)})


def pairs_of(pairs: Iterable[tuple[int, int, float]]) -> pd.DataFrame:
    pairs = list(pairs)
    n_pairs = len(pairs)
    return build_table(
        "pairs",
        {
            "image_a": [a for a, _, _ in pairs],
            "image_b": [b for _, b, _ in pairs],
            "rms": [rms for _, _, rms in pairs],
            "kind": ["exact" if rms == 0 else "maybe" for _, _, rms in pairs],
            "measure": ["rms"] * n_pairs,
            "proposed_by": ["rms"] * n_pairs,
            "same_bytes": [pd.NA] * n_pairs,
            "structure": [float("nan")] * n_pairs,
            "transform": [pd.NA] * n_pairs,
            "verdict": [pd.NA] * n_pairs,
        },
    )


def groups_of(groups: Iterable[tuple[int, ...]]) -> pd.DataFrame:
    """Return a groups table; the first of each group is its keeper."""
    rows = [(number, image, image == group[0]) for number, group in enumerate(groups) for image in group]
    return build_table(
        "groups",
        {
            "group_id": [row[0] for row in rows],
            "image_id": [row[1] for row in rows],
            "is_keeper": [row[2] for row in rows],
            "reason": [""] * len(rows),
            "largest_rms": [0.0] * len(rows),
        },
    )


def tree_of(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return every path below a root with mode, inode and bytes."""
    return {
        str(path.relative_to(root)): (
            path.lstat().st_mode,
            0 if path.is_dir() else path.lstat().st_ino,
            b"" if path.is_dir() else path.read_bytes(),
        )
        for path in root.rglob("*")
    }
