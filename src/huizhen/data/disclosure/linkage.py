"""The attack itself: an attacker's table joined to the released one; how many patients are rightly found.

The attacker knows some columns of some people, exactly or nearly, and links each to the released rows that
fit. A link is claimed where one row alone does. The same joins an earlier release to a later one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.data.disclosure.hierarchies import HIDDEN
from huizhen.data.disclosure.microdata import number_of
from huizhen.errors import InvalidInputError

__all__ = ["Attack", "link", "share_interval"]

Cells = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """Of `known` people: `claimed` links, `right` of them, and what guessing among the best rows would find.

    `low` and `high`: the 95 % interval of the share found rightly (Clopper and Pearson).
    """

    known: int
    claimed: int
    right: int
    expected: float
    low: float
    high: float

    @property
    def share(self) -> float:
        """The share of the known people who are rightly found."""
        return self.right / self.known


def link(
    known: Cells, released: Cells, truth: Sequence[int], *, near: Mapping[str, float] | None = None
) -> Attack:
    """Return how an attacker fares who knows the columns of `known` and sees those of `released`.

    `truth` (known,): the released row of each known person, -1 for one who was left out. `near`: how far a
    number may be off; every other column must agree, as it is or within a released band ("40-49"). A hidden
    cell agrees with everything. Raises `InvalidInputError` without anybody known, or for columns that differ.
    """
    if not truth or set(known) - set(released):
        raise InvalidInputError(
            "the attacker knows nobody, or columns that weren't released",
            remedy="give an attacker's table with rows, and with columns of the released one",
        )
    columns = [_Fit(name, known[name], released[name], (near or {}).get(name)) for name in known]
    claimed = right = 0
    expected = 0.0
    for person, row in enumerate(truth):
        fits = np.ones(len(next(iter(released.values()))), np.bool_)
        for column in columns:
            fits &= column.agrees(person)
        found = np.flatnonzero(fits)
        claimed += len(found) == 1
        right += len(found) == 1 and int(found[0]) == row
        expected += 1.0 / len(found) if row >= 0 and fits[row] else 0.0
    low, high = share_interval(right, len(truth))
    return Attack(known=len(truth), claimed=claimed, right=right, expected=expected, low=low, high=high)


class _Fit:
    """One column of both tables: which released rows agree with what the attacker knows of a person."""

    def __init__(self, name: str, known: Sequence[str], released: Sequence[str], near: float | None) -> None:
        self._known, self._near = known, near
        self._values = sorted(set(released))
        index = {value: code for code, value in enumerate(self._values)}
        self._codes = np.array([index[value] for value in released])
        self._spans = [_span(value) for value in self._values]
        self._cache: dict[str, NDArray[np.bool_]] = {}

    def agrees(self, person: int) -> NDArray[np.bool_]:
        """Return which released rows (rows,) agree."""
        cell = self._known[person]
        if cell not in self._cache:
            fits = [
                self._fits(cell, value, span) for value, span in zip(self._values, self._spans, strict=True)
            ]
            self._cache[cell] = np.array(fits, np.bool_)
        return np.asarray(self._cache[cell][self._codes])

    def _fits(self, cell: str, value: str, span: tuple[float, float] | None) -> bool:
        if value == HIDDEN or cell == value:
            return True
        if value.endswith(HIDDEN) and cell.startswith(value.rstrip(HIDDEN)) and len(cell) == len(value):
            return True
        number = number_of(cell)
        off = self._near or 0.0
        return number is not None and span is not None and span[0] - off <= number <= span[1] + off


def _span(value: str) -> tuple[float, float] | None:
    """Return the numbers that a released value stands for: itself, or those of a band.

    >>> _span("40-49"), _span("0.5-<1"), _span("90+"), _span("-3")
    ((40.0, 49.999999), (0.5, 0.999999), (90.0, inf), (-3.0, -3.0))
    """
    if (number := number_of(value)) is not None:
        return number, number
    if value.endswith("+") and (low := number_of(value[:-1])) is not None:
        return low, float("inf")
    if value.startswith("<=") and (high := number_of(value[2:])) is not None:
        return float("-inf"), high
    first, mark, last = value[1:].partition("-")
    first = value[0] + first if value else ""
    open_ = last.startswith("<")
    low, high = number_of(first), number_of(last[1:] if open_ else last)
    if not mark or low is None or high is None:
        return None
    return low, high - 1e-6 if open_ else high + 1.0 - 1e-6


def share_interval(count: int, of: int) -> tuple[float, float]:
    """Return the 95 % interval of Clopper and Pearson for a share.

    >>> [round(bound, 3) for bound in share_interval(0, 10)]
    [0.0, 0.308]
    """
    from scipy.special import betaincinv

    low = 0.0 if count == 0 else float(betaincinv(count, of - count + 1, 0.025))
    high = 1.0 if count == of else float(betaincinv(count + 1, of - count, 0.975))
    return low, high
