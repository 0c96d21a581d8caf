"""Calibration and threshold from tuning patients, also where a model ranks no better than chance."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from huizhen.core.study import Study
from huizhen.errors import NotEstimableError
from huizhen.pipeline.decisions import LEAST_SLOPE, Decision, decide

CLINIC = {"name": "clinic", "kind": "table", "numeric": ["age"]}


def decided(
    make_study: Callable[..., Study], logits: np.ndarray, truth: np.ndarray, **rule: object
) -> Decision:
    return decide(make_study(CLINIC, threshold=rule), logits, truth)


@pytest.fixture
def truth() -> np.ndarray:
    return np.arange(200) % 2 == 1


@pytest.mark.parametrize("target", [0.8, 0.9, 0.95])
def test_the_threshold_reaches_its_target_on_tuning_data(
    make_study: Callable[..., Study], truth: np.ndarray, target: float
) -> None:
    logits = np.random.default_rng(0).normal(truth * 2.0)
    for rule in ("sensitivity", "specificity"):
        found = decided(make_study, logits, truth, rule=rule, target=target)
        risk = 1 / (1 + np.exp(-(found.platt.intercept + found.platt.slope * logits)))
        positive = risk >= found.threshold
        reached = positive[truth].mean() if rule == "sensitivity" else (~positive[~truth]).mean()
        assert target <= reached < target + 0.05


def test_an_overconfident_model_is_drawn_in(make_study: Callable[..., Study], truth: np.ndarray) -> None:
    honest = np.random.default_rng(0).normal((truth - 0.5) * 2.0)
    found, stretched = (decided(make_study, honest * k, truth) for k in (1, 5))
    assert stretched.platt.slope == pytest.approx(found.platt.slope / 5, rel=1e-3)
    assert stretched.threshold == pytest.approx(found.threshold, abs=1e-6)


def test_a_model_worse_than_chance_keeps_its_order(
    make_study: Callable[..., Study], truth: np.ndarray
) -> None:
    """A negative slope would turn every decision round behind the reader's back."""
    logits = np.random.default_rng(0).normal(truth * -2.0)
    found = decided(make_study, logits, truth)
    assert found.platt.slope == LEAST_SLOPE
    assert found.platt.intercept == pytest.approx(0)
    assert 0 < found.threshold < 1


def test_without_both_classes_nothing_is_decided(make_study: Callable[..., Study]) -> None:
    with pytest.raises(NotEstimableError):
        decided(make_study, np.arange(5.0), np.ones(5, bool))
