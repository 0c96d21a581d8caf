"""ComBat at one site: what its features are shifted and scaled by, shrunk towards what they have in common.

Given the frozen pooled part (`pooled`), a site needs its own patients alone, without their outcomes; so does
a site that comes later. With the pooled part of the same patients the result is that of the pooled ComBat.

References: Johnson, Li & Rabinovic, Biostatistics 8:118-127 (2007), section 3.2 and the supplement's
non-parametric prior; Fortin et al., NeuroImage 161:149-170 (2017).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from huizhen.data.harmonise.pooled import FLAT, Pooled, checked
from huizhen.errors import DataError, InvalidInputError, NotEstimableError

__all__ = ["FEWEST", "FEWEST_SHIFT", "Prior", "SiteShift", "apply_shift", "site_shift"]

Floats = NDArray[np.float64]

FEWEST = 20
"""Patients of a site below which its features aren't scaled."""
FEWEST_SHIFT = 5
"""Patients of a site below which its features aren't shifted either: the site is refused."""
CONVERGED, MOST_STEPS = 1e-12, 5000


class Prior(StrEnum):
    """What a site's own gamma and delta are shrunk towards."""

    PARAMETRIC = "parametric"
    """A normal and an inverse gamma, by the moments of the site's features."""
    NON_PARAMETRIC = "non-parametric"
    """The site's other features themselves, weighed by how well they fit."""
    NONE = "none"
    """Nothing: the site's own means and variances as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteShift:
    """What one site's features are moved by: `gamma` (p,) and `delta` (p,), in units of the pooled scale.

    `delta` is a variance's ratio, 1 where only the mean is moved. From `n` patients.
    """

    gamma: Floats
    delta: Floats
    n: int
    mean_only: bool = False

    def resting(self) -> SiteShift:
        """Return the shift of the reference site, which moves nothing."""
        return SiteShift(
            gamma=np.zeros_like(self.gamma),
            delta=np.ones_like(self.delta),
            n=self.n,
            mean_only=self.mean_only,
        )


def site_shift(
    features: Floats,
    pooled: Pooled,
    *,
    covariates: Floats | None = None,
    prior: Prior = Prior.PARAMETRIC,
    mean_only: bool = False,
    site: str = "",
) -> SiteShift:
    """Return what the features (n, p) of one site's patients are moved by, against the frozen `pooled` part.

    No outcome is needed; `covariates` (n, q), or None where they aren't known. A site of fewer than `FEWEST`
    patients is only shifted. Raises `DataError` for fewer than `FEWEST_SHIFT` patients or values that aren't
    finite, `NotEstimableError` where empirical Bayes has fewer than two features.
    """
    y, c = checked(features, covariates, site=site)
    if y.shape[1] != pooled.centre.size:
        raise InvalidInputError(
            f"{y.shape[1]} features, the pooled part has {pooled.centre.size}", remedy="use one encoder"
        )
    if len(y) < FEWEST_SHIFT:
        raise DataError(
            f"a site of {len(y)} patients can't be harmonised: its features' means need {FEWEST_SHIFT}",
            remedy=f"give {FEWEST_SHIFT} patients or more (outcomes aren't needed), {FEWEST} to scale too",
            field=site or "site",
        )
    only = mean_only or len(y) < FEWEST
    used = ~pooled.flat
    given = None if covariates is None else c
    scaled = ((y - pooled.expected(given, len(y))) / pooled.scale)[:, used]
    gamma, delta = np.zeros(y.shape[1]), np.ones(y.shape[1])
    if used.any():
        gamma[used], delta[used] = shrunk(scaled, prior=prior, mean_only=only)
    return SiteShift(gamma=gamma, delta=delta, n=len(y), mean_only=only)


def shrunk(scaled: Floats, *, prior: Prior, mean_only: bool) -> tuple[Floats, Floats]:
    """Return gamma and delta (p,) of standardised features (n, p) under a prior.

    A feature that is constant at the site counts with delta 1, as in neuroCombat. Raises `NotEstimableError`
    where a prior has fewer than two features to go by.
    """
    n, p = scaled.shape
    gamma = scaled.mean(0)
    delta = np.ones(p) if mean_only else scaled.var(0, ddof=1)
    delta = np.where(delta <= FLAT, 1.0, delta)
    if prior is Prior.NONE:
        return gamma, delta
    if p < 2:
        raise NotEstimableError(
            "empirical Bayes learns from other features, and there is one",
            remedy='harmonise it with prior = "none"',
            field="harmonisation.prior",
        )
    if prior is Prior.NON_PARAMETRIC:
        return _weighed(scaled, gamma, delta, mean_only=mean_only)
    spread = float(gamma.var(ddof=1))
    if mean_only:
        return (spread * gamma + gamma.mean()) / (spread + 1), delta
    return _posterior(scaled, gamma, delta, n)


def _posterior(scaled: Floats, gamma: Floats, delta: Floats, n: int) -> tuple[Floats, Floats]:
    """Return the posterior means under a normal and an inverse gamma prior, found in turns.

    Johnson et al., section 3.2: the priors' parameters by the method of moments.
    """
    centre, spread = float(gamma.mean()), float(gamma.var(ddof=1))
    mean, variance = float(delta.mean()), float(delta.var(ddof=1))
    if variance <= 0 or spread <= 0:
        raise NotEstimableError(
            "a site's features all have one mean or one variance, from which no prior can be learned",
            remedy='harmonise with prior = "none"',
            field="harmonisation.prior",
        )
    shape, rate = (2 * variance + mean**2) / variance, (mean * variance + mean**3) / variance
    first, second = scaled.sum(0), (scaled**2).sum(0)
    g, d = gamma, delta
    for _ in range(MOST_STEPS):
        new = (spread * n * gamma + d * centre) / (spread * n + d)
        squares = second - 2 * new * first + n * new**2
        newer = (squares / 2 + rate) / (n / 2 + shape - 1)
        moved = max(float(np.abs(new - g).max()), float((np.abs(newer - d) / d).max()))
        g, d = new, newer
        if moved < CONVERGED:
            break
    return g, d


def _weighed(scaled: Floats, gamma: Floats, delta: Floats, *, mean_only: bool) -> tuple[Floats, Floats]:
    """Return each feature's mean of the *other* features' gamma and delta, weighed by their likelihood.

    In logarithms, since a likelihood over many patients is too small for a float.
    """
    n = len(scaled)
    first, second = scaled.sum(0), (scaled**2).sum(0)
    g, d = np.empty_like(gamma), np.empty_like(delta)
    for i in range(len(gamma)):
        squares = second[i] - 2 * gamma * first[i] + n * gamma**2
        log = -n / 2 * np.log(2 * np.pi * delta) - squares / (2 * delta)
        log[i] = -np.inf
        weight = np.exp(log - log.max())
        g[i], d[i] = weight @ gamma / weight.sum(), weight @ delta / weight.sum()
    return g, np.ones_like(d) if mean_only else d


def apply_shift(
    features: Floats, pooled: Pooled, shift: SiteShift, *, covariates: Floats | None = None
) -> Floats:
    """Return features (n, p) of one site's patients as the pooled site would have them.

    >>> from huizhen.data.harmonise.pooled import pooled_of, sums_of
    >>> y = np.array([[0.0, 1.0], [2.0, 5.0]])
    >>> pooled = pooled_of(sums_of(y), np.zeros((0, 2)), np.array([2.0, 8.0]), 2)
    >>> moved = SiteShift(gamma=np.array([1.0, 0.0]), delta=np.ones(2), n=20)
    >>> apply_shift(y, pooled, moved).tolist()
    [[-1.0, 1.0], [1.0, 5.0]]
    """
    y, c = checked(features, covariates)
    expected = pooled.expected(None if covariates is None else c, len(y))
    left = (y - expected) / pooled.scale
    found: Floats = (left - shift.gamma) / np.sqrt(shift.delta) * pooled.scale + expected
    return np.where(pooled.flat, y, found)
