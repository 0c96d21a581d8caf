"""Agreement of raters: weighted kappa for categories, intraclass correlation for measurements.

References: Cohen, Psychol Bull 70:213-220 (1968); Fleiss, Cohen & Everitt, Psychol Bull 72:323-327 (1969) for
the variance; Shrout & Fleiss, Psychol Bull 86:420-428 (1979) and McGraw & Wong, Psychol Methods 1:30-46
(1996) for intraclass correlations.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import fdtri

from huizhen.core.evidence import Interval
from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.estimates import Estimate, normal_quantile, wald

Floats = NDArray[np.float64]
Weighting = Literal["none", "linear", "quadratic"]
Model = Literal["one-way", "agreement", "consistency"]


def weighted_kappa(
    first: NDArray[Any],
    second: NDArray[Any],
    *,
    categories: int,
    weights: Weighting = "none",
    level: float = 0.95,
) -> Estimate:
    """Return Cohen's kappa of two raters' categories (n,), whole numbers 0 to `categories` - 1.

    "linear" and "quadratic" weigh a disagreement by the distance of the categories, which must be ordered.
    The interval is Fleiss, Cohen and Everitt's; where both agree on everything it is an exact bound, the
    least share of agreement that n of n allows put in place of 1. Raises `InvalidInputError` on wrong input,
    `NotEstimableError` when chance alone gives full agreement (both used one category).

    >>> found = weighted_kappa(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2]), categories=3, weights="linear")
    >>> round(found.value, 4)
    0.7143
    """
    share = _table(first, second, categories)
    agreed = _weights(categories, weights)
    row, column = share.sum(axis=1), share.sum(axis=0)
    n = np.asarray(first).size
    observed, expected = float((agreed * share).sum()), float(row @ agreed @ column)
    if expected > 1 - 1e-12:
        raise NotEstimableError(
            "chance alone gives full agreement", remedy="report the share agreed", field="first"
        )
    kappa = (observed - expected) / (1 - expected)
    if observed > 1 - 1e-12:
        low = ((0.5 - level / 2) ** (1 / n) - expected) / (1 - expected)
        bound = Interval(low=max(-1.0, low), high=1.0, method="exact bound, n of n agree", level=level)
        return Estimate(value=1.0, interval=bound)
    by_row, by_column = agreed @ column, row @ agreed
    moved = agreed - (by_row[:, np.newaxis] + by_column) * (1 - kappa)
    spread = float((share * moved**2).sum()) - (kappa - expected * (1 - kappa)) ** 2
    error = math.sqrt(max(0.0, spread) / n) / (1 - expected)
    method = "Fleiss-Cohen-Everitt"
    return Estimate(value=kappa, interval=wald(kappa, error, method=method, level=level, least=-1, most=1))


def _table(first: NDArray[Any], second: NDArray[Any], categories: int) -> Floats:
    """Return the shares (c, c) of pairs of categories."""
    both = [np.asarray(side) for side in (first, second)]
    whole = all(side.ndim == 1 and np.issubdtype(side.dtype, np.integer) for side in both)
    if not whole or both[0].shape != both[1].shape or categories < 2:
        raise InvalidInputError("must be whole numbers, one for each case", remedy="number the categories")
    if both[0].size < 2:
        raise NotEstimableError("fewer than two cases", remedy="gather cases", field="first")
    if min(side.min() for side in both) < 0 or max(side.max() for side in both) >= categories:
        raise InvalidInputError("a category is out of range", remedy="0 to categories - 1", field="first")
    counts = np.bincount(both[0] * categories + both[1], minlength=categories**2)
    return counts.reshape(categories, categories) / both[0].size


def _weights(categories: int, weights: Weighting) -> Floats:
    """Return the agreement (c, c) that a pair of categories counts for, 1 on the diagonal."""
    places = np.arange(categories, dtype=np.float64)
    apart: Floats = np.abs(places[:, np.newaxis] - places) / (categories - 1)
    known: dict[str, Floats] = {"none": (apart == 0) * 1.0, "linear": 1 - apart, "quadratic": 1 - apart**2}
    if weights not in known:
        raise InvalidInputError(f"unknown {weights!r}", remedy=f"use {', '.join(known)}", field="weights")
    return known[weights]


def intraclass_correlation(
    values: ArrayLike, *, model: Model = "agreement", raters_averaged: bool = False, level: float = 0.95
) -> Estimate:
    """Return the intraclass correlation of measurements (n, r): n subjects by r raters.

    "one-way": each subject may have raters of its own, ICC(1,1); "agreement": raters are a sample and their
    shifts count as error, ICC(2,1) or ICC(A,1); "consistency": shifts don't count, ICC(3,1) or ICC(C,1).
    `raters_averaged`: of the mean of the r raters, such as ICC(2,k). The intervals are McGraw and Wong's.
    Raises `InvalidInputError` on wrong input or a gap, `NotEstimableError` with under two subjects or raters,
    or when nothing varies.

    >>> ratings = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    >>> [round(intraclass_correlation(ratings, model=m).value, 2)
    ...     for m in ("one-way", "agreement", "consistency")]
    [0.17, 0.29, 0.71]
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or not np.isfinite(table).all():
        raise InvalidInputError("must be (n, r) finite numbers", remedy="leave out incomplete subjects")
    if min(table.shape) < 2:
        raise NotEstimableError("fewer than two subjects or raters", remedy="gather more", field="values")
    if model not in ("one-way", "agreement", "consistency"):
        raise InvalidInputError(f"unknown {model!r}", remedy="one-way, agreement or consistency")
    normal_quantile(level)
    n, r = table.shape
    squares = _mean_squares(table)
    if squares[0] + squares[2] <= 0 or squares[3] <= 0:
        raise NotEstimableError("nothing varies", remedy="report the values", field="values")
    single = _agreement(squares, n, r, level) if model == "agreement" else _by_f(squares, n, r, model, level)
    value, low, high = (_stepped_up(number, r) if raters_averaged else number for number in single)
    names = {"one-way": "1", "agreement": "A", "consistency": "C"}
    method = f"McGraw-Wong, ICC({names[model]},{'k' if raters_averaged else '1'})"
    return Estimate(value=value, interval=Interval(low=low, high=high, method=method, level=level))


def _mean_squares(table: Floats) -> tuple[float, float, float, float]:
    """Return the mean squares between subjects, between raters, of the rest, and within subjects."""
    n, r = table.shape
    subjects, raters, mean = table.mean(axis=1), table.mean(axis=0), table.mean()
    rest = table - subjects[:, np.newaxis] - raters + mean
    within = table - subjects[:, np.newaxis]
    return (
        float(r * ((subjects - mean) ** 2).sum() / (n - 1)),
        float(n * ((raters - mean) ** 2).sum() / (r - 1)),
        float((rest**2).sum() / ((n - 1) * (r - 1))),
        float((within**2).sum() / (n * (r - 1))),
    )


def _by_f(
    squares: tuple[float, float, float, float], n: int, r: int, model: Model, level: float
) -> tuple[float, float, float]:
    """Return value and limits where the correlation is a function of one F ratio."""
    error, df = (squares[3], n * (r - 1.0)) if model == "one-way" else (squares[2], (n - 1.0) * (r - 1))
    if error <= 0:
        raise NotEstimableError("the raters don't differ", remedy="report full agreement", field="values")
    ratio, tail = squares[0] / error, 0.5 + level / 2
    limits = ratio / float(fdtri(n - 1, df, tail)), ratio * float(fdtri(df, n - 1, tail))
    value, low, high = ((f - 1) / (f + r - 1) for f in (ratio, *limits))
    return value, low, high


def _agreement(
    squares: tuple[float, float, float, float], n: int, r: int, level: float
) -> tuple[float, float, float]:
    """Return value and limits of ICC(A,1), with Satterthwaite's degrees of freedom for the error."""
    subjects, raters, rest, _ = squares
    value = (subjects - rest) / (subjects + (r - 1) * rest + r * (raters - rest) / n)
    if value >= 1:
        raise NotEstimableError("the raters don't differ", remedy="report full agreement", field="values")
    a = r * value / (n * (1 - value))
    b = 1 + r * value * (n - 1) / (n * (1 - value))
    v = (a * raters + b * rest) ** 2 / ((a * raters) ** 2 / (r - 1) + (b * rest) ** 2 / ((n - 1) * (r - 1)))
    tail, own = 0.5 + level / 2, r * n - r - n
    under, over = float(fdtri(n - 1, v, tail)), float(fdtri(v, n - 1, tail))
    low = n * (subjects - under * rest) / (under * (r * raters + own * rest) + n * subjects)
    high = n * (over * subjects - rest) / (r * raters + own * rest + n * over * subjects)
    return value, low, high


def _stepped_up(single: float, r: int) -> float:
    """Return the correlation of a mean of r raters (Spearman-Brown)."""
    return single * r / (1 + single * (r - 1))
