"""Odd values of a table's numeric columns: far out, of another unit, impossible, or a code for missing.

Nothing is corrected. A value is told by its row, for a person at the site to look at; what leaves are counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from huizhen.data.checks.outliers import robust_z

__all__ = ["FACTORS", "Odd", "OddValue", "odd_values"]

Floats = NDArray[np.float64]
FAR = 6.0
"""Robust standard deviations from the median beyond which a value is far out."""
BACK = 2.0
"""A value of another unit lies within so many of them once it is converted."""
LEAST = 30
"""Values that a column needs for anything to be called far out."""
REPEATED = 0.01
"""Share of a column's values from which equal far-out ones are a code."""

FACTORS = (
    ("10", 10.0, re.compile("")),
    ("100", 100.0, re.compile("")),
    ("1000", 1000.0, re.compile("")),
    ("lb_kg", 2.204623, re.compile(r"weight|mass|体重")),
    ("in_cm", 2.54, re.compile(r"height|length|size|diameter|waist|身高|长|径")),
    ("mg_mmol_glucose", 18.016, re.compile(r"gluc|sugar|血糖|葡萄糖")),
    ("mg_mmol_cholesterol", 38.67, re.compile(r"chol|ldl|hdl|胆固醇")),
    ("umol_mg_creatinine", 88.42, re.compile(r"crea|肌酐")),
)
"""What values of another unit are multiplied by, either way, in columns of such a name."""

LIMITS = (
    (re.compile(r"(^|[^a-z])age($|[^a-z])|alter|年龄"), 0.0, 120.0),
    (re.compile(r"bmi|body_?mass"), 8.0, 100.0),
    (re.compile(r"trestbps|systolic|sbp|收缩压"), 30.0, 330.0),
    (re.compile(r"diastolic|dbp|舒张压"), 15.0, 220.0),
    (re.compile(r"heart_?rate|thalach|pulse|心率"), 15.0, 330.0),
    (re.compile(r"chol"), 20.0, 2000.0),
    (re.compile(r"spo2|saturation|血氧"), 10.0, 100.0),
    (re.compile(r"temp|体温"), 20.0, 115.0),
    (re.compile(r"height|身高|weight|体重"), 0.3, 700.0),
    (re.compile(r"percent|pct|百分"), 0.0, 100.0),
)
"""What a column of that name can't hold in a living person, in any unit in use."""


class Odd(StrEnum):
    """Why a value is odd; the first that fits."""

    CODE = "code"
    """One far-out value that many rows have: likely a code for missing, such as 0, -9 or 999."""
    IMPOSSIBLE = "impossible"
    """Outside what a column of that name can hold."""
    UNIT = "unit"
    """Far out, and in the middle once converted by a known factor."""
    FAR = "far"
    """More than six robust standard deviations from the median."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OddValue:
    """One odd value: the place of its row among those given, why, and a factor's name where it is a unit."""

    row: int
    why: Odd
    factor: str = ""


def odd_values(name: str, values: Sequence[float | None]) -> list[OddValue]:
    """Return the odd values of a numeric column called `name`, in the order of its rows; None is missing.

    A column of a few different values (a code, a grade) has none that are far out.

    >>> heights = [170.0 + k % 21 for k in range(60)] + [1.75]
    >>> [(odd.row, odd.why.value, odd.factor) for odd in odd_values("height", heights)]
    [(60, 'unit', '100')]
    """
    numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    known = numbers[~np.isnan(numbers)]
    if not known.size:
        return []
    z = _scores(known)
    table = np.full(numbers.shape, np.nan)
    table[~np.isnan(numbers)] = z
    low, high = next(((a, b) for rule, a, b in LIMITS if rule.search(name.lower())), (-np.inf, np.inf))
    codes = _codes(known, z, low, high)
    found: list[OddValue] = []
    for row in np.flatnonzero(~np.isnan(numbers)):
        value = float(numbers[row])
        if value in codes:
            found.append(OddValue(row=int(row), why=Odd.CODE))
        elif abs(table[row]) > FAR and (factor := _factor(name, value, known)):
            found.append(OddValue(row=int(row), why=Odd.UNIT, factor=factor))
        elif not low <= value <= high:
            found.append(OddValue(row=int(row), why=Odd.IMPOSSIBLE))
        elif abs(table[row]) > FAR:
            found.append(OddValue(row=int(row), why=Odd.FAR))
    return found


def _scores(known: Floats) -> Floats:
    """Return robust z-scores, of logarithms where a positive column is skewed; 0 for one of few values."""
    if known.size < LEAST or np.unique(known).size < 10:
        return np.zeros(known.size)
    plain = robust_z(known)
    if known.min() <= 0:
        return plain
    logs = robust_z(np.log(known))
    skewed = np.quantile(plain, 0.99) > -2 * np.quantile(plain, 0.01)
    return np.where(np.abs(logs) < np.abs(plain), logs, plain) if skewed else plain


def _codes(known: Floats, z: Floats, low: float, high: float) -> set[float]:
    """Return the values that are far out or impossible and yet stand in many rows, or are a usual code."""
    values, counts = np.unique(known, return_counts=True)
    far = np.array([np.abs(z[known == value]).max() > FAR or not low <= value <= high for value in values])
    many = counts >= max(5, REPEATED * known.size)
    edge = np.isin(values, [0.0, -1.0, -9.0, -99.0, -999.0, 99.0, 999.0, 9999.0]) & (counts >= 5)
    alone = edge & _apart(values, counts, known)
    return set(values[(far & many) | alone].tolist())


def _apart(values: Floats, counts: NDArray[np.int64], known: Floats) -> NDArray[np.bool_]:
    """Tell which values stand apart from all others by more than the middle half of these is wide."""
    found = np.zeros(values.size, dtype=np.bool_)
    for k in {0, values.size - 1}:
        others = known[known != values[k]]
        if np.unique(others).size < 10:
            continue
        first, last = np.quantile(others, [0.25, 0.75])
        near = others.min() if k == 0 else others.max()
        found[k] = abs(near - values[k]) > (last - first) > 0 and bool(counts[k] >= 5)
    return found


def _factor(column: str, value: float, known: Floats) -> str:
    """Return the factor that brings a value into the middle of its column, "" where none does."""
    middle = np.median(known)
    spread = 1.4826 * np.median(np.abs(known - middle))
    if not spread > 0 or not value > 0 or not middle > 0:
        return ""
    best, nearest = "", BACK
    for name, factor, rule in FACTORS:
        if not rule.search(column.lower()):
            continue
        for converted in (value * factor, value / factor):
            if (away := abs(converted - middle) / spread) < nearest:
                best, nearest = name, float(away)
    return best
