"""Random: every open case is as likely as any other. What the others are measured against."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["random_scores"]


def random_scores(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return n scores in [0, 1) without meaning.

    >>> random_scores(3, np.random.default_rng(1)).shape
    (3,)
    """
    return rng.random(n)
