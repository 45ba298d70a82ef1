r"""Cells of a CSV that no spreadsheet takes for a formula, and exact names beside them.

Excel and LibreOffice run a cell that begins with ``= + - @``, a tab or a carriage return. A quote before it makes it
text; a name that begins with a quote itself gets another one, so that the way back is exact. The standard library only.
"""

from __future__ import annotations

from urllib.parse import quote_from_bytes, unquote_to_bytes

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def neutral_cell(text: str) -> str:
    r"""Return a text as a CSV cell that is no formula; different texts give different cells.

    Examples
    --------
    >>> neutral_cell("=cmd()"), neutral_cell("a=b.jpg"), neutral_cell("'=1")
    ("'=cmd()", 'a=b.jpg', "''=1")
    """
    return f"'{text}" if text.startswith((*_FORMULA_STARTS, "'")) else text


def original_cell(cell: str) -> str:
    r"""Return the text that a cell of :func:`neutral_cell` stands for.

    Examples
    --------
    >>> original_cell("'=cmd()"), original_cell("''=1")
    ('=cmd()', "'=1")
    """
    return cell.removeprefix("'")


def percent_encoded(path: bytes) -> str:
    r"""Return a path's exact bytes as plain ASCII that no spreadsheet changes.

    Examples
    --------
    >>> percent_encoded("été/=1.jpg".encode()), percent_encoded(b"-x\n\xff")
    ('%C3%A9t%C3%A9/%3D1.jpg', '%2Dx%0A%FF')
    """
    text = quote_from_bytes(path, safe="/")
    return f"%2D{text[1:]}" if text.startswith("-") else text


def percent_decoded(cell: str) -> bytes:
    r"""Return the path that a text of :func:`percent_encoded` stands for.

    Examples
    --------
    >>> percent_decoded("%2Dx%0A%FF")
    b'-x\n\xff'
    """
    return unquote_to_bytes(cell)
