"""Calibration: whether risks mean what they say, and Platt scaling that makes them so on tuning data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from huizhen.core.evidence import Interval
from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.estimates import Estimate, normal_quantile, unanimous_floor, wald
from huizhen.validate.logistic import LogisticFit, fit_logistic
from huizhen.validate.samples import checked_outcome, checked_risk, checked_scores, class_counts

EDGE = 1e-6
"""Risks closer to 0 or 1 than this are moved here before the logit is taken, and counted.

Farther out, a few log-odds of a certain model would pull slope and curve to themselves.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalibration:
    """Intercept and slope of logit(outcome) on logit(risk): 0 and 1 where calibration is perfect.

    `clipped` counts the risks of 0 or 1, whose logit is infinite, that were moved inside first.
    """

    intercept: Estimate
    slope: Estimate
    clipped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Platt:
    """The map from a model's logit to a risk: 1 / (1 + exp(-(intercept + slope · logit)))."""

    intercept: float
    slope: float


def _linear_predictor(risk: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Return the logits (n,) of risks, and how many lay too near 0 or 1 and were moved."""
    inside = np.clip(risk, EDGE, 1 - EDGE)
    return np.asarray(logit(inside), dtype=np.float64), int(np.count_nonzero(inside != risk))


def _coefficient(fit: LogisticFit, index: int, level: float) -> Estimate:
    """Return one coefficient with its Wald interval."""
    value, error = float(fit.coefficients[index]), math.sqrt(fit.covariance[index, index])
    return Estimate(value=value, interval=wald(value, error, method="Wald", level=level))


def recalibrate(outcome: NDArray[Any], risk: ArrayLike, *, level: float = 0.95) -> Recalibration:
    """Return intercept a and slope b of logit(outcome) = a + b · logit(risk), with Wald intervals.

    `outcome` (n,) boolean, `risk` (n,) in [0, 1]. A slope under 1 says that risks are too extreme. Raises
    `InvalidInputError` on wrong input, `NotEstimableError` when a class is missing, all risks are equal, or
    a risk separates the classes, so that no maximum exists.
    Reference: Cox, Biometrika 45:562-565 (1958); Van Calster et al., BMC Med 17:230 (2019).

    >>> outcome = np.array([True, False, False, False, True, True, True, False])
    >>> found = recalibrate(outcome, np.array([0.25] * 4 + [0.75] * 4))
    >>> abs(round(found.intercept.value, 9)), round(found.slope.value, 9)
    (0.0, 1.0)
    """
    truth = checked_outcome(outcome)
    predictor, clipped = _linear_predictor(checked_risk(risk, truth.size))
    class_counts(truth)
    _check_overlap(truth, predictor)
    fit = fit_logistic(np.column_stack([np.ones(truth.size), predictor]), truth.astype(np.float64))
    return Recalibration(
        intercept=_coefficient(fit, 0, level), slope=_coefficient(fit, 1, level), clipped=clipped
    )


def _check_overlap(outcome: NDArray[np.bool_], predictor: NDArray[np.float64]) -> None:
    """Raise `NotEstimableError` unless the classes overlap: only then does a finite maximum exist.

    Reference: Albert & Anderson, Biometrika 71:1-10 (1984).
    """
    events, others = predictor[outcome], predictor[~outcome]
    if np.ptp(predictor) == 0:
        raise NotEstimableError("all risks are equal, no calibration slope exists", remedy="report the risks")
    if others.max() <= events.min() or events.max() <= others.min():
        raise NotEstimableError(
            "the risk separates the classes, the slope is infinite", remedy="gather cases"
        )


def in_the_large(outcome: NDArray[Any], risk: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Return calibration-in-the-large: a in logit(outcome) = a + logit(risk), the slope held at 1.

    Above 0 when risks are too low on average. Raises as `recalibrate` for a missing class or wrong input.
    Reference: Cox (1958), as above.

    >>> round(in_the_large(np.array([True, False]), np.array([0.5, 0.5])).value, 12)
    0.0
    """
    truth = checked_outcome(outcome)
    predictor, _ = _linear_predictor(checked_risk(risk, truth.size))
    class_counts(truth)
    fit = fit_logistic(np.ones((truth.size, 1)), truth.astype(np.float64), offset=predictor)
    return _coefficient(fit, 0, level)


def observed_expected(outcome: NDArray[Any], risk: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Return observed over expected events, with an interval on the log scale: SE(ln O/E)² = (1-φ)/(nφ).

    Raises as `recalibrate`, and `NotEstimableError` when no event was seen or expected.
    Reference: Riley et al., Stat Med 40:4230-4251 (2021), section on O/E.

    >>> observed_expected(np.array([True, False, False, False]), np.array([0.5, 0.5, 0.5, 0.5])).value
    0.5
    """
    truth = checked_outcome(outcome)
    expected = float(checked_risk(risk, truth.size).mean())
    observed = float(truth.mean())
    if not observed or not expected:
        raise NotEstimableError("no event was seen or expected", remedy="gather cases")
    value = observed / expected
    reach = math.exp(normal_quantile(level) * math.sqrt((1 - observed) / (truth.size * observed)))
    interval = Interval(low=value / reach, high=value * reach, method="normal on the log scale", level=level)
    return Estimate(value=value, interval=interval)


def brier(outcome: NDArray[Any], risk: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Return the mean squared error of the risks, with a normal interval of the mean.

    When every case has the same loss c, the variance says nothing; at least the share f of all cases has it
    (Clopper & Pearson), so that the mean is within [f c, f c + 1 - f]. Raises `InvalidInputError` on wrong
    input. Reference: Brier, Monthly Weather Review 78:1-3 (1950).

    >>> round(brier(np.array([True, False]), np.array([0.8, 0.4])).value, 3)
    0.1
    """
    truth = checked_outcome(outcome)
    loss = (checked_risk(risk, truth.size) - truth) ** 2
    value = float(loss.mean())
    if np.ptp(loss) == 0:
        floor = unanimous_floor(truth.size, level=level)
        low, high = floor * value, floor * value + 1 - floor
        bound = Interval(low=low, high=high, method="exact bound of a constant loss", level=level)
        return Estimate(value=value, interval=bound)
    error = float(loss.std(ddof=1)) / math.sqrt(truth.size)
    return Estimate(value=value, interval=wald(value, error, method="normal", level=level, least=0, most=1))


def scaled_brier(outcome: NDArray[Any], risk: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Return 1 - Brier / (φ (1 - φ)) with φ the share of events: 0 for answering φ to everybody, 1 at best.

    Its interval is normal by the delta method: each case adds its loss and its part in φ. Raises as
    `recalibrate` for wrong input or a missing class, `NotEstimableError` where all cases add the same.
    Reference: Steyerberg et al., Epidemiology 21:128-138 (2010).

    >>> round(scaled_brier(np.array([True, False, False]), np.array([0.8, 0.4, 0.1])).value, 3)
    0.685
    """
    truth = checked_outcome(outcome)
    loss = (checked_risk(risk, truth.size) - truth) ** 2
    class_counts(truth)
    share = float(truth.mean())
    variance, mean = share * (1 - share), float(loss.mean())
    adds = (loss - mean) / variance - mean * (1 - 2 * share) / variance**2 * (truth - share)
    if np.ptp(adds) == 0:
        raise NotEstimableError("no spread of the losses is seen", remedy="gather cases")
    error = float(adds.std(ddof=1)) / math.sqrt(truth.size)
    interval = wald(1 - mean / variance, error, method="normal, delta method", level=level, most=1)
    return Estimate(value=1 - mean / variance, interval=interval)


def fit_platt(logits: ArrayLike, outcome: NDArray[Any]) -> Platt:
    """Fit Platt's sigmoid to a model's logits (n,) on tuning data with `outcome` (n,) boolean.

    The targets are (N+ + 1)/(N+ + 2) and 1/(N- + 2) in place of 1 and 0, so that the fit is finite even when
    the classes are separated. Equal logits get slope 0. A model that ranks worse than chance on the tuning
    data gets a negative slope. Raises `InvalidInputError` on wrong or infinite input, `NotEstimableError`
    when a class is missing.
    Reference: Platt, Advances in Large Margin Classifiers, 61-74 (1999); Lin et al., Mach Learn 68 (2007).

    >>> platt = fit_platt(np.array([2.0, 1.0, -1.0, -2.0]), np.array([True, True, False, False]))
    >>> platt.slope > 0, round(platt.intercept, 9) == 0
    (True, True)
    """
    truth = checked_outcome(outcome)
    values = checked_scores(logits, truth.size, name="logits")
    if not np.isfinite(values).all():
        raise InvalidInputError("holds infinities", remedy="give finite logits", field="logits")
    n_pos, n_neg = class_counts(truth)
    target = np.where(truth, (n_pos + 1) / (n_pos + 2), 1 / (n_neg + 2))
    centre, scale = float(values.mean()), float(values.std())
    if np.ptp(values) == 0:
        return Platt(intercept=float(logit(target.mean())), slope=0.0)
    fit = fit_logistic(np.column_stack([np.ones(truth.size), (values - centre) / scale]), target)
    slope = float(fit.coefficients[1]) / scale
    return Platt(intercept=float(fit.coefficients[0]) - slope * centre, slope=slope)


def apply_platt(platt: Platt, logits: ArrayLike) -> NDArray[np.float64]:
    """Return the risks, in the shape of `logits`; NaN (no answer) stays NaN.

    >>> apply_platt(Platt(intercept=0.0, slope=2.0), [0.0, np.nan]).tolist()
    [0.5, nan]
    """
    return np.asarray(expit(platt.intercept + platt.slope * np.asarray(logits, dtype=np.float64)))
