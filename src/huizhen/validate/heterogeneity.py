"""How much a measure varies between sites or scanners, and what to expect at the next one.

Site estimates differ by chance and in truth; τ² is the variance of the truth. The mean's interval is Hartung
and Knapp's; the prediction interval is for a new site. References: DerSimonian & Laird, Control Clin Trials
7:177-188 (1986); Viechtbauer, J Educ Behav Stat 30:261-293 (2005), REML; Hartung & Knapp, Stat Med
20:3875-3889 (2001); Higgins, Thompson & Spiegelhalter, J R Stat Soc A 172:137-159 (2009), prediction; Snell
et al., Stat Methods Med Res 27:3505-3522 (2018), the logit scale for AUCs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, expit, logit, stdtrit

from huizhen.core.evidence import Interval
from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.estimates import normal_quantile
from huizhen.validate.placements import place
from huizhen.validate.samples import checked_outcome, checked_scores
from huizhen.validate.subgroups import checked_groups

Floats = NDArray[np.float64]
TauMethod = Literal["reml", "dersimonian-laird"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heterogeneity:
    """The mean over sites with its interval, the prediction interval for a new site (None with two sites),
    τ², I² (the share of the variance that isn't chance), and Cochran's Q with the p-value of no difference.

    With under ten sites the prediction interval holds the next site less often than it says.
    """

    mean: float
    interval: Interval
    prediction: Interval | None
    tau2: float
    i2: float
    q: float
    p: float
    sites: int


def random_effects(
    estimates: ArrayLike, variances: ArrayLike, *, method: TauMethod = "reml", level: float = 0.95
) -> Heterogeneity:
    """Return the random-effects summary of k >= 2 estimates (k,) with their variances (k,), above 0.

    Hartung and Knapp's factor isn't let below 1, so that the interval is never narrower than the usual one
    (Röver, Knapp & Friede, BMC Med Res Methodol 15:99, 2015). Raises `InvalidInputError` on wrong input,
    `NotEstimableError` with one estimate.

    >>> found = random_effects([0.1, 0.5, 0.9], [0.04, 0.04, 0.04])
    >>> round(found.mean, 3), round(found.tau2, 3), found.prediction.low < found.interval.low
    (0.5, 0.12, True)
    """
    values, spread = (np.asarray(side, dtype=np.float64) for side in (estimates, variances))
    if values.ndim != 1 or values.shape != spread.shape or not np.isfinite(values).all():
        raise InvalidInputError("estimates and variances don't fit", remedy="give (k,) of each")
    if values.size < 2:
        raise NotEstimableError("one site has no heterogeneity", remedy="gather sites", field="estimates")
    if not (spread > 0).all() or not np.isfinite(spread).all():
        raise InvalidInputError("a variance isn't above 0", remedy="leave the site out", field="variances")
    if method not in ("reml", "dersimonian-laird"):
        raise InvalidInputError(f"unknown {method!r}", remedy="reml or dersimonian-laird", field="method")
    normal_quantile(level)
    q, moment = _cochran(values, spread)
    tau2 = moment if method == "dersimonian-laird" else _reml(values, spread, moment)
    return _summary(values, spread, tau2, q, level)


def _cochran(values: Floats, spread: Floats) -> tuple[float, float]:
    """Return Cochran's Q and DerSimonian and Laird's τ²."""
    weights = 1 / spread
    mean = float(weights @ values / weights.sum())
    q = float(weights @ (values - mean) ** 2)
    scale = float(weights.sum() - (weights**2).sum() / weights.sum())
    return q, max(0.0, (q - (values.size - 1)) / scale)


def _reml(values: Floats, spread: Floats, start: float) -> float:
    """Return the τ² of the largest restricted likelihood: its score is 0 there, found by bisection.

    `start` is where the search begins; where the score is negative at 0 already, τ² is 0.
    """

    def score(tau2: float) -> float:
        """Return twice the derivative of the restricted log likelihood."""
        weights = 1 / (spread + tau2)
        mean = weights @ values / weights.sum()
        fit = weights**2 @ (values - mean) ** 2 - weights.sum()
        return float(fit + (weights**2).sum() / weights.sum())

    if score(0.0) <= 0:
        return 0.0
    low, high = 0.0, max(start, float(values.var(ddof=1)), 1e-12)
    while score(high) > 0:
        low, high = high, 2 * high
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if score(middle) > 0 else (low, middle)
    return (low + high) / 2


def _summary(values: Floats, spread: Floats, tau2: float, q: float, level: float) -> Heterogeneity:
    """Return the summary at a given τ²."""
    k, weights = values.size, 1 / (spread + tau2)
    mean = float(weights @ values / weights.sum())
    factor = float(weights @ (values - mean) ** 2) / (k - 1)
    error = math.sqrt(max(1.0, factor) / float(weights.sum()))
    reach = float(stdtrit(k - 1, 0.5 + level / 2)) * error
    prediction = None
    if k > 2:
        far = float(stdtrit(k - 2, 0.5 + level / 2)) * math.sqrt(tau2 + error**2)
        prediction = Interval(low=mean - far, high=mean + far, method="prediction, t", level=level)
    typical = float((k - 1) * (1 / spread).sum() / ((1 / spread).sum() ** 2 - (1 / spread**2).sum()))
    return Heterogeneity(
        mean=mean,
        interval=Interval(low=mean - reach, high=mean + reach, method="Hartung-Knapp", level=level),
        prediction=prediction,
        tau2=tau2,
        i2=tau2 / (tau2 + typical),
        q=q,
        p=float(chdtrc(k - 1, q)),
        sites=k,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AucOverSites:
    """The heterogeneity of AUCs on the logit scale, and its mean and intervals as AUCs; sites left out."""

    on_logit: Heterogeneity
    mean: float
    interval: Interval
    prediction: Interval | None
    left_out: tuple[str, ...]


def auc_over_sites(
    outcome: NDArray[Any],
    score: ArrayLike,
    site: ArrayLike,
    *,
    least_events: int = 10,
    method: TauMethod = "reml",
    level: float = 0.95,
) -> AucOverSites:
    """Return how the AUC varies over sites (or scanners) with `least_events` events and non-events.

    `outcome` (n,) boolean, `score` (n,), `site` (n,) names. A site whose AUC has no variance (1, or all tied)
    is left out and named. Raises `InvalidInputError` on wrong input, `NotEstimableError` with under two
    sites.

    >>> outcome, score = np.arange(120) % 2 == 0, np.sin(np.arange(120) ** 2) + (np.arange(120) % 2 == 0)
    >>> found = auc_over_sites(outcome, score, np.arange(120) // 40)
    >>> found.interval.low < found.mean < found.interval.high
    True
    """
    truth = checked_outcome(outcome)
    values = checked_scores(score, truth.size)
    names, places = checked_groups(site, truth.size)
    effects, left_out = [], []
    for number, name in enumerate(names):
        there = places == number
        effect = _logit_auc(truth[there], values[there], least_events)
        if effect is None:
            left_out.append(name)
        else:
            effects.append(effect)
    if len(effects) < 2:
        raise NotEstimableError("fewer than two sites are large enough", remedy="gather sites", field="site")
    found = random_effects(*np.array(effects).T, method=method, level=level)
    return AucOverSites(
        on_logit=found,
        mean=float(expit(found.mean)),
        interval=_as_auc(found.interval),
        prediction=None if found.prediction is None else _as_auc(found.prediction),
        left_out=tuple(left_out),
    )


def _logit_auc(truth: NDArray[np.bool_], score: Floats, least: int) -> tuple[float, float] | None:
    """Return a site's logit AUC with its variance, or None where it is small or has no variance."""
    events = int(np.count_nonzero(truth))
    if min(events, truth.size - events) < max(2, least):
        return None
    placed = place(truth, score[np.newaxis], least=2)
    value, variance = float(placed.aucs[0]), float(placed.covariance[0, 0])
    if placed.constant or not 0 < value < 1:
        return None
    return float(logit(value)), variance / (value * (1 - value)) ** 2


def _as_auc(interval: Interval) -> Interval:
    """Return an interval on the logit scale as one of AUCs."""
    low, high = float(expit(interval.low)), float(expit(interval.high))
    return Interval(low=low, high=high, method=f"{interval.method}, logit", level=interval.level)
