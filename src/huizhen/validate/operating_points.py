"""Sensitivity at a wanted specificity, and the other way round, when the threshold comes from the same data.

The threshold is then an estimate too, and an interval for a fixed one is too narrow. For a threshold that was
locked before, use `proportions.sensitivity` instead.

References: Platt, Hanley & Yang, Stat Med 19:313-322 (2000); Zhou & Qin, Stat Med 24:465-477 (2005), whose
interval BTII is used: the share with z² / 2 added to both its sides, and the spread of its bootstrap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.core.evidence import Interval
from huizhen.core.streams import stream
from huizhen.errors import InvalidInputError
from huizhen.validate.estimates import normal_quantile
from huizhen.validate.proportions import wilson
from huizhen.validate.samples import checked_outcome, checked_scores, class_counts

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """A share at the threshold that reaches the other share: call where score >= `threshold`."""

    value: float
    interval: Interval
    threshold: float


def sensitivity_at_specificity(
    outcome: NDArray[Any],
    score: ArrayLike,
    *,
    specificity: float,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> OperatingPoint:
    """Return sensitivity at the least threshold whose specificity is at least that wanted, in (0, 1).

    The bootstrap resamples events and non-events; it is drawn from its exact distribution (an order statistic
    of the non-events, then a binomial), so that its cost doesn't depend on n. Raises `InvalidInputError` on
    wrong input, `NotEstimableError` unless each class has two cases.

    >>> outcome, score = np.arange(8) >= 4, np.array([1.0, 2, 3, 6, 4, 5, 7, 8])
    >>> found = sensitivity_at_specificity(outcome, score, specificity=0.75)
    >>> found.value, found.threshold > 3
    (1.0, True)
    """
    truth = checked_outcome(outcome)
    values = checked_scores(score, truth.size)
    class_counts(truth, least=2)
    if not 0 < specificity < 1:
        raise InvalidInputError(f"{specificity} is outside (0, 1)", remedy="use 0.9", field="specificity")
    events, others = np.sort(values[truth]), np.sort(values[~truth])
    rank = max(1, math.ceil(round(specificity * others.size, 9)))  # so many must lie below the threshold
    hits = events.size - np.searchsorted(events, others, side="right")  # if the threshold is above each
    draw = stream(seed, "operating point")
    cut = (others.size * draw.beta(rank, others.size - rank + 1, size=resamples)).astype(np.int64)
    cut = np.minimum(cut, others.size - 1)
    drawn = draw.binomial(events.size, hits[cut] / events.size)
    return OperatingPoint(
        value=float(hits[rank - 1] / events.size),
        interval=_interval(drawn, int(hits[rank - 1]), events.size, level),
        threshold=float(np.nextafter(others[rank - 1], np.inf)),
    )


def _interval(drawn: NDArray[np.int64], count: int, n: int, level: float) -> Interval:
    """Return Zhou and Qin's second interval from resampled counts of n, at least as wide as Wilson's.

    The bootstrap can't vary what all or no events do, and its interval then leaves the share itself out;
    Wilson's, of `count` of n as if the threshold were known, is what is known at least.
    """
    z = normal_quantile(level)
    shares = (drawn + z**2 / 2) / (n + z**2)
    centre, reach = float(shares.mean()), z * float(shares.std(ddof=1))
    known = wilson(count, n, level=level)
    low, high = max(0.0, min(centre - reach, known.low)), min(1.0, max(centre + reach, known.high))
    return Interval(low=low, high=high, method="BTII, bootstrap of both classes, with Wilson's", level=level)


def specificity_at_sensitivity(
    outcome: NDArray[Any],
    score: ArrayLike,
    *,
    sensitivity: float,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> OperatingPoint:
    """Return specificity at the largest threshold whose sensitivity is at least that wanted, in (0, 1).

    As `sensitivity_at_specificity` with the classes exchanged.

    >>> outcome, score = np.arange(8) >= 4, np.array([1.0, 2, 3, 6, 4, 5, 7, 8])
    >>> found = specificity_at_sensitivity(outcome, score, sensitivity=0.75)
    >>> found.value, found.threshold
    (0.75, 5.0)
    """
    if not 0 < sensitivity < 1:
        raise InvalidInputError(f"{sensitivity} is outside (0, 1)", remedy="use 0.9", field="sensitivity")
    truth = checked_outcome(outcome)
    flipped = -checked_scores(score, truth.size)
    found = sensitivity_at_specificity(
        ~truth, flipped, specificity=sensitivity, resamples=resamples, seed=seed, level=level
    )
    lowest_called = -np.nextafter(found.threshold, -np.inf)
    return OperatingPoint(value=found.value, interval=found.interval, threshold=float(lowest_called))
