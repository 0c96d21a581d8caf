"""The calibration curve without bins: a restricted cubic spline of the log-odds, its band, and ICI, E50, E90.

The spline is straight beyond its outer knots, so that few patients at the ends don't bend it. The distances
between curve and diagonal are never below 0 and grow with noise: see `distances`.

References: Harrell, Regression Modeling Strategies, 2nd ed., sections 2.4.5 and 2.4.6 (2015), spline and
knots; Harrell (2015), section 10.11, and Van Calster et al., J Clin Epidemiol 74:167-176 (2016), flexible
curves; Austin & Steyerberg, Stat Med 38:4051-4065 (2019), ICI, E50, E90.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from huizhen.core.streams import stream
from huizhen.errors import NotEstimableError
from huizhen.validate.calibration import EDGE
from huizhen.validate.distances import Distance, distance
from huizhen.validate.estimates import normal_quantile
from huizhen.validate.logistic import LogisticFit, fit_logistic
from huizhen.validate.samples import checked_outcome, checked_risk, class_counts

Floats = NDArray[np.float64]
KNOTS = {3: (0.1, 0.5, 0.9), 4: (0.05, 0.35, 0.65, 0.95)}
"""Harrell's quantiles of the log-odds at which knots stand."""
LEAST, MANY = 10, 100
"""Events and non-events from which a curve is fitted, and from which it has four knots."""
CELLS = 1000
"""Distinct risks beyond this many are gathered into so many cells of equal size."""
_STEPS, _BATCH = 40, 200
_FARTHEST = 3.0
"""No Newton step moves a log-odds farther: full steps may swing ever wider."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlexibleCalibration:
    """The curve: `observed` (g,) at `risk` (g,) with pointwise limits, and its distances from the diagonal.

    `ici` is the mean distance over the patients, `e50` and `e90` its median and 90th percentile. `knots` are
    risks.
    """

    risk: Floats
    observed: Floats
    low: Floats
    high: Floats
    ici: Distance
    e50: Distance
    e90: Distance
    knots: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cells:
    """Patients of about one risk: their mean risk (c,), number and events, and the spline there (c, k)."""

    risk: Floats
    n: Floats
    events: Floats
    design: Floats


def flexible_calibration(
    outcome: NDArray[Any],
    risk: ArrayLike,
    *,
    points: int = 101,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> FlexibleCalibration:
    """Return the flexible calibration curve at `points` risks from the lowest to the highest.

    `outcome` (n,) boolean, `risk` (n,) in [0, 1]. Up to 1,000 distinct risks the fit is exact; more are
    gathered into 1,000 cells of equal size. Raises `InvalidInputError` on wrong input, `NotEstimableError`
    with under ten events or non-events, fewer than three distinct risks, or separated classes.

    >>> risk = np.repeat([0.2, 0.4, 0.6, 0.8], 50)
    >>> outcome = np.tile(np.arange(50), 4) < 50 * risk
    >>> found = flexible_calibration(outcome, risk, resamples=50)
    >>> bool(abs(found.observed - found.risk).max() < 1e-9), found.ici.estimate.value < 1e-9
    (True, True)
    """
    truth = checked_outcome(outcome)
    values = np.clip(checked_risk(risk, truth.size), EDGE, 1 - EDGE)
    rarer = min(class_counts(truth, least=LEAST))
    knots = _knots(logit(values), 4 if rarer >= MANY else 3)
    cells = _cells(truth, values, knots)
    fit = fit_logistic(cells.design, cells.events / cells.n, weights=cells.n)
    grid = np.linspace(values.min(), values.max(), points)
    observed, low, high = _band(fit, spline(logit(grid), knots), level)
    drawn = _resampled(cells, fit.coefficients, resamples, seed)
    chance = _by_chance(cells, resamples, seed)
    own = _distances(cells, cells.n[np.newaxis], fit.coefficients[np.newaxis])[0]
    ici, e50, e90 = (distance(float(own[k]), drawn[:, k], chance[:, k], level=level) for k in range(3))
    at = tuple(float(expit(knot)) for knot in knots)
    return FlexibleCalibration(
        risk=grid, observed=observed, low=low, high=high, ici=ici, e50=e50, e90=e90, knots=at
    )


def spline(x: Floats, knots: Floats) -> Floats:
    """Return the restricted cubic spline basis of `x` (n,): a one, x, and a term for each knot but two.

    >>> spline(np.array([0.0, 2.0]), np.array([0.0, 1.0, 2.0])).round(3).tolist()
    [[1.0, 0.0, 0.0], [1.0, 2.0, 1.5]]
    """
    last, before = knots[-1], knots[-2]
    cube = np.maximum(x[:, np.newaxis] - knots, 0) ** 3
    terms = [
        cube[:, j]
        - cube[:, -2] * (last - knots[j]) / (last - before)
        + cube[:, -1] * (before - knots[j]) / (last - before)
        for j in range(knots.size - 2)
    ]
    scale = (last - knots[0]) ** 2
    return np.column_stack([np.ones(x.size), x, *(term / scale for term in terms)])


def _knots(line: Floats, count: int) -> Floats:
    """Return the knots (k,) of log-odds; with ties fewer, down to three."""
    for wanted in range(count, 2, -1):
        knots = np.unique(np.quantile(line, KNOTS[wanted]))
        if knots.size == wanted:
            return knots
    distinct = np.unique(line)
    if distinct.size < 3:
        raise NotEstimableError(
            f"{distinct.size} distinct risks: a curve needs 3", remedy="report the shares by risk"
        )
    return distinct[[0, distinct.size // 2, -1]]


def _cells(truth: NDArray[np.bool_], risk: Floats, knots: Floats) -> _Cells:
    """Return the patients gathered by risk."""
    _, place = np.unique(risk, return_inverse=True)
    if place.max() >= CELLS:
        rank = np.empty(risk.size, np.int64)
        rank[np.argsort(risk, kind="stable")] = np.arange(risk.size)
        place = rank * CELLS // risk.size
    n = np.bincount(place).astype(np.float64)
    mean = np.bincount(place, weights=risk) / n
    events = np.bincount(place, weights=truth).astype(np.float64)
    return _Cells(risk=mean, n=n, events=events, design=spline(logit(mean), knots))


def _band(fit: LogisticFit, design: Floats, level: float) -> tuple[Floats, Floats, Floats]:
    """Return the curve at rows of `design` with limits on the logit scale."""
    line = design @ fit.coefficients
    reach = normal_quantile(level) * np.sqrt(np.einsum("gk,kl,gl->g", design, fit.covariance, design))
    return expit(line), expit(line - reach), expit(line + reach)


def _resampled(cells: _Cells, start: Floats, resamples: int, seed: int) -> Floats:
    """Return ICI, E50 and E90 (b, 3) of resampled patients, NaN where the fit doesn't converge."""
    draw, size = stream(seed, "flexible calibration"), cells.n.sum()
    share = np.concatenate([cells.events, cells.n - cells.events]) / size
    found = []
    for first in range(0, resamples, _BATCH):
        counts = draw.multinomial(int(size), share, size=min(_BATCH, resamples - first))
        events, others = (side.astype(np.float64) for side in np.split(counts, 2, axis=1))
        coefficients = _newton(cells.design, events, events + others, start)
        found.append(_distances(cells, events + others, coefficients))
    return np.concatenate(found)


def _by_chance(cells: _Cells, resamples: int, seed: int) -> Floats:
    """Return ICI, E50 and E90 (b, 3) of the same patients if their risks were right."""
    draw, start = stream(seed, "flexible calibration by chance"), np.zeros(cells.design.shape[1])
    start[1] = 1
    found = []
    for first in range(0, resamples, _BATCH):
        size = (min(_BATCH, resamples - first), cells.n.size)
        events = draw.binomial(cells.n.astype(np.int64), cells.risk, size=size).astype(np.float64)
        n = np.broadcast_to(cells.n, size)
        found.append(_distances(cells, n, _newton(cells.design, events, n, start)))
    return np.concatenate(found)


def _newton(design: Floats, events: Floats, n: Floats, start: Floats) -> Floats:
    """Return the coefficients (b, k) of b weighted logistic fits, NaN where Newton's steps don't settle."""
    beta = np.tile(start, (len(events), 1))
    products = (design[:, :, np.newaxis] * design[:, np.newaxis]).reshape(len(design), -1)
    moved = np.full(len(events), np.inf)
    ridge = 1e-10 * np.eye(design.shape[1])
    for _ in range(_STEPS):
        mean = expit(beta @ design.T)
        gradient = (events - n * mean) @ design
        information = ((n * mean * (1 - mean)) @ products).reshape(len(beta), *ridge.shape)
        step = np.linalg.solve(information + ridge, gradient[:, :, np.newaxis])[:, :, 0]
        moved = np.abs(step @ design.T).max(axis=1)
        beta = beta + step * np.minimum(1, _FARTHEST / np.maximum(moved, _FARTHEST))[:, np.newaxis]
        if (moved < 1e-6).all():
            break
    beta[~(moved < 1e-3)] = np.nan
    return beta


def _distances(cells: _Cells, n: Floats, coefficients: Floats) -> Floats:
    """Return mean, median and 90th percentile (b, 3) of the distance, over patients that come `n` (b, c)."""
    gap = np.abs(expit(coefficients @ cells.design.T) - cells.risk)
    order = np.argsort(gap, axis=1)
    sorted_gap = np.take_along_axis(gap, order, axis=1)
    reached = np.cumsum(np.take_along_axis(n, order, axis=1), axis=1)
    total = reached[:, -1:]
    shares = [
        np.take_along_axis(sorted_gap, np.argmax(reached >= q * total, axis=1)[:, np.newaxis], axis=1)[:, 0]
        for q in (0.5, 0.9)
    ]
    return np.column_stack([(gap * n).sum(axis=1) / total[:, 0], *shares])
