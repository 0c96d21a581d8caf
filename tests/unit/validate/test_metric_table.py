"""The table of measures against each measure by itself, and its bootstrap against a slow one."""

from __future__ import annotations

import numpy as np
import pytest

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate import metric_table as module
from huizhen.validate.calibration import brier, in_the_large, observed_expected, recalibrate, scaled_brier
from huizhen.validate.discrimination import auc
from huizhen.validate.metric_table import MEASURES, metric_table
from huizhen.validate.proportions import confusion, npv, ppv, sensitivity, specificity
from huizhen.validate.resampling import percentile_interval, resampled_counts, resampled_sums

DRAW = np.random.default_rng(1)
RISK = np.round(DRAW.random(400) * 0.98 + 0.01, 2)
OUTCOME = DRAW.random(400) < RISK * 0.8


def test_every_value_is_that_of_its_own_function() -> None:
    found = metric_table(OUTCOME, RISK, threshold=0.3, resamples=20)
    table, fit = confusion(OUTCOME, RISK >= 0.3), recalibrate(OUTCOME, RISK)
    expected = {
        "auc": auc(OUTCOME, RISK),
        "sensitivity": sensitivity(table).value,
        "specificity": specificity(table).value,
        "ppv": ppv(table).value,
        "npv": npv(table).value,
        "brier": brier(OUTCOME, RISK).value,
        "scaled_brier": scaled_brier(OUTCOME, RISK).value,
        "observed_expected": observed_expected(OUTCOME, RISK).value,
        "calibration_in_the_large": in_the_large(OUTCOME, RISK).value,
        "calibration_intercept": fit.intercept.value,
        "calibration_slope": fit.slope.value,
    }
    assert list(expected) == list(MEASURES) == list(found)
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, abs=1e-7), name


def test_the_bootstrap_is_the_slow_one() -> None:
    """The same counts, cases repeated by hand: exact, but for the one Newton step of calibration."""
    prepared = module._prepared(OUTCOME, RISK, 0.3, None)
    order = np.argsort(RISK, kind="stable")
    for seed in range(3):
        counts = resampled_counts(np.random.default_rng(seed), 400)
        fast = module._measured(prepared, counts[np.newaxis])[0]
        outcome, risk = OUTCOME[order].repeat(counts), RISK[order].repeat(counts)
        table, fit = confusion(outcome, risk >= 0.3), recalibrate(outcome, risk)
        exact = [
            auc(outcome, risk),
            sensitivity(table).value,
            specificity(table).value,
            ppv(table).value,
            npv(table).value,
            brier(outcome, risk).value,
            scaled_brier(outcome, risk).value,
            observed_expected(outcome, risk).value,
        ]
        np.testing.assert_allclose(fast[:8], exact, atol=1e-12)
        slow = [in_the_large(outcome, risk).value, fit.intercept.value, fit.slope.value]
        np.testing.assert_allclose(fast[8:], slow, atol=0.02)


def test_patients_with_copies() -> None:
    once = metric_table(OUTCOME, RISK, threshold=0.3, resamples=600)
    outcome, risk, patient = (np.repeat(each, 3) for each in (OUTCOME, RISK, np.arange(400)))
    again = metric_table(outcome, risk, threshold=0.3, cluster=patient, resamples=600, seed=1)
    for name in MEASURES:
        assert again[name].value == pytest.approx(once[name].value, abs=1e-6)
        width, copied = (each[name].interval.high - each[name].interval.low for each in (once, again))
        assert copied == pytest.approx(width, rel=0.25)


@pytest.mark.parametrize("n", [5, 256, 1000])
def test_counts_are_multinomial(n: int) -> None:
    draw, trials = np.random.default_rng(n), 3000
    counts = np.array([resampled_counts(draw, n) for _ in range(trials)])
    assert (counts.sum(axis=1) == n).all()
    assert counts.mean(axis=0) == pytest.approx(1, abs=0.12)
    variance = counts.var(axis=0)
    assert variance.mean() == pytest.approx(1 - 1 / n, rel=0.03)
    together = np.cov(counts[:, 0], counts[:, -1])[0, 1]
    assert together == pytest.approx(-1 / n, abs=0.08)


def test_resampled_sums_have_the_spread_of_a_mean() -> None:
    rows = np.random.default_rng(2).integers(0, 5, (200, 2)).astype(float)
    sums = resampled_sums(np.random.default_rng(3), rows, resamples=4000)
    np.testing.assert_allclose(sums.mean(axis=0), rows.sum(axis=0), rtol=0.01)
    np.testing.assert_allclose(sums.std(axis=0), np.sqrt(200) * rows.std(axis=0), rtol=0.06)


def test_refusals() -> None:
    with pytest.raises(InvalidInputError):
        metric_table(OUTCOME, RISK, threshold=1.0)
    with pytest.raises(NotEstimableError):
        metric_table(np.ones(400, dtype=bool), RISK, threshold=0.5)
    with pytest.raises(NotEstimableError, match="no value"):
        percentile_interval(np.array([np.nan, np.nan, 1.0]), of="patients")
    with pytest.raises(InvalidInputError):
        resampled_sums(np.random.default_rng(1), np.ones((3, 1)), resamples=0)
