"""Thresholds on any scale: what the rule chooses from ranks is what it chooses from risks."""

from __future__ import annotations

import numpy as np
import pytest

from huizhen.core.study import ThresholdRule
from huizhen.pipeline.table_thresholds import Cuts, cut_of
from huizhen.validate.thresholds import choose_threshold

RULES = [
    ThresholdRule(rule="sensitivity", target=0.9),
    ThresholdRule(rule="specificity", target=0.8),
    ThresholdRule(rule="youden"),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.rule)
def test_risks_give_the_same_decisions_by_both_ways(rule: ThresholdRule) -> None:
    draw = np.random.default_rng(4)
    for _ in range(50):
        outcome = draw.random(30) < 0.4
        risk = np.round(draw.random(30) * 0.5 + 0.3 * outcome, 2)  # with ties
        if outcome.all() or not outcome.any():
            continue
        ours, theirs = cut_of(outcome, risk, rule), choose_threshold(outcome, risk, rule)
        assert (risk >= ours).tolist() == (risk >= theirs).tolist()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.rule)
def test_any_growing_scale_gives_the_same_decisions(rule: ThresholdRule) -> None:
    draw = np.random.default_rng(5)
    outcome = draw.random(40) < 0.5
    raw = draw.normal(size=40) + outcome
    one, other = cut_of(outcome, raw, rule), cut_of(outcome, np.exp(3 * raw) - 5, rule)
    assert (raw >= one).tolist() == (np.exp(3 * raw) - 5 >= other).tolist()


def test_no_score_is_no_positive_decision() -> None:
    assert Cuts(at={"m": -1.0}).called("m", np.array([np.nan, 0.0])).tolist() == [False, True]
