"""Pairs and pictures, asked as the page asks; facts beside each other."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from dupkit.widgets import ReviewWidget
from dupkit.widgets.viewer import facts_beside

MakeWidget = Callable[..., ReviewWidget]


def test_a_picture_is_upright_re_encoded_and_no_larger_than_asked(make_widget: MakeWidget, album: Any) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (200, 150), (200, 30, 30)).save(album.root / "c.jpg", exif=exif)
    browser = make_widget().comm
    small = Image.open(io.BytesIO(browser.ask("picture", image=2, side=96)["buffers"][0]))
    assert small.size == (72, 96)
    assert not small.getexif().get(0x0112)
    whole = Image.open(io.BytesIO(browser.ask("picture", image=2, side=0)["buffers"][0]))
    assert whole.size == (150, 200)


def test_a_picture_that_is_gone_is_one_line(make_widget: MakeWidget, album: Any) -> None:
    (album.root / "a.jpg").unlink()
    problem = make_widget().comm.problem("picture", image=0, side=96)
    assert "\n" not in problem
    assert problem


def test_many_pictures_at_once_are_all_answered(make_widget: MakeWidget) -> None:
    browser = make_widget().comm
    for number in range(40):
        browser.receive(
            {"method": "custom", "content": {"id": f"p{number}", "ask": "picture", "image": number % 8, "side": 96}}
        )
    wanted = {f"p{number}" for number in range(40)}
    with browser.arrived:
        assert browser.arrived.wait_for(lambda: wanted <= {c.get("id") for c, _ in browser.custom()}, timeout=30)
    assert all(content["ok"] for content, _ in browser.custom() if content.get("id") in wanted)


def test_why_is_a_figure_of_the_pair(make_widget: MakeWidget) -> None:
    browser = make_widget().comm
    answer = browser.ask("why", position=1, width=500, scale=1, palette={"text": "rgb(1, 2, 3)"})
    assert answer["buffers"][0].startswith(b"\x89PNG")
    assert answer["width"] == 500
    assert "pass the histograms table" in make_widget(histograms=None).comm.problem("why", position=1)


def test_camera_and_time_come_from_the_file(make_widget: MakeWidget) -> None:
    assert make_widget().comm.ask("camera", images=[0, 1])["facts"] == [{"camera": "", "taken": ""}] * 2


def test_the_better_fact_is_marked_in_words(album: Any) -> None:
    large, small = album.images.iloc[2], album.images.iloc[3]
    facts = {fact["name"]: fact for fact in facts_beside(small, large)}
    assert facts["dimensions"]["text"] == "100 × 75"
    assert facts["dimensions"]["note"] == "\N{MINUS SIGN}75 %"
    facts = {fact["name"]: fact for fact in facts_beside(large, small)}
    assert facts["dimensions"]["note"] == "more pixels"
    assert facts["dimensions"]["better"]


def test_a_turned_picture_has_its_upright_size(album: Any) -> None:
    turned = album.images.iloc[2].copy()
    turned["orientation"] = 6
    facts = {fact["name"]: fact for fact in facts_beside(turned, album.images.iloc[2])}
    assert facts["dimensions"]["text"] == "150 × 200"
    assert facts["dimensions"]["note"] == ""


def test_the_next_ten_pairs_are_named_ahead(make_widget: MakeWidget, album: Any) -> None:
    widget = make_widget()
    rng = np.random.default_rng(2)
    assert len(widget.viewer.upcoming()) == 3
    for position in rng.permutation(4).tolist():
        widget.state.go_to(position)
        assert len(widget.viewer.upcoming()) == 3 - position
