"""The ROC curve as points for a figure, and a band around it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.errors import InvalidInputError
from huizhen.validate.proportions import wilson_limits
from huizhen.validate.samples import checked_outcome, checked_scores, class_counts


@dataclass(frozen=True, slots=True, kw_only=True)
class RocCurve:
    """Points (p,) of the curve from (0, 0) to (1, 1): an event is called where score >= `threshold`."""

    fpr: NDArray[np.float64]
    tpr: NDArray[np.float64]
    threshold: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class RocBand:
    """At each false positive rate `fpr` (g,), the limits of the true positive rate, at `level` pointwise."""

    fpr: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    level: float


def _counts(
    outcome: NDArray[Any], score: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct thresholds from infinity down, with false and true positives at each."""
    outcome = checked_outcome(outcome)
    values = checked_scores(score, outcome.size)
    class_counts(outcome)
    order = np.argsort(-values, kind="stable")
    ranked, events = values[order], outcome[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))  # the end of each group of ties
    true = np.concatenate(([0], np.cumsum(events, dtype=np.int64)[last]))
    called = np.concatenate(([0], last + 1))
    return np.concatenate(([math.inf], ranked[last])), called - true, true


def roc_curve(outcome: NDArray[Any], score: ArrayLike, *, max_points: int = 200) -> RocCurve:
    """Return the curve's corners, thinned to about `max_points` (at least 2) for drawing.

    Points on a straight stretch are dropped without loss. If more corners than `max_points` are left, those
    nearest to equal steps of fpr + tpr stay, with both ends; no drawn point is then further than one such
    step from the full curve. Raises as `discrimination.auc`.

    >>> curve = roc_curve(np.array([True, True, False, False]), np.array([4.0, 2.0, 3.0, 1.0]))
    >>> curve.fpr.tolist(), curve.tpr.tolist()
    ([0.0, 0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.5, 1.0, 1.0])
    """
    if max_points < 2:
        raise InvalidInputError("a curve needs two points", remedy="give at least 2", field="max_points")
    threshold, false, true = _counts(outcome, score)
    turns = np.diff(false)[:-1] * np.diff(true)[1:] != np.diff(false)[1:] * np.diff(true)[:-1]
    kept = np.flatnonzero(np.concatenate(([True], turns, [True])))
    fpr, tpr = false / false[-1], true / true[-1]
    if kept.size > max_points:
        along = (fpr + tpr)[kept]
        kept = kept[np.unique(np.searchsorted(along, np.linspace(0, 2, max_points)).clip(max=kept.size - 1))]
    return RocCurve(fpr=fpr[kept], tpr=tpr[kept], threshold=threshold[kept])


def roc_band(outcome: NDArray[Any], score: ArrayLike, *, points: int = 101, level: float = 0.95) -> RocBand:
    """Return a pointwise band for the true curve at `points` even false positive rates.

    At every threshold the pair of Wilson intervals at the square root of `level` holds the true (fpr, tpr)
    with probability `level`. The true curve at a given fpr belongs to some threshold, so the hull of the
    intervals that hold this fpr covers it at least as often: the band is conservative and needs no
    resampling. Where ties leave an fpr that no threshold has, the curve runs between its two neighbours,
    and so the band is their hull. Raises as `discrimination.auc`.

    >>> band = roc_band(np.array([True, True, False, False]), np.array([4.0, 2.0, 3.0, 1.0]), points=3)
    >>> bool((band.low <= band.high).all())
    True
    """
    _, false, true = _counts(outcome, score)
    side = math.sqrt(level)
    fpr_low, fpr_high = wilson_limits(false, int(false[-1]), level=side)
    tpr_low, tpr_high = wilson_limits(true, int(true[-1]), level=side)
    grid = np.linspace(0, 1, points)
    first = np.searchsorted(fpr_high, grid).clip(max=false.size - 1)
    last = np.searchsorted(fpr_low, grid, side="right") - 1
    low, high = tpr_low[np.minimum(first, last)], tpr_high[np.maximum(first, last)]
    return RocBand(fpr=grid, low=low, high=high, level=level)
