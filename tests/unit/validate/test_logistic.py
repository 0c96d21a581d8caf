"""Newton's logistic fit against statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from huizhen.errors import NotEstimableError
from huizhen.validate.logistic import fit_logistic


@pytest.mark.parametrize("seed", range(5))
def test_statsmodels_glm_with_offset_and_soft_targets(seed: int) -> None:
    import statsmodels.api as sm

    draw = np.random.default_rng(seed)
    design = np.column_stack([np.ones(80), draw.normal(size=80) * 10.0 ** draw.integers(-2, 3)])
    offset = draw.normal(size=80)
    target = np.clip(expit(offset + draw.normal(size=80)), 0.01, 0.99)
    ours = fit_logistic(design, target, offset=offset)
    theirs = sm.GLM(target, design, family=sm.families.Binomial(), offset=offset).fit(tol=1e-14, maxiter=200)
    np.testing.assert_allclose(ours.coefficients, theirs.params, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(ours.covariance, theirs.cov_params(), rtol=1e-6)


def test_a_far_start_converges_by_halved_steps() -> None:
    target = np.array([1.0] * 5 + [0.0] * 5)
    fit = fit_logistic(np.ones((10, 1)), target, offset=np.full(10, 12.0))
    assert fit.coefficients[0] == pytest.approx(-12.0, abs=1e-6)


def test_separation_does_not_converge() -> None:
    design = np.column_stack([np.ones(4), [0.0, 1.0, 2.0, 3.0]])
    with pytest.raises(NotEstimableError):
        fit_logistic(design, np.array([0.0, 0.0, 1.0, 1.0]))


def test_a_singular_design_is_refused() -> None:
    with pytest.raises(NotEstimableError, match="singular"):
        fit_logistic(np.ones((4, 2)), np.array([0.0, 1.0, 0.0, 1.0]))
