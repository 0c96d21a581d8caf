"""Entropy: how much the label would tell, in nats (Shannon, 1948; Settles, Active Learning, 2012, 2.3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["entropy"]


def entropy(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the entropy of a label with `probability` (any shape) of being positive, in [0, ln 2].

    >>> entropy(np.array([0.5, 0.0, 1.0])).round(3).tolist()
    [0.693, 0.0, 0.0]
    """
    found = np.zeros(np.shape(probability))
    for p in (probability, 1 - probability):
        found -= np.where(p > 0, p * np.log(np.where(p > 0, p, 1.0)), 0.0)
    return found
