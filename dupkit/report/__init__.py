"""Tables to CSV files, an HTML page and figures."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dupkit.report.html import write_html_report as write_html_report
    from dupkit.report.tables import write_report as write_report

# Only who draws pays for matplotlib, only who writes HTML for jinja2 (PEP 562).
_MODULES = {"write_html_report": "html", "write_report": "tables"}

__all__ = ["write_html_report", "write_report"]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        msg = f"module 'dupkit.report' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"dupkit.report.{_MODULES[name]}"), name)
