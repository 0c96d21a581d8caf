"""Discrimination: the area under the ROC curve, its DeLong covariance, intervals and tests.

References: DeLong, DeLong & Clarke-Pearson, Biometrics 44:837-845 (1988); Sun & Xu, IEEE Signal Processing
Letters 21:1389-1393 (2014) for the O(n log n) form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit, stdtr, stdtrit

from huizhen.core.evidence import Interval
from huizhen.errors import InvalidInputError
from huizhen.validate.estimates import Estimate, normal_quantile, two_sided_p, unanimous_floor, wald
from huizhen.validate.placements import Placements, place
from huizhen.validate.samples import checked_outcome, checked_rows, checked_scores

IntervalMethod = Literal["delong", "logit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeLong:
    """AUCs (k,) of k scores on the same cases and their covariance (k, k)."""

    aucs: NDArray[np.float64]
    covariance: NDArray[np.float64]
    n_pos: int
    n_neg: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A difference of two AUCs, its interval, and the test of no difference.

    `z` is the statistic (Student's t with `df` degrees of freedom when that is finite). `z` and `p` are NaN
    where a variance of zero leaves no test although the AUCs differ.
    """

    estimate: float
    interval: Interval
    z: float
    p: float
    df: float = math.inf


def _single(outcome: NDArray[Any], score: ArrayLike, *, least: int) -> Placements:
    """Return the placements of one score (n,)."""
    outcome = checked_outcome(outcome)
    return place(outcome, checked_scores(score, outcome.size)[np.newaxis], least=least)


def auc(outcome: NDArray[Any], score: ArrayLike) -> float:
    """Return the area under the ROC curve: the chance that an event scores above a non-event, ties half.

    `outcome` (n,) boolean; `score` (n,) real, larger for events. Raises `InvalidInputError` on wrong
    shapes, types or NaN, `NotEstimableError` unless both classes are there.
    Reference: Hanley & McNeil, Radiology 143:29-36 (1982).

    >>> auc(np.array([True, True, False, False]), np.array([0.9, 0.4, 0.4, 0.1]))
    0.875
    """
    return float(_single(outcome, score, least=1).aucs[0])


def delong(outcome: NDArray[Any], scores: ArrayLike) -> DeLong:
    """Return the AUCs of k scores on the same cases with DeLong's covariance, in O(k n log n).

    `outcome` (n,) boolean; `scores` (k, n) or (n,). Raises as `auc`, and `NotEstimableError` unless there
    are two of each class. Reference: Sun & Xu (2014), algorithm 2, with ties.

    >>> found = delong(np.array([True, True, False, False]), np.array([[0.9, 0.4, 0.4, 0.1]]))
    >>> found.aucs.tolist(), found.covariance.tolist()
    ([0.875], [[0.03125]])
    """
    outcome = checked_outcome(outcome)
    placed = place(outcome, checked_rows(scores, outcome.size), least=2)
    return DeLong(
        aucs=placed.aucs,
        covariance=placed.covariance,
        n_pos=placed.n_pos,
        n_neg=placed.n_neg,
    )


def auc_interval(
    outcome: NDArray[Any], score: ArrayLike, *, level: float = 0.95, method: IntervalMethod = "delong"
) -> Estimate:
    """Return the AUC and its interval at `level`.

    "delong": AUC ± z·SE cut to [0, 1], as is usual. "logit": the same on the logit scale, which stays inside
    (0, 1) and covers better close to 1. When the variance is zero (AUC 0 or 1, or one score for all) neither
    exists, and an exact conservative bound is given: of k = min(m, n) disjoint pairs all fell the same way,
    so that the chance of it is at least ((1 - level) / 2)^(1/k) (Clopper & Pearson's limit for k of k).
    Raises as `delong`, and `InvalidInputError` on an unknown method.

    >>> outcome = np.array([True, True, True, False, False, False])
    >>> perfect = auc_interval(outcome, np.array([6.0, 5.0, 4.0, 3.0, 2.0, 1.0]))
    >>> perfect.value, round(perfect.interval.low, 4), perfect.interval.high
    (1.0, 0.2924, 1.0)
    """
    if method not in ("delong", "logit"):
        raise InvalidInputError(f"unknown interval {method!r}", remedy="use delong or logit", field="method")
    placed = _single(outcome, score, least=2)
    value = float(placed.aucs[0])
    if placed.constant:
        return Estimate(value=value, interval=_unanimous(placed, level))
    error = math.sqrt(placed.covariance[0, 0])
    if method == "logit":
        return Estimate(value=value, interval=_logit_interval(value, error, level))
    return Estimate(value=value, interval=wald(value, error, method="DeLong", level=level, least=0, most=1))


def _logit_interval(value: float, error: float, level: float) -> Interval:
    """Return expit(logit(AUC) ± z · SE / (AUC (1 - AUC)))."""
    reach = normal_quantile(level) * error / (value * (1 - value))
    low, high = (float(expit(logit(value) + side * reach)) for side in (-1, 1))
    return Interval(low=low, high=high, method="DeLong, logit", level=level)


def _unanimous(placed: Placements, level: float) -> Interval:
    """Return the bound for a sample in which every pair fell the same way: AUC 1, 0, or all tied (½)."""
    value = float(placed.aucs[0])
    floor = unanimous_floor(min(placed.n_pos, placed.n_neg), level=level)
    low, high = floor * value, 1 - floor * (1 - value)
    return Interval(low=low, high=high, method="exact bound on disjoint pairs", level=level)


def paired_difference(
    outcome: NDArray[Any], a: ArrayLike, b: ArrayLike, *, level: float = 0.95
) -> Difference:
    """Return AUC(a) - AUC(b) on the same cases with DeLong's paired interval and test.

    `outcome` (n,) boolean; `a`, `b` (n,). Scores that rank all cases alike give 0 [0, 0] with p = 1. Where
    the variance is zero otherwise (both perfect, for instance) the interval joins the two single ones by
    Bonferroni's inequality. Raises as `delong`. Reference: DeLong et al. (1988), section 4.

    >>> outcome = np.array([True, True, True, False, False, False])
    >>> same = paired_difference(outcome, [3, 1, 2, 0, 1, 0], [9, 4, 5, 1, 4, 1])
    >>> same.estimate, same.p
    (0.0, 1.0)
    """
    outcome = checked_outcome(outcome)
    both = np.stack([checked_scores(side, outcome.size) for side in (a, b)])
    placed = place(outcome, both, least=2)
    gap = Placements(pos=placed.pos[:1] - placed.pos[1:], neg=placed.neg[:1] - placed.neg[1:])
    if np.array_equal(_ranks(both[0]), _ranks(both[1])):
        nothing = Interval(low=0.0, high=0.0, method="identical ranking", level=level)
        return Difference(estimate=0.0, interval=nothing, z=0.0, p=1.0)
    if gap.constant:
        return _joined(*(auc_interval(outcome, side, level=(1 + level) / 2) for side in both), level=level)
    estimate, error = float(gap.aucs[0]), math.sqrt(gap.covariance[0, 0])
    interval = wald(estimate, error, method="DeLong, paired", level=level, least=-1, most=1)
    statistic = estimate / error
    return Difference(estimate=estimate, interval=interval, z=statistic, p=two_sided_p(statistic))


def _ranks(score: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return dense ranks (n,)."""
    return np.unique(score, return_inverse=True)[1]


def _joined(a: Estimate, b: Estimate, *, level: float) -> Difference:
    """Return a difference whose variance is unknown, from two intervals with half the error each."""
    estimate = a.value - b.value
    interval = Interval(
        low=a.interval.low - b.interval.high,
        high=a.interval.high - b.interval.low,
        method="Bonferroni of two intervals",
        level=level,
    )
    z, p = (0.0, 1.0) if estimate == 0 else (math.nan, math.nan)
    return Difference(estimate=estimate, interval=interval, z=z, p=p)


def unpaired_difference(
    outcome_a: NDArray[Any],
    a: ArrayLike,
    outcome_b: NDArray[Any],
    b: ArrayLike,
    *,
    level: float = 0.95,
) -> Difference:
    """Return AUC(a) - AUC(b) on different cases, by Student's t with Welch and Satterthwaite's df.

    `outcome_a`, `a` (n_a,) and `outcome_b`, `b` (n_b,): two separate samples, such as two hospitals. Raises
    as `delong`. Where either variance is zero (one AUC is 1, for instance) the interval joins the two single
    ones by Bonferroni's inequality. Reference: as in pROC's roc.test, with df from n_a - 1 and n_b - 1.

    >>> outcome, score = np.array([True, True, False, False]), np.array([0.9, 0.4, 0.4, 0.1])
    >>> unpaired_difference(outcome, score, outcome, score).p
    1.0
    """
    first, second = _single(outcome_a, a, least=2), _single(outcome_b, b, least=2)
    if first.constant or second.constant:
        half = (1 + level) / 2
        return _joined(
            auc_interval(outcome_a, a, level=half), auc_interval(outcome_b, b, level=half), level=level
        )
    parts = np.array([first.covariance[0, 0], second.covariance[0, 0]])
    freedom = np.array([side.n_pos + side.n_neg - 1 for side in (first, second)])
    return _welch(float(first.aucs[0] - second.aucs[0]), parts, freedom, level)


def _welch(
    estimate: float, parts: NDArray[np.float64], freedom: NDArray[np.int64], level: float
) -> Difference:
    """Return the difference of two independent AUCs with variances `parts` (2,) of `freedom` (2,)."""
    error = math.sqrt(parts.sum())
    df = float(parts.sum() ** 2 / (parts**2 / freedom).sum())
    reach, statistic = float(stdtrit(df, 0.5 + level / 2)) * error, estimate / error
    interval = Interval(
        low=max(-1.0, estimate - reach), high=min(1.0, estimate + reach), method="DeLong, Welch", level=level
    )
    p = float(2 * stdtr(df, -abs(statistic)))
    return Difference(estimate=estimate, interval=interval, z=statistic, p=p, df=df)
