"""The part of the AUC where a test would be used: high specificity, or high sensitivity.

References: McClish, Med Decis Making 9:190-195 (1989) for the part and its standardisation; the trapezoidal
curve, cut by interpolation, as pROC does (Robin et al., BMC Bioinformatics 12:77, 2011).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.core.evidence import Interval
from huizhen.core.streams import stream
from huizhen.errors import InvalidInputError
from huizhen.validate.estimates import Estimate, normal_quantile
from huizhen.validate.samples import checked_outcome, checked_scores, class_counts

Floats = NDArray[np.float64]
_CELLS = 4_000_000
_DISTINCT = 5000
"""Beyond so many distinct scores neighbours are drawn together in the bootstrap: the curve between them is
taken as straight, which changes an area by less than one part in so many."""


def partial_auc(
    outcome: NDArray[Any],
    score: ArrayLike,
    *,
    least: float = 0.9,
    most: float = 1.0,
    of: Literal["specificity", "sensitivity"] = "specificity",
    standardised: bool = True,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """Return the area under the curve between `least` and `most` of specificity, or of sensitivity.

    `standardised`: McClish's ½ (1 + (area - chance) / (best - chance)), 0.5 for chance and 1 for perfect;
    otherwise the bare area. The interval is the percentile one of a bootstrap within events and non-events.
    Raises `InvalidInputError` on wrong input or limits, `NotEstimableError` unless each class has two cases.

    >>> outcome, score = np.array([True, True, False, False]), np.array([0.9, 0.6, 0.7, 0.1])
    >>> partial_auc(outcome, score, least=0.5, standardised=False).value
    0.25
    """
    if not 0 <= least < most <= 1 or of not in ("specificity", "sensitivity"):
        raise InvalidInputError("no such part of the curve", remedy="0 <= least < most <= 1", field="least")
    truth = checked_outcome(outcome)
    values = checked_scores(score, truth.size)
    class_counts(truth, least=2)
    if of == "sensitivity":  # the curve seen from the other class: specificity and sensitivity change places
        truth, values = ~truth, -values
    limits = (1 - most, 1 - least)
    events, others = _grouped(truth, values)
    area = _areas(events[np.newaxis], others[np.newaxis], limits, standardised)[0]
    drawn = _bootstrap(_gathered(events), _gathered(others), limits, standardised, resamples, seed)
    normal_quantile(level)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    method = f"bootstrap within classes, percentile, {resamples} resamples"
    return Estimate(
        value=float(area), interval=Interval(low=float(low), high=float(high), method=method, level=level)
    )


def _grouped(truth: NDArray[np.bool_], values: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the events and non-events (u,) at each distinct score, from the highest down."""
    _, place = np.unique(-values, return_inverse=True)
    size = int(place.max()) + 1
    return np.bincount(place[truth], minlength=size), np.bincount(place[~truth], minlength=size)


def _gathered(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the counts (u,) of at most `_DISTINCT` runs of neighbouring scores."""
    if counts.size <= _DISTINCT:
        return counts
    return np.add.reduceat(counts, np.arange(_DISTINCT) * counts.size // _DISTINCT)


def _areas(
    events: NDArray[np.int64], others: NDArray[np.int64], limits: tuple[float, float], standardised: bool
) -> Floats:
    """Return the area (b,) of b curves from counts (b, u), between two false positive rates."""
    start = np.zeros((len(events), 1))
    tpr = np.hstack([start, events.cumsum(axis=1) / events.sum(axis=1, keepdims=True)])
    fpr = np.hstack([start, others.cumsum(axis=1) / others.sum(axis=1, keepdims=True)])
    width = np.diff(np.clip(fpr, *limits), axis=1)
    step = np.diff(fpr, axis=1)
    slope = np.divide(np.diff(tpr, axis=1), step, out=np.zeros_like(step), where=step > 0)
    middle = (np.clip(fpr, *limits)[:, 1:] + np.clip(fpr, *limits)[:, :-1]) / 2
    area = ((tpr[:, :-1] + slope * (middle - fpr[:, :-1])) * width).sum(axis=1)
    if not standardised:
        return np.asarray(area, dtype=np.float64)
    chance, best = (limits[1] ** 2 - limits[0] ** 2) / 2, limits[1] - limits[0]
    return np.asarray((1 + (area - chance) / (best - chance)) / 2, dtype=np.float64)


def _bootstrap(
    events: NDArray[np.int64],
    others: NDArray[np.int64],
    limits: tuple[float, float],
    standardised: bool,
    resamples: int,
    seed: int,
) -> Floats:
    """Return the areas of resamples: counts at distinct scores are multinomial."""
    draw, found = stream(seed, "partial auc"), []
    block = max(1, _CELLS // events.size)
    for first in range(0, resamples, block):
        size = min(block, resamples - first)
        pair = [draw.multinomial(int(side.sum()), side / side.sum(), size=size) for side in (events, others)]
        found.append(_areas(pair[0], pair[1], limits, standardised))
    return np.concatenate(found)
