"""Dates of both languages: found, moved in their own form, with exact intervals."""

from __future__ import annotations

import pytest

from huizhen.data.deidentify_text.dates import day_number, find_dates, moved, order_of

MOVED = [
    ("2026-03-05", "2026-02-23"),
    ("2026/3/5", "2026/2/23"),
    ("2026.03.05", "2026.02.23"),
    ("05/03/2026", "23/02/2026"),
    ("5.3.2026", "23.2.2026"),
    ("05/03/26", "23/02/26"),
    ("20260305", "20260223"),
    ("March 5, 2026", "February 23, 2026"),
    ("Mar. 5th, 2026", "Feb. 23rd, 2026"),
    ("the 5th of March 2026", "the 23rd of February 2026"),
    ("the fifth of March", "the twenty-third of February"),
    ("05-MAR-26", "23-FEB-26"),
    ("Thursday, 5 March 2026", "Monday, 23 February 2026"),
    ("5. März 2026", "23. Februar 2026"),
    ("March 5-7, 2026", "February 23-25, 2026"),
    ("March 2026", "February 2026"),
    ("2026年3月5日", "2026年2月23日"),
    ("2026年03月05日", "2026年02月23日"),
    ("二〇二六年三月五日", "二〇二六年二月二十三日"),
    ("二零二六年三月", "二零二六年二月"),
    ("三月五日", "二月二十三日"),
    ("3月5号", "2月23号"),
    ("26年3月5日", "26年2月23日"),
    ("2026年3月5日星期四", "2026年2月23日星期一"),
    ("2026 年 3 月 5 日", "2026 年 2 月 23 日"),
]
NONE = [
    "3.5.2",
    "1.2.840.10008",
    "120/80",
    "2/6 murmur",
    "3 of 12",
    "10年3个月",
    "it may 5",
    "L4-5-6",
    "4-5 mm",
    "2026 mg",
]


@pytest.mark.parametrize(("before", "after"), MOVED, ids=range(len(MOVED)))
def test_dates_move_in_their_own_form(before: str, after: str) -> None:
    text = f"on {before} it"
    found = max(find_dates(text), key=lambda one: one.end - one.start)
    new = moved(found, text, days=10)
    assert new is not None
    assert text[: found.start] + new + text[found.end :] == f"on {after} it"


@pytest.mark.parametrize("text", NONE, ids=range(len(NONE)))
def test_other_figures_are_no_dates(text: str) -> None:
    assert list(find_dates(text)) == []


def test_the_text_tells_the_order_of_its_dates() -> None:
    text = "03/25/2026 and 04/05/2026"
    found = list(find_dates(text))
    assert order_of(found, text, otherwise="dmy") == "mdy"
    assert [day_number(one, text, order="mdy") for one in found] == [739700, 739711]


def test_a_range_that_crosses_a_month_names_it() -> None:
    text = "March 5-7, 2026"
    assert moved(next(iter(find_dates(text))), text, days=6) == "February 27-March 1, 2026"


def test_the_29th_of_february_without_a_year() -> None:
    assert moved(next(iter(find_dates("Feb 29"))), "Feb 29", days=1) == "Feb 28"


def test_a_date_before_all_calendars_isnt_moved() -> None:
    text = "1801-01-01"
    assert moved(next(iter(find_dates(text))), text, days=400_000) is None
