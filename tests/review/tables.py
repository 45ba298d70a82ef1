"""Small tables for the tests of the review: images and pairs that need no files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, settings

from dupkit.files import display_path
from dupkit.schema import build_table

patiently = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""No test asserts a time, on however busy a machine."""


def make_images(
    paths: Sequence[bytes],
    *,
    contents: Sequence[str] | None = None,
    sizes: Sequence[int] | None = None,
    pixels: Sequence[tuple[int, int]] | None = None,
    mtimes: Sequence[int] | None = None,
    formats: Sequence[str] | None = None,
    root: str = "/photos",
    reference: tuple[str, ...] = (),
) -> pd.DataFrame:
    n = len(paths)
    contents = [path.hex() for path in paths] if contents is None else contents
    pixels = [(4000, 3000)] * n if pixels is None else pixels
    return build_table(
        "images",
        {
            "path": [display_path(path) for path in paths],
            "path_bytes": list(paths),
            "size_bytes": [1000] * n if sizes is None else sizes,
            "mtime_ns": [10**18] * n if mtimes is None else mtimes,
            "ctime_ns": [10**18] * n,
            "device": [1] * n,
            "inode": range(n),
            "format": ["JPEG"] * n if formats is None else formats,
            "width": [width for width, _ in pixels],
            "height": [height for _, height in pixels],
            "orientation": [1] * n,
            "frames": [1] * n,
            "content_hash": [hashlib.sha256(content.encode()).hexdigest() for content in contents],
            "error": [""] * n,
        },
        attrs={"root": root, "other_files": 0, "reference": reference, "sampling": "fast"},
    )


def make_pairs(
    rows: Sequence[tuple[int, int, float]],
    *,
    by_structure: Sequence[bool] | None = None,
    verdicts: Sequence[str] | None = None,
    same_bytes: Sequence[bool] | None = None,
    structure: Sequence[float] | None = None,
    max_rms: float = 1000.0,
) -> pd.DataFrame:
    order = sorted(range(len(rows)), key=lambda row: (rows[row][2], *rows[row][:2]))

    def sorted_(values: Sequence[object] | None, missing: object) -> list[object]:
        return [missing if values is None else values[row] for row in order]

    return build_table(
        "pairs",
        {
            "image_a": [rows[row][0] for row in order],
            "image_b": [rows[row][1] for row in order],
            "rms": [rows[row][2] for row in order],
            "kind": ["exact" if rows[row][2] == 0 else "maybe" for row in order],
            "measure": ["rms"] * len(rows),
            "proposed_by": ["structure" if flag else "rms" for flag in sorted_(by_structure, False)],
            "same_bytes": pd.array(sorted_(same_bytes, pd.NA), dtype="boolean"),
            "structure": sorted_(structure, np.nan),
            "transform": pd.array(sorted_(None, pd.NA), dtype="str"),
            "verdict": pd.array(sorted_(verdicts, pd.NA), dtype="str"),
        },
        attrs={"max_rms": max_rms, "requested_max_rms": max_rms, "measure": "rms", "complete": True},
    )


def letters(n: int) -> list[bytes]:
    """Return n paths in order, in three folders."""
    return sorted(f"{'abc'[k % 3]}/{k:03d}.jpg".encode() for k in range(n))
