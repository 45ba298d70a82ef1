"""The HTML report: one file, nothing from elsewhere, every name as text."""

from __future__ import annotations

import struct
import zlib
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from dupkit.report import write_html_report
from dupkit.report.html import MARK, grey_png
from dupkit.review import group_pairs
from dupkit.review.decisions import Decision
from dupkit.review.exchange import decisions_table
from dupkit.schema import build_table, empty_table
from tests.review.tables import letters, make_images, make_pairs

HOSTILE = sorted(
    [
        b"<script>alert(1)</script>.jpg",
        b'"><img src=x onerror=alert(1)>.jpg',
        b"'onmouseover='alert(1).jpg",
        b"{{ 7*7 }}{% raw %}.jpg",
        b"&lt;b&gt;.jpg",
        "\u202egpj.exe".encode(),
        b"line\nbreak.jpg",
        b"bad\xff.jpg",
        b"</style></table><h1>x.jpg",
        b"javascript:alert(1).jpg",
    ]
)


class Page(HTMLParser):
    """What a browser would make of a page: its elements with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture
def tables():
    n = len(HOSTILE)
    images = make_images(HOSTILE, root="/photos/<b>")
    pairs = make_pairs([(k, k + 1, float(k)) for k in range(n - 1)])
    groups = group_pairs(pairs, images, threshold=500, keeper_rules=["folder:<i>"])
    paths = images["path"]
    decisions = decisions_table([Decision(paths[0], paths[1], "0" * 64, "1" * 64, "approved", keeper=paths[1])])
    moves = empty_table("moves")
    moves.loc[0] = [0, paths[0], f"exact duplicates/{paths[0]}", 5, "0" * 64, paths[1], "planned", "<b>why</b>"]
    moves = build_table("moves", {name: moves[name] for name in moves})
    thumbnails = build_table("thumbnails", {"grey": [np.full((64, 64), k, dtype=np.uint8) for k in range(n)]})
    return {
        "images": images,
        "pairs": pairs,
        "groups": groups,
        "decisions": decisions,
        "moves": moves,
        "thumbnails": thumbnails,
        "parameters": {"folder": "<u>folder</u>"},
        "seconds": {"scan": 1.25},
    }


def test_hostile_names_are_text_and_nothing_else(tables, tmp_path: Path) -> None:
    page = Page(write_html_report(tmp_path / "r.html", **tables).read_text("utf-8"))
    assert {tag for tag, _ in page.elements} <= {
        *("html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "div", "span", "section", "figure"),
        *("figcaption", "img", "br", "strong", "table", "tr", "th", "td", "bdi"),
    }
    assert {name for _, attrs in page.elements for name in attrs} <= {
        *("lang", "charset", "http-equiv", "content", "name", "class", "src", "alt"),
    }
    assert all(str(attrs["src"]).startswith("data:image/png;base64,") for tag, attrs in page.elements if tag == "img")
    text = "".join(page.text)
    for path in tables["images"]["path"]:
        assert path in text
    for words in ("/photos/<b>", "<u>folder</u>", "<b>why</b>", "approved"):
        assert words in text


def test_it_is_one_file_that_asks_for_nothing(tables, tmp_path: Path) -> None:
    text = write_html_report(tmp_path / "r.html", **tables).read_text("utf-8")
    assert MARK in text.splitlines()[1]
    assert "default-src 'none'; img-src data:;" in text
    asked = [attrs[name] for _, attrs in Page(text).elements for name in ("src", "href") if name in attrs]
    assert asked
    assert all(str(address).startswith("data:") for address in asked)
    assert "@import" not in text
    assert "url(" not in text
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ""] == ["r.html"]


def test_it_says_versions_parameters_and_what_would_move(tables, tmp_path: Path) -> None:
    text = "".join(Page(write_html_report(tmp_path, **tables).read_text("utf-8")).text)
    assert (tmp_path / "report.html").is_file()
    for words in ("python", "numpy", "pillow", "1.2 s", "Keeper:", "largest RMS", "planned"):
        assert words in text


def test_only_a_report_of_ours_is_replaced(tables, tmp_path: Path) -> None:
    place = tmp_path / "r.html"
    write_html_report(place, **tables)
    write_html_report(place, **tables)
    place.write_text("<html>somebody else's</html>")
    with pytest.raises(FileExistsError, match="is there already and is no report of dupkit's"):
        write_html_report(place, **tables)
    assert place.read_text() == "<html>somebody else's</html>"


def test_the_largest_groups_come_first_and_it_says_how_many_there_are(tmp_path: Path) -> None:
    images = make_images(letters(9))
    pairs = make_pairs([(0, 1, 1.0), (2, 3, 1.0), (3, 4, 2.0), (5, 6, 1.0)])
    groups = group_pairs(pairs, images, threshold=5)
    text = "".join(
        Page(
            write_html_report(tmp_path, images=images, pairs=pairs, groups=groups, max_groups=1).read_text("utf-8")
        ).text
    )
    assert "The 1 groups with most pictures, of 3" in text
    assert images["path"][4] in text
    assert images["path"][5] not in text


def test_an_empty_review_is_a_report_too(tmp_path: Path) -> None:
    tables = {name: empty_table(name) for name in ("images", "pairs", "groups", "decisions", "moves")}
    assert "There is no group" in write_html_report(tmp_path, **tables).read_text("utf-8")


def test_a_picture_that_cannot_be_read_any_more_falls_back_to_its_thumbnail(tables, tmp_path: Path) -> None:
    def pictures(image_id: int) -> bytes:
        if image_id % 2:
            msg = "gone"
            raise FileNotFoundError(msg)
        return b"\xff\xd8jpeg"

    page = Page(write_html_report(tmp_path, **tables, pictures=pictures).read_text("utf-8"))
    kinds = [str(attrs["src"]).split(";")[0] for tag, attrs in page.elements if tag == "img"]
    assert set(kinds) == {"data:image/jpeg", "data:image/png"}


def test_the_grey_png_holds_the_pixels() -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    data = grey_png(grey)
    chunks, at = {}, 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        name, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length]) == (zlib.crc32(name + body),)
        chunks[name] = body
        at += 12 + length
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), dtype=np.uint8).reshape(3, 5)
    assert (rows[:, 0] == 0).all()
    assert (rows[:, 1:] == grey).all()
    assert struct.unpack(">II", chunks[b"IHDR"][:8]) == (4, 3)
