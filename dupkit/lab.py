"""Open JupyterLab on a copy of the notebooks with the folder filled in: loopback only, Jupyter's own token."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from jupyterlab.labapp import LabApp
from traitlets.config import Config

from dupkit import __version__
from dupkit.folders import state_folder

FIRST_NOTEBOOK = "01_find_duplicates.ipynb"
"""The notebook that opens."""

LOOPBACK = "127.0.0.1"
"""The only address that dupkit lets Jupyter listen on."""

_ANNOUNCEMENTS = "@jupyterlab/apputils-extension:announcements"


def open_lab(folder: Path, *, announce: Callable[[str], None], port: int | None = None, browser: bool = True) -> None:
    """Start JupyterLab on copies of the notebooks for a folder and stay until it ends.

    Parameters
    ----------
    folder : Path
        The folder to search; goes into the notebooks' first code cell.
    announce : callable
        Called with the URL that opens the first notebook (Jupyter's token in it) as soon as the server listens.
    port : int, optional
        TCP port; Jupyter looks for a free one from 8888 on where not given.
    browser : bool, default True
        Whether to open the URL in a browser.

    Raises
    ------
    NotADirectoryError
        ``folder`` is absent or a file.
    """
    notebooks = copy_notebooks(folder)
    config = Config()
    config.ServerApp.ip = LOOPBACK
    config.ServerApp.root_dir = str(notebooks)
    config.LabApp.default_url = f"/lab/tree/{FIRST_NOTEBOOK}"
    config.ServerApp.open_browser = browser
    config.ServerApp.log_level = "WARN"
    # Containers run as root; the server listens on loopback with a token either way.
    config.ServerApp.allow_root = True
    if port is not None:
        config.ServerApp.port = port
        config.ServerApp.port_retries = 0
    # No network: neither the update check, nor the news, nor the list of extensions.
    config.LabApp.check_for_updates_class = "jupyterlab.handlers.announcements.NeverCheckForUpdate"
    config.LabApp.news_url = None
    config.LabApp.extension_manager = "readonly"
    config.ServerApp.tornado_settings = {"page_config_hook": _without_announcements}
    server = LabApp.initialize_server(argv=[], config=config)
    url = f"http://{LOOPBACK}:{server.port}/lab/tree/{FIRST_NOTEBOOK}?token={server.identity_provider.token}"
    # The server begins to listen in a callback of its loop; this one comes after it, so whoever reads the URL gets in.
    server.io_loop.add_callback(announce, url)
    server.start()


def _without_announcements(_handler: object, page_config: dict[str, Any]) -> dict[str, Any]:
    """Switch off the plugin that asks whether it may fetch Jupyter's news."""
    page_config["disabledExtensions"] = [*page_config.get("disabledExtensions", []), _ANNOUNCEMENTS]
    return page_config


def copy_notebooks(folder: Path) -> Path:
    """Return the folder of the notebook copies for a photo folder, in the state folder; made where absent.

    A copy that a former run made is left as its user changed it, unless another version of dupkit made it: then it is
    kept under another name beside the new one.

    Raises
    ------
    NotADirectoryError
        ``folder`` is absent or a file.
    """
    if not folder.is_dir():
        msg = f"{folder} is no folder; name the folder of photos"
        raise NotADirectoryError(msg)
    resolved = folder.resolve()
    root = os.fsencode(resolved)
    # Two folders of one name have notebooks of their own; the words are for people, the hash tells them apart.
    words = re.sub(r"[^A-Za-z0-9]+", "-", resolved.name).strip("-")[:40]
    place = state_folder() / "notebooks" / f"{words or 'folder'}-{hashlib.sha256(root).hexdigest()[:8]}"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    for source in sorted(notebooks_folder().glob("*.ipynb")):
        _copy_notebook(source, place / source.name, os.fsdecode(root))
    return place


def notebooks_folder() -> Path:
    """Return the folder of the notebooks that dupkit ships: beside the modules in a wheel, above them in a checkout."""
    package = Path(__file__).parent
    shipped = package / "notebooks"
    return shipped if shipped.is_dir() else package.parent / "notebooks"


def fill_in_folder(notebook: nbformat.NotebookNode, folder: str) -> None:
    """Set ``FOLDER`` in a notebook's first code cell, in place.

    Raises
    ------
    ValueError
        There is no code cell, or the first one has no line that starts with ``FOLDER =``.
    """
    first = next((cell for cell in notebook.cells if cell.cell_type == "code"), None)
    if first is None:
        msg = "the notebook has no code cell to hold FOLDER"
        raise ValueError(msg)
    lines = first.source.split("\n")
    for number, line in enumerate(lines):
        if line.startswith("FOLDER = "):
            comment = line.partition("  # ")[2]
            # ASCII: a name that is no UTF-8 has surrogates; a notebook file cannot hold them, but it can their escapes.
            lines[number] = f"FOLDER = {folder!a}" + (f"  # {comment}" if comment else "")
            first.source = "\n".join(lines)
            return
    msg = "the notebook's first code cell must have a line that starts with 'FOLDER = '"
    raise ValueError(msg)


def _copy_notebook(source: Path, target: Path, folder: str) -> None:
    if target.exists():
        made_by = nbformat.read(target, as_version=4).metadata.get("dupkit", {}).get("version", "of another version")
        if made_by == __version__:
            return
        target.rename(target.with_name(f"{target.stem} (dupkit {made_by}){target.suffix}"))
    notebook = nbformat.read(source, as_version=4)
    notebook.metadata["dupkit"] = {"version": __version__}
    fill_in_folder(notebook, folder)
    nbformat.write(notebook, target)
