"""Rows of pairs and of groups, filters and marks, and how b lies on a, asked as the page asks."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dupkit.schema import build_table
from dupkit.widgets import ReviewWidget
from dupkit.widgets.answers import Answer, Later
from dupkit.widgets.lister import MOST_ROWS
from tests.widgets.conftest import make_album

MakeWidget = Callable[..., ReviewWidget]


def test_rows_come_by_range_in_the_list_s_order(make_widget: MakeWidget) -> None:
    browser = make_widget().comm
    rows = browser.ask("rows", start=1, stop=3)["rows"]
    assert [(row["position"], row["name"], row["verdict"]) for row in rows] == [
        (1, "d.jpg", "same picture"),
        (2, "e.jpg", "same picture"),
    ]
    assert browser.ask("rows", start=-5, stop=MOST_ROWS * 9)["rows"][0]["position"] == 0
    assert browser.ask("rows", start=100, stop=140)["rows"] == []


def test_names_go_to_the_page_as_they_are(make_widget: MakeWidget) -> None:
    """The page puts them into text nodes: nothing is escaped here, or it would be escaped twice."""
    assert make_widget().comm.ask("rows", start=3, stop=4)["rows"][0]["path_b"] == "trip/<b>g.jpg"


def test_groups_come_with_their_keeper_and_why(make_widget: MakeWidget) -> None:
    widget = make_widget()
    browser = widget.comm
    assert browser.ask("groups", start=0, stop=10)["rows"] == []
    status = browser.ask("show", grouping="chains")["status"]
    assert (status["grouping"], status["n_groups"], status["n_chains"], status["n_visible"]) == ("chains", 3, 1, 4)
    rows = browser.ask("groups", start=-3, stop=MOST_ROWS * 9)["rows"]
    chain = rows[0]
    assert (chain["chain"], chain["n_images"], chain["largest_rms"], chain["n_files"]) == (True, 3, 700, 2)
    assert (chain["images"][0], chain["keeper"], chain["reason"]) == (2, "c.jpg", widget.state.group_of(1).reasons[0])
    assert (chain["n_pairs"], chain["n_decided"]) == (2, 0)
    assert [row["group"] for row in rows] == [0, 1, 2]
    assert chain["n_bytes"] == widget.state.images["size_bytes"].loc[[3, 4]].sum()
    assert browser.ask("groups", start=1, stop=2)["rows"] == rows[1:2]
    assert browser.ask("groups", start=7, stop=9)["rows"] == []


def test_going_from_group_to_group(make_widget: MakeWidget) -> None:
    browser = make_widget().comm
    assert browser.ask("go", where="next_group")["words"] == "The list shows pairs: press P for a list of groups."
    browser.ask("show", grouping="chains")
    answer = browser.ask("go", where="group", group=0)
    assert (answer["pair"]["position"], answer["status"]["group"]) == (1, 0)
    # The whole group is decided, and the next one shows.
    answer = browser.ask("act", act="approve_group", position=1)
    assert answer["status"]["tally"]["approved"] == 2
    assert answer["status"]["group"] == 1
    assert browser.ask("groups", start=0, stop=1)["rows"][0]["n_decided"] == 2
    assert browser.ask("go", where="previous_group")["status"]["group"] == 0
    assert browser.ask("go", where="previous_group")["words"] == "This is the first group of the list."
    for group in (1, 2):
        browser.ask(
            "act", act="approve_group", position=browser.ask("go", where="group", group=group)["pair"]["position"]
        )
    assert browser.ask("go", where="next_group")["words"] == "No other group of this list has undecided pairs."
    assert browser.ask("show", grouping="")["status"]["group"] == -1


def test_filters_by_size_and_by_range_of_rms(make_widget: MakeWidget) -> None:
    widget = make_widget()
    browser = widget.comm
    answer = browser.ask("show", filters={"rms_from": "120", "rms_to": "180"})
    assert answer["status"]["n_visible"] == 2
    assert answer["status"]["filters"]["rms_from"] == "120"
    answer = browser.ask("show", filters={"rms_to": ""})
    assert [row["rms"] for row in browser.ask("rows", start=0, stop=9)["rows"]] == [120, 180, 300]
    assert answer["status"]["filters"]["rms_to"] == ""
    sizes = widget.state.images["size_bytes"]
    answer = browser.ask("show", filters={"rms_from": "", "size": str(sizes.loc[0])})
    assert answer["status"]["n_visible"] == sum(
        min(sizes.loc[a], sizes.loc[b]) >= sizes.loc[0] for a, b in [(0, 1), (2, 3), (3, 4), (5, 6)]
    )
    assert browser.ask("show", filters={"size": "", "rms_from": "", "rms_to": ""})["status"]["n_visible"] == 4
    assert browser.ask("show", filters={"name": "G.JPG"})["status"]["n_visible"] == 1
    assert browser.ask("hello")["facts"]["folders"] == ["trip"]
    assert "could not convert" in browser.problem("show", filters={"rms_from": "near"})


def test_pairs_proposed_by_structure_are_a_class_of_their_own(make_widget: MakeWidget) -> None:
    browser = make_widget().comm
    facts = browser.ask("hello")["facts"]
    assert facts["n_by_structure"] == 1
    assert ("structure", "proposed by structure") in facts["shown"]
    assert browser.ask("show", filters={"show": "structure"})["pair"]["position"] == 0
    assert browser.ask("go", where="next")["pair"]["position"] == 5
    # They hold no group together.
    assert browser.ask("show", grouping="bytes")["status"]["n_groups"] == 0


def test_what_was_decided_elsewhere_is_marked(make_widget: MakeWidget, album: Any, tmp_path: Any) -> None:
    here = make_widget()
    here.comm.ask("act", act="approve", position=1)
    here.comm.ask("act", act="reject", position=3)
    shutil.copytree(album.root, tmp_path / "copy")
    images = album.images.copy()
    images.attrs.update(album.images.attrs, root=str(tmp_path / "copy"))
    there = make_widget(images=images).comm
    rows = there.ask("rows", start=0, stop=9)["rows"]
    assert [(row["decision"], row["before"]) for row in rows] == [
        ("", ""),
        ("", "approved before"),
        ("", ""),
        ("rejected", "rejected before"),
    ]
    assert there.ask("go", where="position", position=3)["pair"]["words"][-1] == "rejected before, elsewhere"
    for words, position in (("approved before", 1), ("rejected before", 3)):
        assert there.ask("show", filters={"decision": words})["status"]["n_visible"] == 1
        assert there.ask("rows", start=0, stop=9)["rows"][0]["position"] == position
    # Once rejected here it is an own decision.
    there.ask("act", act="reject", position=3)
    assert there.ask("show", filters={"decision": "rejected"})["status"]["n_visible"] == 1
    assert there.ask("rows", start=0, stop=1)["rows"][0]["before"] == ""


def test_a_group_too_large_for_one_key_says_what_to_do(make_widget: MakeWidget, tmp_path: Any) -> None:
    """A problem once reached the page as an exception; the pair itself can still be decided."""
    root = tmp_path / "many"
    root.mkdir()
    n_images = 520
    names = [f"{number:03d}.jpg".encode() for number in range(n_images)]
    for number, name in enumerate(names):
        (root / name.decode()).write_bytes(b"%d" % number)
    rows = [(k, k + 1, 100.0, "rms", False, 0.9, "", "same picture") for k in range(n_images - 1)]
    many = make_album(root, names, [(10, 10)] * n_images, rows)
    widget = make_widget(images=many.images, histograms=None, pairs=many.pairs)
    browser = widget.comm
    for act in ("approve_group", "cut"):
        words = browser.ask("act", act=act, position=7)["words"]
        assert words.startswith("This group holds 520 pictures: more than 500 are not decided with one key. Lower")
    assert widget.state.tally() == {"approved": 0, "rejected": 0, "skipped": 0}
    assert browser.ask("keeper", position=7, image=8)["pair"]["b"]["reason"] == "chosen by hand"
    assert widget.state.tally()["approved"] == 1
    row = browser.ask("show", grouping="far")["status"]
    assert row["n_groups"] == 1
    assert browser.ask("groups", start=0, stop=5)["rows"][0]["n_images"] == 520


def thumbnails_of(pictures: list[np.ndarray], root: Any) -> Any:
    column = np.empty(len(pictures), dtype=object)
    column[:] = list(pictures)
    return build_table("thumbnails", {"grey": column}, attrs={"root": str(root)})


def test_how_b_lies_on_a(make_widget: MakeWidget, album: Any) -> None:
    levels = np.random.default_rng(3).integers(0, 256, (8, 8)).repeat(8, axis=0).repeat(8, axis=1).astype(np.uint8)
    other = levels.T[::-1]
    widget = make_widget(thumbnails=thumbnails_of([levels, levels, levels, levels[:, ::-1], *[other] * 4], album.root))
    mirrored = widget.comm.ask("overlay", position=1)
    assert mirrored["matrix"] == (-1, 0, 0, 1, 1, 0)
    assert (mirrored["same"], mirrored["words"]) == (True, "mirrored")
    # A look-alike is shown as it is, whatever would fit.
    assert not widget.comm.ask("overlay", position=3)["same"]


def test_how_b_lies_on_a_without_a_thumbnails_table(make_widget: MakeWidget, album: Any) -> None:
    rng = np.random.default_rng(4)
    picture = Image.fromarray(rng.integers(0, 256, (6, 8), dtype=np.uint8)).resize((200, 150))
    picture.save(album.root / "c.jpg", quality=95)
    picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(album.root / "trip/d.jpg", quality=95)
    root, sizes = album.root, [(160, 120), (160, 120), (200, 150), (200, 150), *[(160, 120)] * 4]
    names = album.images["path_bytes"].tolist()
    again = make_album(root, names, sizes, [(2, 3, 120.0, "rms", False, 0.99, "mirrored", "same picture")])
    found = make_widget(images=again.images, histograms=None, pairs=again.pairs).comm.ask("overlay", position=0)
    assert found["matrix"] == pytest.approx((-1, 0, 0, 1, 1, 0), abs=0.01)


def test_how_b_lies_on_a_does_not_wait_for_pictures(make_widget: MakeWidget, album: Any) -> None:
    """Pictures fetched ahead once kept the difference of the pair in view waiting for seconds."""
    flat = np.full((64, 64), 90, dtype=np.uint8)
    widget = make_widget(thumbnails=thumbnails_of([flat] * 8, album.root))
    arrive = threading.Event()
    widget._questions["picture"] = lambda _question: Later(lambda: Answer({"arrived": arrive.wait(20)}))
    for number in range(8):
        message = {"id": f"p{number}", "ask": "picture", "image": number, "side": 1600}
        widget.comm.receive({"method": "custom", "content": message})
    try:
        assert widget.comm.ask("overlay", position=0)["words"] == ""
    finally:
        arrive.set()
