"""ROC points and their band."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.discrimination import auc
from huizhen.validate.roc import roc_band, roc_curve


def test_ties_make_a_slope_and_straight_points_are_dropped() -> None:
    curve = roc_curve(np.array([True, True, True, False, False]), [3.0, 2.5, 1.0, 1.0, 0.0])
    assert curve.fpr.tolist() == [0.0, 0.0, 0.5, 1.0]
    assert curve.tpr.tolist() == pytest.approx([0.0, 2 / 3, 1.0, 1.0])
    assert curve.threshold.tolist() == [math.inf, 2.5, 1.0, 0.0]


def test_the_full_curve_encloses_the_auc() -> None:
    draw = np.random.default_rng(2)
    outcome = draw.random(300) < 0.3
    score = np.round(draw.normal(size=300) + outcome, 1)
    curve = roc_curve(outcome, score, max_points=10_000)
    assert np.trapezoid(curve.tpr, curve.fpr) == pytest.approx(auc(outcome, score), abs=1e-12)


def test_thinning_keeps_the_ends_and_stays_close() -> None:
    draw = np.random.default_rng(3)
    outcome = draw.random(20_000) < 0.4
    score = draw.normal(size=20_000) + outcome
    curve = roc_curve(outcome, score, max_points=100)
    assert curve.fpr.size <= 100
    assert (curve.fpr[0], curve.tpr[0], curve.fpr[-1], curve.tpr[-1]) == (0, 0, 1, 1)
    assert np.diff(curve.fpr + curve.tpr).max() <= 2 / 99 + 2 / 99
    assert np.trapezoid(curve.tpr, curve.fpr) == pytest.approx(auc(outcome, score), abs=0.001)


def test_the_band_holds_the_curve_and_covers_the_truth() -> None:
    draw, shift = np.random.default_rng(4), math.sqrt(2) * ndtri(0.8)
    outcome = np.array([True] * 40 + [False] * 60)
    held = np.zeros(101)
    for _ in range(300):
        score = draw.normal(size=100) + shift * outcome
        band = roc_band(outcome, score)
        truth = ndtr(ndtri(band.fpr) + shift)
        held += (band.low <= truth + 1e-12) & (truth <= band.high + 1e-12)
        curve = roc_curve(outcome, score)
        on_grid = np.interp(band.fpr, curve.fpr, curve.tpr)
        assert (band.low <= on_grid).all()
        assert (on_grid <= band.high).all()
    print(f"least pointwise coverage of the 95 % band over 101 false positive rates: {held.min() / 300:.3f}")
    assert held.min() / 300 > 0.93


def test_refusals() -> None:
    with pytest.raises(InvalidInputError, match="two points"):
        roc_curve(np.array([True, False]), [1.0, 0.0], max_points=1)
    with pytest.raises(NotEstimableError):
        roc_curve(np.array([True, True]), [1.0, 0.0])
