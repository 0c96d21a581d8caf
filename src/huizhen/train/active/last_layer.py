"""A logistic last layer on cached features, its ridge by marginal likelihood: what rounds of asking refit.

With few labels, folds to choose a ridge by would be too small. The evidence needs none: the probability of
the labels under the prior, by Laplace's approximation (MacKay, Neural Computation 4:720-736, 1992).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.core.streams import stream
from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.train.active.features import filled
from huizhen.train.active.rules.fahl import INTERCEPT_PENALTY

__all__ = ["LastLayer", "fit_last_layer"]

RIDGES = tuple(float(x) for x in np.logspace(3, -1, 7))
NEWTON_STEPS = 50
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LastLayer:
    """Log-odds = features (n, d) . `weights` (d,) + `intercept`; `penalty` is the ridge that it was fitted
    with.
    """

    weights: Floats
    intercept: float
    penalty: float

    def logits(self, features: Floats) -> Floats:
        """Return log-odds (n,); missing values stand at 0, the mean of scaled features."""
        found: Floats = filled(features) @ self.weights + self.intercept
        return found

    def probability(self, features: Floats) -> Floats:
        """Return the probability (n,) of the positive class."""
        return _sigmoid(self.logits(features))

    def samples(self, features: Floats, *, draws: int, rate: float, seed: int) -> Floats:
        """Return probabilities (m, n) under dropout of features with `rate` (Gal et al., 2017)."""
        rng = stream(seed, "monte-carlo-dropout")
        kept = (rng.random((draws, len(self.weights))) >= rate) / (1 - rate)
        return _sigmoid((kept * self.weights) @ filled(features).T + self.intercept)


def fit_last_layer(features: Floats, outcome: NDArray[np.bool_]) -> LastLayer:
    """Fit a logistic regression of `outcome` (n,) on `features` (n, d) with the ridge of highest evidence.

    The intercept is nearly free. Raises `NotEstimableError` unless both classes are there,
    `InvalidInputError` on shapes that don't fit.

    >>> layer = fit_last_layer(np.array([[-2.0], [-1.0], [1.0], [2.0]]), np.array([False, False, True, True]))
    >>> layer.probability(np.array([[-2.0], [2.0]])).round().tolist()
    [0.0, 1.0]
    """
    if features.ndim != 2 or outcome.shape != features.shape[:1]:
        raise InvalidInputError("one outcome a row is needed", remedy="give (n, d) and (n,)", field="outcome")
    if outcome.all() or not outcome.any():
        raise NotEstimableError("one class has no label", remedy="have more cases labelled first")
    x = np.column_stack([filled(features), np.ones(len(features))])
    weights, best, found = np.zeros(x.shape[1]), -np.inf, None
    for penalty in RIDGES:
        ridge = np.full(x.shape[1], penalty)
        ridge[-1] = INTERCEPT_PENALTY
        weights, evidence = _most_likely(x, outcome, ridge, weights)
        if evidence > best:
            best, found = (
                evidence,
                LastLayer(weights=weights[:-1], intercept=float(weights[-1]), penalty=penalty),
            )
    if found is None:
        raise NotEstimableError("no ridge gives a finite fit", remedy="scale the features first")
    return found


def _most_likely(x: Floats, outcome: NDArray[np.bool_], ridge: Floats, start: Floats) -> tuple[Floats, float]:
    """Return the most likely weights (d + 1,) by damped Newton steps, and the log evidence of the ridge."""
    weights, objective = start, _objective(x, outcome, ridge, start)
    for _ in range(NEWTON_STEPS):
        p = _sigmoid(x @ weights)
        precision = (x * (p * (1 - p))[:, None]).T @ x + np.diag(ridge)
        step = np.linalg.solve(precision, x.T @ (p - outcome) + ridge * weights)
        size = 1.0
        while (after := _objective(x, outcome, ridge, weights - size * step)) > objective and size > 1e-6:
            size /= 2
        weights, objective = weights - size * step, after
        if np.abs(step).max() < 1e-6:
            break
    evidence = -objective + 0.5 * np.log(ridge).sum() - 0.5 * np.linalg.slogdet(precision)[1]
    return weights, float(evidence)


def _objective(x: Floats, outcome: NDArray[np.bool_], ridge: Floats, weights: Floats) -> float:
    """Return the penalised negative log-likelihood."""
    logit = x @ weights
    loss = np.logaddexp(0, np.where(outcome, -logit, logit)).sum()
    return float(loss + 0.5 * (ridge * weights**2).sum())


def _sigmoid(logit: Floats) -> Floats:
    found: Floats = 1 / (1 + np.exp(-np.clip(logit, -35, 35)))
    return found
