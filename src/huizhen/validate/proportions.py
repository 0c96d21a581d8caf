"""Proportions with exact or score intervals, and the four proportions of a decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

from huizhen.core.evidence import Interval
from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.estimates import normal_quantile
from huizhen.validate.samples import checked_outcome

ProportionMethod = Literal["wilson", "clopper_pearson"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proportion:
    """`count` of `n` cases, as a share with its interval."""

    value: float
    interval: Interval
    count: int
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """Decisions crossed with outcomes, in cases."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @property
    def n_pos(self) -> int:
        """Cases with the event."""
        return self.true_positive + self.false_negative

    @property
    def n_neg(self) -> int:
        """Cases without the event."""
        return self.true_negative + self.false_positive

    @property
    def prevalence(self) -> float:
        """The share of events."""
        return self.n_pos / (self.n_pos + self.n_neg)


def _checked_count(count: int, n: int) -> None:
    """Raise unless `count` of `n` is a share of something."""
    if n < 1:
        raise NotEstimableError("a share of no case", remedy="gather cases")
    if not 0 <= count <= n:
        raise InvalidInputError(f"{count} of {n} is no share", remedy="check the counts", field="count")


def wilson_limits(
    count: ArrayLike, n: int, *, level: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return Wilson's lower and upper limits for each of `count` (any shape) out of `n`, within [0, 1].

    Reference: Wilson, JASA 22:209-212 (1927); Newcombe, Stat Med 17:857-872 (1998), method 3.

    >>> low, high = wilson_limits([0, 81], 263)
    >>> low.round(4).tolist(), high.round(4).tolist()
    ([0.0, 0.2553], [0.0144, 0.3662])
    """
    hits = np.asarray(count, dtype=np.float64)
    z2 = normal_quantile(level) ** 2
    centre = (hits + z2 / 2) / (n + z2)
    reach = np.sqrt(z2 * (hits * (n - hits) / n + z2 / 4)) / (n + z2)
    low = np.where(hits == 0, 0.0, np.clip(centre - reach, 0, 1))  # exact where rounding would leak
    high = np.where(hits == n, 1.0, np.clip(centre + reach, 0, 1))
    return low, high


def wilson(count: int, n: int, *, level: float = 0.95) -> Interval:
    """Return Wilson's score interval for `count` of `n`. Raises `NotEstimableError` if `n` is 0,
    `InvalidInputError` if `count` isn't within 0..n. Reference: as `wilson_limits`.

    >>> found = wilson(15, 148)
    >>> round(found.low, 4), round(found.high, 4)
    (0.0624, 0.1605)
    """
    _checked_count(count, n)
    low, high = wilson_limits(count, n, level=level)
    return Interval(low=float(low), high=float(high), method="Wilson", level=level)


def clopper_pearson(count: int, n: int, *, level: float = 0.95) -> Interval:
    """Return the exact interval for `count` of `n`, which covers at least at `level`. Raises as `wilson`.

    Reference: Clopper & Pearson, Biometrika 26:404-413 (1934), by beta quantiles.

    >>> found = clopper_pearson(15, 148)
    >>> round(found.low, 4), round(found.high, 4)
    (0.0578, 0.1617)
    """
    _checked_count(count, n)
    normal_quantile(level)
    tail = (1 - level) / 2
    low = float(betaincinv(count, n - count + 1, tail)) if count else 0.0
    high = float(betaincinv(count + 1, n - count, 1 - tail)) if count < n else 1.0
    return Interval(low=min(low, 1.0), high=min(high, 1.0), method="Clopper-Pearson", level=level)


def proportion(count: int, n: int, *, level: float = 0.95, method: ProportionMethod = "wilson") -> Proportion:
    """Return `count` of `n` as a share with its interval. Raises as `wilson`.

    >>> proportion(1, 4).value
    0.25
    """
    limits = {"wilson": wilson, "clopper_pearson": clopper_pearson}
    if method not in limits:
        raise InvalidInputError(
            f"unknown interval {method!r}", remedy=f"use {' or '.join(limits)}", field="method"
        )
    interval = limits[method](count, n, level=level)
    return Proportion(value=count / n, interval=interval, count=count, n=n)


def confusion(outcome: NDArray[Any], decision: NDArray[Any]) -> Confusion:
    """Return how decisions (n,) fell by outcome (n,), both boolean. Raises as `checked_outcome`.

    >>> confusion(np.array([True, True, False]), np.array([True, False, False])).false_negative
    1
    """
    truth, called = checked_outcome(outcome), checked_outcome(decision, name="decision")
    if truth.shape != called.shape:
        raise InvalidInputError(f"{called.size} decisions for {truth.size} cases", remedy="give one a case")
    return Confusion(
        true_positive=int(np.count_nonzero(truth & called)),
        false_positive=int(np.count_nonzero(~truth & called)),
        false_negative=int(np.count_nonzero(truth & ~called)),
        true_negative=int(np.count_nonzero(~truth & ~called)),
    )


def sensitivity(table: Confusion, *, level: float = 0.95, method: ProportionMethod = "wilson") -> Proportion:
    """Return the share of events that were called, at a threshold fixed beforehand. Raises as `wilson`.

    >>> sensitivity(Confusion(true_positive=9, false_positive=0, false_negative=1, true_negative=5)).value
    0.9
    """
    return proportion(table.true_positive, table.n_pos, level=level, method=method)


def specificity(table: Confusion, *, level: float = 0.95, method: ProportionMethod = "wilson") -> Proportion:
    """Return the share of non-events not called, at a threshold fixed beforehand. Raises as `wilson`.

    >>> specificity(Confusion(true_positive=9, false_positive=1, false_negative=1, true_negative=4)).value
    0.8
    """
    return proportion(table.true_negative, table.n_neg, level=level, method=method)


def ppv(table: Confusion, *, level: float = 0.95, method: ProportionMethod = "wilson") -> Proportion:
    """Return the share of called cases with the event, at this sample's prevalence: it doesn't carry over to
    another prevalence. Raises as `wilson` (none called).

    >>> ppv(Confusion(true_positive=3, false_positive=1, false_negative=1, true_negative=4)).value
    0.75
    """
    return proportion(
        table.true_positive, table.true_positive + table.false_positive, level=level, method=method
    )


def npv(table: Confusion, *, level: float = 0.95, method: ProportionMethod = "wilson") -> Proportion:
    """Return the share of cases not called that lack the event, at this sample's prevalence: it doesn't carry
    over to another prevalence. Raises as `wilson` (all called).

    >>> npv(Confusion(true_positive=3, false_positive=1, false_negative=1, true_negative=4)).value
    0.8
    """
    return proportion(
        table.true_negative, table.true_negative + table.false_negative, level=level, method=method
    )
