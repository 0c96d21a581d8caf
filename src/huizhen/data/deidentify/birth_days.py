"""A day of birth as people write it: figures in any order, with or without leading zeros, months by name.

>>> [bool(written(text, "19800307")) for text in ("born 7/3/1980", "1980年3月7日", "7-MAR-80", "1980.37")]
[True, True, True, False]
"""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["figures_of", "written"]

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()  # noqa: SIM905  # shorter to read
_DAY = re.compile(r"[12]\d{3}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")
_GAP = r"[\s./,\-年月日号]{1,3}"


def figures_of(day: str) -> tuple[str, ...]:
    """Return a day (YYYYMMDD) as eight figures in the three orders in use; nothing of what is no day.

    >>> figures_of("19800307"), figures_of("unknown")
    (('19800307', '07031980', '03071980'), ())
    """
    if not _DAY.fullmatch(day):
        return ()
    year, month, date = day[:4], day[4:6], day[6:]
    return (day, date + month + year, month + date + year)


def written(text: str, day: str) -> bool:
    """Tell whether a lower-case or mixed `text` has the `day` (YYYYMMDD) written out, its parts apart."""
    return _form_of(day).search(text.lower()) is not None


@lru_cache(maxsize=256)
def _form_of(day: str) -> re.Pattern[str]:
    """Return what a day looks like, the year of four figures, or of two beside a month's name."""
    month, date = f"0?{int(day[4:6])}", f"0?{int(day[6:])}"
    year, short = day[:4], f"(?:{day[:2]})?{day[2:4]}"
    name = f"{_MONTHS[int(day[4:6]) - 1]}[a-z]{{0,6}}"
    ends = "(?:st|nd|rd|th)?"
    forms = [
        [year, month, date],
        [date, month, year],
        [month, date, year],
        [f"{date}{ends}", name, short],
        [name, f"{date}{ends}", short],
        [year, name, date],
    ]
    return re.compile("|".join(rf"(?<![0-9a-z]){_GAP.join(form)}(?![0-9])" for form in forms))
