"""What decoded values depend on besides the file. Not among the decoders: a worker need not know and starts sooner."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec

import PIL

from dupkit.scan.decode import DECODER_VERSION


def decoder_version() -> str:
    """Return our rules' version and those of the libraries that decode; pillow-heif's only where it is installed."""
    heif = f"-heif{version('pillow-heif')}" if find_spec("pillow_heif") is not None else ""
    return f"rules{DECODER_VERSION}-pillow{PIL.__version__}{heif}"
