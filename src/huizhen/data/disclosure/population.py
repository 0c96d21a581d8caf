"""How many patients who are alone in a table are alone in the population behind it, by models of class sizes.

Pitman's model for how many people of the population are alone in their class: Pitman, Exchangeable and
partially exchangeable random partitions, PTRF 102:145-158 (1995); Hoshino, Applying Pitman's sampling formula
to microdata disclosure risk assessment, Journal of Official Statistics 17(4):499-520 (2001). The negative
binomial (Poisson-gamma) model for each class: Bethlehem, Keller & Pannekoek, Disclosure control of microdata,
JASA 85:38-45 (1990). Both take the table for a simple random sample of the population.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.streams import stream
from huizhen.data.disclosure.microdata import Codes
from huizhen.errors import NotEstimableError

__all__ = ["Estimate", "PopulationRisk", "negative_binomial", "pitman_uniques"]

DRAWS = 2000
"""Draws of the parameters that an interval rests on."""
_NODES = 48

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """An estimate with its 95 % interval, and the patients that it was made from."""

    value: float
    low: float
    high: float
    n: int
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationRisk:
    """By the negative binomial model: sample uniques that are population uniques, and the journalist's mean
    and highest risk."""

    uniques: Estimate
    average: Estimate
    most: Estimate


def pitman_uniques(sizes: Codes, population: int, *, seed: int = 0) -> Estimate:
    """Return how many of a `population` are alone in their class, by the classes of a sample (`sizes`).

    The parameters are those of highest likelihood; the interval holds draws of them from the normal law that
    their information gives, and of the count about its mean. Raises `NotEstimableError` where nobody or
    everybody is alone, or the population is smaller than the sample.
    """
    n = _checked(sizes, population)
    from scipy.special import gammaln

    def log_expected(theta: Vector, alpha: Vector) -> Vector:
        alone = gammaln(theta + alpha + population - 1) - gammaln(theta + alpha)
        found: Vector = np.log(population) + alone - gammaln(theta + population) + gammaln(theta + 1)
        return found

    many, counts = np.unique(sizes, return_counts=True)
    classes = len(sizes)

    def likelihood(point: Vector) -> float:
        alpha, theta = _parameters(point)
        found = (classes - 1) * np.log(alpha) + gammaln(theta / alpha + classes) - gammaln(theta / alpha + 1)
        found -= gammaln(theta + n) - gammaln(theta + 1)
        found += counts @ (gammaln(many - alpha) - gammaln(1 - alpha))
        return float(found)

    best, spread = _fitted(likelihood, np.array([0.0, np.log(max(1.0, classes / 4))]))
    alpha, theta = _parameters(best)
    rng = stream(seed, "disclosure", "pitman")
    drawn = rng.multivariate_normal(best, spread, DRAWS)
    alphas, thetas = _parameters(drawn.T)
    means = np.exp(log_expected(thetas, alphas))
    return _estimate(float(np.exp(log_expected(theta, alpha))), rng.poisson(means), n, "Pitman")


def _parameters(point: Vector) -> tuple[Vector, Vector]:
    """Return alpha in (0, 1) and theta > 0 of a point of the plane."""
    return 1e-6 + (1 - 2e-6) / (1 + np.exp(-point[0])), np.exp(np.clip(point[1], -12, 40))


def negative_binomial(sizes: Codes, population: int, *, seed: int = 0) -> PopulationRisk:
    """Return what each class of a sample says of its size in the `population`, all being draws of one law.

    A class has Poisson(lambda) people, lambda from a gamma law; the sample holds each with the sampling
    fraction. Classes without a patient aren't seen, so that the law is fitted to sizes above none. Given f
    patients, the rest of the class is negative binomial, from which come the chance of being alone (f = 1)
    and the mean of 1 / size. Raises as `pitman_uniques`.
    """
    n = _checked(sizes, population)
    from scipy.special import gammaln

    fraction = n / population
    many, counts = np.unique(sizes, return_counts=True)

    def likelihood(point: Vector) -> float:
        shape, rate = np.exp(np.clip(point, -25, 25))
        chance = rate / (rate + fraction)
        each = gammaln(many + shape) - gammaln(shape) - gammaln(many + 1)
        each += shape * np.log(chance) + many * np.log1p(-chance)
        seen = -np.expm1(shape * np.log(chance))
        return float(counts @ each - counts.sum() * np.log(max(seen, 1e-300)))

    mean = sizes.mean() / fraction
    best, spread = _fitted(likelihood, np.log([0.5, 0.5 / mean]))
    rng = stream(seed, "disclosure", "negative binomial")
    drawn = np.exp(np.clip(rng.multivariate_normal(best, spread, DRAWS // 10), -25, 25))
    shape, rate = np.exp(best)
    alone = int((sizes == 1).sum())
    chance = np.array([_alone(a, b, fraction) for a, b in drawn])
    kept = np.concatenate([rng.binomial(alone, chance) for _ in range(10)])
    inverse = np.array([_inverse(many, a, b, fraction) for a, b in drawn])
    weights = counts * many / n
    beside = rng.normal(0.0, _spread(many, counts, best, fraction, rng), len(inverse))
    at_best = _inverse(many, shape, rate, fraction)
    return PopulationRisk(
        uniques=_estimate(alone * _alone(shape, rate, fraction), kept, n, "negative binomial"),
        average=_estimate(float(at_best @ weights), inverse @ weights + beside, n, "negative binomial"),
        most=_estimate(float(at_best.max()), inverse.max(axis=1), n, "negative binomial"),
    )


def _alone(shape: float, rate: float, fraction: float) -> float:
    """Return the chance that somebody alone in the sample is alone in the population."""
    return float(((rate + fraction) / (rate + 1.0)) ** (shape + 1.0))


def _spread(many: Codes, counts: Codes, best: Vector, fraction: float, rng: np.random.Generator) -> float:
    """Return the standard deviation of the mean of 1 / size about what the model expects, by simulation."""
    shape, rate = np.exp(best)
    chance = (rate + fraction) / (rate + 1.0)
    drawn = rng.negative_binomial(many[:, None] + shape, chance, (len(many), 400)) + many[:, None]
    total = counts * many.astype(np.float64) ** 2 @ (1.0 / drawn).var(axis=1)
    return float(np.sqrt(total) / (counts @ many))


def _inverse(sizes: Codes, shape: float, rate: float, fraction: float) -> Vector:
    """Return the mean of 1 / (size in the population) for each size (sizes,) in the sample.

    It is the integral of t**(f - 1) times the generating function of the unseen part, over t from 0 to 1; by
    Gauss and Legendre in s = t**f, which is smooth for every f.
    """
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    s, weights = (nodes + 1) / 2, weights / 2
    f = sizes[:, None].astype(np.float64)
    t = s[None, :] ** (1.0 / f)
    held = rate + fraction
    generating = (held / (held + (1.0 - fraction) * (1.0 - t))) ** (shape + f)
    found: Vector = (generating @ weights) / sizes
    return found


def _fitted(likelihood: Callable[[Vector], float], start: Vector) -> tuple[Vector, Vector]:
    """Return the point of highest likelihood and the inverse of the information there."""
    from scipy import optimize

    minimize: Any = optimize.minimize  # its stubs know no function of a plain array
    made = minimize(lambda point: -likelihood(point), start, method="Nelder-Mead", options={"maxiter": 2000})
    again = minimize(lambda point: -likelihood(point), made.x, method="Nelder-Mead")
    information = -_second(likelihood, again.x)
    values, vectors = np.linalg.eigh(information)
    if not np.isfinite(values).all() or values.min() <= 1e-9:
        raise NotEstimableError(
            "the sizes of the classes don't tell the model's parameters",
            remedy="name a table of the population instead",
        )
    return again.x, (vectors / values) @ vectors.T


def _second(of: Callable[[Vector], float], at: Vector) -> Vector:
    """Return the second derivatives at a point by central differences."""
    step, found = 1e-3, np.zeros((2, 2))
    for i in range(2):
        for j in range(2):
            a, b = np.eye(2)[i] * step, np.eye(2)[j] * step
            found[i, j] = (of(at + a + b) - of(at + a - b) - of(at - a + b) + of(at - a - b)) / (4 * step**2)
    return found


def _estimate(value: float, drawn: NDArray[np.number], n: int, method: str) -> Estimate:
    low, high = np.quantile(drawn, [0.025, 0.975])
    low, high = min(float(low), value), max(float(high), value)
    return Estimate(value=value, low=low, high=high, n=n, method=method)


def _checked(sizes: Codes, population: int) -> int:
    """Return the patients. Raises `NotEstimableError` where no model can be fitted."""
    n = int(sizes.sum())
    if population <= n:
        raise NotEstimableError(
            "the population is no larger than the table",
            remedy="give the size of the population that the patients come from",
            field="population.size",
        )
    alone = int((sizes == 1).sum())
    if not alone or alone == len(sizes):
        raise NotEstimableError(
            "nobody, or everybody, is alone in a class: there is nothing to estimate from",
            remedy="name a table of the population instead",
        )
    return n
