"""Dates and times moved by whole days: intervals stay, the time of day stays, the calendar date goes.

>>> shifted("20240301", "DA", days=1)
'20240229'
>>> shifted("20240301123000.5+0800", "DT", days=1)
'20240229123000.5+0800'
>>> shifted("2024", "DT", days=400)
'2022'
>>> shifted("the first of May", "DA", days=1) is None
True
"""

from __future__ import annotations

import re
from datetime import date, timedelta

__all__ = ["shifted"]

_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})")
_OLD_DATE = re.compile(r"(\d{4})\.(\d{2})\.(\d{2})")
_TIME = re.compile(r"([01]\d|2[0-3])(:?[0-5]\d(:?([0-5]\d|60)(\.\d{1,6})?)?)?")
_MOMENT = re.compile(
    r"(\d{4})(\d{2})?(\d{2})?((?:[01]\d|2[0-3])(?:[0-5]\d(?:(?:[0-5]\d|60)(?:\.\d{1,6})?)?)?)?([+-]\d{4})?"
)


def shifted(text: str, vr: str, *, days: int) -> str | None:
    """Return a value of VR DA, DT or TM `days` earlier, in its own precision, or None if it is none.

    A time alone stays as it is: the shift is of whole days. Of "202403" (month only) the first day is moved.
    Source: DICOM PS3.5 section 6.2; the old form 2024.03.01 is read, and written as today's.
    """
    text = text.strip()
    if vr == "TM":
        return text if _TIME.fullmatch(text) else None
    if vr == "DA":
        found = _DATE.fullmatch(text) or _OLD_DATE.fullmatch(text)
        return _earlier(found.groups(), days) if found else None
    found = _MOMENT.fullmatch(text)
    if found is None or (found[4] and not found[3]):
        return None
    year, month, day, time, zone = found.groups()
    moved = _earlier((year, month or "01", day or "01"), days)
    if moved is None:
        return None
    precision = 4 + 2 * bool(month) + 2 * bool(day)
    return moved[:precision] + (time or "") + (zone or "")


def _earlier(parts: tuple[str | None, ...], days: int) -> str | None:
    """Return a date `days` earlier as YYYYMMDD, or None where there is no such day."""
    try:
        moved = date(*(int(part or 1) for part in parts)) - timedelta(days=days)
    except (ValueError, OverflowError):
        return None
    return f"{moved:%Y%m%d}" if moved.year >= 1000 else None
