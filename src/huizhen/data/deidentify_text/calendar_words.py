"""Names of months and weekdays, and ordinals, read and written back in the way they were found.

>>> month_of("Sept"), month_like(3, "SEPT"), ordinal_like(3, "5th"), ordinal_like(22, "Fifth")
(9, 'MAR', '3rd', 'Twenty-second')
"""

from __future__ import annotations

import re
from functools import cache

from huizhen.data.deidentify_text.tables import load_table

__all__ = [
    "alternatives",
    "month_like",
    "month_of",
    "ordinal_like",
    "ordinal_of",
    "weekday_like",
    "weekday_of",
]

_HAN_DAYS = "一二三四五六日"


@cache
def _lists(key: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(line.split()) for line in load_table("calendar")[key])


@cache
def _ordinals() -> tuple[str, ...]:
    return tuple(load_table("calendar")["ordinals"].split())


def alternatives(key: str) -> str:
    """Return a pattern of all names of a list ("months", "weekdays" or "ordinals"), the longest first."""
    words = _ordinals() if key == "ordinals" else {word for line in _lists(key) for word in line}
    return "|".join(sorted(map(re.escape, set(words)), key=lambda word: (-len(word), word)))


def _place(text: str, key: str) -> tuple[int, int] | None:
    """Return in which list of names a word stands, and where."""
    lower = text.lower().rstrip(".")
    for number, line in enumerate(_lists(key)):
        if lower in line:
            return number, line.index(lower)
    return None


def month_of(text: str) -> int | None:
    """Return the number of a month by name, or None."""
    found = _place(text, "months")
    return found[1] + 1 if found else None


def weekday_of(text: str) -> int | None:
    """Return a weekday by name, 0 for Monday, or None.

    >>> weekday_of("Thursday"), weekday_of("星期四"), weekday_of("周天")
    (3, 3, 6)
    """
    if text[-1] in _HAN_DAYS + "天":
        return _HAN_DAYS.index(text[-1].replace("天", "日"))
    found = _place(text, "weekdays")
    return found[1] if found else None


def month_like(month: int, like: str) -> str:
    """Return the name of a month in the language, length and case of another."""
    found = _place(like, "months")
    line = _lists("months")[found[0] if found else 0]
    return _cased(line[month - 1], like)


def weekday_like(day: int, like: str) -> str:
    """Return the name of a weekday as another is written.

    >>> weekday_like(0, "THU"), weekday_like(6, "星期四")
    ('MON', '星期日')
    """
    if like[-1] in _HAN_DAYS + "天":
        return like[:-1] + _HAN_DAYS[day]
    found = _place(like, "weekdays")
    return _cased(_lists("weekdays")[found[0] if found else 0][day], like)


def ordinal_of(text: str) -> int | None:
    """Return a day written as an ordinal, or None.

    >>> ordinal_of("5th"), ordinal_of("twenty-first"), ordinal_of("x")
    (5, 21, None)
    """
    lower = text.lower()
    if lower in _ordinals():
        return _ordinals().index(lower) + 1
    found = re.match(r"\d{1,2}", lower)
    return int(found[0]) if found else None


def ordinal_like(day: int, like: str) -> str:
    """Return a day as another is written: "5th", "fifth"."""
    if not like[0].isdigit():
        return _cased(_ordinals()[day - 1], like)
    end = "th" if day in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    number = f"{day:02d}" if like[0] == "0" else str(day)
    return number + (end.upper() if like[-1].isupper() else end)


def _cased(word: str, like: str) -> str:
    """Return a word in the case of another."""
    if like.isupper():
        return word.upper()
    return word.capitalize() if like[:1].isupper() else word
