"""Decision thresholds, chosen on tuning data before the test set is opened: call where risk >= threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.core.study import ThresholdRule
from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.samples import checked_outcome, checked_risk, class_counts


def choose_threshold(outcome: NDArray[Any], risk: ArrayLike, rule: ThresholdRule) -> float:
    """Return the threshold that `rule` picks on tuning data `outcome` (n,) boolean, `risk` (n,) in [0, 1].

    Raises `InvalidInputError` on wrong input, `NotEstimableError` when a class is missing or no threshold in
    [0, 1] reaches the target.

    >>> outcome, risk = np.array([True, True, False, False]), np.array([0.9, 0.4, 0.6, 0.1])
    >>> choose_threshold(outcome, risk, ThresholdRule(rule="sensitivity", target=0.9))
    0.4
    """
    if rule.rule == "sensitivity":
        return sensitivity_threshold(outcome, risk, target=rule.target)
    if rule.rule == "specificity":
        return specificity_threshold(outcome, risk, target=rule.target)
    return youden_threshold(outcome, risk)


def _checked(outcome: NDArray[Any], risk: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sorted risks of events and of non-events."""
    truth = checked_outcome(outcome)
    values = checked_risk(risk, truth.size)
    class_counts(truth)
    return np.sort(values[truth]), np.sort(values[~truth])


def _needed(target: float, n: int) -> int:
    """Return the least count whose share of `n` reaches `target`."""
    if not 0 < target < 1:
        raise InvalidInputError(f"target {target} is outside (0, 1)", remedy="use 0.9", field="target")
    return int(np.argmax(np.arange(n + 1) / n >= target))


def sensitivity_threshold(outcome: NDArray[Any], risk: ArrayLike, *, target: float) -> float:
    """Return the largest threshold at which the sensitivity is at least `target` in (0, 1).

    It is the risk of an event. Raises as `choose_threshold`.

    >>> sensitivity_threshold(np.array([True, True, True, False]), np.array([0.9, 0.7, 0.2, 0.5]), target=0.6)
    0.7
    """
    events, _ = _checked(outcome, risk)
    return float(events[events.size - _needed(target, events.size)])


def specificity_threshold(outcome: NDArray[Any], risk: ArrayLike, *, target: float) -> float:
    """Return the smallest threshold at which the specificity is at least `target` in (0, 1).

    It is the next number above the risk of a non-event. Raises as `choose_threshold`.

    >>> round(specificity_threshold(np.array([True, False, False]), np.array([0.9, 0.7, 0.2]), target=0.5), 9)
    0.2
    """
    _, others = _checked(outcome, risk)
    threshold = float(np.nextafter(others[_needed(target, others.size) - 1], np.inf))
    if threshold > 1:
        raise NotEstimableError(
            "non-events have risk 1, so no threshold reaches this specificity", remedy="lower the target"
        )
    return threshold


def youden_threshold(outcome: NDArray[Any], risk: ArrayLike) -> float:
    """Return the threshold with the largest sensitivity + specificity, the smallest of several such.

    It is one of the risks. Raises as `choose_threshold`. Reference: Youden, Cancer 3:32-35 (1950).

    >>> youden_threshold(np.array([True, True, False, False]), np.array([0.9, 0.4, 0.6, 0.1]))
    0.4
    """
    events, others = _checked(outcome, risk)
    candidates = np.unique(np.concatenate([events, others]))
    true = events.size - np.searchsorted(events, candidates)  # called where risk >= candidate
    false = others.size - np.searchsorted(others, candidates)
    index = np.argmax(true * others.size - false * events.size)  # whole numbers: ties are exact
    return float(candidates[index])
