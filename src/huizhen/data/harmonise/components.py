"""The few components of features that go with the outcome: partial least squares, from sums over patients.

What hospitals' machines leave in a thousand features stays there after ComBat: means and spreads of each
don't say how they go together. A few components that diagnosis uses leave little of it, and can be aligned
by a few numbers a site. PLS1 needs no patient's row: its weights span v, Sv, SSv, ... (a Krylov space) of
v = X'y and S = X'X, so that k components take k + 1 sums of p numbers, over any number of sites, where
principal components would take p x p. Its scores are made orthogonal, of variance 1, in the usual order.

References: de Jong, Chemometr Intell Lab Syst 18:251-263 (1993); Helland, Commun Stat Simul 17:581-607 (1988)
for the space; Chen et al., Hum Brain Mapp 43:1179-1195 (2022) for alignment of components after ComBat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.data.harmonise.pooled import FLAT, Pooled
from huizhen.errors import DataError, InvalidInputError, NotEstimableError

__all__ = [
    "FEWEST_EACH",
    "Reduction",
    "Scaled",
    "both_outcomes",
    "first_direction",
    "first_sums",
    "fitted_reduction",
    "next_direction",
    "product",
    "reduction_of",
    "scaled_of",
]

Floats = NDArray[np.float64]

FEWEST_EACH = 10
"""Training patients with the outcome, and without, below which no component is looked for."""
USED_UP = 1e-9
"""A direction that is shorter than this, against the product it is left of, is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """How features after ComBat are standardised over all training patients: x = (y - `mean`) / `spread`.

    Both (p,). A feature with `flat` (p,) is the same for everybody: x = 0.
    """

    mean: Floats
    spread: Floats
    flat: NDArray[np.bool_]

    def of(self, features: Floats) -> Floats:
        """Return features (n, p) standardised."""
        return np.where(self.flat, 0.0, (features - self.mean) / self.spread)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduction:
    """Components z (n, k) = y `axes` (p, k) + `constant` (k,) of features y after ComBat.

    Raises `InvalidInputError` where the two don't fit each other or aren't finite.
    """

    axes: Floats
    constant: Floats

    def __post_init__(self) -> None:
        if self.axes.ndim != 2 or self.constant.shape != self.axes.shape[1:] or not self.constant.size:
            raise InvalidInputError(
                "axes and constant of components don't fit each other", remedy="fit them again", field="axes"
            )
        if not (np.isfinite(self.axes).all() and np.isfinite(self.constant).all()):
            raise InvalidInputError("components hold NaN or infinity", remedy="fit them again", field="axes")

    def of(self, features: Floats) -> Floats:
        """Return the components (n, k) of features (n, p)."""
        found: Floats = features @ self.axes + self.constant
        return found


def both_outcomes(outcome: NDArray[np.float64], site: str) -> None:
    """Raise `DataError` where all training patients of a site have one outcome, or one isn't known.

    What is of its scanner couldn't be told from what is of the disease.
    """
    if outcome.size and (not np.isfinite(outcome).all() or np.unique(outcome).size < 2):
        raise DataError(
            f"training patients at {site} don't have both outcomes: scanner and disease can't be told apart",
            remedy="make it an external site, or leave harmonisation.components out",
            field="harmonisation.components",
        )


def first_sums(features: Floats, outcome: Floats, pooled: Pooled) -> dict[str, Floats]:
    """Return sums over patients: u (p,), u u (p,), u y (p,) and of events (); u are ComBat's own residuals.

    `features` (n, p) after ComBat, `outcome` (n,) of 0 and 1. From the pooled centre, in units of its scale,
    so that a variance isn't the difference of two large numbers.
    """
    u = _centred(features, pooled)
    return {
        "x": u.sum(0),
        "xx": (u**2).sum(0),
        "xy": outcome @ u,
        "events": np.asarray(outcome.sum()),
    }


def _centred(features: Floats, pooled: Pooled) -> Floats:
    return np.where(pooled.flat, 0.0, (features - pooled.centre) / pooled.scale)


def scaled_of(n: int, x: Floats, xx: Floats, pooled: Pooled) -> Scaled:
    """Return how features are standardised, from the first sums over n patients."""
    mean = x / n
    variance = xx / n - mean**2
    flat = pooled.flat | (variance <= FLAT * (1 + mean**2))
    return Scaled(
        mean=pooled.centre + pooled.scale * mean,
        spread=pooled.scale * np.where(flat, 1.0, np.sqrt(np.maximum(variance, 0))),
        flat=flat,
    )


def first_direction(n: int, sums: dict[str, Floats], scaled: Scaled, pooled: Pooled) -> Floats:
    """Return the unit vector (p,) along X'y, from the first sums.

    Raises `NotEstimableError` with fewer than `FEWEST_EACH` patients with or without the outcome, or where
    no feature goes with it.
    """
    events = float(sums["events"])
    if min(events, n - events) < FEWEST_EACH:
        raise NotEstimableError(
            f"components that go with the outcome need {FEWEST_EACH} training patients with it and without",
            remedy="gather cases, or leave harmonisation.components out",
            field="harmonisation.components",
        )
    along = (sums["xy"] - events / n * sums["x"]) * pooled.scale / scaled.spread
    return _unit(np.where(scaled.flat, 0.0, along), 1.0)


def product(features: Floats, scaled: Scaled, direction: Floats) -> Floats:
    """Return X'(X d) (p,) of standardised features X and a direction d (p,): a sum over patients."""
    x = scaled.of(features)
    return np.asarray(x.T @ (x @ direction))


def next_direction(directions: Sequence[Floats], latest: Floats) -> Floats:
    """Return the unit vector (p,) of what `latest`, X'X times the last direction, has beside `directions`.

    Orthogonalised twice: once isn't enough in floating point (Giraud & Langou, 2003).
    """
    left = latest
    for _ in range(2):
        for one in directions:
            left = left - (one @ left) * one
    return _unit(left, float(np.linalg.norm(latest)))


def _unit(vector: Floats, against: float) -> Floats:
    """Return a vector at length 1. Raises `NotEstimableError` where nothing of it is left."""
    length = float(np.linalg.norm(vector))
    if length <= USED_UP * max(against, USED_UP):
        raise NotEstimableError(
            "features hold fewer components that go with the outcome than are asked for",
            remedy="lower harmonisation.components",
            field="harmonisation.components",
        )
    return vector / length


def reduction_of(
    n: int, scaled: Scaled, directions: Sequence[Floats], products: Sequence[Floats]
) -> Reduction:
    """Return the components along `directions`, given X'X times each, orthogonal and of variance 1.

    Raises `NotEstimableError` where scores along two directions are the same.
    """
    basis = np.stack(directions, 1)  # (p, k)
    gram = basis.T @ np.stack(products, 1) / n  # (k, k): the covariance of scores along them
    try:
        lower = np.linalg.cholesky((gram + gram.T) / 2)
    except np.linalg.LinAlgError as error:
        raise NotEstimableError(
            "features hold fewer components that go with the outcome than are asked for",
            remedy="lower harmonisation.components",
            field="harmonisation.components",
        ) from error
    turned = np.linalg.solve(lower, basis.T).T / scaled.spread[:, None]
    axes = np.where(scaled.flat[:, None], 0.0, turned)
    return Reduction(axes=axes, constant=-(scaled.mean @ axes))


def fitted_reduction(features: Floats, outcome: Floats, pooled: Pooled, count: int) -> Reduction:
    """Return the first `count` components of training patients' features (n, p) after ComBat.

    `outcome` (n,) of 0 and 1. Raises as `first_direction` and `reduction_of`.

    >>> from huizhen.data.harmonise.pooled import pooled_of, slopes_of, squares_of, sums_of
    >>> rng = np.random.default_rng(1)
    >>> y = np.arange(40) % 2.0
    >>> x = rng.normal(size=(40, 5)) + y[:, None] * [2, 0, 0, 0, 0]
    >>> pooled = pooled_of(sums_of(x), np.zeros((0, 5)), *squares_of(x, None, np.zeros((0, 5))))
    >>> z = fitted_reduction(x, y, pooled, 2).of(x)
    >>> np.abs(np.cov(z.T, bias=True) - np.eye(2)).max() < 1e-9, bool(z[y == 1, 0].mean() > 0.5)
    (np.True_, True)
    """
    sums = first_sums(features, outcome, pooled)
    scaled = scaled_of(len(features), sums["x"], sums["xx"], pooled)
    directions, products = [first_direction(len(features), sums, scaled, pooled)], []
    for _ in range(count):
        products.append(product(features, scaled, directions[-1]))
        if len(directions) < count:
            directions.append(next_direction(directions, products[-1]))
    return reduction_of(len(features), scaled, directions, products)
