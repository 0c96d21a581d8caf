"""Tables that huizhen writes for people: CSV whose text no spreadsheet program takes for a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable

__all__ = ["as_meant", "as_shown", "csv_text"]

_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""How a cell begins that a spreadsheet would run (OWASP, CSV Injection), the full-width signs included."""


def as_shown(text: str) -> str:
    """Return a cell's text as it is written: with an apostrophe before it where it looks like a formula.

    >>> as_shown("=1+1"), as_shown("p7"), as_shown("'-1")
    ("'=1+1", 'p7', "''-1")
    """
    return f"'{text}" if _FORMULA.match(text) else text


def as_meant(cell: str) -> str:
    """Return the text that `as_shown` wrote as `cell`.

    >>> as_meant("'=1+1"), as_meant("p7"), as_meant("'quoted'"), as_meant("-")
    ('=1+1', 'p7', "'quoted'", '-')
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Return rows as CSV: text as it may be shown in a spreadsheet, numbers as they are.

    >>> csv_text([["patient", "risk"], ["@SUM(A1)", -0.5]])
    "patient,risk\\n'@SUM(A1),-0.5\\n"
    """
    return "".join(_line([as_shown(cell) if isinstance(cell, str) else cell for cell in row]) for row in rows)


def _line(row: list[object]) -> str:
    """Return one row; a carriage return in a cell is quoted too, which csv does only where it ends lines."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\r\n").writerow(row)
    return stream.getvalue().removesuffix("\r\n") + "\n"
