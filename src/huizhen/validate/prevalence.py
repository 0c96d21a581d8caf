"""Predictive values at a prevalence other than the sample's.

A sample enriched with disease shows a PPV that no clinic will see. Reference: Mercaldo, Lau & Zhou, Stat Med
26:2170-2183 (2007), logit intervals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import expit, logit

from huizhen.core.evidence import Interval
from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.estimates import Estimate, normal_quantile
from huizhen.validate.proportions import Confusion


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictiveValues:
    """PPV and NPV that hold at `prevalence`."""

    ppv: Estimate
    npv: Estimate
    prevalence: float


def predictive_values(table: Confusion, *, prevalence: float, level: float = 0.95) -> PredictiveValues:
    """Return PPV and NPV at `prevalence` in (0, 1) from the sensitivity and specificity of `table`.

    The prevalence is taken as known. Where a cell is empty ½ is added to every cell for the intervals, and
    for the value too where it would be 0 / 0. Raises `NotEstimableError` when a class is missing.

    >>> table = Confusion(true_positive=90, false_negative=10, false_positive=20, true_negative=180)
    >>> found = predictive_values(table, prevalence=0.01)
    >>> round(found.ppv.value, 4), round(found.npv.value, 4)
    (0.0833, 0.9989)
    """
    if not 0 < prevalence < 1:
        raise InvalidInputError(f"{prevalence} is outside (0, 1)", remedy="use 0.01", field="prevalence")
    if min(table.n_pos, table.n_neg) < 1:
        raise NotEstimableError("a class is missing", remedy="gather cases", field="outcome")
    cells = (table.true_positive, table.false_negative, table.true_negative, table.false_positive)
    tp, fn, tn, fp = (cell + (0.5 if min(cells) == 0 else 0.0) for cell in cells)
    n1, n0, odds = tp + fn, tn + fp, float(logit(prevalence))
    ppv = math.log(tp / n1) - math.log(fp / n0) + odds
    npv = math.log(tn / n0) - math.log(fn / n1) - odds
    spread = (fn / (tp * n1) + tn / (fp * n0), tp / (fn * n1) + fp / (tn * n0))
    share = prevalence / (1 - prevalence)
    plain = (
        _odds_share(cells[0] / table.n_pos * share, cells[3] / table.n_neg, float(expit(ppv))),
        _odds_share(cells[2] / table.n_neg, cells[1] / table.n_pos * share, float(expit(npv))),
    )
    return PredictiveValues(
        ppv=_estimate(plain[0], ppv, spread[0], level),
        npv=_estimate(plain[1], npv, spread[1], level),
        prevalence=prevalence,
    )


def _odds_share(right: float, wrong: float, otherwise: float) -> float:
    """Return right / (right + wrong), or `otherwise` if both are 0."""
    return right / (right + wrong) if right + wrong > 0 else otherwise


def _estimate(value: float, centre: float, variance: float, level: float) -> Estimate:
    """Return a value with its interval on the logit scale, widened to hold the value where ½ was added."""
    reach = normal_quantile(level) * math.sqrt(variance)
    low, high = (float(expit(centre + side * reach)) for side in (-1, 1))
    interval = Interval(low=min(low, value), high=max(high, value), method="Mercaldo, logit", level=level)
    return Estimate(value=value, interval=interval)
