"""Thresholds by hand, and each against a search over every candidate."""

from __future__ import annotations

import numpy as np
import pytest

from huizhen.core.study import ThresholdRule
from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.thresholds import choose_threshold

OUTCOME = np.array([True, True, True, True, False, False, False, False])
RISK = np.array([0.9, 0.8, 0.6, 0.3, 0.7, 0.5, 0.3, 0.1])


@pytest.mark.parametrize(
    ("rule", "target", "expected"),
    [
        ("sensitivity", 0.5, 0.8),
        ("sensitivity", 0.75, 0.6),
        ("sensitivity", 0.76, 0.3),
        ("sensitivity", 0.01, 0.9),
        ("specificity", 0.5, np.nextafter(0.3, 1)),
        ("specificity", 0.51, np.nextafter(0.5, 1)),
        ("specificity", 0.99, np.nextafter(0.7, 1)),
        ("youden", 0.9, 0.6),
    ],
)
def test_by_hand(rule: str, target: float, expected: float) -> None:
    found = choose_threshold(OUTCOME, RISK, ThresholdRule.model_validate({"rule": rule, "target": target}))
    assert found == expected


@pytest.mark.parametrize("target", [0.1, 0.3, 0.7, 0.9])
@pytest.mark.parametrize("n", [3, 7, 10, 30, 49])
def test_targets_that_are_shares_are_met_exactly(target: float, n: int) -> None:
    """0.7 of 10 is 7 events, although 0.7 * 10 is more than 7 in floating point."""
    draw = np.random.default_rng(n)
    risk, outcome = draw.integers(0, 40, 2 * n) / 40, np.arange(2 * n) < n
    candidates = np.unique(np.concatenate([risk, np.nextafter(risk, 2)]))
    reached = [t for t in candidates if (risk[outcome] >= t).sum() / n >= target]
    assert choose_threshold(outcome, risk, ThresholdRule(rule="sensitivity", target=target)) == max(reached)
    kept = [t for t in candidates if (risk[~outcome] < t).sum() / n >= target]
    if min(kept) <= 1:
        assert choose_threshold(outcome, risk, ThresholdRule(rule="specificity", target=target)) == min(kept)
    sums = [(risk[outcome] >= t).sum() + (risk[~outcome] < t).sum() for t in np.unique(risk)]
    assert choose_threshold(outcome, risk, ThresholdRule(rule="youden")) == np.unique(risk)[np.argmax(sums)]


def test_youden_weighs_shares_not_counts() -> None:
    """At .9: sensitivity 1/2, specificity 1. At .5: 1 and 7/10, although two more patients are misjudged."""
    outcome = np.array([True, True] + [False] * 10)
    risk = np.array([0.9, 0.5] + [0.8] * 3 + [0.1] * 7)
    assert choose_threshold(outcome, risk, ThresholdRule(rule="youden")) == 0.5


def test_refusals() -> None:
    with pytest.raises(NotEstimableError, match="0 events"):
        choose_threshold(np.array([False, False]), [0.1, 0.2], ThresholdRule())
    with pytest.raises(NotEstimableError, match="risk 1"):
        choose_threshold(np.array([True, False]), [1.0, 1.0], ThresholdRule(rule="specificity"))
    with pytest.raises(InvalidInputError, match="NaN"):
        choose_threshold(np.array([True, False]), [0.1, np.nan], ThresholdRule())
