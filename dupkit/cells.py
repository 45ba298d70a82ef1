"""Cells of a CSV file: text that a spreadsheet will not run as a formula, and names kept exactly beside it.

A spreadsheet runs a cell that starts with ``= + - @``, a tab or a carriage return as a formula (OWASP, "CSV
injection"), and a file's name is anybody's text.
"""

from __future__ import annotations

from urllib.parse import quote, unquote_to_bytes

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""First characters that make a spreadsheet read a cell as a formula."""


def neutral_cell(text: str) -> str:
    """Return a text with an apostrophe before it where a spreadsheet would run it.

    A text that starts with an apostrophe gets another one, so that :func:`plain_cell` gives every text back.

    Examples
    --------
    >>> neutral_cell("=HYPERLINK(1).jpg"), neutral_cell("a=b.jpg")
    ("'=HYPERLINK(1).jpg", 'a=b.jpg')
    """
    return "'" + text if text.startswith((*FORMULA_STARTS, "'")) else text


def plain_cell(cell: str) -> str:
    """Return the text that :func:`neutral_cell` made a cell of.

    Examples
    --------
    >>> plain_cell("'=1"), plain_cell("it's.jpg")
    ('=1', "it's.jpg")
    """
    return cell[1:] if cell[:1] == "'" and cell[1:2] in (*FORMULA_STARTS, "'") else cell


def percent_encoded(path: bytes) -> str:
    r"""Return a path's exact bytes as text of the characters ``A-Z a-z 0-9 / _ . - ~ %``; no formula ever.

    Examples
    --------
    >>> percent_encoded(b"-a b\xff.jpg")
    '%2Da%20b%FF.jpg'
    """
    text = quote(path)
    return "%2D" + text[1:] if text.startswith("-") else text


def percent_decoded(text: str) -> bytes:
    r"""Return the bytes that :func:`percent_encoded` wrote.

    Examples
    --------
    >>> percent_decoded("%2Da%20b%FF.jpg")
    b'-a b\xff.jpg'
    """
    return unquote_to_bytes(text)
