"""From a folder to the images, histograms and thumbnails in it.

Names are resolved on first use: ``dupkit.scan.decode`` and the decode workers need numpy and Pillow only, and importing
them runs this file.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dupkit.scan.find import scan_folder as scan_folder
    from dupkit.scan.histograms import compute_histograms as compute_histograms
    from dupkit.scan.pictures import check_decodes as check_decodes
    from dupkit.scan.pictures import pixel_hashes as pixel_hashes
    from dupkit.scan.pictures import read_facts as read_facts
    from dupkit.scan.pictures import read_picture as read_picture
    from dupkit.scan.pictures import read_thumbnails as read_thumbnails
    from dupkit.scan.reasons import problems as problems
    from dupkit.scan.store import cache_info as cache_info
    from dupkit.scan.store import clear_cache as clear_cache

_MODULES = {
    "cache_info": "store",
    "check_decodes": "pictures",
    "clear_cache": "store",
    "compute_histograms": "histograms",
    "pixel_hashes": "pictures",
    "problems": "reasons",
    "read_facts": "pictures",
    "read_picture": "pictures",
    "read_thumbnails": "pictures",
    "scan_folder": "find",
}

__all__ = [*_MODULES]  # noqa: PLE0604  (keys are strings)


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        msg = f"module 'dupkit.scan' has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(import_module(f"dupkit.scan.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
