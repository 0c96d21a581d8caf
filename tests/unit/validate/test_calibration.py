"""Recalibration, Brier, O/E and Platt scaling against published numbers, statsmodels and small samples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, logit

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.calibration import (
    Platt,
    apply_platt,
    brier,
    fit_platt,
    in_the_large,
    observed_expected,
    recalibrate,
)

Z = 1.959963984540054
PUBLISHED = "df_binary_calibration (dcurves, cancerpredmarker)"
Sample = tuple[NDArray[np.bool_], NDArray[np.float64]]

# Four risks of 1/4 with one event and four of 3/4 with three: perfectly calibrated. The information about
# (intercept, slope) is 8 · 3/16 · diag(1, ln(3)²).
OUTCOME = np.array([True, False, False, False, True, True, True, False])
RISK = np.array([0.25] * 4 + [0.75] * 4)


def test_recalibration_by_hand() -> None:
    found = recalibrate(OUTCOME, RISK)
    assert [found.intercept.value, found.slope.value] == pytest.approx([0, 1], abs=1e-12)
    errors = [1 / math.sqrt(1.5), 1 / (math.sqrt(1.5) * math.log(3))]
    assert found.intercept.interval.high == pytest.approx(Z * errors[0], abs=1e-12)
    assert found.slope.interval.low == pytest.approx(1 - Z * errors[1], abs=1e-12)
    assert found.clipped == 0


def test_dcurves_df_binary(df_binary: Sample, vectors: dict[str, Any]) -> None:
    published = vectors[PUBLISHED]
    found, large = recalibrate(*df_binary), in_the_large(*df_binary)
    assert found.intercept.value == pytest.approx(published["intercept"], abs=1e-12)
    assert found.slope.value == pytest.approx(published["slope"], abs=1e-12)
    assert (found.slope.interval.high - found.slope.value) / Z == pytest.approx(
        published["slope_se"], abs=1e-12
    )
    assert large.value == pytest.approx(published["citl"], abs=1e-12)
    assert (large.interval.high - large.value) / Z == pytest.approx(published["citl_se"], abs=1e-12)
    assert observed_expected(*df_binary).value == pytest.approx(published["OE"], abs=1e-13)
    assert brier(*df_binary).value == pytest.approx(published["brier"], abs=1e-15)


def test_dcurves_shifted_copy(df_binary: Sample) -> None:
    outcome, risk = df_binary
    found = recalibrate(outcome, expit(0.7 * logit(risk) + 0.4))
    assert found.slope.value == pytest.approx(1 / 0.7, abs=1e-6)
    assert found.intercept.value == pytest.approx(-0.4 / 0.7, abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_statsmodels_recalibration(seed: int) -> None:
    import statsmodels.api as sm

    draw = np.random.default_rng(seed)
    risk = draw.beta(1, 3, size=150)
    outcome = draw.random(150) < expit(0.3 + 0.8 * logit(risk))
    ours, lp = recalibrate(outcome, risk), logit(risk)
    theirs = sm.Logit(outcome * 1.0, sm.add_constant(lp)).fit(disp=0, method="newton", tol=1e-13)
    limits = theirs.conf_int()
    for row, found in enumerate((ours.intercept, ours.slope)):
        assert found.value == pytest.approx(theirs.params[row], abs=1e-8)
        assert (found.interval.low, found.interval.high) == pytest.approx(tuple(limits[row]), abs=1e-7)


@pytest.mark.parametrize(
    ("outcome", "risk", "reason"),
    [
        ([True, True, False, False], [0.9, 0.8, 0.2, 0.1], "separates"),
        ([True, True, False, False], [0.1, 0.2, 0.8, 0.9], "separates"),
        ([True, True, False, False], [0.9, 0.5, 0.5, 0.1], "separates"),
        ([True, True, False, False], [0.3, 0.3, 0.3, 0.3], "equal"),
        ([True, True, True, True], [0.9, 0.5, 0.5, 0.1], "0 non-events"),
    ],
)
def test_what_has_no_slope_says_why(outcome: list[bool], risk: list[float], reason: str) -> None:
    with pytest.raises(NotEstimableError, match=reason):
        recalibrate(np.array(outcome), risk)


def test_risks_of_zero_and_one_are_moved_inside_and_counted() -> None:
    found = recalibrate(np.append(OUTCOME, [True, False]), np.append(RISK, [0.0, 1.0]))
    assert found.clipped == 2
    assert math.isfinite(found.slope.value)


def test_in_the_large_of_equal_risks_is_the_shift_of_the_logit() -> None:
    outcome = np.array([True] * 3 + [False] * 7)
    found = in_the_large(outcome, np.full(10, 0.1))
    assert found.value == pytest.approx(logit(0.3) - logit(0.1), abs=1e-12)
    assert found.interval.high - found.value == pytest.approx(Z / math.sqrt(10 * 0.21), abs=1e-12)


def test_observed_expected_by_hand() -> None:
    outcome = np.array([True] * 5 + [False] * 15)
    found = observed_expected(outcome, np.full(20, 0.2))
    assert found.value == pytest.approx(1.25)
    assert math.log(found.interval.high / found.value) == pytest.approx(Z * math.sqrt(0.75 / 5))
    with pytest.raises(NotEstimableError):
        observed_expected(np.array([False, False]), [0.5, 0.5])


def test_the_validation_size_for_observed_expected_reaches_its_width(vectors: dict[str, Any]) -> None:
    """Riley's golden 905 patients at a prevalence of 1.8 % give an interval of width 1 around O/E = 1."""
    n = vectors["riley_val_binary"]["n_oe"]
    outcome = np.arange(n) < round(0.018 * n)
    found = observed_expected(outcome, np.full(n, outcome.mean())).interval
    assert found.high - found.low == pytest.approx(1.0, abs=0.02)


def test_brier_by_hand() -> None:
    found = brier(np.array([True, False, False]), [0.9, 0.2, 0.4])
    loss = np.array([0.01, 0.04, 0.16])
    assert found.value == pytest.approx(0.07)
    assert found.interval.high == pytest.approx(0.07 + Z * loss.std(ddof=1) / math.sqrt(3))
    assert found.interval.low == 0.0


def test_a_constant_loss_has_a_bound_and_never_a_width_of_zero() -> None:
    found = brier(np.array([True, False] * 10), np.array([1.0, 0.0] * 10)).interval
    assert [found.low, found.high] == pytest.approx([0.0, 1 - 0.025 ** (1 / 20)])
    half = brier(np.array([True, False] * 10), np.full(20, 0.5)).interval
    assert half.low < 0.25 < half.high


def test_platt_against_statsmodels_on_his_targets() -> None:
    import statsmodels.api as sm

    draw = np.random.default_rng(8)
    outcome = draw.random(60) < 0.3
    logits = 40 + 25 * draw.normal(size=60) + 20 * outcome
    n_pos = int(outcome.sum())
    target = np.where(outcome, (n_pos + 1) / (n_pos + 2), 1 / (60 - n_pos + 2))
    theirs = sm.GLM(target, sm.add_constant(logits), family=sm.families.Binomial()).fit(
        tol=1e-14, maxiter=200
    )
    found = fit_platt(logits, outcome)
    assert [found.intercept, found.slope] == pytest.approx(list(theirs.params), rel=1e-7)


def test_platt_is_finite_when_the_classes_are_separated() -> None:
    logits, outcome = np.array([-3.0, -2, 2, 3]), np.array([False, False, True, True])
    found = fit_platt(logits, outcome)
    risk = apply_platt(found, logits)
    assert 0 < found.slope < 10
    assert risk[outcome].min() > 0.5 > risk[~outcome].max()
    assert (risk.min() > 0) & (risk.max() < 1)


def test_platt_of_two_points_meets_his_targets() -> None:
    found = fit_platt(np.array([-1.0, 1.0]), np.array([False, True]))
    assert apply_platt(found, [-1.0, 1.0]).tolist() == pytest.approx([1 / 3, 2 / 3])


def test_platt_of_equal_logits_answers_the_mean_target() -> None:
    found = fit_platt(np.full(6, 7.0), np.array([True, True, False, False, False, False]))
    assert found.slope == 0
    assert apply_platt(found, [7.0])[0] == pytest.approx((2 * 3 / 4 + 4 / 6) / 6)


def test_apply_platt_keeps_shape_and_missing_answers() -> None:
    risk = apply_platt(Platt(intercept=-1.0, slope=0.5), np.array([[2.0, np.nan], [1e4, -1e4]]))
    assert risk.shape == (2, 2)
    assert np.isnan(risk[0, 1])
    assert (risk[0, 0], risk[1, 0], risk[1, 1]) == (0.5, 1.0, 0.0)


def test_refusals() -> None:
    with pytest.raises(InvalidInputError, match=r"leaves \[0, 1\]"):
        brier(OUTCOME, RISK + 0.5)
    with pytest.raises(InvalidInputError, match="infinities"):
        fit_platt([np.inf, 0.0], np.array([True, False]))
    with pytest.raises(NotEstimableError):
        fit_platt([1.0, 0.0], np.array([True, True]))
