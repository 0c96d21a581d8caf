"""The mean of AUCs over several showings of the same patients, with an interval over patients.

A patient who is shown twice counts once: what each adds to the mean is summed over the showings before the
variance is taken, so that showings may share patients of either class.

Reference: DeLong, DeLong & Clarke-Pearson, Biometrics 44:837-845 (1988), whose components these are; of one
showing the variance is theirs.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from huizhen.core.evidence import Interval
from huizhen.errors import InvalidInputError
from huizhen.validate.discrimination import auc_interval
from huizhen.validate.estimates import Estimate, normal_quantile
from huizhen.validate.placements import place
from huizhen.validate.samples import checked_outcome

__all__ = ["mean_auc"]


def mean_auc(outcome: NDArray[np.bool_], scores: NDArray[np.float64], *, level: float = 0.95) -> Estimate:
    """Return the mean AUC of `scores` (k, n), NaN where a patient wasn't shown, and its interval.

    `outcome` (n,). On the logit scale, as the interval of one AUC; where no variance is left, the widest of
    the showings' exact bounds. Raises `InvalidInputError` on another shape, `NotEstimableError` unless each
    showing has two patients of each class.

    >>> outcome = np.array([True, True, True, False, False, False])
    >>> score = np.array([[3.0, 1.0, 2.0, 2.0, 0.0, 1.0]])
    >>> found, one = mean_auc(outcome, score), auc_interval(outcome, score[0], method="logit")
    >>> found.value == one.value, np.isclose(found.interval.low, one.interval.low)
    (True, np.True_)
    """
    truth = checked_outcome(outcome)
    if scores.ndim != 2 or scores.shape[1] != truth.size or not len(scores):
        raise InvalidInputError(
            f"scores of shape {scores.shape} aren't of {truth.size} patients", remedy="give (k, n)"
        )
    aucs, adds = [], np.zeros(truth.size)
    for score in scores:
        shown = np.flatnonzero(~np.isnan(score))
        placed = place(truth[shown], score[shown][None], least=2)
        mine, pos, neg = float(placed.aucs[0]), shown[truth[shown]], shown[~truth[shown]]
        adds[pos] += (placed.pos[0] / (2 * placed.n_neg) - mine) / placed.n_pos
        adds[neg] += (placed.neg[0] / (2 * placed.n_pos) - mine) / placed.n_neg
        aucs.append(mine)
    value = float(np.mean(aucs))
    error = math.sqrt(sum(_variance(adds[which] / len(scores)) for which in (truth, ~truth)))
    if error <= 1e-12 or value in (0.0, 1.0):
        return Estimate(value=value, interval=_widest(truth, scores, level))
    reach = normal_quantile(level) * error / (value * (1 - value))
    low, high = (float(expit(logit(value) + side * reach)) for side in (-1, 1))
    method = "DeLong, logit" if len(scores) == 1 else "DeLong over patients, logit"
    return Estimate(value=value, interval=Interval(low=low, high=high, method=method, level=level))


def _variance(adds: NDArray[np.float64]) -> float:
    """Return the variance of the sum of what patients of one class add, as DeLong's: m - 1 below."""
    return float(((adds - adds.mean()) ** 2).sum() * adds.size / (adds.size - 1))


def _widest(truth: NDArray[np.bool_], scores: NDArray[np.float64], level: float) -> Interval:
    """Return the widest of the showings' own intervals."""
    found = []
    for score in scores:
        shown = ~np.isnan(score)
        found.append(auc_interval(truth[shown], score[shown], level=level, method="logit").interval)
    return max(found, key=lambda interval: interval.high - interval.low)
