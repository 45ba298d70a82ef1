"""Find the duplicate photos in a folder, from a notebook.

The way through: :func:`scan_folder` -> :func:`compute_histograms` -> :func:`candidate_pairs` -> :func:`group_pairs` ->
decisions -> :func:`plan_moves` -> :func:`apply_moves` / :func:`undo_moves`, and :func:`write_report`. The page for all
of it is :class:`dupkit.widgets.ReviewWidget`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dupkit.applying import apply_moves as apply_moves
    from dupkit.demo import write_demo as write_demo
    from dupkit.moves import plan_moves as plan_moves
    from dupkit.moves import undo_moves as undo_moves
    from dupkit.pairs import candidate_pairs as candidate_pairs
    from dupkit.pairs import confirmed_pairs as confirmed_pairs
    from dupkit.pairs import describe_pairs as describe_pairs
    from dupkit.pairs import nearest_neighbours as nearest_neighbours
    from dupkit.pairs import propose_pairs as propose_pairs
    from dupkit.pairs import rms_counts as rms_counts
    from dupkit.report import write_html_report as write_html_report
    from dupkit.report import write_report as write_report
    from dupkit.review import group_pairs as group_pairs
    from dupkit.scan import compute_histograms as compute_histograms
    from dupkit.scan import pixel_hashes as pixel_hashes
    from dupkit.scan import read_thumbnails as read_thumbnails
    from dupkit.scan import scan_folder as scan_folder

__version__ = "0.1.0"

# Importing numpy, Pillow, pandas, dask and scipy takes seconds on a cold start; `dupkit undo --list` needs none of
# them, a decode worker two. So a name is imported when it is first used (PEP 562).
_ROOMS = {
    "apply_moves": "applying",
    "candidate_pairs": "pairs",
    "compute_histograms": "scan",
    "confirmed_pairs": "pairs",
    "describe_pairs": "pairs",
    "group_pairs": "review",
    "nearest_neighbours": "pairs",
    "pixel_hashes": "scan",
    "plan_moves": "moves",
    "propose_pairs": "pairs",
    "read_thumbnails": "scan",
    "rms_counts": "pairs",
    "scan_folder": "scan",
    "undo_moves": "moves",
    "write_demo": "demo",
    "write_html_report": "report",
    "write_report": "report",
}

__all__ = [*_ROOMS, "__version__"]  # noqa: PLE0604  (keys are strings)


def __getattr__(name: str) -> object:
    if name not in _ROOMS:
        msg = f"module 'dupkit' has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(import_module(f"dupkit.{_ROOMS[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOMS})
