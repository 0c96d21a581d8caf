"""The risk of those who are alone in the table, by a log-linear model of the population's classes.

Each class has a Poisson number of people whose mean is given by the quasi-identifiers: by each of them alone,
or by all pairs. Reference: Skinner & Shlomo, Assessing identification risk in survey microdata using
log-linear models, JASA 103:989-1001 (2008), equations 2 to 5. The table is taken for a simple random sample.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.data.disclosure.microdata import Codes
from huizhen.errors import NotEstimableError

__all__ = ["LogLinear", "log_linear"]

MOST_CELLS = 2_000_000
"""Of larger tables of all combinations only the main effects are fitted."""
_ROUNDS, _CLOSE = 200, 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLinear:
    """Of the `alone` in the table, how many are alone in the population (`uniques`, tau 1), and how many
    right matches may be expected (`matches`, tau 2). `terms` are "main" or "pairs"."""

    uniques: float
    matches: float
    alone: int
    terms: str


def log_linear(
    codes: Sequence[Codes], cardinalities: Sequence[int], population: int, *, pairs: bool = True
) -> LogLinear:
    """Return the two measures from the quasi-identifiers' `codes`, a row each.

    With `pairs` and no more than `MOST_CELLS` combinations, all two-way interactions are fitted by iterative
    proportional fitting; else the main effects. Raises `NotEstimableError` where the population is no larger
    than the table, or a column has more than a fifth as many values as there are patients.
    """
    n = len(codes[0])
    if population <= n:
        raise NotEstimableError(
            "the population is no larger than the table",
            remedy="give the size of the population that the patients come from",
            field="population.size",
        )
    if max(cardinalities) * 5 > n:
        raise NotEstimableError(
            "a column has a value for nearly every patient, and a log-linear model says nothing of it",
            remedy="take the model's other estimates, or coarser columns",
        )
    fraction = n / population
    cells = int(np.prod([float(c) for c in cardinalities]))
    fits = pairs and len(codes) > 1 and cells <= MOST_CELLS
    rows, counts = np.unique(np.stack(codes, axis=1), axis=0, return_counts=True)
    means = _pairs(codes, cardinalities)[tuple(rows.T)] if fits else _main(codes, rows)
    single = means[counts == 1] / fraction
    unseen = np.maximum(single * (1.0 - fraction), 1e-12)
    return LogLinear(
        uniques=float(np.exp(-unseen).sum()),
        matches=float((-np.expm1(-unseen) / unseen).sum()),
        alone=int((counts == 1).sum()),
        terms="pairs" if fits else "main",
    )


def _main(codes: Sequence[Codes], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the expected patients (rows,) of each combination, the columns being independent."""
    n = len(codes[0])
    found = np.full(len(rows), float(n))
    for k, column in enumerate(codes):
        found *= np.bincount(column)[rows[:, k]] / n
    return found


def _pairs(codes: Sequence[Codes], cardinalities: Sequence[int]) -> NDArray[np.float64]:
    """Return the expected patients of every combination that agree with the table in all pairs of columns."""
    table = np.zeros(tuple(cardinalities))
    np.add.at(table, tuple(codes), 1.0)
    fitted = np.full(table.shape, table.sum() / table.size)
    kept = list(itertools.combinations(range(table.ndim), 2))
    margins = {pair: _margin(table, pair) for pair in kept}
    for _ in range(_ROUNDS):
        worst = 0.0
        for pair in kept:
            now = _margin(fitted, pair)
            worst = max(worst, float(np.abs(now - margins[pair]).max()))
            fitted *= np.divide(margins[pair], now, out=np.zeros_like(now), where=now > 0)
        if worst < _CLOSE * table.sum():
            break
    return fitted


def _margin(table: NDArray[np.float64], pair: tuple[int, int]) -> NDArray[np.float64]:
    others = tuple(axis for axis in range(table.ndim) if axis not in pair)
    return np.asarray(table.sum(axis=others, keepdims=True))
