"""Sample sizes against published examples, and by simulating what they promise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import ndtri

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.assurance import assurance, auc_trial
from huizhen.validate.discrimination import delong
from huizhen.validate.sample_size import (
    accuracy_size,
    auc_difference_size,
    auc_power,
    auc_size,
    auc_variance,
    auc_width_size,
)
from huizhen.validate.sample_size_prediction import (
    c_statistic_size,
    development_size,
    net_benefit_size,
    observed_expected_size,
    slope_size,
)


def test_buderer() -> None:
    """Sensitivity .90 within .05 at a prevalence of .20: 138.29 events, 691.5 patients."""
    found = accuracy_size(sensitivity=0.9, specificity=0.9, half_width=0.05, prevalence=0.2)
    assert (found.events, found.non_events, found.patients) == (139, 139, 692)


def test_power_as_proc(vectors: dict[str, Any]) -> None:
    published = vectors["aSAH"]["power_roc_test"]
    s100b = vectors["aSAH"]["auc"]["s100b"]
    near: Any = {"abs": 2e-6}  # pROC writes 1.414 for the square root of 2
    for auc, key in ((s100b, "s100b n 41/72 power"), (0.73, "auc .73 power")):
        assert auc_power(auc, events=41, non_events=72) == pytest.approx(published[key], **near)


def test_size_and_power_are_inverse() -> None:
    size = auc_size(0.75, null=0.6, prevalence=0.3, power=0.9)
    assert auc_power(0.75, null=0.6, events=size.events, non_events=size.non_events) == pytest.approx(
        0.9, abs=0.01
    )


@pytest.mark.parametrize("method", ["hanley-mcneil", "obuchowski"])
def test_auc_variance_is_on_the_safe_side_of_simulated_ratings(method: Any) -> None:
    draw, outcome = np.random.default_rng(1), np.arange(300) < 100
    shift = 2**0.5 * float(ndtri(0.8))
    aucs = delong(outcome, draw.normal(size=(1000, 300)) + shift * outcome).aucs
    assert 1 < auc_variance(0.8, ratio=2.0, method=method) / 100 / aucs.var() < 1.4


def test_width_and_difference_sizes() -> None:
    found = auc_width_size(0.8, half_width=0.05, prevalence=0.2)
    assert 1.96 * (auc_variance(0.8, ratio=4.0) / found.events) ** 0.5 == pytest.approx(0.05, abs=3e-4)
    less = auc_difference_size(0.9, 0.85, correlation=0.6, prevalence=0.5)
    more = auc_difference_size(0.9, 0.85, correlation=0.0, prevalence=0.5)
    assert less.events < more.events
    wide = auc_difference_size(0.85, 0.85, correlation=0.6, prevalence=0.5, margin=0.05)
    assert wide.events < auc_difference_size(0.85, 0.85, correlation=0.6, prevalence=0.5, margin=0.02).events


def test_riley_development(vectors: dict[str, Any]) -> None:
    for row in vectors["riley_dev_binary"]:
        found = development_size(r_squared=row["r2"], parameters=row["P"], prevalence=row["prev"])
        assert [found.shrinkage, found.optimism, found.overall_risk, found.patients] == row["n"]


def test_riley_validation(vectors: dict[str, Any]) -> None:
    row = vectors["riley_val_binary"]
    oe = observed_expected_size(prevalence=row["prev"], width=row["oe_width"])
    assert abs(oe - row["n_oe"]) <= 1  # 905.03, which the package rounds to the nearest
    assert c_statistic_size(c=row["c"], prevalence=row["prev"], width=0.1) == row["n_c"]
    slope = slope_size(mean=-5, spread=2.5, width=0.2)
    assert slope == pytest.approx(row["n_slope_large_sim"], rel=0.002)
    assert slope == pytest.approx(row["n_slope_simulated_1000_N(-5,2.5)"], rel=0.02)


def test_net_benefit_size_by_simulation() -> None:
    n = net_benefit_size(sensitivity=0.8, specificity=0.7, prevalence=0.1, threshold=0.1, width=0.2)
    shares = [0.1 * 0.8, 0.1 * 0.2, 0.9 * 0.3, 0.9 * 0.7]
    tp, fn, fp, _ = np.random.default_rng(2).multinomial(n, shares, size=20_000).T
    standardised = (tp - fp / 9) / (tp + fn)
    assert 2 * 1.96 * standardised.std() == pytest.approx(0.2, rel=0.05)


def test_power_and_assurance_by_simulation() -> None:
    planned = auc_power(0.75, null=0.6, events=50, non_events=100)
    plan: Any = {"believed": 0.75, "at_least": 0.6, "events": 50, "non_events": 100}
    certain = assurance(auc_trial(error=0, **plan), trials=300)
    assert certain.value == pytest.approx(planned, abs=0.07)
    doubtful = assurance(auc_trial(error=0.5, **plan), trials=300)
    print(f"power {planned:.3f}, simulated {certain.value:.3f}, assurance {doubtful.value:.3f}")
    assert doubtful.value < certain.value
    assert assurance(auc_trial(error=0.5, **plan), trials=300) == doubtful


def test_refusals() -> None:
    with pytest.raises(InvalidInputError):
        accuracy_size(sensitivity=1.0, specificity=0.9, half_width=0.05, prevalence=0.2)
    with pytest.raises(InvalidInputError):
        auc_power(0.5, null=0.6, events=40, non_events=40)
    with pytest.raises(InvalidInputError):
        auc_size(0.5, prevalence=0.2)
    with pytest.raises(InvalidInputError):
        auc_variance(0.8, ratio=0)
    with pytest.raises(NotEstimableError):
        auc_difference_size(0.8, 0.85, correlation=0.5, prevalence=0.5, margin=0.02)
    with pytest.raises(InvalidInputError):
        auc_difference_size(0.9, 0.8, correlation=1.0, prevalence=0.5)
    with pytest.raises(InvalidInputError, match="R²"):
        development_size(r_squared=0.9, parameters=5, prevalence=0.1)
    for call in (
        lambda: observed_expected_size(prevalence=0.1, width=0),
        lambda: slope_size(mean=0, spread=0, width=0.1),
        lambda: net_benefit_size(sensitivity=0.8, specificity=0.8, prevalence=0.1, threshold=0.1, width=0),
        lambda: assurance(lambda draw: True, trials=0),
        lambda: auc_trial(believed=0.8, error=-1, at_least=0.6, events=9, non_events=9),
    ):
        with pytest.raises(InvalidInputError):
            call()
