"""Core-set: centres such that no case is far from a labelled one.

Greedy k-centre of Sener & Savarese, Active Learning for Convolutional Neural Networks, ICLR 2018, algorithm
1; within a factor of 2 of the best cover (Gonzalez, Theoretical Computer Science 38:293-306, 1985).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from huizhen.train.active.features import blocks, squared_distances
from huizhen.train.active.interface import Picks
from huizhen.train.active.picking import Open

__all__ = ["core_set", "nearest_covered"]

Floats = NDArray[np.float64]


def core_set(features: Floats, covered: NDArray[np.bool_], opened: Open, budget: int) -> Picks:
    """Return up to `budget` open cases of `features` (n, d), each the farthest from all covered so far.

    A score is the distance to the nearest covered case at the time; the first centre of an empty pool is the
    case nearest to the mean of all.
    """
    nearest = nearest_covered(features, covered)
    rows: list[int] = []
    score: list[float] = []
    while len(rows) < budget and opened.any:
        row = opened.best(nearest) if np.isfinite(nearest).all() else _central(features, opened)
        rows.append(row)
        score.append(float(np.sqrt(nearest[row])))
        opened.take(row)
        nearest = np.minimum(nearest, squared_distances(features, features[row : row + 1])[:, 0])
    return Picks(rows=np.array(rows, dtype=np.int64), score=np.array(score))


def nearest_covered(features: Floats, covered: NDArray[np.bool_]) -> Floats:
    """Return each case's squared distance (n,) to the nearest covered one; infinite when none is covered."""
    nearest = np.full(len(features), np.inf)
    centres = features[covered]
    for part in blocks(len(features)):
        for some in blocks(len(centres)):
            found = squared_distances(features[part], centres[some]).min(1)
            nearest[part] = np.minimum(nearest[part], found)
    return nearest


def _central(features: Floats, opened: Open) -> int:
    """Return the open case nearest to the mean of all."""
    there = ~np.isnan(features)
    mean = np.where(there, features, 0.0).sum(0) / np.maximum(there.sum(0), 1)
    return opened.best(-squared_distances(features, mean[None])[:, 0])
