"""Newton's method with halved steps as a state machine: one evaluation a round, wherever it is made.

The fit has ended when the next step is below 1e-7 standard errors in every direction (Newton's decrement);
that step is still taken, and its error is about the square. Where classes are separated the likelihood has no
maximum: the information fades while steps stay near 1, which is recognised.

Reference: Boyd & Vandenberghe, Convex Optimization (2004), section 9.5 (decrement and backtracking).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from huizhen.errors import NotEstimableError

__all__ = ["Climb", "Peak", "Point", "advance", "pack", "unpack"]

Floats = NDArray[np.float64]
_ENOUGH = 1e-7
_HALVINGS = 30
_FADED = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A likelihood at coefficients `beta` (p,): its `value` (-inf if it can't be had), `gradient` (p,) and
    `information` (p, p), the negative second derivative.
    """

    beta: Floats
    value: float
    gradient: Floats
    information: Floats

    def penalised(self, ridge: Floats) -> Point:
        """Return the point of the likelihood less ½ Σ ridge · beta², with `ridge` (p,) >= 0."""
        return Point(
            beta=self.beta,
            value=self.value - 0.5 * float(ridge @ self.beta**2),
            gradient=self.gradient - ridge * self.beta,
            information=self.information + np.diag(ridge),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Climb:
    """A fit under way: the `best` point so far, the next `trial` (p,) to evaluate, and its history."""

    trial: Floats
    best: Point | None = None
    halvings: int = 0
    rounds: int = 0
    at_first: Floats | None = None
    """The information's diagonal (p,) at the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """The maximum: coefficients (p,), their covariance (p, p), and the last point and step to them."""

    beta: Floats
    covariance: Floats
    last: Point
    step: Floats


def advance(climb: Climb, point: Point, *, most_rounds: int) -> Climb | Peak:
    """Return where to evaluate next after `point`, the value at `climb.trial`, or the maximum.

    Raises `NotEstimableError` when the information is singular or fades (separated classes, a column without
    variation or equal to others), or after `most_rounds` evaluations.

    >>> here = Point(beta=np.zeros(1), value=0.0, gradient=np.ones(1), information=np.eye(1))
    >>> climb = advance(Climb(trial=np.zeros(1)), here, most_rounds=25)
    >>> climb.trial.tolist()
    [1.0]
    """
    rounds = climb.rounds + 1
    if rounds > most_rounds:
        raise NotEstimableError(
            f"the fit doesn't converge in {most_rounds} rounds", remedy="penalise it, or check separation"
        )
    best = climb.best
    if best is not None and not point.value >= best.value - 1e-11 * (1 + abs(best.value)):
        return _halved(replace(climb, rounds=rounds), best)
    if not math.isfinite(point.value):
        raise NotEstimableError("the likelihood can't be had at the start", remedy="standardise the columns")
    at_first = np.diag(point.information) if climb.at_first is None else climb.at_first
    step, covariance = _step(point, at_first)
    if float(point.gradient @ step) < _ENOUGH**2:
        return Peak(beta=point.beta + step, covariance=covariance, last=point, step=step)
    return Climb(trial=point.beta + step, best=point, rounds=rounds, at_first=at_first)


def _halved(climb: Climb, best: Point) -> Climb:
    """Return the climb with half the step from its best point."""
    if climb.halvings >= _HALVINGS:
        raise NotEstimableError("no step raises the likelihood", remedy="standardise the columns")
    trial = best.beta + (climb.trial - best.beta) / 2
    return replace(climb, trial=trial, halvings=climb.halvings + 1)


def _step(point: Point, at_first: Floats) -> tuple[Floats, Floats]:
    """Return Newton's step (p,) and the covariance (p, p)."""
    diagonal = np.diag(point.information)
    if (diagonal <= _FADED * at_first).any() or not np.isfinite(diagonal).all():
        raise NotEstimableError(
            "the information fades: classes are separated, or a column doesn't vary",
            remedy="leave the column out, or penalise the fit",
        )
    scale = 1 / np.sqrt(diagonal)
    scaled = point.information * np.outer(scale, scale)
    if diagonal.size and np.linalg.eigvalsh(scaled)[0] < 1e-10:
        raise NotEstimableError(
            "the information is singular: columns say the same", remedy="leave one out, or penalise the fit"
        )
    covariance = np.linalg.inv(scaled) * np.outer(scale, scale)
    return covariance @ point.gradient, covariance


def pack(symmetric: Floats) -> Floats:
    """Return the upper triangle (..., p (p + 1) / 2) of symmetric matrices (..., p, p).

    >>> pack(np.array([[1.0, 2.0], [2.0, 3.0]])).tolist()
    [1.0, 2.0, 3.0]
    """
    upper = np.triu_indices(symmetric.shape[-1])
    return np.asarray(symmetric[..., upper[0], upper[1]])


def unpack(packed: Floats, p: int) -> Floats:
    """Return symmetric matrices (..., p, p) from their upper triangles.

    >>> unpack(np.array([1.0, 2.0, 3.0]), 2).tolist()
    [[1.0, 2.0], [2.0, 3.0]]
    """
    row, column = np.triu_indices(p)
    full = np.zeros((*packed.shape[:-1], p, p))
    full[..., row, column] = packed
    full[..., column, row] = packed
    return full
