"""A cache that was cut, altered, replaced or written by a stranger is set aside with a warning and never believed."""

from __future__ import annotations

import json
import os
import shutil
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dupkit.scan import compute_histograms, read_thumbnails, scan_folder
from dupkit.scan.cache import Cache, file_key
from dupkit.scan.parts import BadPartError, part_bytes, read_part

Poison = Callable[[Path], None]


def rewritten(change: Callable[[pa.Table], pa.Table]) -> Poison:
    """Write a part anew with pyarrow, its metadata kept: a Parquet file that is sound in itself."""

    def poison(place: Path) -> None:
        table = pq.read_table(place)
        changed = change(table)
        pq.write_table(changed.replace_schema_metadata(changed.schema.metadata or table.schema.metadata), place)

    return poison


def set_column(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


def shuffled(table: pa.Table) -> pa.Table:
    """The hashes of other pictures: every value is one that occurs, and every histogram adds up."""
    hashes = table.column("content_hash").combine_chunks()
    return set_column(table, "content_hash", hashes.take(pa.array([*range(1, len(hashes)), 0])))


def newer(table: pa.Table) -> pa.Table:
    metadata = json.loads(table.schema.metadata[b"dupkit"])
    return table.replace_schema_metadata({b"dupkit": json.dumps(metadata | {"layout": 99}).encode()})


def flipped(place: Path) -> None:
    """One bit of a hash."""
    data = bytearray(place.read_bytes())
    first = pq.read_table(place).column("content_hash")[0].as_py()
    data[data.index(first) + 7] ^= 1
    place.write_bytes(data)


def replaced_by_folder(place: Path) -> None:
    place.unlink()
    (place / "inside").mkdir(parents=True)


def replaced_by_link_to_nothing(place: Path) -> None:
    place.unlink()
    place.symlink_to("nowhere")


POISONS: dict[str, Poison] = {
    "empty": lambda place: place.write_bytes(b""),
    "text": lambda place: place.write_text("not Parquet at all"),
    "cut": lambda place: place.write_bytes(place.read_bytes()[: place.stat().st_size // 2]),
    "cut at the end": lambda place: place.write_bytes(place.read_bytes()[:-9]),
    "zeroed": lambda place: place.write_bytes(bytes(place.stat().st_size)),
    "one bit": flipped,
    "foreign Parquet": lambda place: pq.write_table(pa.table({"a": [1, 2]}), place),
    "newer": rewritten(newer),
    "hashes of others": rewritten(shuffled),
    "a column less": rewritten(lambda table: table.drop_columns(["content_hash"])),
    "rows twice": rewritten(lambda table: pa.concat_tables([table, table])),
    "no rows": rewritten(lambda table: table.slice(0, 0)),
    "missing values": rewritten(
        lambda table: set_column(
            table, "content_hash", pa.array([None] * len(table), type=table.schema.field("content_hash").type)
        )
    ),
    "no metadata": lambda place: pq.write_table(pq.read_table(place).replace_schema_metadata({}), place),
    "metadata of another shape": rewritten(lambda table: table.replace_schema_metadata({b"dupkit": b"[1, 2]"})),
    "a folder": replaced_by_folder,
    "a link to nothing": replaced_by_link_to_nothing,
    "gone": lambda place: place.unlink(),
}


@pytest.mark.parametrize("level", ["files", "pictures"])
@pytest.mark.parametrize("name", POISONS)
def test_a_poisoned_cache_is_never_believed_and_never_fatal(album: Callable[..., Path], name: str, level: str) -> None:
    folder = album(6)
    (folder / "broken.jpg").write_bytes(b"broken")
    time.sleep(0.12)
    files = scan_folder(folder)
    expected = compute_histograms(files, progress=False)
    thumbnails = read_thumbnails(expected[0])
    cache = Path(os.environ["DUPKIT_CACHE"]) / "scan"
    (place,) = (cache / level).rglob("*.parquet")
    POISONS[name](place)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        images, histograms = compute_histograms(files, progress=False)
        again = read_thumbnails(images)
    pd.testing.assert_frame_equal(images, expected[0])
    pd.testing.assert_frame_equal(histograms, expected[1])
    for one, other in zip(thumbnails["grey"], again["grey"], strict=True):
        np.testing.assert_array_equal(one, other)
    asides = list((cache / level).rglob("*.set-aside"))
    if name in ("gone", "a link to nothing"):
        assert not asides
    else:
        messages = [str(warning.message) for warning in seen]
        assert any("set aside, its images are read again" in message for message in messages), messages
        assert len(asides) == 1
        if name == "newer":
            assert any("written by a newer dupkit" in message for message in messages)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the third run is at peace
        pd.testing.assert_frame_equal(compute_histograms(files, progress=False)[1], expected[1])


def test_histograms_and_thumbnails_have_their_own_proof(album: Callable[..., Path]) -> None:
    """Only what is read is checked, so each column that is read has to be."""
    folder = album(4)
    time.sleep(0.12)
    files = scan_folder(folder)
    images, expected = compute_histograms(files, progress=False)
    thumbnails = read_thumbnails(images)
    (place,) = (Path(os.environ["DUPKIT_CACHE"]) / "scan" / "pictures").rglob("*.parquet")
    sound = place.read_bytes()
    for column in ("counts", "thumbnail", "width", "error", "format"):
        place.write_bytes(sound)
        rewritten(
            lambda table, column=column: set_column(
                table,
                column,
                table.column(column).combine_chunks().take(pa.array([1, 0, 3, 2]))
                if column in ("counts", "thumbnail")
                else pa.array([9] * 4 if column == "width" else ["odd"] * 4),
            )
        )(place)
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            again, histograms = compute_histograms(files, progress=False)
            found = read_thumbnails(again)
        assert [f"'{column}' is not as it was written" in str(warning.message) for warning in seen] == [True]
        pd.testing.assert_frame_equal(again, images)
        pd.testing.assert_frame_equal(histograms, expected)
        assert all((a == b).all() for a, b in zip(found["grey"], thumbnails["grey"], strict=True))
        shutil.rmtree(place.parent)
        place.parent.mkdir()


def test_a_cache_that_cannot_be_written_is_a_warning(album: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(UserWarning, match="the cache could not be written"):
        _, histograms = compute_histograms(scan_folder(album(2)), progress=False, cache=tmp_path / "file")
    assert len(histograms) == 2


def test_nothing_is_written_below_the_root(album: Callable[..., Path]) -> None:
    folder = album(3)
    before = sorted(folder.rglob("*"))
    compute_histograms(scan_folder(folder), progress=False)
    assert sorted(folder.rglob("*")) == before


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_changed_byte_of_a_part_changes_what_is_read(data: st.DataObject) -> None:
    rng = np.random.default_rng(1)
    columns = {
        "content_hash": rng.integers(0, 256, (5, 32), dtype=np.uint8),
        "error": ["", "damaged: cut off", "ä", "", "x"],
        "width": np.arange(5),
        "counts": rng.integers(0, 60_000, (5, 768), dtype=np.uint16),
    }
    part = bytearray(part_bytes("kind", columns))
    for _ in range(data.draw(st.integers(0, 3))):
        part[data.draw(st.integers(0, len(part) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = read_part(pa.BufferReader(bytes(part)), "kind", list(columns))
    except BadPartError:
        return
    assert found["error"] == columns["error"]
    for name in ("content_hash", "width", "counts"):
        np.testing.assert_array_equal(found[name], columns[name])


def rewrite_part(place: Path, change: Callable[[dict[str, Any]], None], kind: str = "") -> None:
    """Write a part anew as dupkit itself would: its proofs are those of the changed columns."""
    metadata = json.loads(pq.read_schema(place).metadata[b"dupkit"])
    columns = read_part(str(place), metadata["kind"], list(metadata["digests"]))
    columns = {name: value if isinstance(value, list) else value.copy() for name, value in columns.items()}
    change(columns)
    place.write_bytes(part_bytes(kind or metadata["kind"], columns))


def one_pixel_more(columns: dict[str, Any]) -> None:
    columns["counts"][0, 0] ^= 1


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [(one_pixel_more, "", "its histograms do not add up"), (lambda _: None, "other", "not a part of this cache")],
)
def test_a_part_with_sound_proofs_is_not_believed_blindly(
    album: Callable[..., Path], change: Callable[[dict[str, Any]], None], kind: str, words: str
) -> None:
    folder = album(3)
    time.sleep(0.12)
    files = scan_folder(folder)
    _, expected = compute_histograms(files, progress=False)
    (place,) = (Path(os.environ["DUPKIT_CACHE"]) / "scan" / "pictures").rglob("*.parquet")
    rewrite_part(place, change, kind)
    with pytest.warns(UserWarning, match=words):
        _, again = compute_histograms(files, progress=False)
    pd.testing.assert_frame_equal(again, expected)


def test_a_part_is_seen_when_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    cache = Cache(tmp_path)
    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        cache.write("files", {"size_bytes": np.arange(3)})
    assert cache.names("files") == []
    monkeypatch.undo()
    cache.write("files", {"size_bytes": np.arange(3)})
    assert len(cache.names("files")) == 1


def test_a_file_is_known_by_its_place_and_every_part_of_its_state() -> None:
    state = (b"/photos/a.jpg", 1, 2, 3, 4)
    others = [(b"/photos/b.jpg", *state[1:]), *((*state[:at], 9, *state[at + 1 :]) for at in range(1, 5))]
    assert len({file_key(*values) for values in (state, *others)}) == 6
