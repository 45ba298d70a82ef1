"""Every table's columns, dtypes, units and order, in one place.

Tables pass between the rooms of dupkit as pandas DataFrames. Each public function checks the tables that come in
with :func:`check_table` and builds the one that it returns with :func:`build_table`, so that a column has one name,
one dtype and one unit everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

N_BINS = 768
"""Bins of an image's histogram: 256 for each of red, green and blue."""

CHANNEL_SUM = 480_000
"""Pixels that each channel of a histogram sums to: 800 x 600, the unit of the original script."""

CHANNEL_SUM_TOLERANCE = 256
"""Largest accepted difference of a channel's sum from CHANNEL_SUM, pixels: half a pixel of rounding a bin, twice."""

THUMBNAIL_SIDE = 64
"""Rows and columns of a grey thumbnail, pixels."""

HISTOGRAM_COLUMNS = tuple(f"{channel}_{level:03d}" for channel in "rgb" for level in range(256))
"""The 768 column names of the histograms table: r_000 to r_255, g_000 to g_255, b_000 to b_255."""


@dataclass(frozen=True)
class Column:
    """One column of a table: its name, dtype and, in words, its unit and meaning."""

    name: str
    dtype: str
    meaning: str


@dataclass(frozen=True)
class Table:
    """One table's contract: its index (empty: a plain running number), its columns in order, its sort order."""

    name: str
    index: str
    columns: tuple[Column, ...]
    order: str

    @property
    def column_names(self) -> list[str]:
        """Names of the columns, in order, without the index."""
        return [column.name for column in self.columns]


_FILES = (
    Column("path", "str", "relative to the root, / between parts, control characters and non-UTF-8 bytes escaped"),
    Column("path_bytes", "object", "bytes, the name as the operating system has it, relative to the root"),
    Column("size_bytes", "int64", "bytes"),
    Column("mtime_ns", "int64", "ns since 1970, contents last changed"),
    Column("ctime_ns", "int64", "ns since 1970, contents, name or owner last changed"),
    Column("device", "int64", "number of the file system"),
    Column("inode", "int64", "number of the file in it; equal device and inode: one file with two names"),
)

TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        Table("files", "image_id", _FILES, "path_bytes"),
        Table(
            "images",
            "image_id",
            (
                *_FILES,
                Column("format", "str", "JPEG, MPO, PNG, GIF, WEBP, TIFF, BMP, AVIF or HEIF; '' where unreadable"),
                Column("width", "int64", "pixels as stored, before orientation; 0 where unknown"),
                Column("height", "int64", "pixels as stored, before orientation; 0 where unknown"),
                Column("orientation", "int64", "EXIF orientation, 1 to 8; 1 where there is none"),
                Column(
                    "frames",
                    "int64",
                    "frames of an animation or pages; the first one is used; 0 where unknown",
                ),
                Column("content_hash", "str", "SHA-256 of the file's bytes, 64 hex digits; '' where not read"),
                Column("error", "str", "'' = readable, else the reason why not"),
            ),
            "path_bytes",
        ),
        Table(
            "thumbnails",
            "image_id",
            (Column("grey", "object", "ndarray of shape (64, 64), uint8, upright"),),
            "image_id",
        ),
        Table(
            "histograms",
            "image_id",
            tuple(Column(name, "float32", "pixels of 480,000 in this bin") for name in HISTOGRAM_COLUMNS),
            "image_id",
        ),
        Table(
            "pairs",
            "",
            (
                Column("image_a", "int64", "image_id, the smaller one"),
                Column("image_b", "int64", "image_id, the larger one"),
                Column("rms", "float64", "distance of the two histograms in the measure's unit"),
                Column("kind", "str", "'exact' (rms = 0) or 'maybe'"),
                Column("measure", "str", "'rms' or 'hellinger': what the column rms holds"),
                Column("proposed_by", "str", "'rms', 'hellinger' or 'structure'"),
                Column("same_bytes", "boolean", "whether the two files hold the same bytes; NA until described"),
                Column(
                    "structure",
                    "float64",
                    "0 to 1, agreement of the grey pictures; NaN: flat or not described",
                ),
                Column("transform", "str", "how b is made from a, in words, '' where unknown; NA until described"),
                Column(
                    "verdict",
                    "str",
                    "same bytes, same pixels, same picture, look-alike, unsure; NA until then",
                ),
            ),
            "rms, image_a, image_b",
        ),
        Table(
            "rms_counts",
            "",
            (
                Column("rms_left", "float64", "left edge of the bin, inclusive"),
                Column("rms_right", "float64", "right edge of the bin, exclusive"),
                Column("n_pairs", "int64", "pairs in the bin"),
                Column("sampled", "bool", "whether n_pairs is an estimate from a sample"),
            ),
            "rms_left",
        ),
        Table(
            "groups",
            "",
            (
                Column("group_id", "int64", "0, 1, ... by each group's smallest image_id"),
                Column("image_id", "int64", "the image"),
                Column("is_keeper", "bool", "one a group"),
                Column("reason", "str", "why this one is kept, or what it lacks, in words"),
                Column("largest_rms", "float64", "largest rms of two members that are a pair; exposes chains"),
            ),
            "group_id, image_id",
        ),
        Table(
            "decisions",
            "",
            (
                Column("path_a", "str", "path of the first image"),
                Column("path_b", "str", "path of the second image"),
                Column("content_hash_a", "str", "SHA-256, hex"),
                Column("content_hash_b", "str", "SHA-256, hex"),
                Column("decision", "str", "'approved', 'rejected', 'skipped' or 'undone'"),
                Column("keeper", "str", "path of the image to keep, where a person chose it; '' = by the rules"),
                Column("rms", "float64", "of the pair when it was decided"),
                Column("measure", "str", "what rms holds"),
                Column("sampling", "str", "'fast' or 'original'"),
                Column("threshold", "float64", "the slider when it was decided"),
                Column("decided_by", "str", "user name"),
                Column("decided_at", "str", "UTC, ISO 8601 with microseconds"),
            ),
            "as decided; the latest of a pair counts",
        ),
        Table(
            "moves",
            "",
            (
                Column("move_id", "int64", "0, 1, ... within its plan"),
                Column("source", "str", "path before the move"),
                Column("destination", "str", "path after the move; unique"),
                Column("size_bytes", "int64", "bytes"),
                Column("content_hash", "str", "SHA-256, hex, of the file that moves"),
                Column("keeper", "str", "path of the copy that is kept in its place; never a source"),
                Column("status", "str", "planned, moved, skipped, failed or undone"),
                Column("message", "str", "why, in words; '' where nothing needs saying"),
            ),
            "move_id",
        ),
    )
}
"""The contract of every table, by name."""


def empty_table(name: str) -> pd.DataFrame:
    """Return a table of the schema with no rows.

    Parameters
    ----------
    name : str
        A key of :data:`TABLES`.

    Examples
    --------
    >>> empty_table("pairs").columns[:3].tolist()
    ['image_a', 'image_b', 'rms']
    """
    return build_table(name, {column.name: [] for column in TABLES[name].columns})


def build_table(
    name: str,
    columns: Mapping[str, object],
    *,
    index: object = None,
    attrs: Mapping[str, object] | None = None,
) -> pd.DataFrame:
    """Return a table of the schema from its columns: order and dtypes are the schema's.

    Parameters
    ----------
    name : str
        A key of :data:`TABLES`.
    columns : mapping of str to array-like
        Every column of the table, in any order.
    index : array-like of int, optional
        The index; 0, 1, ... where not given.
    attrs : mapping, optional
        Facts about the whole table (``root``, ``sampling``, ...), kept in ``DataFrame.attrs``.

    Raises
    ------
    ValueError
        A column is missing or is not the schema's.
    """
    table = TABLES[name]
    if set(columns) != set(table.column_names):
        missing = sorted(set(table.column_names) - set(columns))
        extra = sorted(set(columns) - set(table.column_names))
        msg = f"{name}: columns missing {missing[:5]}, not in the schema {extra[:5]}; see dupkit.schema.TABLES"
        raise ValueError(msg)
    frame = pd.DataFrame({column.name: pd.Series(columns[column.name], dtype=column.dtype) for column in table.columns})
    if index is None:
        frame.index = pd.RangeIndex(len(frame), name=table.index or None)
    else:
        frame.index = pd.Index(np.asarray(index, dtype=np.int64), name=table.index or None)
    frame.attrs.update(attrs or {})
    return frame


def build_histograms(
    values: np.ndarray, *, index: object = None, attrs: Mapping[str, object] | None = None
) -> pd.DataFrame:
    """Return the histograms table over an array, without copying it.

    Parameters
    ----------
    values : ndarray of shape (n_images, 768), float32, pixels
    index : array-like of int, optional
        image_id of each row; 0, 1, ... where not given.
    attrs : mapping, optional
        Facts about the whole table.
    """
    ids = np.arange(len(values)) if index is None else np.asarray(index)
    frame = pd.DataFrame(
        values,
        columns=list(HISTOGRAM_COLUMNS),
        index=pd.Index(ids.astype(np.int64), name="image_id"),
        copy=False,
    )
    frame.attrs.update(attrs or {})
    return frame


def check_table(frame: pd.DataFrame, name: str) -> None:
    """Raise unless a DataFrame has exactly the columns, dtypes and index of a table of the schema.

    Parameters
    ----------
    frame : DataFrame
        The caller's table.
    name : str
        A key of :data:`TABLES`.

    Raises
    ------
    TypeError
        Not a DataFrame.
    ValueError
        A column is missing, extra, out of order or of another dtype, or image_ids repeat.

    Examples
    --------
    >>> check_table(empty_table("groups"), "groups")
    >>> check_table(empty_table("groups").drop(columns="reason"), "groups")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: groups: expected the column 'reason' at position 3, but got 'largest_rms'; pass ...
    """
    table = TABLES[name]
    if not isinstance(frame, pd.DataFrame):
        msg = (
            f"{name}: expected a pandas DataFrame, but got {type(frame).__name__}; pass the table as dupkit returned it"
        )
        raise TypeError(msg)
    got = [*frame.columns]
    for position, column in enumerate(table.columns):
        found = repr(got[position]) if position < len(got) else "no more columns"
        if found != repr(column.name):
            msg = (
                f"{name}: expected the column {column.name!r} at position {position}, but got {found}; "
                "pass the table as dupkit returned it"
            )
            raise ValueError(msg)
    if len(got) > len(table.columns):
        msg = f"{name}: unknown column {got[len(table.columns)]!r} at the end; drop it before passing the table"
        raise ValueError(msg)
    dtypes = frame.dtypes.to_numpy()
    for column, dtype in zip(table.columns, dtypes, strict=True):
        if dtype != column.dtype:
            msg = (
                f"{name}: column {column.name!r} must be {column.dtype}, but is {dtype}; use .astype({column.dtype!r})"
            )
            raise ValueError(msg)
    if table.index and frame.index.name != table.index:
        msg = f"{name}: the index must be {table.index!r}, but is {frame.index.name!r}; use .set_index({table.index!r})"
        raise ValueError(msg)
    if table.index and not frame.index.is_unique:
        msg = f"{name}: {table.index} {frame.index[frame.index.duplicated()][0]} stands there twice; each once, please"
        raise ValueError(msg)


def check_histograms(histograms: pd.DataFrame) -> None:
    """Raise unless a table is a histograms table whose values are finite, not negative and sum to 480,000 a channel.

    Raises
    ------
    TypeError
        Not a DataFrame.
    ValueError
        The columns are not the schema's, or a value is NaN, infinite or negative, or a channel's sum is off by more
        than :data:`CHANNEL_SUM_TOLERANCE`; the message names the first such image_id.
    """
    check_table(histograms, "histograms")
    values = histograms.to_numpy()
    if not len(values):
        return
    for test, words in (
        (np.isfinite(values).all(axis=1), "is not finite"),
        ((values >= 0).all(axis=1), "is negative"),
    ):
        if not test.all():
            row = int(np.argmin(test))
            column = int(np.argmin(np.isfinite(values[row]) & (values[row] >= 0)))
            msg = (
                f"histograms: image_id {histograms.index[row]}, column {HISTOGRAM_COLUMNS[column]!r}: "
                f"{values[row, column]} {words}; a bin counts pixels, 0 to {CHANNEL_SUM}"
            )
            raise ValueError(msg)
    sums = values.reshape(len(values), 3, 256).sum(axis=2, dtype=np.float64)
    good = (np.abs(sums - CHANNEL_SUM) <= CHANNEL_SUM_TOLERANCE).all(axis=1)
    if not good.all():
        row = int(np.argmin(good))
        channel = int(np.argmax(np.abs(sums[row] - CHANNEL_SUM)))
        msg = (
            f"histograms: image_id {histograms.index[row]}: channel {'rgb'[channel]} sums to {sums[row, channel]:.0f}; "
            f"it must be within {CHANNEL_SUM_TOLERANCE} of {CHANNEL_SUM} (800 x 600 pixels): scale it to that"
        )
        raise ValueError(msg)


def table_root(frame: pd.DataFrame, name: str) -> str:
    """Return the absolute root folder that a files or images table belongs to, as ``os.fsdecode`` gives it.

    Raises
    ------
    ValueError
        The table lost its ``attrs`` on the way.
    """
    root = frame.attrs.get("root")
    if not isinstance(root, str):
        msg = f"{name}: attrs['root'] is missing; pass the table of scan_folder or compute_histograms unchanged"
        raise ValueError(msg)
    return root
