"""BADGE: k-means++ over gradients of the last layer (Ash et al., ICLR 2020, algorithm 1).

The gradient of the log-loss by the last layer's weights, for the label that the model thinks likelier, is
(p - label) times the features: long where the model is unsure, and of another direction where the case is of
another kind. Sampling proportional to the squared distance from those chosen so far (Arthur & Vassilvitskii,
SODA 2007) wants both.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from huizhen.train.active.features import filled, squared_distances
from huizhen.train.active.interface import Picks
from huizhen.train.active.picking import Open

__all__ = ["badge", "gradients"]

Floats = NDArray[np.float64]


def gradients(features: Floats, probability: Floats) -> Floats:
    """Return the gradient (n, d + 1) of each case's loss by weights and intercept, at its likelier label.

    Missing values stand at 0.

    >>> gradients(np.array([[2.0], [2.0]]), np.array([0.75, 0.5])).tolist()
    [[-0.5, -0.25], [-1.0, -0.5]]
    """
    error = probability - (probability >= 0.5)
    return np.column_stack([filled(features), np.ones(len(features))]) * error[:, None]


def badge(
    features: Floats, probability: Floats, opened: Open, budget: int, rng: np.random.Generator
) -> Picks:
    """Return up to `budget` open cases drawn by k-means++ over their gradients; the first is the longest.

    A score is the squared distance from the gradients chosen before it.
    """
    embedded = gradients(features, probability)
    nearest = (embedded**2).sum(1)
    rows: list[int] = []
    score: list[float] = []
    while len(rows) < budget and opened.any:
        row = opened.best(nearest) if not rows else _drawn(np.where(opened.mask, nearest, 0.0), opened, rng)
        rows.append(row)
        score.append(float(nearest[row]))
        opened.take(row)
        apart = squared_distances(embedded, embedded[row : row + 1])[:, 0]
        nearest = apart if len(rows) == 1 else np.minimum(nearest, apart)
    return Picks(rows=np.array(rows, dtype=np.int64), score=np.array(score))


def _drawn(weight: Floats, opened: Open, rng: np.random.Generator) -> int:
    """Return an open row drawn in proportion to `weight` (n,); evenly when all are 0."""
    total = weight.cumsum()
    if not total[-1] > 0:
        return opened.best(np.zeros(len(weight)))
    row = int(total.searchsorted(rng.random() * total[-1], side="right"))
    return row if row < len(weight) and opened.mask[row] else opened.best(weight)
