"""A small album with hand-made tables, and a comm that plays the browser."""

from __future__ import annotations

import hashlib
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import comm
import numpy as np
import pandas as pd
import pytest
from comm.base_comm import BaseComm
from PIL import Image

from dupkit.files import display_path
from dupkit.schema import N_BINS, build_histograms, build_table
from dupkit.widgets import ReviewWidget

PAIRS = [
    # image_a, image_b, rms, proposed_by, same_bytes, structure, transform, verdict
    (0, 1, 0.0, "rms", True, 1.0, "the same file", "same bytes"),
    (2, 3, 120.0, "rms", False, 0.99, "half size", "same picture"),
    (3, 4, 180.0, "rms", False, 0.98, "re-encoded", "same picture"),
    (5, 6, 300.0, "rms", False, 0.4, "", "look-alike"),
    (2, 4, 700.0, "rms", False, 0.97, "half size", "same picture"),
    (0, 7, 900.0, "structure", False, 0.95, "crop", "same picture"),
]
"""By hand: 2-3-4 is a chain below 500."""

SIZES = [(160, 120), (160, 120), (200, 150), (100, 75), (200, 150), (80, 80), (80, 80), (160, 120)]


@dataclass(frozen=True)
class Album:
    """A folder of eight pictures, an unreadable file among them in the table only, and its tables."""

    root: Path
    images: pd.DataFrame
    histograms: pd.DataFrame
    pairs: pd.DataFrame


@pytest.fixture
def album(tmp_path: Path) -> Album:
    root = tmp_path / "photos"
    (root / "trip").mkdir(parents=True)
    names = [b"a.jpg", b"b.jpg", b"c.jpg", b"trip/d.jpg", b"trip/e.jpg", b"f.jpg", b"trip/<b>g.jpg", b"trip/h.jpg"]
    for number, (name, size) in enumerate(zip(names, SIZES, strict=True)):
        colour = (30 * min(number, 1), 20 + 20 * number, 90)
        path = root / os.fsdecode(name)
        Image.new("RGB", size, colour).save(path, quality=90)
    (root / "b.jpg").write_bytes((root / "a.jpg").read_bytes())
    return make_album(root, names, SIZES, PAIRS)


def make_album(root: Path, names: list[bytes], sizes: list[tuple[int, int]], rows: list[tuple[Any, ...]]) -> Album:
    """Return the tables of files that are there, with pairs made up."""
    stats = [os.stat(os.path.join(os.fsencode(root), name)) for name in names]
    hashes = [
        hashlib.sha256(Path(os.fsdecode(os.path.join(os.fsencode(root), name))).read_bytes()).hexdigest()
        for name in names
    ]
    n_images = len(names)
    images = build_table(
        "images",
        {
            "path": [display_path(name) for name in names],
            "path_bytes": names,
            "size_bytes": [stat.st_size for stat in stats],
            "mtime_ns": [stat.st_mtime_ns for stat in stats],
            "ctime_ns": [stat.st_ctime_ns for stat in stats],
            "device": [stat.st_dev for stat in stats],
            "inode": [stat.st_ino for stat in stats],
            "format": ["JPEG"] * n_images,
            "width": [width for width, _ in sizes],
            "height": [height for _, height in sizes],
            "orientation": [1] * n_images,
            "frames": [1] * n_images,
            "content_hash": hashes,
            "error": [""] * n_images,
        },
        attrs={"root": str(root), "sampling": "fast", "other_files": 0, "reference": ()},
    )
    rng = np.random.default_rng(7)
    values = rng.random((n_images, 3, 256)).astype(np.float32)
    values *= 480_000 / values.sum(axis=2, keepdims=True)
    histograms = build_histograms(values.reshape(n_images, N_BINS), attrs={"root": str(root), "sampling": "fast"})
    columns = ("image_a", "image_b", "rms", "proposed_by", "same_bytes", "structure", "transform", "verdict")
    table: dict[str, list[Any]] = {name: [row[i] for row in rows] for i, name in enumerate(columns)}
    pairs = build_table(
        "pairs",
        {
            **table,
            "kind": ["exact" if rms == 0 else "maybe" for rms in table["rms"]],
            "measure": ["rms"] * len(rows),
        },
        attrs={"max_rms": 1000.0, "requested_max_rms": 1000.0, "measure": "rms", "n_images": n_images},
    )
    return Album(root, images, histograms, pairs)


class Browser(BaseComm):
    """The other end of a widget's comm: what it was sent, and how it asks."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.sent: list[tuple[dict[str, Any], list[bytes]]] = []
        self.arrived = threading.Condition()
        self._ids = itertools.count()
        super().__init__(*args, **kwargs)

    def publish_msg(
        self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **keys: Any
    ) -> None:
        with self.arrived:
            self.sent.append(({"msg_type": msg_type, **(data or {})}, list(buffers or [])))
            self.arrived.notify_all()

    def receive(self, data: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        self.handle_msg({"content": {"comm_id": self.comm_id, "data": data}, "buffers": buffers or []})

    def custom(self) -> list[tuple[dict[str, Any], list[bytes]]]:
        return [(data["content"], buffers) for data, buffers in self.sent if data.get("method") == "custom"]

    def updates(self, name: str) -> list[Any]:
        states = [data["state"] for data, _ in self.sent if data.get("method") == "update"]
        return [state[name] for state in states if name in state]

    def pushed(self) -> list[dict[str, Any]]:
        return [content for content, _ in self.custom() if "push" in content]

    def ask(self, question: str, *, buffers: list[bytes] | None = None, **details: Any) -> dict[str, Any]:
        """Ask as the page does and return the answer; a problem raises AssertionError with its line."""
        content, parts = self.reply(question, buffers=buffers, **details)
        assert content["ok"], content["problem"]
        return {**content["answer"], "buffers": parts}

    def problem(self, question: str, **details: Any) -> str:
        """Ask what cannot be answered and return the line that comes back."""
        content, _ = self.reply(question, **details)
        assert not content["ok"], content
        return str(content["problem"])

    def reply(
        self, question: str, *, buffers: list[bytes] | None = None, **details: Any
    ) -> tuple[dict[str, Any], list[bytes]]:
        name = f"test-{next(self._ids)}"
        message = {"id": name, "ask": question, **details}
        self.receive({"method": "custom", "content": message}, buffers)

        def found() -> list[tuple[dict[str, Any], list[bytes]]]:
            return [(content, parts) for content, parts in self.custom() if content.get("id") == name]

        with self.arrived:
            assert self.arrived.wait_for(found, timeout=20), f"{question}: no answer"
        answers = found()
        assert len(answers) == 1
        return answers[0]

    def set_threshold(self, threshold: float) -> None:
        """Move the slider as the page does."""
        self.receive({"method": "update", "state": {"threshold": threshold}, "buffer_paths": []})


@pytest.fixture
def comms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comm, "create_comm", Browser)


@pytest.fixture
def make_widget(comms: None, album: Album) -> Iterator[Callable[..., ReviewWidget]]:
    """Make widgets over the album (or other tables) that are closed at the end."""
    made: list[ReviewWidget] = []

    def make(**keywords: Any) -> ReviewWidget:
        tables = {"images": album.images, "histograms": album.histograms, "pairs": album.pairs}
        given = {name: keywords.pop(name, table) for name, table in tables.items()}
        widget = ReviewWidget(given["images"], given["histograms"], given["pairs"], **keywords)
        made.append(widget)
        return widget

    yield make
    for widget in made:
        widget.close()
