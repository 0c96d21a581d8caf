"""Dates that can't be, in the forms that can be read in one way alone."""

from __future__ import annotations

from datetime import date

import pytest

from huizhen.data.checks.dates import odd_dates, parsed_date

TODAY = date(2026, 6, 1)


@pytest.mark.parametrize(
    "text", ["2020-02-03", "2020/2/3", "20200203", "3.2.2020", "2020年2月3日", "2020-02-03T10:00"]
)
def test_forms(text: str) -> None:
    assert parsed_date(text) == date(2020, 2, 3)


@pytest.mark.parametrize("text", ["", "12345678", "2020-02-30", "03/02/2020", "benign", "60"])
def test_what_is_no_date(text: str) -> None:
    assert parsed_date(text) is None


def test_each_way_to_be_wrong() -> None:
    table = {
        "DOB": ["1950-01-01", "1960-05-05", "1890-01-01", ""],
        "scan": ["1949-12-31", "2027-01-01", "2020-01-01", "2020-01-01"],
        "age": ["60", "61", "62", "63"],
    }
    found = {(odd.row, odd.column): odd.why.value for odd in odd_dates(table, today=TODAY)}
    assert found == {(0, "scan"): "before_birth", (1, "scan"): "future", (2, "DOB"): "too_old"}


def test_a_column_of_few_dates_is_none() -> None:
    assert odd_dates({"note": ["2030-01-01", "seen", "seen", "again"]}, today=TODAY) == []
