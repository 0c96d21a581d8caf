"""Flexible calibration: the fit against statsmodels, the bootstrap against slow refits, and its laws."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.special import expit, logit

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate import flexible_calibration as module
from huizhen.validate.calibration import scaled_brier
from huizhen.validate.calibration_curve import calibration_curve, expected_calibration_error
from huizhen.validate.calibration_error import calibration_error
from huizhen.validate.flexible_calibration import flexible_calibration, spline
from huizhen.validate.logistic import fit_logistic

DRAW = np.random.default_rng(11)
RISK = np.round(expit(DRAW.normal(-0.5, 1.2, size=600)), 3)
OUTCOME = DRAW.random(600) < expit(0.3 + 0.7 * logit(RISK))


def test_the_curve_is_a_logistic_regression_on_the_spline() -> None:
    sm = pytest.importorskip("statsmodels.api")
    found = flexible_calibration(OUTCOME, RISK, resamples=20)
    line = logit(RISK)
    knots = np.quantile(line, [0.05, 0.35, 0.65, 0.95])
    assert found.knots == pytest.approx(tuple(expit(knots)))
    fit = sm.Logit(OUTCOME.astype(float), spline(line, knots)).fit(disp=0)
    grid = spline(logit(found.risk), knots)
    np.testing.assert_allclose(found.observed, expit(grid @ fit.params), atol=1e-6)
    error = np.sqrt(np.einsum("gk,kl,gl->g", grid, np.asarray(fit.cov_params()), grid))
    np.testing.assert_allclose(logit(found.high), grid @ fit.params + 1.959964 * error, atol=1e-4)
    gap = np.abs(expit(spline(line, knots) @ fit.params) - RISK)
    assert found.ici.estimate.value == pytest.approx(gap.mean(), abs=1e-6)
    assert found.e90.estimate.value == pytest.approx(np.quantile(gap, 0.9, method="inverted_cdf"), abs=1e-6)


def test_the_spline_is_straight_beyond_its_knots_and_smooth_within() -> None:
    knots = np.array([-1.0, 0.0, 0.5, 2.0])
    x = np.linspace(-4, 5, 1801)
    basis = spline(x, knots)
    bend = np.diff(basis, n=2, axis=0)
    outside = (x[1:-1] < -1.01) | (x[1:-1] > 2.01)
    assert np.abs(bend[outside]).max() < 1e-9
    assert np.abs(np.diff(bend, axis=0)).max() < 1e-5


def test_the_fast_refits_are_the_slow_ones() -> None:
    knots = np.quantile(logit(RISK), [0.05, 0.35, 0.65, 0.95])
    cells = module._cells(OUTCOME, RISK, knots)
    start = fit_logistic(cells.design, cells.events / cells.n, weights=cells.n).coefficients
    n = DRAW.multinomial(600, cells.n / 600, size=5).astype(float)
    events = DRAW.binomial(n.astype(int), cells.events / cells.n).astype(float)
    fast = module._newton(cells.design, events, n, start)
    for row in range(5):
        here = n[row] > 0
        target = events[row, here] / n[row, here]
        slow = fit_logistic(cells.design[here], target, weights=n[row, here]).coefficients
        np.testing.assert_allclose(fast[row], slow, atol=1e-6)


def test_weights_stand_for_so_many_cases() -> None:
    design = np.column_stack([np.ones(3), [0.0, 1.0, 2.0]])
    target, weights = np.array([0.25, 0.5, 0.75]), np.array([4.0, 2.0, 8.0])
    whole = fit_logistic(
        np.repeat(design, weights.astype(int), axis=0),
        np.array([1, 0, 0, 0, 1, 0, 1, 1, 1, 1, 1, 1, 0, 0], float),
    )
    short = fit_logistic(design, target, weights=weights)
    np.testing.assert_allclose(short.coefficients, whole.coefficients, atol=1e-9)
    np.testing.assert_allclose(short.covariance, whole.covariance, atol=1e-9)


def test_many_risks_in_cells_give_what_each_by_itself_gives() -> None:
    risk = expit(DRAW.normal(-1, 1, size=20_000))
    outcome = DRAW.random(risk.size) < expit(0.2 + 1.3 * logit(risk))
    found = flexible_calibration(outcome, risk, resamples=20)
    line = logit(risk)
    knots = np.quantile(line, [0.05, 0.35, 0.65, 0.95])
    fit = fit_logistic(spline(line, knots), outcome.astype(float)).coefficients
    exact = np.abs(expit(spline(line, knots) @ fit) - risk).mean()
    assert found.ici.estimate.value == pytest.approx(exact, abs=2e-4)


def test_a_million_patients_take_seconds() -> None:
    risk = expit(DRAW.normal(-2, 1, size=1_000_000))
    outcome = DRAW.random(risk.size) < risk
    start = time.process_time()
    found = flexible_calibration(outcome, risk, resamples=200)
    assert time.process_time() - start < 12
    assert found.ici.estimate.value < 0.002


def test_limits_hold_their_value_and_the_seed_gives_them_again() -> None:
    one, two = (flexible_calibration(OUTCOME, RISK, resamples=60, seed=4) for _ in range(2))
    assert one.ici == two.ici
    for found in (one.ici.estimate, one.e50.estimate, one.e90.estimate):
        assert 0 <= found.interval.low <= found.value <= found.interval.high
    assert one.ici != flexible_calibration(OUTCOME, RISK, resamples=60, seed=5).ici


def test_what_cannot_be_fitted_says_why() -> None:
    with pytest.raises(NotEstimableError, match="at least 10"):
        flexible_calibration(np.arange(60) < 9, RISK[:60])
    with pytest.raises(NotEstimableError, match="distinct risks"):
        flexible_calibration(np.arange(60) % 2 == 0, np.where(np.arange(60) < 20, 0.3, 0.6))
    with pytest.raises(NotEstimableError):
        flexible_calibration(np.arange(60) >= 30, np.arange(60) / 60)
    with pytest.raises(InvalidInputError):
        flexible_calibration(np.arange(60) % 2 == 0, np.full(60, 1.5))


def test_the_error_of_bins_is_that_of_the_curve_whatever_the_bins() -> None:
    for by in ("mass", "width"):
        found = calibration_error(OUTCOME, RISK, by=by, resamples=400)  # type: ignore[arg-type]  # both are literals
        curve = calibration_curve(OUTCOME, RISK, by=by)  # type: ignore[arg-type]  # as above
        assert found.estimate.value == expected_calibration_error(curve)
        assert 0 < found.estimate.interval.low < found.estimate.value <= found.estimate.interval.high


def test_a_perfect_model_s_distance_is_what_chance_gives_and_its_interval_begins_at_zero() -> None:
    perfect = np.random.default_rng(2).random(600) < RISK
    curve = flexible_calibration(perfect, RISK, resamples=400)
    for found in (curve.ici, curve.e90, calibration_error(perfect, RISK, resamples=400)):
        assert found.estimate.interval.low == 0
        assert found.estimate.value < 2 * found.by_chance
    errors = [
        expected_calibration_error(calibration_curve(np.random.default_rng(s).random(600) < RISK, RISK))
        for s in range(200)
    ]
    assert calibration_error(perfect, RISK).by_chance == pytest.approx(np.mean(errors), rel=0.1)


def test_the_scaled_brier_score_has_the_spread_of_a_bootstrap() -> None:
    found = scaled_brier(OUTCOME, RISK)
    drawn = []
    for _ in range(400):
        rows = DRAW.integers(0, 600, size=600)
        outcome, risk = OUTCOME[rows], RISK[rows]
        drawn.append(1 - np.mean((risk - outcome) ** 2) / (outcome.mean() * (1 - outcome.mean())))
    half = (found.interval.high - found.interval.low) / 2
    assert half == pytest.approx(1.96 * np.std(drawn), rel=0.15)
    with pytest.raises(NotEstimableError):
        scaled_brier(np.ones(5, bool), np.full(5, 0.5))
