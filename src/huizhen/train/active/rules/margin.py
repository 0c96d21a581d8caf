"""Margin: how little the likelier class leads (Scheffer et al., IDA 2001)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["margin"]


def margin(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return scores (n,) in [0, 1] of `probability` (n,): one less the lead of the likelier class.

    With two classes it orders cases as least confidence and entropy do.

    >>> margin(np.array([0.5, 0.75, 1.0])).tolist()
    [1.0, 0.5, 0.0]
    """
    return 1 - np.abs(2 * probability - 1)
