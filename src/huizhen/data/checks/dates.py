"""Dates of a table that can't be: before the patient's birth, or in the future."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

__all__ = ["OddDate", "WrongDate", "odd_dates", "parsed_date"]

BIRTH = re.compile(r"birth|(^|[^a-z])dob($|[^a-z])|geburt|出生")
OLDEST_YEARS = 120
MOSTLY = 0.8
"""Share of a column's cells that must read as dates for it to be one."""
_FORMS = (
    re.compile(r"(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})(?:[T ].*)?"),
    re.compile(r"(?P<y>(?:18|19|20)\d\d)(?P<m>\d\d)(?P<d>\d\d)"),
    re.compile(r"(?P<d>\d{1,2})\.(?P<m>\d{1,2})\.(?P<y>\d{4})"),
    re.compile(r"(?P<y>\d{4})年(?P<m>\d{1,2})月(?P<d>\d{1,2})日"),
)
"""Forms that can be read in one way; 03/04/2020 is none of them."""


class WrongDate(StrEnum):
    """Why a date can't be."""

    BEFORE_BIRTH = "before_birth"
    FUTURE = "future"
    TOO_OLD = "too_old"


@dataclass(frozen=True, slots=True, kw_only=True)
class OddDate:
    """A date that can't be: its row, its column, and why."""

    row: int
    column: str
    why: WrongDate


def parsed_date(text: str) -> date | None:
    """Return the date that a cell holds, None if it is none, or one that could be read in two ways.

    >>> parsed_date("2020-02-29"), parsed_date("03/04/2020"), parsed_date("20201301")
    (datetime.date(2020, 2, 29), None, None)
    """
    for form in _FORMS:
        if match := form.fullmatch(text.strip()):
            try:
                return date(int(match["y"]), int(match["m"]), int(match["d"]))
            except ValueError:
                return None
    return None


def odd_dates(columns: Mapping[str, Sequence[str]], *, today: date) -> list[OddDate]:
    """Return the dates of a table (column -> cells) that can't be; columns without dates are passed over.

    >>> table = {"birth_date": ["1950-01-01", "2001-05-05"], "scan": ["1949-12-31", "2020-01-01"]}
    >>> [(odd.row, odd.column, odd.why.value) for odd in odd_dates(table, today=date(2026, 1, 1))]
    [(0, 'scan', 'before_birth')]
    """
    held = {name: dates for name, cells in columns.items() if (dates := _dates(cells)) is not None}
    birth = next((name for name in held if BIRTH.search(name.lower())), None)
    found: list[OddDate] = []
    for name, dates in held.items():
        for row, day in enumerate(dates):
            born = held[birth][row] if birth is not None else None
            why = None if day is None else _wrong(day, born if name != birth else None, today)
            if why is not None:
                found.append(OddDate(row=row, column=name, why=why))
    return found


def _dates(cells: Sequence[str]) -> list[date | None] | None:
    """Return a column's dates, None where most of what it holds are none."""
    filled = [cell for cell in cells if cell.strip()]
    dates = [parsed_date(cell) for cell in cells]
    enough = sum(day is not None for day in dates) >= max(1.0, MOSTLY * len(filled))
    return dates if filled and enough else None


def _wrong(day: date, born: date | None, today: date) -> WrongDate | None:
    """Return why a date can't be."""
    if day > today:
        return WrongDate.FUTURE
    if born is not None and day < born:
        return WrongDate.BEFORE_BIRTH
    return WrongDate.TOO_OLD if today.year - day.year > OLDEST_YEARS else None
