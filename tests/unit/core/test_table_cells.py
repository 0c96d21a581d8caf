"""Cells that a spreadsheet would run are written so that it doesn't, and read back as they were."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huizhen.core.table_cells import as_meant, as_shown, csv_text


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "'="])
def test_formulas_get_an_apostrophe(start):
    [row] = list(csv.reader(io.StringIO(csv_text([[f"{start}1+1", -1.5, "p\r=1"]]), newline="")))
    assert row == [f"'{start}1+1", "-1.5", "p\r=1"]


@given(st.text(alphabet="'=+-@\tax"))
def test_every_text_is_read_as_it_was_written(text):
    assert as_meant(as_shown(text)) == text
    assert not as_shown(text).startswith(("=", "+", "-", "@", "\t"))
