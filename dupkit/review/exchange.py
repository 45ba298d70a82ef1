"""Decisions as a CSV that goes to a colleague and comes back: writing, reading, merging, what conflicts.

The columns are the decisions table's, then ``path_bytes_a``, ``path_bytes_b`` and ``keeper_bytes``: the exact names,
percent-encoded, which count where they are there. Cells that a spreadsheet would take for a formula are neutralised.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from dupkit.cells import neutral_cell, original_cell, percent_decoded, percent_encoded
from dupkit.files import display_path, path_from_display
from dupkit.review.decisions import DECISION_WORDS, Decision
from dupkit.schema import TABLES, build_table

EXACT_COLUMNS = {"path_a": "path_bytes_a", "path_b": "path_bytes_b", "keeper": "keeper_bytes"}
"""Columns of names, and the columns beside them that hold the exact ones."""

CONFLICT_COLUMNS = (
    "path_a",
    "path_b",
    "ours",
    "theirs",
    "our_keeper",
    "their_keeper",
    "our_name",
    "their_name",
    "our_time",
    "their_time",
    "taken",
)
"""Columns of the table of conflicts; ``taken`` says whose decision stands now: ours or theirs."""

POLICIES = ("ours", "theirs", "latest")
"""Who is right where two analysts disagree."""

_HASH = re.compile(r"[0-9a-f]{64}")
_NAMES = TABLES["decisions"].column_names

PairKey = tuple[tuple[str, str], tuple[str, str]]
"""The two files of a pair, each path and hash, in one order."""


@dataclass(frozen=True)
class Merge:
    """What an import adds, and where it disagrees with what was here."""

    added: list[Decision]
    conflicts: pd.DataFrame
    n_same: int


def pair_key(row: Decision) -> PairKey:
    """Return what makes two decisions be about one pair: its two files, whichever comes first."""
    one, other = (row.path_a, row.content_hash_a), (row.path_b, row.content_hash_b)
    return (one, other) if one <= other else (other, one)


def decisions_table(rows: Sequence[Decision]) -> pd.DataFrame:
    """Return decisions as a table of the schema, in the order given."""
    return build_table(
        "decisions",
        {
            name: [np.nan if getattr(row, name) is None else getattr(row, name) for row in rows]
            if name in ("rms", "threshold")
            else [getattr(row, name) for row in rows]
            for name in _NAMES
        },
    )


def write_decisions(table: pd.DataFrame, path: str | os.PathLike[str]) -> Path:
    """Write a decisions table as CSV, by a temporary file and a rename; return its path.

    Raises
    ------
    FileExistsError
        Another file than a decisions CSV of dupkit's has this name.
    """
    place = Path(path)
    header = ",".join((*_NAMES, *EXACT_COLUMNS.values()))
    if place.exists() and not _starts_with(place, header):
        msg = f"{place} is there already and holds no decisions of dupkit's; name another file"
        raise FileExistsError(msg)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*_NAMES, *EXACT_COLUMNS.values()))
    for values in table.itertuples(index=False, name=None):
        cells = [_cell(value) for value in values]
        named = dict(zip(_NAMES, values, strict=True))
        exact = [percent_encoded(path_from_display(str(named[name]))) for name in EXACT_COLUMNS]
        writer.writerow((*cells, *exact))
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f".{place.name}.{os.getpid()}.part")
    with part.open("w", encoding="utf-8", newline="") as stream:
        stream.write(text.getvalue())
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(place)
    return place


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if np.isnan(value) else repr(float(value))
    return neutral_cell(str(value))


def _starts_with(place: Path, header: str) -> bool:
    if not place.is_file():
        return False
    with place.open("rb") as stream:
        return stream.read(len(header)) == header.encode()


def read_decisions(path: str | os.PathLike[str]) -> list[Decision]:
    """Return the decisions of a CSV, in its order; also one that a spreadsheet saved with semicolons and a BOM.

    Raises
    ------
    ValueError
        A column is missing or a cell is not allowed; the message names line and column.
    OSError
        The file cannot be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"{path}: byte {error.start} is no UTF-8; save the decisions as CSV in UTF-8"
        raise ValueError(msg) from error
    first_line = text.partition("\n")[0]
    delimiter = ";" if first_line.count(";") > first_line.count(",") else ","
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    missing = [name for name in _NAMES if name not in (reader.fieldnames or ())]
    if missing:
        msg = f"{path}: the column {missing[0]!r} is missing; it must be a decisions CSV as dupkit exports it"
        raise ValueError(msg)
    try:
        return [_decision(row, f"{path}, line {reader.line_num}") for row in reader]
    except csv.Error as error:
        msg = f"{path}, line {reader.line_num}: {error}; it must be a decisions CSV as dupkit exports it"
        raise ValueError(msg) from error


def _decision(cells: Mapping[str, str | None], where: str) -> Decision:
    values: dict[str, str] = {name: original_cell(cells.get(name) or "") for name in _NAMES}
    for name, exact in EXACT_COLUMNS.items():
        if cells.get(exact):
            values[name] = display_path(percent_decoded(str(cells[exact])))
    if values["decision"] not in DECISION_WORDS[1:]:
        msg = f"{where}: decision {values['decision']!r} is none; allowed are {', '.join(DECISION_WORDS[1:])}"
        raise ValueError(msg)
    for name in ("path_a", "path_b"):
        if not values[name]:
            msg = f"{where}: {name} is empty; each decision names two files"
            raise ValueError(msg)
    for name in ("content_hash_a", "content_hash_b"):
        if not _HASH.fullmatch(values[name]):
            msg = f"{where}: {name} {values[name]!r} is no SHA-256; it must be 64 hex digits: leave it as exported"
            raise ValueError(msg)
    numbers = {name: _number(values.pop(name), f"{where}: {name}") for name in ("rms", "threshold")}
    return Decision(**values, **numbers)  # type: ignore[arg-type]


def _number(text: str, where: str) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError as error:
        msg = f"{where} {text!r} is no number; leave it as exported, or empty"
        raise ValueError(msg) from error


def latest_by_pair(rows: Iterable[Decision]) -> dict[PairKey, Decision]:
    """Return the decision that counts for each pair: the latest by time; of equal times the last one."""
    latest: dict[PairKey, Decision] = {}
    for row in rows:
        key = pair_key(row)
        if key not in latest or row.decided_at >= latest[key].decided_at:
            latest[key] = row
    return latest


def merge(ours: Mapping[PairKey, Decision], theirs: Iterable[Decision], policy: str) -> Merge:
    """Return what somebody else's decisions add to ours.

    A decision of theirs fills a gap of ours (undecided, undone, skipped). Where both decided and differ, in the
    decision or in a keeper that both chose by hand, the pair is a conflict.

    Parameters
    ----------
    ours : mapping
        The decision that stands for each pair.
    theirs : iterable of Decision
        The latest of a pair counts.
    policy : str
        What stands in a conflict: ``"ours"``, ``"theirs"``, or the ``"latest"`` by its time.

    Raises
    ------
    ValueError
        ``policy`` is none of these.
    """
    if policy not in POLICIES:
        msg = f"conflicts: {policy!r} is not allowed; it must be one of {', '.join(POLICIES)}"
        raise ValueError(msg)
    added: list[Decision] = []
    conflicts: list[tuple[str, ...]] = []
    n_same = 0
    for key, their in latest_by_pair(theirs).items():
        our = ours.get(key)
        was, keeper_was = (our.decision, our.keeper) if our and our.decision != "undone" else ("", "")
        new = replace(their, was=was, keeper_was=keeper_was)
        if their.decision == "undone" or (their.decision == "skipped" and was):
            n_same += 1
        elif our is None or was in ("", "skipped"):
            added.append(new)
        elif was == their.decision and (not their.keeper or keeper_was == their.keeper):
            n_same += 1
        elif was == their.decision and not keeper_was:
            added.append(new)
        else:
            take = policy == "theirs" or (policy == "latest" and their.decided_at > our.decided_at)
            if take:
                added.append(new)
            conflicts.append(
                (
                    their.path_a,
                    their.path_b,
                    was,
                    their.decision,
                    keeper_was,
                    their.keeper,
                    our.decided_by,
                    their.decided_by,
                    our.decided_at,
                    their.decided_at,
                    "theirs" if take else "ours",
                )
            )
    columns = list(zip(*conflicts, strict=True)) or [()] * len(CONFLICT_COLUMNS)
    table = pd.DataFrame(
        {name: pd.Series(list(column), dtype="str") for name, column in zip(CONFLICT_COLUMNS, columns, strict=True)}
    )
    return Merge(added, table, n_same)
