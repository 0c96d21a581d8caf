"""Least confidence: one less the probability of the likelier class (Lewis & Gale, SIGIR 1994)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["least_confidence"]


def least_confidence(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return scores (n,) in [0, 0.5] of `probability` (n,) of the positive class.

    >>> least_confidence(np.array([0.5, 0.75, 0.0])).tolist()
    [0.5, 0.25, 0.0]
    """
    return np.minimum(probability, 1 - probability)
