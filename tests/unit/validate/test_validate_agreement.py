"""Kappa against statsmodels, intraclass correlations against the published example."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from statsmodels.stats.inter_rater import cohens_kappa

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.agreement import intraclass_correlation, weighted_kappa

# Shrout & Fleiss (1979), table 2: six subjects by four judges
JUDGES = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


@pytest.mark.parametrize("weights", ["none", "linear", "quadratic"])
@pytest.mark.parametrize("seed", range(3))
def test_kappa_as_statsmodels(seed: int, weights: Any) -> None:
    draw = np.random.default_rng(seed)
    first = draw.integers(0, 4, 50)
    second = np.where(draw.random(50) < 0.6, first, draw.integers(0, 4, 50))
    table = np.bincount(first * 4 + second, minlength=16).reshape(4, 4)
    expected = cohens_kappa(table, wt=None if weights == "none" else weights)
    found = weighted_kappa(first, second, categories=4, weights=weights)
    assert found.value == pytest.approx(expected.kappa, abs=1e-12)
    assert found.interval.low == pytest.approx(max(-1, expected.kappa_low), abs=1e-10)
    assert found.interval.high == pytest.approx(min(1, expected.kappa_upp), abs=1e-10)


def test_full_agreement_is_bounded() -> None:
    rated = np.array([0, 0, 1, 1, 2])
    found = weighted_kappa(rated, rated, categories=3)
    assert (found.value, found.interval.high) == (1.0, 1.0)
    expected = 0.36
    assert found.interval.low == pytest.approx((0.025 ** (1 / 5) - expected) / (1 - expected))


@pytest.mark.parametrize(
    ("model", "averaged", "value", "low", "high"),
    [
        ("one-way", False, 0.17, -0.133, 0.723),
        ("agreement", False, 0.29, 0.019, 0.761),
        ("consistency", False, 0.71, 0.342, 0.946),
        ("one-way", True, 0.44, -0.884, 0.912),
        ("agreement", True, 0.62, 0.071, 0.927),
        ("consistency", True, 0.91, 0.676, 0.986),
    ],
)
def test_published_correlations(model: Any, averaged: bool, value: float, low: float, high: float) -> None:
    found = intraclass_correlation(JUDGES, model=model, raters_averaged=averaged)
    assert found.value == pytest.approx(value, abs=0.005)
    assert [found.interval.low, found.interval.high] == pytest.approx([low, high], abs=0.0006)


@pytest.mark.parametrize("model", ["one-way", "agreement", "consistency"])
def test_correlations_cover(model: Any) -> None:
    draw, held, trials = np.random.default_rng(7), 0, 500
    shift = 0.0 if model == "one-way" else 0.5
    truth = 1 / 1.5 if model == "consistency" else 1 / (1.5 + shift**2)
    for _ in range(trials):
        values = draw.normal(size=(30, 1)) + np.sqrt(0.5) * draw.normal(size=(30, 4))
        found = intraclass_correlation(values + shift * draw.normal(size=(1, 4)), model=model).interval
        held += found.low <= truth <= found.high
    print(f"ICC {model}: coverage {held / trials:.3f}")
    assert 0.92 < held / trials < 0.985


def test_refusals() -> None:
    rated = np.array([0, 1, 1])
    with pytest.raises(InvalidInputError):
        weighted_kappa(rated, rated[:2], categories=2)
    with pytest.raises(InvalidInputError):
        weighted_kappa(rated, rated, categories=1)
    with pytest.raises(InvalidInputError, match="range"):
        weighted_kappa(rated, rated + 1, categories=2)
    with pytest.raises(InvalidInputError, match="unknown"):
        weighted_kappa(rated, rated, categories=2, weights="cubic")  # type: ignore[arg-type]  # refused
    with pytest.raises(NotEstimableError, match="chance"):
        weighted_kappa(np.zeros(4, dtype=int), np.zeros(4, dtype=int), categories=2)
    with pytest.raises(InvalidInputError):
        intraclass_correlation([[1.0, np.nan], [1.0, 2.0]])
    with pytest.raises(NotEstimableError, match="fewer"):
        intraclass_correlation([[1.0, 2.0]])
    with pytest.raises(NotEstimableError, match="nothing"):
        intraclass_correlation(np.ones((4, 3)))
    same: Any
    for same in ("one-way", "agreement", "consistency"):
        with pytest.raises(NotEstimableError):
            intraclass_correlation(np.tile(np.arange(5.0)[:, None], (1, 3)), model=same)
