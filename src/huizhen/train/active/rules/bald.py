"""BALD: what draws of the model disagree about (Houlsby et al., arXiv:1112.5745; Gal et al., ICML 2017)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from huizhen.train.active.rules.entropy import entropy

__all__ = ["bald"]


def bald(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mutual information (n,) of label and model, in [0, ln 2], from `samples` (m, n).

    A case on which every draw says one half scores 0: its label is a toss-up, and no model could learn it.

    >>> bald(np.array([[0.0, 0.5], [1.0, 0.5]])).round(3).tolist()
    [0.693, 0.0]
    """
    found: NDArray[np.float64] = entropy(samples.mean(0)) - entropy(samples).mean(0)
    return np.maximum(found, 0.0)
