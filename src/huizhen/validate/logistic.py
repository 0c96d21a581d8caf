"""Logistic regression of few coefficients by Newton's method, as recalibration needs it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from huizhen.errors import NotEstimableError

_STEPS = 100
_ENOUGH = 1e-6
"""The step that moves no linear predictor by more than this is the last: the error left is about its square.

The likelihood is no measure of it: with separated classes it stops growing while the steps stay near 1.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogisticFit:
    """Maximum-likelihood coefficients (p,) and their covariance (p, p), the inverse of the information."""

    coefficients: NDArray[np.float64]
    covariance: NDArray[np.float64]


def fit_logistic(
    design: NDArray[np.float64],
    target: NDArray[np.float64],
    *,
    offset: NDArray[np.float64] | None = None,
    weights: NDArray[np.float64] | None = None,
) -> LogisticFit:
    """Fit logit(mean of target) = offset + design · coefficients by maximum likelihood.

    `design` (n, p), with a column of ones for an intercept; `target` (n,) in [0, 1]; `offset` (n,); `weights`
    (n,) above 0: how many cases each row stands for. Raises `NotEstimableError` when the information is
    singular or Newton's method (with halved steps) doesn't converge, as when the classes are separated.
    Reference: McCullagh & Nelder, Generalized Linear Models, 2nd ed., section 4.4 (1989).

    >>> fit = fit_logistic(np.ones((4, 1)), np.array([1.0, 0.0, 0.0, 0.0]))
    >>> round(float(fit.coefficients[0]), 6), round(float(fit.covariance[0, 0]), 6)
    (-1.098612, 1.333333)
    """
    base = np.zeros(len(target)) if offset is None else offset
    size = np.ones(len(target)) if weights is None else weights
    beta = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        step, _ = _newton(design, target, base, size, beta)
        step = _halved(design, target, base, size, beta, step)
        beta = beta + step
        if np.abs(design @ step).max() < _ENOUGH:
            return LogisticFit(coefficients=beta, covariance=_newton(design, target, base, size, beta)[1])
    raise NotEstimableError("the logistic fit doesn't converge", remedy="check the classes for separation")


def _newton(
    design: NDArray[np.float64],
    target: NDArray[np.float64],
    base: NDArray[np.float64],
    size: NDArray[np.float64],
    beta: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return Newton's step (p,) and the inverse information (p, p) at `beta`."""
    mean = expit(base + design @ beta)
    gradient = design.T @ (size * (target - mean))
    information = (design.T * (size * mean * (1 - mean))) @ design
    try:
        inverse = np.asarray(np.linalg.inv(information), dtype=np.float64)
    except np.linalg.LinAlgError as error:
        raise NotEstimableError("the information matrix is singular", remedy="check the classes") from error
    return inverse @ gradient, inverse


def _log_likelihood(
    eta: NDArray[np.float64], target: NDArray[np.float64], size: NDArray[np.float64]
) -> float:
    """Return the binomial log-likelihood of linear predictors (n,)."""
    return float(size @ (target * eta - np.logaddexp(0, eta)))


def _halved(
    design: NDArray[np.float64],
    target: NDArray[np.float64],
    base: NDArray[np.float64],
    size: NDArray[np.float64],
    beta: NDArray[np.float64],
    step: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return `step`, halved until the likelihood doesn't fall by more than rounding."""
    before = _log_likelihood(base + design @ beta, target, size)
    slack = 1e-12 * (1 + abs(before))
    for _ in range(40):
        if _log_likelihood(base + design @ (beta + step), target, size) >= before - slack:
            break
        step = step / 2
    return step
