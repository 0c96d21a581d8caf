"""Whether a policy detects as many events as the reference, but for a margin fixed beforehand.

On the same patients by Tango's score test, over two arms by that of Farrington and Manning: both take the
variance where the difference is just the margin, and err less than Wald's test on few events.
References: Tango, Stat Med 17:891-908 (1998); Farrington & Manning, Stat Med 9:1447-1454 (1990).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from huizhen.core.evidence import Interval
from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.clusters import checked_clusters
from huizhen.validate.estimates import normal_quantile
from huizhen.validate.margins import MarginTest

Floats = NDArray[np.float64]


def paired_score(only_new: ArrayLike, only_reference: ArrayLike, n: ArrayLike, margin: float) -> Floats:
    """Return Tango's score for H0: share(new) - share(reference) = -`margin`, any shape; large passes.

    `only_new`, `only_reference`: events that just one of both found, of `n`. 0 / 0 is 0.

    >>> float(paired_score(3, 5, 100, 0.1).round(3))
    2.261
    """
    b, c, size = (np.asarray(part, dtype=np.float64) for part in (only_new, only_reference, n))
    return _tango(b, c, size, -_checked(margin))


def _tango(b: Floats, c: Floats, n: Floats, d: float) -> Floats:
    """Return the score of paired shares that differ by `d` in (-1, 1)."""
    linear = -b - c + (2 * n - b + c) * d
    restricted = (np.sqrt(np.maximum(linear**2 + 8 * n * c * d * (1 - d), 0)) - linear) / (4 * n)
    return _ratio(b - c - n * d, n * (2 * restricted + d * (1 - d)))


def unpaired_score(
    new: ArrayLike, n_new: ArrayLike, reference: ArrayLike, n_reference: ArrayLike, margin: float
) -> Floats:
    """Return Farrington and Manning's score for H0: share(new) - share(reference) = -`margin`, any shape.

    Counts and sizes of two arms. The restricted shares are the root of a cubic in closed form.

    >>> float(unpaired_score(56, 70, 48, 80, 0.1).round(3))
    3.934
    """
    n1, n2 = np.asarray(n_new, dtype=np.float64), np.asarray(n_reference, dtype=np.float64)
    p1, p2, d = np.asarray(new) / n1, np.asarray(reference) / n2, -_checked(margin)
    ratio = n2 / n1
    a = 1 + ratio
    b = -(1 + ratio + p1 + ratio * p2 + d * (ratio + 2))
    c = d**2 + d * (2 * p1 + ratio + 1) + p1 + ratio * p2
    v = b**3 / (3 * a) ** 3 - b * c / (6 * a**2) - p1 * d * (1 + d) / (2 * a)
    u = np.copysign(np.sqrt(np.maximum(b**2 / (3 * a) ** 2 - c / (3 * a), 0)), v)
    with np.errstate(divide="ignore", invalid="ignore"):
        angle = np.where(u == 0, 0.0, v / u**3)
    w = (np.pi + np.arccos(np.clip(angle, -1, 1))) / 3
    q1 = np.clip(2 * u * np.cos(w) - b / (3 * a), max(0.0, d), min(1.0, 1 + d))
    q2 = np.clip(q1 - d, 0, 1)
    return _ratio(p1 - p2 - d, q1 * (1 - q1) / n1 + q2 * (1 - q2) / n2)


def paired_detection(
    new: NDArray[Any],
    reference: NDArray[Any],
    *,
    margin: float,
    cluster: ArrayLike | None = None,
    alpha: float = 0.025,
) -> MarginTest:
    """Return the test on the same events (n,): whether either policy recalled them.

    Booleans, or shares in [0, 1] over draws of simulated readers: the counts are then means over the draws,
    and the test is that of one trial of this size which came out so. `cluster` (n,) names the patients of
    events; counts are then divided by the design effect (Rao & Scott, Biometrics 48:577-585, 1992), at least
    1. The interval is Tango's at 1 - 2 alpha; the test passes exactly when its lower limit is above
    -`margin`. Raises `InvalidInputError` on wrong input, `NotEstimableError` without an event.

    >>> found = paired_detection(np.arange(100) < 88, np.arange(100) < 90, margin=0.1)
    >>> found.passed, round(found.estimate, 2), round(found.interval.low, 3)
    (True, -0.02, -0.07)
    """
    gaps = _gaps(new, reference)
    size = np.asarray(gaps.size / _design_effect(gaps, cluster), dtype=np.float64)
    b, c = (np.asarray(size * np.maximum(side * gaps, 0).mean()) for side in (1, -1))
    p = float(ndtr(-_tango(b, c, size, -_checked(margin))))
    interval = paired_limits(float(b), float(c), float(size), level=1 - 2 * alpha)
    if cluster is not None:
        interval = replace(interval, method="Tango, effective counts over patients")
    return MarginTest(estimate=float(gaps.mean()), interval=interval, margin=margin, p=p, passed=p <= alpha)


def paired_limits(only_new: float, only_reference: float, n: float, *, level: float = 0.95) -> Interval:
    """Return Tango's interval for the difference of two shares of `n` exams; counts may be means over draws.

    >>> found = paired_limits(3, 5, 100)
    >>> round(found.low, 3), round(found.high, 3)
    (-0.087, 0.042)
    """
    b, c, size = (np.asarray(part, dtype=np.float64) for part in (only_new, only_reference, n))
    reach = normal_quantile(level)
    low, high = (_limit(partial(_tango, b, c, size), side * reach) for side in (1, -1))
    return Interval(low=low, high=high, method="Tango", level=level)


def _gaps(new: NDArray[Any], reference: NDArray[Any]) -> Floats:
    """Return new - reference (n,). Raises as `paired_detection`."""
    shares = [np.asarray(part, dtype=np.float64) for part in (new, reference)]
    if shares[0].ndim != 1 or shares[0].shape != shares[1].shape:
        raise InvalidInputError("no shares (n,) of the same events", remedy="check them", field="new")
    if not all(((part >= 0) & (part <= 1)).all() for part in shares):
        raise InvalidInputError("shares leave [0, 1], or are NaN", remedy="check them", field="new")
    if not shares[0].size:
        raise NotEstimableError("there is no event", remedy="gather events")
    return np.asarray(shares[0] - shares[1])


def _design_effect(gaps: Floats, cluster: ArrayLike | None) -> float:
    """Return how much larger the variance of the mean is because patients have several events."""
    if cluster is None:
        return 1.0
    group = checked_clusters(cluster, gaps.size)
    patients = int(group.max()) + 1
    rest = gaps - gaps.mean()
    alone = float(rest @ rest)
    if not alone > 0:
        return gaps.size / patients
    return max(1.0, float(np.sum(np.bincount(group, weights=rest) ** 2)) / alone)


def unpaired_detection(
    new: tuple[int, int], reference: tuple[int, int], *, margin: float, alpha: float = 0.025
) -> MarginTest:
    """Return the test of two arms, each (events recalled, exams or events), such as a randomised trial.

    The interval holds the differences that the score test doesn't reject, by bisection. Raises
    `InvalidInputError` on counts that are no shares.

    >>> found = unpaired_detection((244, 39_996), (203, 40_024), margin=0.001)
    >>> found.passed, round(1000 * found.estimate, 2), round(1000 * found.interval.low, 2)
    (True, 1.03, -0.0)
    """
    for count, size in (new, reference):
        if not 0 <= count <= size or size < 1:
            raise InvalidInputError(f"{count} of {size} is no share", remedy="check the counts")
    reach = normal_quantile(1 - 2 * alpha)
    low, high = (_limit(partial(_signed_score, new, reference), side * reach) for side in (1, -1))
    p = float(ndtr(-unpaired_score(*new, *reference, _checked(margin))))
    gap = new[0] / new[1] - reference[0] / reference[1]
    interval = Interval(low=low, high=high, method="Farrington-Manning", level=1 - 2 * alpha)
    return MarginTest(estimate=gap, interval=interval, margin=margin, p=p, passed=p <= alpha)


def _limit(score: Callable[[float], Floats | float], z: float) -> float:
    """Return the difference at which `score`, which falls in the difference, is `z`, by bisection."""
    low, high = -1.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if score(middle) > z else (low, middle)
    return (low + high) / 2


def _signed_score(new: tuple[int, int], reference: tuple[int, int], d: float) -> float:
    """Return the score at a difference of either sign: above 0 the arms change places."""
    if d <= 0:
        return float(unpaired_score(*new, *reference, -d))
    return -float(unpaired_score(*reference, *new, d))


def _checked(margin: float) -> float:
    """Return a margin. Raises `InvalidInputError` outside [0, 1]."""
    if not 0 <= margin <= 1:
        raise InvalidInputError(f"margin {margin} is outside [0, 1]", remedy="use 0.05", field="margin")
    return margin


def _ratio(gap: Floats, variance: Floats) -> Floats:
    """Return gap / √variance; where there is no variance 0 or an infinity with the gap's sign."""
    flat = variance <= 1e-15
    with np.errstate(divide="ignore", invalid="ignore"):
        sure = np.where(np.abs(gap) < 1e-15, 0.0, np.copysign(np.inf, gap))
        return np.where(flat, sure, gap / np.sqrt(np.where(flat, 1.0, variance)))
