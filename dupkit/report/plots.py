"""Draw the figures of the page, the notebooks and the report; the only module that imports matplotlib.

Each function returns a :class:`Plot`: a PNG that shows itself in a notebook and knows where its axes lie, so that a
page can draw a moving line over a picture that stays.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from dupkit.schema import N_BINS, check_table

BIN_PIXELS = 5
"""Width of a bar of the distribution, CSS pixels: narrower bars shimmer, wider ones hide the shape of the left tail."""

HEADROOM = 6
"""Times the highest bar that the logarithmic axis reaches: room for the legend above the bars."""

SHADED_SHARE = 0.8
"""Share of the squared distance that the shaded bins of :func:`plot_why` carry together; a convention."""

_DOTS_PER_INCH = 100
"""Only the ratio of points to pixels follows from it: 7.2 points are 10 pixels."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 18, 8, 34
"""Margins around the axes, CSS pixels; constant, so that the page can lay its slider along the axis."""


@dataclass(frozen=True)
class Palette:
    """Colours of a figure, as matplotlib reads them."""

    text: str = "#212121"
    muted: str = "#757575"
    grid: str = "#e0e0e0"
    bars: str = "#b0bec5"
    accent: str = "#1976d2"
    background: str = "none"


LIGHT = Palette()
"""Colours on a white page."""

DARK = Palette(text="#e0e0e0", muted="#9e9e9e", grid="#424242", bars="#546e7a", accent="#64b5f6")
"""Colours on a black page."""


@dataclass(frozen=True)
class Plot:
    """A drawn figure and where its x axis lies in it.

    ``left`` and ``right`` are the ends of the x axis and ``top`` and ``bottom`` those of all axes, CSS pixels from the
    upper left corner; ``x_min`` and ``x_max`` are the values at the ends; ``log`` says whether values between them run
    by log(1 + x).
    """

    png: bytes
    width: int
    height: int
    left: float = 0.0
    right: float = 0.0
    top: float = 0.0
    bottom: float = 0.0
    x_min: float = 0.0
    x_max: float = 1.0
    log: bool = False

    def save(self, path: str | Path) -> None:
        """Write the PNG to a file."""
        Path(path).write_bytes(self.png)

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        return self.png, {"width": self.width, "height": self.height}


def plot_distribution(
    rms_counts: pd.DataFrame,
    *,
    x_max: float,
    nearest: np.ndarray | None = None,
    curve_bytes: np.ndarray | None = None,
    threshold: float | None = None,
    log: bool = False,
    label: str = "RMS distance",
    size: tuple[int, int] = (900, 260),
    scale: float = 1.0,
    palette: Palette = LIGHT,
) -> Plot:
    """Return the distribution of all pairwise distances, its left tail readable.

    Counts are logarithmic: the few duplicates at the left would vanish beside millions of different pairs.

    Parameters
    ----------
    rms_counts : DataFrame
        A rms_counts table; bins that are an estimate are drawn paler.
    x_max : float
        Right end of the x axis, in the measure's unit.
    nearest : ndarray of shape (n_images,), optional
        Distance of each image to its nearest neighbour, drawn as a line; NaN where unknown.
    curve_bytes : ndarray of shape (n_thresholds,), optional
        Bytes in files that would move below each threshold; the values are spread evenly from 0 to ``x_max``; drawn
        below as the storage curve.
    threshold : float, optional
        A line there; the page draws its own.
    log : bool
        Whether x runs by log(1 + x).
    label : str
        Words below the x axis.
    size : tuple of int
        Width and height, CSS pixels.
    scale : float
        Pixels of the PNG for each CSS pixel.
    palette : Palette
        Colours.

    Raises
    ------
    TypeError, ValueError
        ``rms_counts`` is not that table, or ``x_max`` is not above 0.
    """
    check_table(rms_counts, "rms_counts")
    if not x_max > 0:
        msg = f"x_max: {x_max!r}; it must be above 0: pass the largest distance to show, for example 1000"
        raise ValueError(msg)
    figure = _new_figure(size, scale)
    bottom = _BOTTOM + (64 if curve_bytes is not None else 0)
    counts = _add_axes(figure, size, (_LEFT, _TOP, size[0] - _RIGHT, size[1] - bottom), palette)
    edges = _display_edges(x_max, size[0] - _LEFT - _RIGHT, _bin_width(rms_counts, x_max), log=log)
    _draw_counts(counts, rms_counts, edges, palette)
    if nearest is not None:
        _draw_nearest(counts, nearest, edges, palette)
    lowest = counts
    if curve_bytes is not None:
        counts.tick_params(labelbottom=False)
        lowest = _add_axes(figure, size, (_LEFT, size[1] - bottom + 10, size[0] - _RIGHT, size[1] - _BOTTOM), palette)
        _draw_curve(lowest, curve_bytes, x_max, palette)
    for axes in {counts, lowest}:
        _scale_x(axes, x_max, log=log)
        if threshold is not None:
            axes.axvline(threshold, color=palette.accent, linewidth=1.5)
    lowest.set_xlabel(label, color=palette.muted)
    return Plot(
        png=_to_png(figure, palette),
        width=size[0],
        height=size[1],
        left=_LEFT,
        right=size[0] - _RIGHT,
        top=_TOP,
        bottom=size[1] - _BOTTOM,
        x_max=float(x_max),
        log=log,
    )


def plot_why(
    histogram_a: np.ndarray,
    histogram_b: np.ndarray,
    *,
    transform: Callable[[np.ndarray], np.ndarray] | None = None,
    size: tuple[int, int] = (900, 170),
    scale: float = 1.0,
    palette: Palette = LIGHT,
) -> Plot:
    """Return two histograms overlaid by channel, the bins that carry most of their distance shaded.

    ``histogram_a`` is filled, ``histogram_b`` a line; above each channel stands the number of its shaded bins.

    Parameters
    ----------
    histogram_a, histogram_b : ndarray of shape (768,), pixels
        Rows of the histograms table.
    transform : callable, optional
        What the measure compares in place of the bins themselves; takes and gives arrays of shape (n, 768).
    size, scale, palette
        As for :func:`plot_distribution`.

    Raises
    ------
    ValueError
        An array is not of shape (768,).

    Notes
    -----
    The shaded bins are the fewest that carry 80 % of sum((a - b)^2), the square of the distance.
    """
    pair = np.stack([np.asarray(row, dtype=np.float64) for row in (histogram_a, histogram_b)])
    if pair.shape != (2, N_BINS):
        msg = f"histogram_a, histogram_b: shape {pair.shape[1:]}; pass two rows of the histograms table, ({N_BINS},)"
        raise ValueError(msg)
    shaded = heavy_bins(*(pair if transform is None else np.asarray(transform(pair.astype(np.float32)))))
    figure = _new_figure(size, scale)
    gap = 16
    width = (size[0] - _LEFT - _RIGHT - 2 * gap) / 3
    ceiling = max(float(np.percentile(pair, 99.5)), 1.0) * 1.25
    for channel, name in enumerate(("red", "green", "blue")):
        left = _LEFT + channel * (width + gap)
        axes = _add_axes(figure, size, (left, 24, left + width, size[1] - 26), palette)
        bins = slice(256 * channel, 256 * channel + 256)
        levels = np.arange(257)
        for level in np.flatnonzero(shaded[bins]).tolist():
            axes.axvspan(level, level + 1, color=palette.accent, alpha=0.22, linewidth=0)
        axes.stairs(pair[0, bins], levels, fill=True, color=palette.bars, alpha=0.8)
        axes.stairs(pair[1, bins], levels, color=palette.text, linewidth=1)
        axes.set(xlim=(0, 256), ylim=(0, ceiling), title="")
        axes.set_xticks([0, 128, 255])
        axes.yaxis.set_major_locator(MaxNLocator(3))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.tick_params(labelleft=channel == 0)
        share = f": {shaded[bins].sum()} bins" if shaded.any() else ": the same"
        axes.set_title(name + share, loc="left", color=palette.text, fontsize=8.5)
    return Plot(png=_to_png(figure, palette), width=size[0], height=size[1])


def plot_difference(
    picture_a: np.ndarray, picture_b: np.ndarray, *, gain: float = 4.0, scale: float = 1.0, palette: Palette = LIGHT
) -> Plot:
    """Return the picture of where two pictures of one size differ: black where they are the same.

    Parameters
    ----------
    picture_a, picture_b : ndarray of shape (height, width) or (height, width, 3), uint8
        For example two thumbnails.
    gain : float
        How much the difference is brightened.
    scale, palette
        As for :func:`plot_distribution`.

    Raises
    ------
    ValueError
        The two shapes differ.
    """
    if picture_a.shape != picture_b.shape:
        msg = f"picture_b: shape {picture_b.shape}, but picture_a has {picture_a.shape}; resize one to the other"
        raise ValueError(msg)
    difference = np.abs(picture_a.astype(np.int16) - picture_b.astype(np.int16))
    shown = np.clip(difference * gain, 0, 255).astype(np.uint8)
    height, width = shown.shape[:2]
    zoom = max(1, 256 // max(height, width))
    size = (width * zoom, height * zoom)
    figure = _new_figure(size, scale)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(shown, cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    return Plot(png=_to_png(figure, palette), width=size[0], height=size[1])


def heavy_bins(values_a: np.ndarray, values_b: np.ndarray, *, share: float = SHADED_SHARE) -> np.ndarray:
    """Return which bins are the fewest that carry a share of the squared distance; none where it is 0.

    Examples
    --------
    >>> heavy_bins(np.array([0.0, 3.0, 9.0]), np.array([1.0, 3.0, 0.0]))
    array([False, False,  True])
    >>> heavy_bins(np.zeros(3), np.zeros(3)).any()
    np.False_
    """
    squares = (np.asarray(values_a, dtype=np.float64) - np.asarray(values_b, dtype=np.float64)) ** 2
    heavy = np.zeros(len(squares), dtype=bool)
    total = squares.sum()
    if total == 0:
        return heavy
    order = np.argsort(-squares, kind="stable")
    n_heavy = int(np.searchsorted(np.cumsum(squares[order]), share * total)) + 1
    heavy[order[:n_heavy]] = True
    return heavy


def rebin_counts(rms_counts: pd.DataFrame, edges: np.ndarray) -> np.ndarray:
    """Return the pairs between consecutive edges; a bin that an edge cuts is shared by length.

    Examples
    --------
    >>> from dupkit.schema import build_table
    >>> counts = build_table(
    ...     "rms_counts", {"rms_left": [0, 10], "rms_right": [10, 20], "n_pairs": [4, 6], "sampled": [False, False]}
    ... )
    >>> rebin_counts(counts, np.array([0.0, 10.0, 15.0])).tolist()
    [4.0, 3.0]
    """
    if not len(rms_counts):
        return np.zeros(len(edges) - 1)
    known = np.append(rms_counts["rms_left"].to_numpy(), rms_counts["rms_right"].to_numpy()[-1])
    total = np.concatenate([[0.0], np.cumsum(rms_counts["n_pairs"].to_numpy(), dtype=np.float64)])
    return np.diff(np.interp(edges, known, total))


def _bin_width(rms_counts: pd.DataFrame, x_max: float) -> float:
    """Return the width of the table's narrowest bin in view; narrower bars would share a bin between them."""
    in_view = rms_counts["rms_left"].to_numpy() < x_max
    widths = (rms_counts["rms_right"] - rms_counts["rms_left"]).to_numpy()[in_view]
    return float(widths.min(initial=x_max))


def _display_edges(x_max: float, width: float, bin_width: float, *, log: bool) -> np.ndarray:
    n_bars = max(10, int(width / BIN_PIXELS))
    if log:
        return np.expm1(np.linspace(0, np.log1p(x_max), n_bars + 1))
    # Whole bins a bar: otherwise neighbouring bars hold 4 and 5 of them.
    step = max(1.0, np.ceil(x_max / n_bars / bin_width)) * bin_width
    return np.append(np.arange(0, x_max - step / 2, step), x_max)


def _draw_counts(axes: Axes, rms_counts: pd.DataFrame, edges: np.ndarray, palette: Palette) -> None:
    heights = rebin_counts(rms_counts, edges)
    exact = rms_counts["rms_right"].to_numpy()[~rms_counts["sampled"].to_numpy()]
    border = float(exact.max(initial=0.0))
    shown = np.where(heights > 0, heights, np.nan)
    sampled = edges[1:] > border
    if sampled.any() and rms_counts["sampled"].any():
        axes.stairs(np.where(sampled, shown, np.nan), edges, fill=True, color=palette.bars, alpha=0.5, baseline=0.5)
        shown = np.where(sampled, np.nan, shown)
    axes.stairs(shown, edges, fill=True, color=palette.bars, baseline=0.5, label="all pairs")
    axes.set_yscale("log")
    axes.set_ylim(0.5, max(10.0, float(heights.max(initial=0))) * HEADROOM)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_ylabel("pairs", color=palette.muted)


def _draw_nearest(axes: Axes, nearest: np.ndarray, edges: np.ndarray, palette: Palette) -> None:
    known = np.asarray(nearest, dtype=np.float64)
    heights, _ = np.histogram(known[np.isfinite(known)], bins=edges)
    axes.stairs(np.maximum(heights, 0.5), edges, color=palette.text, linewidth=1, label="nearest neighbours")
    axes.legend(loc="upper right", frameon=False, labelcolor=palette.text, fontsize=8.5, ncols=2, borderaxespad=0.2)


def _draw_curve(axes: Axes, curve_bytes: np.ndarray, x_max: float, palette: Palette) -> None:
    at = np.linspace(0, x_max, len(curve_bytes))
    axes.fill_between(at, curve_bytes, step="post", color=palette.bars, alpha=0.6, linewidth=0)
    axes.set_ylim(0, max(1.0, float(np.max(curve_bytes, initial=0)) * 1.15))
    axes.yaxis.set_major_locator(MaxNLocator(2))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: bytes_in_words(value)))


def bytes_in_words(size_bytes: float) -> str:
    """Return a size as people read it, in powers of 1,000.

    Examples
    --------
    >>> bytes_in_words(999), bytes_in_words(1234567), bytes_in_words(25_000_000_000)
    ('999 B', '1.2 MB', '25 GB')
    """
    value, unit = float(size_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if unit == "B" or value >= 9.95 else f"{value:.1f} {unit}"


def _new_figure(size: tuple[int, int], scale: float) -> Figure:
    inches = (size[0] / _DOTS_PER_INCH, size[1] / _DOTS_PER_INCH)
    figure = Figure(figsize=inches, dpi=_DOTS_PER_INCH * scale)
    FigureCanvasAgg(figure)
    return figure


def _add_axes(figure: Figure, size: tuple[int, int], box: tuple[float, float, float, float], palette: Palette) -> Axes:
    """Add axes at left, top, right, bottom in CSS pixels, plain: two spines, small words, no ticks' marks."""
    width, height = size
    left, top, right, bottom = box
    axes = figure.add_axes((left / width, 1 - bottom / height, (right - left) / width, (bottom - top) / height))
    axes.set_facecolor("none")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(palette.grid)
    axes.tick_params(colors=palette.muted, labelsize=8, length=0)
    axes.yaxis.label.set_fontsize(8.5)
    axes.xaxis.label.set_fontsize(8.5)
    axes.grid(axis="y", color=palette.grid, linewidth=0.6)
    axes.set_axisbelow(True)
    return axes


def _scale_x(axes: Axes, x_max: float, *, log: bool) -> None:
    if log:
        axes.set_xscale("function", functions=(lambda x: np.log1p(np.maximum(x, 0)), np.expm1))
        ticks = [tick for tick in (0, 1, 10, 100, 1000, 10_000, 100_000) if tick <= x_max]
        axes.set_xticks(ticks)
    axes.set_xlim(0, x_max)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}" if value < 1 else f"{value:,.0f}"))


def _to_png(figure: Figure, palette: Palette) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", facecolor=palette.background, transparent=palette.background == "none")
    return stream.getvalue()
