"""Plot, folders and what decisions teach, asked as the page asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dupkit.schema import build_table
from dupkit.widgets import ReviewWidget
from dupkit.widgets.explorer import read_palette

MakeWidget = Callable[..., ReviewWidget]


@pytest.mark.parametrize("view", ["stored", "tail", "all"])
@pytest.mark.parametrize("log", [False, True])
def test_the_plot_comes_with_its_axis(make_widget: MakeWidget, view: str, log: bool) -> None:
    edges = np.array([0.0, 1000.0, 5000.0])
    counts = build_table(
        "rms_counts",
        {"rms_left": edges[:-1], "rms_right": edges[1:], "n_pairs": [6, 22], "sampled": [False, True]},
    )
    browser = make_widget(rms_counts=counts).comm
    assert browser.ask("hello")["facts"]["has_all"]
    answer = browser.ask("plot", view=view, log=log, threshold=100, width=640, scale=2)
    assert answer["x_max"] == {"stored": 1000, "tail": 200, "all": 5000}[view]
    assert (answer["width"], answer["log"]) == (640, log)
    assert 0 < answer["left"] < answer["right"] < 640


def test_files_that_would_move_by_folder(make_widget: MakeWidget) -> None:
    widget = make_widget()
    folders = widget.comm.ask("folders", threshold=500)["folders"]
    assert {folder: n_files for folder, n_files, _ in folders} == {"(the folder itself)": 2, "trip": 2} or sum(
        n_files for _, n_files, _ in folders
    ) == widget.state.counts_at(500)["n_files"]


def test_decisions_teach_a_line_and_bands(make_widget: MakeWidget) -> None:
    browser = make_widget().comm
    assert browser.ask("calibration", threshold=500) == {
        "words": "Nothing decided yet",
        "more": "",
        "bands": [],
        "buffers": [],
    }
    browser.ask("act", act="approve", position=1)
    browser.ask("act", act="reject", position=3)
    answer = browser.ask("calibration", threshold=500)
    assert answer["words"] == "2 decided: 1 approved, 1 rejected"
    assert answer["more"].startswith(
        "1 of 2 reviewed below 500 approved: of pairs like these 9 to 91 % are copies (95 %)"
    )
    assert [(band["left"], band["n"], band["precision"]) for band in answer["bands"]] == [(100, 1, 1.0), (300, 1, 0.0)]


def test_a_suggested_threshold_or_why_not(make_widget: MakeWidget) -> None:
    browser = make_widget().comm
    assert browser.ask("suggest", precision=0.95)["words"].endswith("decide more pairs.")
    assert "name one from 50% to 99.9%" in browser.problem("suggest", precision=2)
    for position in range(3):
        browser.ask("act", act="approve", position=position)
    assert browser.ask("suggest", precision=0.5)["choices"]


def test_review_next_lists_pairs_that_teach(make_widget: MakeWidget) -> None:
    browser = make_widget().comm
    status = browser.ask("review_next")["status"]
    # One pair has the same bytes and needs no look; one was proposed by structure.
    assert (status["n_visible"], status["filters"]["chosen"]) == (4, "4")
    # Clearing the filters brings the others back.
    status = browser.ask("show", filters={"show": "below"})["status"]
    assert (status["n_visible"], status["filters"]["chosen"]) == (4, "")
    assert {row["position"] for row in browser.ask("rows", start=0, stop=9)["rows"]} == {0, 1, 2, 3}


def test_colours_that_are_none_are_passed_over() -> None:
    palette = read_palette({"text": "rgb(255, 0, 16)", "accent": "expression(alert(1))", "other": "rgb(1, 2, 3)"})
    assert palette.text == "#ff0010ff"
    assert palette.accent.startswith("#")
    assert read_palette("nothing") == read_palette(None)


def test_hellinger_has_a_slider_of_tenths(make_widget: MakeWidget, album: Any) -> None:
    pairs = album.pairs.copy()
    pairs["proposed_by"] = pairs["proposed_by"].replace("rms", "hellinger")
    pairs["measure"], pairs["rms"] = "hellinger", pairs["rms"] / 100
    pairs.attrs.update(max_rms=12.0, requested_max_rms=12.0, measure="hellinger")
    widget = make_widget(pairs=pairs)
    facts = widget.comm.ask("hello")["facts"]
    assert (facts["max_threshold"], facts["step"]) == (12, 0.1)
    lookups = [np.frombuffer(part, dtype="<f8") for part in widget.comm.ask("lookups")["buffers"]]
    assert lookups[0][[0, 12, 13, 120]].tolist() == [0, 1, 2, 5]
