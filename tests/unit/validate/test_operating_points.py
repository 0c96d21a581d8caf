"""Thresholds from the same data, and predictive values at another prevalence."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.operating_points import sensitivity_at_specificity, specificity_at_sensitivity
from huizhen.validate.prevalence import predictive_values
from huizhen.validate.proportions import Confusion, confusion, wilson
from huizhen.validate.thresholds import specificity_threshold


@pytest.mark.parametrize("wanted", [0.5, 0.8, 0.9, 0.99])
def test_the_point_is_the_best_that_reaches_the_wanted_share(wanted: float) -> None:
    draw = np.random.default_rng(1)
    outcome = draw.random(90) < 0.4
    score = np.round(draw.random(90) / 2 + outcome * 0.3, 2)
    found = sensitivity_at_specificity(outcome, score, specificity=wanted)
    assert found.threshold == specificity_threshold(outcome, score, target=wanted)
    table = confusion(outcome, score >= found.threshold)
    assert table.true_positive / table.n_pos == found.value
    assert table.true_negative / table.n_neg >= wanted
    other = specificity_at_sensitivity(outcome, score, sensitivity=wanted)
    table = confusion(outcome, score >= other.threshold)
    assert table.true_negative / table.n_neg == pytest.approx(other.value)
    assert table.true_positive / table.n_pos >= wanted
    lower = confusion(outcome, score > other.threshold)
    assert lower.true_positive / lower.n_pos < wanted


def test_the_drawn_bootstrap_is_the_bootstrap() -> None:
    draw = np.random.default_rng(2)
    outcome = np.arange(60) < 25
    score = draw.normal(size=60) + outcome
    found = sensitivity_at_specificity(outcome, score, specificity=0.8, resamples=20000)
    events, others = score[outcome], score[~outcome]
    slow = []
    for _ in range(4000):
        cut = np.sort(draw.choice(others, size=35))[27]  # the 28th of 35: 80 % lie at or below it
        slow.append(np.mean(draw.choice(events, size=25) > cut))
    z2 = 1.959964**2
    shares = (25 * np.array(slow) + z2 / 2) / (25 + z2)
    assert (found.interval.low + found.interval.high) / 2 == pytest.approx(shares.mean(), abs=0.01)
    assert (found.interval.high - found.interval.low) / 2 == pytest.approx(1.96 * shares.std(), abs=0.015)


@pytest.mark.parametrize("n", [50, 200, 1000])
def test_coverage_where_that_of_a_fixed_threshold_fails(n: int) -> None:
    draw, held, fixed, trials = np.random.default_rng(n), 0, 0, 800
    outcome, truth = np.arange(n) < n // 2, float(ndtr(1.5 - ndtri(0.9)))
    for _ in range(trials):
        score = draw.normal(size=n) + 1.5 * outcome
        found = sensitivity_at_specificity(outcome, score, specificity=0.9, resamples=400)
        held += found.interval.low <= truth <= found.interval.high
        naive = wilson(round(found.value * (n // 2)), n // 2)
        fixed += naive.low <= truth <= naive.high
    print(f"n = {n}: coverage {held / trials:.3f}, Wilson as if fixed {fixed / trials:.3f}")
    assert 0.92 < held / trials < 0.985
    assert fixed / trials < 0.9


def test_predictive_values_at_the_samples_prevalence_are_the_samples() -> None:
    table = Confusion(true_positive=40, false_negative=10, false_positive=30, true_negative=120)
    found = predictive_values(table, prevalence=50 / 200)
    assert found.ppv.value == pytest.approx(40 / 70)
    assert found.npv.value == pytest.approx(120 / 130)
    rare = predictive_values(table, prevalence=1e-9)
    assert rare.ppv.value < 1e-7
    assert rare.npv.value > 1 - 1e-8


def test_mercaldo_by_hand() -> None:
    table = Confusion(true_positive=45, false_negative=5, false_positive=20, true_negative=80)
    found = predictive_values(table, prevalence=0.1).ppv
    centre = np.log(0.9 * 0.1 / (0.2 * 0.9))
    reach = 1.959963984540054 * np.sqrt(0.1 / (0.9 * 50) + 0.8 / (0.2 * 100))
    limits = [1 / (1 + np.exp(-(centre + side * reach))) for side in (-1, 1)]
    assert [found.interval.low, found.interval.high] == pytest.approx(limits, abs=1e-14)


def test_empty_cells_leave_the_value_and_widen_the_interval() -> None:
    found = predictive_values(
        Confusion(true_positive=20, false_negative=0, false_positive=0, true_negative=30), prevalence=0.05
    )
    assert (found.ppv.value, found.npv.value) == (1.0, 1.0)
    assert found.ppv.interval.low < 0.9
    assert found.ppv.interval.high == 1.0
    nobody = predictive_values(
        Confusion(true_positive=0, false_negative=20, false_positive=0, true_negative=30), prevalence=0.05
    )
    assert 0 < nobody.ppv.value < 1


@pytest.mark.parametrize("n", [50, 200, 1000])
def test_predictive_values_cover(n: int) -> None:
    draw, trials = np.random.default_rng(n + 1), 2000
    held = 0
    for hits, kept in draw.binomial(n // 2, [0.85, 0.8], size=(trials, 2)):
        table = Confusion(
            true_positive=hits, false_negative=n // 2 - hits, true_negative=kept, false_positive=n // 2 - kept
        )
        found = predictive_values(table, prevalence=0.02).ppv.interval
        held += found.low <= 0.017 / (0.017 + 0.196) <= found.high
    print(f"PPV at 2 %, n = {n}: coverage {held / trials:.3f}")
    assert 0.93 < held / trials < 0.985


def test_refusals() -> None:
    outcome = np.array([True, True, False, False])
    for wrong in (0.0, 1.0):
        with pytest.raises(InvalidInputError):
            sensitivity_at_specificity(outcome, [1, 2, 3, 4], specificity=wrong)
        with pytest.raises(InvalidInputError):
            specificity_at_sensitivity(outcome, [1, 2, 3, 4], sensitivity=wrong)
        with pytest.raises(InvalidInputError):
            predictive_values(
                Confusion(true_positive=1, false_negative=1, true_negative=1, false_positive=1),
                prevalence=wrong,
            )
    with pytest.raises(NotEstimableError):
        sensitivity_at_specificity(np.array([True, False, False]), [1, 2, 3], specificity=0.9)
    with pytest.raises(NotEstimableError):
        predictive_values(
            Confusion(true_positive=0, false_negative=0, true_negative=1, false_positive=1), prevalence=0.1
        )
