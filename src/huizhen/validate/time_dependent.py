"""The AUC of a risk for the event by a given time, among patients of whom some are censored.

Cases had the event by then, controls were still under observation without it. Cases weigh one over the chance
of being uncensored just before their event; who was censored earlier is counted only through these weights.
References: Uno, Cai, Tian & Wei, JASA 102:527-537 (2007); Blanche, Dartigues & Jacqmin-Gadda, Stat Med
32:5381-5397 (2013), cumulative cases and dynamic controls. The interval takes the weights as known.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.core.evidence import Interval
from huizhen.errors import NotEstimableError
from huizhen.validate.concordance import checked_survival, uncensored_chance
from huizhen.validate.estimates import Estimate, logit_wald, unanimous_floor
from huizhen.validate.samples import checked_scores

Floats = NDArray[np.float64]


def auc_at_time(
    time: ArrayLike, event: NDArray[Any], risk: ArrayLike, *, by: float, level: float = 0.95
) -> Estimate:
    """Return the AUC at time `by`, with its interval on the logit scale.

    `time` (n,), `event` (n,) boolean, `risk` (n,), larger for earlier events. Raises `InvalidInputError` on
    wrong input, `NotEstimableError` unless there are two cases and two controls.

    >>> auc_at_time([1.0, 2, 3, 4], np.array([True, True, False, False]), [4.0, 2, 3, 1], by=2).value
    0.75
    """
    data = checked_survival(time, event)
    scores = checked_scores(risk, data.event.size, name="risk")
    cases, controls = data.event & (data.time <= by), data.time > by
    if min(int(cases.sum()), int(controls.sum())) < 2:
        raise NotEstimableError("fewer than two cases or controls at this time", remedy="choose another")
    weights = 1 / uncensored_chance(data, data.time[cases])
    value, variance = weighted_auc(scores[cases], weights, scores[controls])
    if variance <= 0 or not 0 < value < 1:
        floor = unanimous_floor(min(int(cases.sum()), int(controls.sum())), level=level)
        method = "exact bound on disjoint pairs"
        bound = Interval(low=floor * value, high=1 - floor * (1 - value), method=method, level=level)
        return Estimate(value=value, interval=bound)
    interval = logit_wald(value, math.sqrt(variance), method="IPCW, logit", level=level)
    return Estimate(value=value, interval=interval)


def weighted_auc(cases: Floats, weights: Floats, controls: Floats) -> tuple[float, float]:
    """Return the AUC of weighted cases (m,) against controls (n,), and its variance by placements.

    >>> weighted_auc(np.array([2.0, 0.0]), np.array([3.0, 1.0]), np.array([1.0, 1.0]))
    (0.75, 0.140625)
    """
    ranked = np.sort(controls)
    low, high = (np.searchsorted(ranked, cases, side=side) for side in ("left", "right"))
    of_cases = (low + high) / (2 * controls.size)
    order = np.argsort(cases)
    above = weights.sum() - np.concatenate([[0.0], np.cumsum(weights[order])])
    under, until = (np.searchsorted(cases[order], controls, side=side) for side in ("left", "right"))
    of_controls = (above[under] + above[until]) / (2 * weights.sum())
    value = float(weights @ of_cases / weights.sum())
    moved = weights * (of_cases - value) / weights.sum()
    m, n = cases.size, controls.size
    variance = m / (m - 1) * float(moved @ moved) + float(of_controls.var(ddof=1)) / n
    return value, variance
