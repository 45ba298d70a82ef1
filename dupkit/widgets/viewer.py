"""The viewer's part of the page: the pair in view and what differs, pictures, why a pair matches."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from dupkit.report.plots import bytes_in_words, plot_why
from dupkit.review.neighbours import Group
from dupkit.review.state import ReviewState
from dupkit.scan import read_facts, read_picture
from dupkit.widgets.answers import Answer, Later, Question
from dupkit.widgets.explorer import axis_of, read_palette

PREFETCHED_PAIRS = 10
"""Pairs ahead whose pictures the page fetches while the analyst looks at this one."""

LARGEST_SIDE = 4096
"""Largest side of a picture that is not asked for with all its pixels."""

MOST_MEMBERS = 60
"""Members of a group that the page shows."""

_MINUTE = 60 * 10**9

_TURNED_ORIENTATIONS = 5
"""EXIF orientations from here on swap width and height."""


class Viewer:
    """Answer the page's questions about pairs and their pictures.

    Parameters
    ----------
    state : ReviewState
    """

    def __init__(self, state: ReviewState) -> None:
        self.state = state
        # Where a file lies now, once moves of this page have moved it: image_id -> path relative to the root.
        self.moved: dict[int, bytes] = {}
        self.answers: dict[str, Callable[[Question], Answer | Later]] = {
            "picture": self.picture,
            "camera": self.camera,
            "why": self.why,
        }

    def pair(self) -> dict[str, Any] | None:
        """Return everything about the pair in view, in words where the page shows words; None where there is none."""
        state = self.state
        position = state.current
        if position < 0:
            return None
        pair = state.pairs.iloc[position]
        row_a, row_b = int(state.first[position]), int(state.second[position])
        group = state.group_of(position)
        members = list(zip(group.image_ids, group.reasons, strict=True))
        return {
            "position": position,
            "rms": float(pair["rms"]),
            "measure": "RMS",
            "words": self._words(pair, position),
            "decision": state.decision_of(position),
            "a": self._side(row_a, row_b, group),
            "b": self._side(row_b, row_a, group),
            "can_cut": bool(group.is_chain and group.whole),
            "group": {
                "n_members": group.n_images,
                "largest_rms": float(group.largest_rms),
                "chain": bool(group.is_chain),
                "members": [
                    {
                        "image": image,
                        "path": str(state.images["path"].loc[image]),
                        "reason": reason,
                        "keeper": image == group.keeper,
                    }
                    for image, reason in members[:MOST_MEMBERS]
                ],
            },
        }

    def _words(self, pair: pd.Series, position: int) -> list[str]:
        transform = _word(pair["transform"])
        words = [_word(pair["verdict"]), "" if transform == "same" else transform]
        if pd.notna(pair["structure"]):
            words.insert(1, f"structure {pair['structure']:.2f}")
        if self.state.by_structure[position]:
            words.append("proposed by structure, not by its distance")
        if self.state.standing.approved_before[position]:
            words.append("approved before, elsewhere")
        if self.state.standing.rejected_before[position]:
            words.append("rejected before, elsewhere")
        return [word for word in words if word]

    def _side(self, row: int, other: int, group: Group) -> dict[str, Any]:
        images = self.state.images
        image = int(images.index[row])
        here, there = images.iloc[row], images.iloc[other]
        width, height = upright_size(here)
        place = group.image_ids.index(image)
        return {
            "image": image,
            "path": str(here["path"]),
            "width": width,
            "height": height,
            "facts": facts_beside(here, there),
            "keeper": image == group.keeper,
            "reason": group.reasons[place],
            "note": f"now in {os.fsdecode(self.moved[image]).split('/')[0]}" if image in self.moved else "",
        }

    def upcoming(self) -> list[tuple[int, int]]:
        """Return the image_ids of the next pairs of the list, whose pictures the page fetches ahead."""
        state = self.state
        place = state.place_of(state.current)
        if place < 0:
            return []
        ahead = state.visible[place + 1 : place + 1 + PREFETCHED_PAIRS]
        index = state.images.index
        return [(int(index[state.first[position]]), int(index[state.second[position]])) for position in ahead.tolist()]

    def picture(self, question: Question) -> Later:
        """Return a picture, upright, re-encoded as JPEG; with side 0 all its pixels."""
        image, side = int(question["image"]), int(question["side"])
        path_bytes = self._path_bytes(image)
        wanted = min(side, LARGEST_SIDE) if side > 0 else None
        return Later(lambda: Answer(buffers=[read_picture(self.state.root, path_bytes, side=wanted)]))

    def camera(self, question: Question) -> Later:
        """Return what the files themselves say of camera and time."""
        paths = [self._path_bytes(int(image)) for image in question["images"]]

        def read() -> Answer:
            return Answer({"facts": [read_facts(self.state.root, path_bytes) for path_bytes in paths]})

        return Later(read)

    def _path_bytes(self, image: int) -> bytes:
        if image in self.moved:
            return self.moved[image]
        path_bytes: bytes = self.state.images["path_bytes"].loc[image]
        return path_bytes

    def why(self, question: Question) -> Later:
        """Return the two histograms overlaid, the bins that carry the distance shaded."""
        state = self.state
        position = int(question["position"])
        if state.histograms is None:
            msg = "histograms: this page was made without them; pass the histograms table to see why pairs match"
            raise ValueError(msg)
        pair = state.pairs.iloc[position]
        a, b = (state.histograms.loc[int(pair[name])].to_numpy() for name in ("image_a", "image_b"))
        width = int(np.clip(question.get("width", 700), 320, 3000))
        palette, scale = read_palette(question.get("palette")), float(np.clip(question.get("scale", 1), 1, 3))

        def draw() -> Answer:
            plot = plot_why(a, b, transform=state.transform, size=(width, 160), scale=scale, palette=palette)
            return Answer(axis_of(plot), [plot.png])

        return Later(draw)


def upright_size(image: pd.Series) -> tuple[int, int]:
    """Return width and height of an image as it is seen, after its EXIF orientation."""
    width, height = int(image["width"]), int(image["height"])
    return (height, width) if image["orientation"] >= _TURNED_ORIENTATIONS else (width, height)


def facts_beside(here: pd.Series, there: pd.Series) -> list[dict[str, Any]]:
    """Return what the table knows of an image, each fact with its delta to another image; the better one is marked.

    Returns
    -------
    list of dict
        ``name``, ``text``, ``note`` (the delta in words, '' where equal) and ``better``.
    """
    width, height = upright_size(here)
    pixels, other_pixels = width * height, int(there["width"]) * int(there["height"])
    size, other_size = int(here["size_bytes"]), int(there["size_bytes"])
    # To the minute, as it is shown: a second between two copies of a folder says nothing.
    time, other_time = int(here["mtime_ns"]) // _MINUTE, int(there["mtime_ns"]) // _MINUTE
    facts = [
        _fact("dimensions", f"{width:,} × {height:,}", pixels, other_pixels, "more pixels"),
        _fact("size", bytes_in_words(size), size, other_size, "larger file"),
        _fact("modified", time_words(int(here["mtime_ns"])), -time, -other_time, "older", delta=False),
        {"name": "format", "text": str(here["format"]), "note": "", "better": False},
    ]
    if here["frames"] > 1:
        facts.append({"name": "frames", "text": f"{int(here['frames'])} frames", "note": "", "better": False})
    return facts


def _fact(name: str, text: str, value: int, other: int, words: str, *, delta: bool = True) -> dict[str, Any]:
    note = ""
    if value > other:
        note = words
    elif value < other and delta:
        note = f"\N{MINUS SIGN}{max(1, min(99, round(100 * (1 - value / other))))} %" if other > 0 else ""
    return {"name": name, "text": text, "note": note, "better": value > other}


def time_words(mtime_ns: int) -> str:
    """Return a time as people read it, local time, to the minute."""
    return datetime.fromtimestamp(mtime_ns / 1e9, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M")


def _word(value: object) -> str:
    return str(value) if isinstance(value, str) else ""
