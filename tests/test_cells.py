"""No cell is a formula, and every name comes back exactly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dupkit.cells import neutral_cell, original_cell, percent_decoded, percent_encoded

FORMULA_STARTS = "=+-@\t\r"


@given(st.text() | st.builds(str.__add__, st.sampled_from([*FORMULA_STARTS, "'", "''"]), st.text()))
def test_a_neutral_cell_is_no_formula_and_comes_back(text: str) -> None:
    cell = neutral_cell(text)
    assert cell[:1] not in set(FORMULA_STARTS)
    assert original_cell(cell) == text


@given(st.binary() | st.builds(bytes.__add__, st.sampled_from([b"=", b"+", b"-", b"@", b"\t", b"\r"]), st.binary()))
def test_a_percent_encoded_path_is_plain_ascii_and_comes_back(path: bytes) -> None:
    cell = percent_encoded(path)
    assert percent_decoded(cell) == path
    assert cell.isascii()
    assert neutral_cell(cell) == cell
    assert not set(cell) & set(" ,;\"'\n\\")
