"""Dates in the forms of both languages: found, read, and written back in the same form some days earlier.

A date is a list of pieces (year, month, day, weekday); what stands between them stays as it is.

>>> one = next(iter(find_dates("seen on the 5th of March 2026")))
>>> moved(one, "seen on the 5th of March 2026", days=10)
'23rd of February 2026'
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from huizhen.data.deidentify_text import calendar_words as words
from huizhen.data.deidentify_text.date_patterns import PATTERNS
from huizhen.data.deidentify_text.numerals import han_number, han_year, in_han, year_in_han

__all__ = ["DateFound", "Order", "day_number", "find_dates", "moved", "order_of"]

Order = str
""""dmy" or "mdy": how numbers alone are read."""

_PIVOT = 40
"""Years of two digits up to this are of this century."""

_REFERENCE, _LEAP = 2023, 2024
"""The year of a date without one in a text that names none, and one that has a 29 February."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DateFound:
    """A date from `start` to before `end`: its pieces as (unit, start, end), and how sure it is one.

    Units: y, m, d (Arabic figures), M (a month's name), O (a day's ordinal), Y, N, D (Chinese numerals),
    W (a weekday), a and b (two figures, day and month in the text's order), r (the last day of a range).
    """

    start: int
    end: int
    pieces: tuple[tuple[str, int, int], ...]
    score: float

    @property
    def is_whole(self) -> bool:
        """Tell whether it names a year, a month and a day."""
        units = {unit for unit, _, _ in self.pieces}
        return bool(units & {"y", "Y"}) and bool(units & {"a", "m", "M", "N"}) and bool(units & set("abdOD"))


def find_dates(text: str) -> Iterator[DateFound]:
    """Yield the dates of a folded text in the order of the patterns: a later one may overlap an earlier."""
    for pattern, score in PATTERNS:
        for match in pattern.finditer(text):
            pieces = tuple(
                sorted(
                    ((name[0], *match.span(name)) for name, value in match.groupdict().items() if value),
                    key=lambda piece: piece[1],
                )
            )
            start, end = pieces[0][1], max(piece[2] for piece in pieces)
            while text[end : end + 1] in ("年", "月", "日", "号", "份"):
                end += 1
            found = DateFound(start=start, end=end, pieces=pieces, score=score)
            if any(_read(found, text, order=order, year=_LEAP) for order in ("dmy", "mdy")):
                yield found


def order_of(found: Iterable[DateFound], text: str, *, otherwise: Order) -> Order:
    """Return how a text orders day and month in figures: by dates that can be read in one way only."""
    votes: Counter[str] = Counter()
    for one in found:
        if any(unit == "a" for unit, _, _ in one.pieces):
            can = [order for order in ("dmy", "mdy") if _read(one, text, order=order)]
            votes.update(can if len(can) == 1 else [])
    return votes.most_common(1)[0][0] if votes else otherwise


def _read(found: DateFound, text: str, *, order: Order, year: int | None = None) -> date | None:
    """Return the day that a date names: the first of its month or year where it names none."""
    said: dict[str, int | None] = {"y": year or _REFERENCE, "m": 1, "d": 1}
    for unit, start, end in found.pieces:
        part = text[start:end]
        if unit in "ab":
            said["d" if (unit == "a") == (order == "dmy") else "m"] = int(part)
        elif unit == "y":
            said["y"] = _century(part)
        elif unit == "Y":
            value = han_year(part)
            said["y"] = value if value is None or value > 99 else _century(str(value))
        elif unit in "mdND":
            said["m" if unit in "mN" else "d"] = int(part) if unit in "md" else han_number(part)
        elif unit == "M":
            said["m"] = words.month_of(part)
        elif unit == "O":
            said["d"] = words.ordinal_of(part)
    return _day(said)


def _day(said: dict[str, int | None]) -> date | None:
    try:
        return date(*(int(said[unit] or 0) for unit in "ymd"))
    except ValueError:
        return None


def _century(text: str) -> int:
    """Return a year of two or four digits in full.

    >>> _century("26"), _century("57"), _century("1957")
    (2026, 1957, 1957)
    """
    number = int(text)
    if number > 99:
        return number
    return number + (2000 if number <= _PIVOT else 1900)


def day_number(found: DateFound, text: str, *, order: Order = "dmy", year: int | None = None) -> int | None:
    """Return the number of the day since the first year of the calendar, or None where there is none.

    `year` is that of a date without one.

    >>> day_number(next(iter(find_dates("2000-01-01"))), "2000-01-01")
    730120
    """
    day = _read(found, text, order=order, year=year)
    return day.toordinal() if day else None


def moved(
    found: DateFound, text: str, *, days: int, order: Order = "dmy", year: int | None = None
) -> str | None:
    """Return a date `days` earlier in its own form, or None where it can't be read or written."""
    day = _read(found, text, order=order, year=year)
    if day is None and not any(unit in "yY" for unit, _, _ in found.pieces):
        day = _read(found, text, order=order, year=_LEAP)
    if day is None or day.toordinal() - days < date(1000, 1, 1).toordinal():
        return None
    day -= timedelta(days=days)
    padded = _is_padded(found, text)
    parts, at = [], found.start
    for unit, start, end in found.pieces:
        part = text[start:end]
        parts += [
            text[at:start],
            _last(found, text, int(part), day) if unit == "r" else _written(unit, part, day, order, padded),
        ]
        at = end
    return "".join([*parts, text[at : found.end]])


def _is_padded(found: DateFound, text: str) -> bool:
    """Tell whether figures are filled up to two: one begins with 0, or all of several have two."""
    figures = [text[start:end] for unit, start, end in found.pieces if unit in "abmd"]
    if any(one.startswith("0") for one in figures):
        return True
    written = "年" in text[found.start : found.end] or "月" in text[found.start : found.end]
    return len(figures) > 1 and all(len(one) == 2 for one in figures) and not written


def _last(found: DateFound, text: str, last: int, first_moved: date) -> str:
    """Return the last day of a range within one month, with its month where the moved range crosses two."""
    said = next(words.ordinal_of(text[start:end]) for unit, start, end in found.pieces if unit in "dO")
    day = first_moved + timedelta(days=max(last - (said or last), 0))
    if day.month == first_moved.month:
        return str(day.day)
    name = next(text[start:end] for unit, start, end in found.pieces if unit == "M")
    return f"{words.month_like(day.month, name)} {day.day}"


def _written(unit: str, like: str, day: date, order: Order, padded: bool) -> str:
    """Return one piece of a day as another is written."""
    if unit in "ab":
        unit = "d" if (unit == "a") == (order == "dmy") else "m"
    if unit == "y":
        return str(day.year)[-len(like) :]
    if unit in "md":
        number = day.month if unit == "m" else day.day
        return f"{number:02d}" if padded else str(number)
    if unit == "Y":
        return year_in_han(day.year, like=like)
    if unit in "ND":
        return in_han(day.month if unit == "N" else day.day)
    if unit == "M":
        return words.month_like(day.month, like)
    if unit == "O":
        return words.ordinal_like(day.day, like)
    return words.weekday_like(day.weekday(), like)
