"""The figures of the page: where their axes lie, what they count, what they refuse."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dupkit.report.plots import (
    DARK,
    LIGHT,
    Plot,
    heavy_bins,
    plot_difference,
    plot_distribution,
    plot_why,
    rebin_counts,
)
from dupkit.schema import build_table, empty_table


@pytest.fixture
def counts() -> pd.DataFrame:
    edges = np.arange(0, 1010, 10.0)
    n_pairs = np.arange(100) ** 2
    return build_table(
        "rms_counts",
        {"rms_left": edges[:-1], "rms_right": edges[1:], "n_pairs": n_pairs, "sampled": edges[1:] > 800},
    )


def pixels(plot: Plot) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(plot.png)).convert("RGBA"), dtype=np.int16)


def column_of_line(counts: pd.DataFrame, threshold: float, *, log: bool = False) -> tuple[Plot, float]:
    """Return a plot and the pixel column at which a line at the threshold is drawn."""
    keywords = {"x_max": 1000.0, "log": log, "size": (900, 210)}
    without = plot_distribution(counts, **keywords)
    with_line = plot_distribution(counts, threshold=threshold, **keywords)
    changed = np.abs(pixels(with_line) - pixels(without)).sum(axis=(0, 2))
    return with_line, float(np.average(np.arange(len(changed)) + 0.5, weights=changed))


@pytest.mark.parametrize("threshold", [0, 250, 999])
@pytest.mark.parametrize("log", [False, True])
def test_the_axis_lies_where_the_plot_says(counts: pd.DataFrame, threshold: float, log: bool) -> None:
    """The page draws its own line by these numbers: it must fall on matplotlib's."""
    plot, column = column_of_line(counts, threshold, log=log)
    share = np.log1p(threshold) / np.log1p(plot.x_max) if log else threshold / plot.x_max
    assert column == pytest.approx(plot.left + share * (plot.right - plot.left), abs=1)


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_the_png_has_the_size_that_was_asked_for(counts: pd.DataFrame, scale: float) -> None:
    plot = plot_distribution(counts, x_max=1000, size=(500, 200), scale=scale)
    assert Image.open(io.BytesIO(plot.png)).size == (500 * scale, 200 * scale)
    assert (plot.width, plot.height) == (500, 200)


def test_the_background_is_the_page_s_in_both_themes(counts: pd.DataFrame) -> None:
    for palette in (LIGHT, DARK):
        assert pixels(plot_distribution(counts, x_max=1000, palette=palette))[0, 0, 3] == 0


def test_nothing_to_draw_is_an_empty_plot() -> None:
    plot = plot_distribution(empty_table("rms_counts"), x_max=1.0, nearest=np.full(3, np.nan), curve_bytes=np.zeros(2))
    assert plot.png.startswith(b"\x89PNG")


def test_rebinning_loses_no_pair(counts: pd.DataFrame) -> None:
    edges = np.array([0, 3.5, 11, 480, 999, 1000.0])
    assert rebin_counts(counts, edges).sum() == pytest.approx(counts["n_pairs"].sum())


def test_what_cannot_be_drawn_is_refused(counts: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=re.escape("x_max: 0; it must be above 0")):
        plot_distribution(counts, x_max=0)
    with pytest.raises(ValueError, match=re.escape("shape (5,); pass two rows of the histograms table, (768,)")):
        plot_why(np.zeros(5), np.zeros(5))
    with pytest.raises(ValueError, match=re.escape("shape (2, 3), but picture_a has (2, 2)")):
        plot_difference(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8))


def test_heavy_bins_are_the_fewest_that_carry_the_share() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.random(768), rng.random(768)
    squares = (a - b) ** 2
    heavy = heavy_bins(a, b)
    assert squares[heavy].sum() >= 0.8 * squares.sum()
    assert squares[heavy].sum() - squares[heavy].min() < 0.8 * squares.sum()
    assert squares[heavy].min() >= squares[~heavy].max()


def test_why_uses_the_measure_s_own_bins() -> None:
    a, b = np.zeros(768), np.zeros(768)
    a[:256] = 480_000 / 256
    b[0] = 480_000
    plain = plot_why(a, b)
    rooted = plot_why(a, b, transform=np.sqrt)
    assert plain.png != rooted.png
    assert plain.png == plot_why(a, b).png


def test_equal_pictures_have_a_black_difference() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    same, other = plot_difference(picture, picture), plot_difference(picture, 255 - picture)
    assert pixels(same)[..., :3].max() == 0
    assert pixels(other)[..., :3].max() == 255


def test_a_plot_shows_itself_and_saves(counts: pd.DataFrame, tmp_path: Path) -> None:
    plot = plot_distribution(counts, x_max=1000)
    png, size = plot._repr_png_()
    assert size == {"width": 900, "height": 260}
    plot.save(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes() == png
