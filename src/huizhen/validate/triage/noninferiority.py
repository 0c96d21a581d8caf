"""Whether a policy detects as many events as the reference, but for a margin fixed beforehand.

On the same patients by Tango's score test, over two arms by that of Farrington and Manning: both take the
variance where the difference is just the margin, and err less than Wald's test on few events.
References: Tango, Stat Med 17:891-908 (1998); Farrington & Manning, Stat Med 9:1447-1454 (1990).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from huizhen.core.evidence import Interval
from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.estimates import normal_quantile
from huizhen.validate.margins import MarginTest, non_inferior
from huizhen.validate.samples import checked_outcome
from huizhen.validate.share_differences import tango_limit

Floats = NDArray[np.float64]


def paired_score(only_new: ArrayLike, only_reference: ArrayLike, n: ArrayLike, margin: float) -> Floats:
    """Return Tango's score for H0: share(new) - share(reference) = -`margin`, any shape; large passes.

    `only_new`, `only_reference`: events that just one of both found, of `n`. 0 / 0 is 0.

    >>> float(paired_score(3, 5, 100, 0.1).round(3))
    2.261
    """
    b, c, size = (np.asarray(part, dtype=np.float64) for part in (only_new, only_reference, n))
    d = -_checked(margin)
    linear = -b - c + (2 * size - b + c) * d
    restricted = (np.sqrt(np.maximum(linear**2 + 8 * size * c * d * (1 - d), 0)) - linear) / (4 * size)
    variance = size * (2 * restricted + d * (1 - d))
    return _ratio(b - c - size * d, variance)


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
    new: NDArray[Any], reference: NDArray[Any], *, margin: float, alpha: float = 0.025
) -> MarginTest:
    """Return the test on the same events (n,), each boolean: which of them either policy recalled.

    The interval is Tango's at 1 - 2 alpha; the test passes exactly when its lower limit is above -`margin`.
    Raises `InvalidInputError` on wrong input, `NotEstimableError` without an event.

    >>> found = paired_detection(np.arange(100) < 88, np.arange(100) < 90, margin=0.1)
    >>> found.passed, round(found.estimate, 2), round(found.interval.low, 3)
    (True, -0.02, -0.07)
    """
    one, two = checked_outcome(new, name="new"), checked_outcome(reference, name="reference")
    if one.shape != two.shape:
        raise InvalidInputError(f"{one.size} and {two.size} events", remedy="give the same events")
    b, c = int(np.count_nonzero(one & ~two)), int(np.count_nonzero(two & ~one))
    p = float(ndtr(-paired_score(b, c, one.size, margin)))
    reach = normal_quantile(1 - 2 * alpha)
    low, high = (tango_limit(b, c, one.size, side * reach) for side in (1, -1))
    interval = Interval(low=low, high=high, method="Tango", level=1 - 2 * alpha)
    gap = (b - c) / one.size
    return MarginTest(estimate=gap, interval=interval, margin=margin, p=p, passed=p <= alpha)


def averaged_detection(
    new: Floats,
    reference: Floats,
    *,
    margin: float,
    cluster: ArrayLike | None = None,
    alpha: float = 0.025,
) -> MarginTest:
    """Return the test where each event (n,) counts with the share of draws that recalled it, within [0, 1].

    The ratio estimator over patients, normal: for simulated readers, and for patients with several events.
    Raises `InvalidInputError` on wrong input, `NotEstimableError` on fewer than two patients, or where no
    patient differs so that no variance is seen. Reference: Cochran, Sampling Techniques (1977), section 6.3.

    >>> new, reference = np.tile([0.5, 1.0, 0.9], 20), np.tile([0.6, 1.0, 0.8], 20)
    >>> averaged_detection(new, reference, margin=0.05).passed
    True
    """
    gaps = np.asarray(new, dtype=np.float64) - np.asarray(reference, dtype=np.float64)
    if gaps.ndim != 1 or np.isnan(gaps).any():
        raise InvalidInputError("no shares (n,) of the same events", remedy="check them", field="new")
    names = np.arange(gaps.size) if cluster is None else np.asarray(cluster)
    _, group = np.unique(names, return_inverse=True)
    units = int(group.max(initial=-1)) + 1
    if units < 2:
        raise NotEstimableError("fewer than two patients have an event", remedy="gather patients")
    mean = float(gaps.mean())
    parts = np.bincount(group, weights=gaps - mean)
    variance = units / (units - 1) * float(np.sum(parts**2)) / gaps.size**2
    if not variance > 0:
        raise NotEstimableError("no patient differs between the policies", remedy="test single reads")
    return non_inferior(mean, float(np.sqrt(variance)), margin=_checked(margin), alpha=alpha)


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
    low, high = (_score_limit(new, reference, side * reach) for side in (1, -1))
    p = float(ndtr(-unpaired_score(*new, *reference, _checked(margin))))
    gap = new[0] / new[1] - reference[0] / reference[1]
    interval = Interval(low=low, high=high, method="Farrington-Manning", level=1 - 2 * alpha)
    return MarginTest(estimate=gap, interval=interval, margin=margin, p=p, passed=p <= alpha)


def _score_limit(new: tuple[int, int], reference: tuple[int, int], z: float) -> float:
    """Return the difference at which the score is `z`, by bisection: the score falls in the difference."""
    low, high = -1.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        score = _signed_score(new, reference, middle)
        low, high = (middle, high) if score > z else (low, middle)
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
