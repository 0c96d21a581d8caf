"""What readers' answers say of the truth when nobody knows it: the model of Dawid & Skene.

Dawid & Skene, Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm, Applied
Statistics 28:20-28 (1979). Each reader has a confusion matrix of his own, and readers err independently given
the truth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.errors import InvalidInputError

__all__ = ["Truth", "dawid_skene"]

STEPS = 200
TOLERANCE = 1e-8
SMOOTHING = 0.01
"""Added to every cell of a confusion matrix: a reader who never erred so far isn't infallible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """`probability` (n, K) of each label of each case, `confusion` (R, K, K) from truth to answer, `share`
    (K,).
    """

    probability: NDArray[np.float64]
    confusion: NDArray[np.float64]
    share: NDArray[np.float64]
    steps: int


def dawid_skene(read: NDArray[np.int64], *, labels: int) -> Truth:
    """Return the likely truth of ratings (n, R) in 0 to `labels` - 1, -1 where a reader didn't read.

    Starts from the share of votes; stops when no probability moves by more than 1e-8, or after 200 steps.
    Raises `InvalidInputError` when a case has no rating or a label is out of range.

    >>> read = np.array([[0, 0, 1], [1, 1, 1], [0, 0, 0], [1, 1, 0]])
    >>> dawid_skene(read, labels=2).probability.argmax(1).tolist()
    [0, 1, 0, 1]
    """
    if read.ndim != 2 or not (read >= 0).any(1).all() or (read >= labels).any() or (read < -1).any():
        raise InvalidInputError("a case has no rating, or one out of range", remedy="leave unread cases out")
    said = (read[:, :, None] == np.arange(labels)).astype(float)  # (n, R, K)
    truth = said.sum(1) / said.sum((1, 2), keepdims=False)[:, None]
    step, change = 0, np.inf
    while step < STEPS and change >= TOLERANCE:
        step += 1
        share = truth.mean(0) + 1e-12
        confusion = np.einsum("nk,nrl->rkl", truth, said) + SMOOTHING
        confusion /= confusion.sum(2, keepdims=True)
        logs = np.log(share) + np.einsum("nrl,rkl->nk", said, np.log(confusion))
        moved = np.exp(logs - logs.max(1, keepdims=True))
        moved /= moved.sum(1, keepdims=True)
        change = float(np.abs(moved - truth).max())
        truth = moved
    return Truth(probability=truth, confusion=confusion, share=share / share.sum(), steps=step)
