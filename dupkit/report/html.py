"""Write a review as one HTML file that opens offline: pictures, groups, decisions, moves, parameters, versions."""

from __future__ import annotations

import base64
import os
import platform
import struct
import zlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dupkit.files import size_words
from dupkit.schema import check_table

MARK = "<!-- a report of dupkit's -->"
"""What the second line of every report is: a file without it is never replaced."""

FILE_NAME = "report.html"
"""Name of the report where only a folder was named."""

MAX_GROUPS = 500
"""Groups with pictures in one report: more, and a browser takes long to open it."""

MAX_ROWS = 10_000
"""Rows of a table in one report; the CSV files hold them all."""

_VERSIONED = ("dupkit", "numpy", "pandas", "pillow", "scipy", "dask")
_TEMPLATE = "report.html.jinja"


def write_html_report(
    out: str | os.PathLike[str],
    *,
    images: pd.DataFrame,
    pairs: pd.DataFrame,
    groups: pd.DataFrame,
    decisions: pd.DataFrame | None = None,
    moves: pd.DataFrame | None = None,
    thumbnails: pd.DataFrame | None = None,
    pictures: Callable[[int], bytes] | None = None,
    parameters: Mapping[str, object] | None = None,
    seconds: Mapping[str, float] | None = None,
    max_groups: int = MAX_GROUPS,
) -> Path:
    """Write one self-contained HTML file and return its path.

    It asks for nothing from the network, runs no script, and shows every name as text.

    Parameters
    ----------
    out : path
        The file, or a folder that gets ``report.html``. Written beside its place and renamed.
    images, pairs, groups : DataFrame
        Tables of the schema.
    decisions, moves : DataFrame, optional
        Tables of the schema, shown where given.
    thumbnails : DataFrame, optional
        The thumbnails table: grey pictures beside the names.
    pictures : callable, optional
        Maps an image_id to JPEG bytes, which are shown instead of the grey ones; it may raise OSError or ValueError
        where a file cannot be read any more. ``dupkit.scan.read_picture`` makes such bytes.
    parameters : mapping, optional
        What the run was asked for.
    seconds : mapping of str to float, optional
        Seconds per stage.
    max_groups : int
        Groups shown, the ones with most pictures first; the report says how many there are.

    Raises
    ------
    FileExistsError
        Another file than a report of dupkit's has this name.
    ValueError
        A table is not of the schema.
    """
    for name, table in (("images", images), ("pairs", pairs), ("groups", groups)):
        check_table(table, name)
    for name, given in (("decisions", decisions), ("moves", moves), ("thumbnails", thumbnails)):
        if given is not None:
            check_table(given, name)
    place = _checked_place(out)
    text = (
        _environment()
        .get_template(_TEMPLATE)
        .render(
            mark=MARK,
            root=str(images.attrs.get("root", "")).encode("utf-8", "backslashreplace").decode(),
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            counts=_counts(images, pairs, groups),
            parameters={str(name): str(value) for name, value in (parameters or {}).items()},
            seconds={str(stage): f"{value:.1f}" for stage, value in (seconds or {}).items()},
            versions={"python": platform.python_version(), **{name: version(name) for name in _VERSIONED}},
            groups=_groups(images, pairs, groups, decisions, _picture_source(thumbnails, pictures), max_groups),
            n_groups=int(groups["group_id"].nunique()),
            decisions=_rows(decisions),
            n_decisions=0 if decisions is None else len(decisions),
            moves=_rows(moves),
            n_moves=0 if moves is None else len(moves),
            unreadable=_rows(images.loc[images["error"] != "", ["path", "size_bytes", "error"]]),
            max_rows=MAX_ROWS,
        )
    )
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f".{place.name}.{os.getpid()}.part")
    with part.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(place)
    return place


def _environment() -> Environment:
    # Every value is escaped, whatever the template is called; a misspelt name in it is an error.
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["size"] = size_words
    return environment


def _checked_place(out: str | os.PathLike[str]) -> Path:
    place = Path(out)
    if place.is_dir():
        place = place / FILE_NAME
    if os.path.lexists(place):
        with place.open("rb") as stream:
            head = stream.read(200)
        if MARK.encode() not in head:
            msg = f"{place} is there already and is no report of dupkit's; name another file"
            raise FileExistsError(msg)
    return place


def _counts(images: pd.DataFrame, pairs: pd.DataFrame, groups: pd.DataFrame) -> dict[str, str]:
    losers = images.loc[groups.loc[~groups["is_keeper"], "image_id"]]
    return {
        "images": f"{len(images):,}",
        "of them unreadable": f"{int((images['error'] != '').sum()):,}",
        "pairs": f"{len(pairs):,}",
        "groups": f"{groups['group_id'].nunique():,}",
        "files beside the keepers": f"{len(losers):,}",
        "in them": size_words(int(losers["size_bytes"].sum())),
    }


def _rows(table: pd.DataFrame | None) -> list[dict[str, Any]]:
    if table is None:
        return []
    return [
        {str(name): "" if pd.isna(value) else value for name, value in row.items()}
        for row in table.head(MAX_ROWS).to_dict("records")
    ]


def _groups(
    images: pd.DataFrame,
    pairs: pd.DataFrame,
    groups: pd.DataFrame,
    decisions: pd.DataFrame | None,
    picture: Callable[[int], str],
    max_groups: int,
) -> list[dict[str, Any]]:
    """Return what the template shows of each group: its members with pictures, and its pairs with decisions."""
    sizes = groups.groupby("group_id").size()
    chosen = sizes.sort_values(ascending=False, kind="stable").index[:max_groups]
    shown = groups[groups["group_id"].isin(chosen)]
    group_of_image = pd.Series(shown["group_id"].to_numpy(), index=shown["image_id"].to_numpy())
    inside = pairs[pairs["image_a"].isin(group_of_image.index) & pairs["image_b"].isin(group_of_image.index)]
    group_a = group_of_image.loc[inside["image_a"]].to_numpy()
    inside = inside[group_a == group_of_image.loc[inside["image_b"]].to_numpy()]
    pairs_of_group = {
        group: table.head(MAX_ROWS) for group, table in inside.groupby(group_of_image.loc[inside["image_a"]].to_numpy())
    }
    decided = _decided(decisions)
    paths = images["path"]
    described = []
    for group_id, members in shown.groupby("group_id"):
        rows = images.loc[members["image_id"]]
        described.append(
            {
                "number": int(str(group_id)) + 1,
                "largest_rms": f"{members['largest_rms'].iloc[0]:.1f}",
                "members": [
                    {
                        "path": row.path,
                        "picture": picture(int(str(row.Index))),
                        "is_keeper": bool(member.is_keeper),
                        "reason": member.reason,
                        "facts": _facts(row),
                    }
                    for row, member in zip(rows.itertuples(), members.itertuples(), strict=True)
                ],
                "pairs": [
                    {
                        "path_a": (path_a := paths.loc[pair.image_a]),
                        "path_b": (path_b := paths.loc[pair.image_b]),
                        "rms": f"{pair.rms:.1f}",
                        "verdict": "" if pd.isna(pair.verdict) else pair.verdict,
                        "decision": decided.get(frozenset((path_a, path_b)), ""),
                    }
                    for pair in islice(pairs_of_group[group_id].itertuples(), 50)
                ]
                if group_id in pairs_of_group
                else [],
            }
        )
    return described


def _facts(row: Any) -> str:
    # Orientations 5 to 8 lie on their side: people know the upright picture.
    width, height = (row.height, row.width) if row.orientation >= 5 else (row.width, row.height)
    return f"{width} x {height} · {row.format} · {size_words(int(row.size_bytes))}"


def _decided(decisions: pd.DataFrame | None) -> dict[frozenset[str], str]:
    if decisions is None:
        return {}
    rows = zip(decisions["path_a"], decisions["path_b"], decisions["decision"], strict=True)
    return {frozenset((path_a, path_b)): "" if decision == "undone" else decision for path_a, path_b, decision in rows}


def _picture_source(thumbnails: pd.DataFrame | None, pictures: Callable[[int], bytes] | None) -> Callable[[int], str]:
    """Return a function from image_id to a data URI; '' where there is no picture."""
    grey: Mapping[int, np.ndarray] = {} if thumbnails is None else dict(thumbnails["grey"].items())  # type: ignore[arg-type]

    def source(image_id: int) -> str:
        if pictures is not None:
            try:
                return _data_uri("image/jpeg", pictures(image_id))
            except (OSError, ValueError):
                # The file is gone or broken by now: the thumbnail of the scan still shows what it was.
                return _data_uri("image/png", grey_png(grey[image_id])) if image_id in grey else ""
        return _data_uri("image/png", grey_png(grey[image_id])) if image_id in grey else ""

    return source


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def grey_png(grey: np.ndarray) -> bytes:
    r"""Return a grey picture as a PNG file's bytes.

    Parameters
    ----------
    grey : ndarray of shape (height, width), uint8

    Examples
    --------
    >>> grey_png(np.zeros((2, 3), dtype=np.uint8))[:8]
    b'\x89PNG\r\n\x1a\n'
    """
    height, width = grey.shape
    # Filter 0 before each row: the bytes as they are.
    rows = np.zeros((height, width + 1), dtype=np.uint8)
    rows[:, 1:] = grey
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
