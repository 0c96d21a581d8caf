"""Hierarchies: each level of coarseness of a column, from its values as they are to nothing at all.

Every level joins values that the level below keeps apart, so that classes only grow from level to level.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from huizhen.data.disclosure.microdata import Codes, Column, column_of, number_of
from huizhen.data.disclosure.policy import Quasi
from huizhen.errors import PolicyError

__all__ = ["HIDDEN", "Hierarchy", "Level", "day_of", "hierarchy_of", "kind_of"]

HIDDEN = "*"
OTHER = "other"
_MANY = 20
"""Numbers of more distinct values are banded where the policy says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Level:
    """A level: its `name` ("bands:10"), its `labels`, and the label's code (values,) of each value."""

    name: str
    labels: tuple[str, ...]
    codes: Codes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hierarchy:
    """The levels of one column, from its own values to `HIDDEN`; `least` must at least be taken."""

    column: str
    kind: str
    levels: tuple[Level, ...]
    least: int = 0
    weight: float = 1.0


def hierarchy_of(column: Column, quasi: Quasi) -> Hierarchy:
    """Return the levels of a column as the policy says, or as its values suggest.

    Levels that change nothing are left out. Raises `PolicyError` where levels don't nest, or `least` is above
    the highest.

    >>> ages = column_of("age", ["31", "38", "22", "52"])
    >>> found = hierarchy_of(ages, Quasi(kind="numeric", bands=(10, 20)))
    >>> [level.labels for level in found.levels]
    [('22', '31', '38', '52'), ('20-29', '30-39', '50-59'), ('20-39', '40-59'), ('*',)]
    """
    kind = kind_of(column) if quasi.kind == "auto" else quasi.kind
    levels = [Level(name="as_is", labels=column.values, codes=np.arange(len(column.values)))]
    for name, rule in _RULES[kind](column, quasi):
        levels.append(_level(name, [rule(value) for value in column.values]))
    levels.append(_level("hidden", [HIDDEN] * len(column.values)))
    for below, above in itertools.pairwise(levels):
        if not _nested(below.codes, above.codes):
            raise PolicyError(
                f"{above.name} doesn't join what {below.name} keeps apart",
                remedy="let each level be made of whole groups of the one before: bands that are multiples",
                field=f"quasi.{column.name}",
            )
    if quasi.least >= len(levels):
        raise PolicyError(
            f"has {len(levels) - 1} levels above its values, and least asks for {quasi.least}",
            remedy="lower least, or name more levels",
            field=f"quasi.{column.name}.least",
        )
    kept = [k for k, level in enumerate(levels) if not k or len(level.labels) < len(levels[k - 1].labels)]
    return Hierarchy(
        column=column.name,
        kind=kind,
        levels=tuple(levels[k] for k in kept),
        least=sum(k <= quasi.least for k in kept) - 1,
        weight=quasi.weight,
    )


def kind_of(column: Column) -> str:
    """Return what a column's values suggest: numeric, date or category.

    >>> kind_of(column_of("born", ["1960-02-03", ""])), kind_of(column_of("sex", ["0", "1"]))
    ('date', 'category')
    """
    held = [value for value in column.values if value]
    if held and all(day_of(value) is not None for value in held):
        return "date"
    numbers = sum(number_of(value) is not None for value in held)
    return "numeric" if len(held) > _MANY and numbers >= 0.9 * len(held) else "category"


Rule = tuple[str, Callable[[str], str]]


def _numeric(column: Column, quasi: Quasi) -> list[Rule]:
    """Return bands: those of the policy, or four that double from a tenth of the range."""
    numbers = [found for value in column.values if (found := number_of(value)) is not None]
    bands = quasi.bands or _suggested(numbers)
    whole = all(found.is_integer() for found in (*numbers, *bands))

    def rule(width: float) -> Callable[[str], str]:
        return lambda value: _band(value, width, quasi, whole)

    return [(f"bands:{width:g}", rule(width)) for width in bands]


def _suggested(numbers: Sequence[float]) -> tuple[float, ...]:
    """Return widths of 1, 2, 4 and 8 times a round number near a twentieth of the range."""
    spread = max(numbers, default=0.0) - min(numbers, default=0.0)
    if spread <= 0:
        return ()
    rough = spread / 20
    unit = 10.0 ** math.floor(math.log10(rough))
    width = next(unit * step for step in (1, 2, 5, 10) if unit * step >= rough - 1e-12)
    return tuple(width * factor for factor in (1, 2, 4, 8))


def _band(value: str, width: float, quasi: Quasi, whole: bool) -> str:
    """Return the band of a cell; what is no number keeps itself."""
    found = number_of(value)
    if found is None:
        return value
    if quasi.top is not None and found >= quasi.top:
        return f"{quasi.top:g}+"
    if quasi.bottom is not None and found <= quasi.bottom:
        return f"<={quasi.bottom:g}"
    low = math.floor(found / width + 1e-9) * width
    return f"{low:.10g}-{low + width - 1:.10g}" if whole else f"{low:.10g}-<{low + width:.10g}"


def _date(column: Column, quasi: Quasi) -> list[Rule]:
    steps = quasi.to or ("month", "quarter", "year", "5 years", "10 years")

    def rule(step: str) -> Callable[[str], str]:
        return lambda value: _period(value, step)

    return [(_called(step), rule(step)) for step in steps]


def _called(step: str) -> str:
    """Return the name of a level of dates.

    >>> _called("5 years"), _called("month")
    ('years:5', 'month')
    """
    number, _, unit = step.rpartition(" ")
    return f"{unit}:{number}" if number else unit


def day_of(text: str) -> date | None:
    """Return the day of a cell written as 2026-11-23, 2026/11/23 or 20261123, with or without a time."""
    first = text.strip().replace("/", "-").partition("T")[0].partition(" ")[0]
    for form in ("%Y-%m-%d", "%Y%m%d"):
        try:
            return datetime.strptime(first, form).date() if len(first) >= 8 else None
        except ValueError:
            continue
    return None


def _period(value: str, step: str) -> str:
    """Return the month, quarter, year or years of a day; what is none keeps itself."""
    found = day_of(value)
    if found is None:
        return value
    match step:
        case "month":
            return f"{found.year:04d}-{found.month:02d}"
        case "quarter":
            return f"{found.year:04d}-Q{(found.month + 2) // 3}"
        case "year":
            return f"{found.year:04d}"
    width = int(step.split()[0])
    return f"{found.year // width * width:04d}-{found.year // width * width + width - 1:04d}"


def _prefix(column: Column, quasi: Quasi) -> list[Rule]:
    longest = max(map(len, column.values), default=1)
    lengths = quasi.keep or tuple(n for n in range(longest - 1, 0, -1))

    def rule(length: int) -> Callable[[str], str]:
        return lambda value: value[:length] + HIDDEN * max(0, len(value) - length)

    return [(f"first:{length}", rule(length)) for length in lengths]


def _category(column: Column, quasi: Quasi) -> list[Rule]:
    """Return the policy's groups, or else the rare values joined: at 10 and 50 rows where it says nothing."""
    counts = dict(zip(column.values, column.counts.tolist(), strict=True))

    def grouped(names: Sequence[Mapping[str, str]]) -> Callable[[str], str]:
        def rule(value: str) -> str:
            for level in names:
                value = level.get(value, value)
            return value

        return rule

    def common(least: int) -> Callable[[str], str]:
        return lambda value: value if counts[value] >= least else OTHER

    rules = [(f"groups:{k}", grouped(quasi.groups[:k])) for k in range(1, len(quasi.groups) + 1)]
    rare = quasi.rare or (() if quasi.groups else (10, 50))
    above = rules[-1][1] if rules else None
    if above is not None:
        totals: dict[str, int] = {}
        for value, rows in counts.items():
            totals[above(value)] = totals.get(above(value), 0) + rows
        joined = above

        def common_group(least: int) -> Callable[[str], str]:
            return lambda value: joined(value) if totals[joined(value)] >= least else OTHER

        return rules + [(f"fewer:{least}", common_group(least)) for least in rare]
    return [(f"fewer:{least}", common(least)) for least in rare]


_RULES: Mapping[str, Callable[[Column, Quasi], list[Rule]]] = {
    "numeric": _numeric,
    "date": _date,
    "prefix": _prefix,
    "category": _category,
}


def _level(name: str, labels: Sequence[str]) -> Level:
    found = column_of(name, labels)
    return Level(name=name, labels=found.values, codes=found.codes)


def _nested(below: Codes, above: Codes) -> bool:
    """Tell whether values that one level joins are joined by the next as well."""
    first = np.full(int(below.max(initial=0)) + 1, -1, np.int64)
    first[below] = above
    return bool((first[below] == above).all())
