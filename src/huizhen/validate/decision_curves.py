"""Net benefit: what acting on a risk is worth in true positives per patient, at each threshold one may hold.

A threshold t says how many unneeded interventions one true positive is worth, (1 - t) / t. The range of
thresholds that matter is to be set beforehand; the curve shows no more than that range.

References: Vickers & Elkin, Med Decis Making 26:565-574 (2006); Vickers, Cronin, Elkin & Gonen, BMC Med
Inform Decis Mak 8:53 (2008) for intervals; Vickers, Van Calster & Steyerberg, Diagn Progn Res 3:18 (2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.core.streams import stream
from huizhen.errors import InvalidInputError
from huizhen.validate.clusters import checked_clusters
from huizhen.validate.estimates import normal_quantile
from huizhen.validate.resampling import resampled_sums
from huizhen.validate.samples import checked_outcome, checked_risk, class_counts

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Values (p,) with pointwise limits (p,) at `level`."""

    value: Floats
    low: Floats
    high: Floats
    level: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionCurve:
    """Net benefit (p,) at each `threshold` (p,), per patient.

    `treat_all`: of acting on everybody (on nobody it is 0). `gain`: of the model beyond the better of these
    two, chosen once by the prevalence. `avoided`: interventions that the model spares against acting on
    everybody, no case being missed more.
    """

    threshold: Floats
    net_benefit: Band
    treat_all: Band
    gain: Band
    avoided: Band
    prevalence: float


def decision_curve(
    outcome: NDArray[Any],
    risk: ArrayLike,
    thresholds: ArrayLike,
    *,
    harm: float = 0.0,
    prevalence: float | None = None,
    cluster: ArrayLike | None = None,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> DecisionCurve:
    """Return the decision curve at `thresholds` (p,) in (0, 1), with percentile intervals over patients.

    `outcome` (n,) boolean, `risk` (n,) in [0, 1]; acted on where risk >= threshold. `harm`: what obtaining
    the risk costs, in true positives per patient. `prevalence`: the population's, where cases and controls
    were sampled apart; each class is then resampled by itself. `cluster` (n,): patients with several rows.
    Raises `InvalidInputError` on wrong input, `NotEstimableError` when a class is missing.

    >>> curve = decision_curve(np.array([True, False]), np.array([0.9, 0.2]), [0.5], resamples=10)
    >>> curve.net_benefit.value.tolist(), curve.treat_all.value.tolist()
    ([0.5], [0.0])
    """
    truth = checked_outcome(outcome)
    values = checked_risk(risk, truth.size)
    at = checked_thresholds(thresholds)
    class_counts(truth)
    normal_quantile(level)
    draw = stream(seed, "decision curve")
    if prevalence is None:
        units = np.arange(truth.size) if cluster is None else checked_clusters(cluster, truth.size)
        true, false, events = _sampled_whole(draw, truth, values, at, units, resamples)
    else:
        if not 0 < prevalence < 1 or cluster is not None:
            raise InvalidInputError("outside (0, 1), or with clusters", remedy="check", field="prevalence")
        true, false, events = _sampled_apart(draw, truth, values, at, prevalence, resamples)
    return _curve(at, true, false, events, harm, level)


def checked_thresholds(thresholds: ArrayLike) -> Floats:
    """Return rising thresholds (p,). Raises `InvalidInputError` unless they are within (0, 1) and rise.

    >>> checked_thresholds([0.1, 0.2]).tolist()
    [0.1, 0.2]
    """
    at = np.atleast_1d(np.asarray(thresholds, dtype=np.float64))
    if at.ndim != 1 or not at.size or not ((at > 0) & (at < 1)).all() or (np.diff(at) <= 0).any():
        raise InvalidInputError(
            "must rise within (0, 1)", remedy="set a range beforehand", field="thresholds"
        )
    return at


def _cells(truth: NDArray[np.bool_], values: Floats, at: Floats, units: NDArray[np.intp]) -> Floats:
    """Return for each unit its cases (u, 2 (p + 1)) by thresholds reached, non-events first."""
    reached = np.searchsorted(at, values, side="right")
    width = 2 * (at.size + 1)
    place = units * width + truth * (at.size + 1) + reached
    return np.bincount(place, minlength=(int(units.max()) + 1) * width).reshape(-1, width).astype(np.float64)


def _sampled_whole(
    draw: np.random.Generator,
    truth: NDArray[np.bool_],
    values: Floats,
    at: Floats,
    units: NDArray[np.intp],
    resamples: int,
) -> tuple[Floats, Floats, Floats]:
    """Return shares of true and false positives (1 + b, p) and of events (1 + b, 1), the sample's own
    first.
    """
    if np.array_equal(units, np.arange(truth.size)):
        cell = np.searchsorted(at, values, side="right") + truth * (at.size + 1)
        own = np.bincount(cell, minlength=2 * (at.size + 1)).astype(np.float64)
        drawn = draw.multinomial(truth.size, own / truth.size, size=resamples).astype(np.float64)
        sums = np.vstack([own, drawn])
    else:
        rows = _cells(truth, values, at, units)
        sums = np.vstack([rows.sum(axis=0), resampled_sums(draw, rows, resamples=resamples)])
    total = sums.sum(axis=1, keepdims=True)
    false, true = (_at_least(side) / total for side in np.split(sums, 2, axis=1))
    return true[:, 1:], false[:, 1:], true[:, :1]


def _at_least(counts: Floats) -> Floats:
    """Return the cases (b, p + 1) that reach each threshold or a later one; the first column is all of
    them.
    """
    return np.asarray(np.cumsum(counts[:, ::-1], axis=1)[:, ::-1])


def _sampled_apart(
    draw: np.random.Generator,
    truth: NDArray[np.bool_],
    values: Floats,
    at: Floats,
    prevalence: float,
    resamples: int,
) -> tuple[Floats, Floats, Floats]:
    """Return what `_sampled_whole` does when the classes were sampled apart from each other."""
    shares = []
    for side in (truth, ~truth):
        own = np.bincount(np.searchsorted(at, values[side], side="right"), minlength=at.size + 1)
        n = int(own.sum())
        drawn = np.vstack([own, draw.multinomial(n, own / n, size=resamples)]).astype(np.float64)
        shares.append(_at_least(drawn)[:, 1:] / n)
    events = np.full((1 + resamples, 1), prevalence)
    return events * shares[0], (1 - events) * shares[1], events


def _curve(
    at: Floats, true: Floats, false: Floats, events: Floats, harm: float, level: float
) -> DecisionCurve:
    """Return the curve from shares of true and false positives and of events."""
    odds = at / (1 - at)
    model, everyone = true - false * odds - harm, events - (1 - events) * odds
    rival = np.where(events[0] > at, everyone, 0.0)
    return DecisionCurve(
        threshold=at,
        net_benefit=_band(model, level),
        treat_all=_band(everyone, level),
        gain=_band(model - rival, level),
        avoided=_band((model - everyone) / odds, level),
        prevalence=float(events[0, 0]),
    )


def _band(drawn: Floats, level: float) -> Band:
    """Return the first row with percentile limits of the others."""
    low, high = np.quantile(drawn[1:], [(1 - level) / 2, (1 + level) / 2], axis=0)
    return Band(value=drawn[0], low=low, high=high, level=level)


def net_benefit_difference(
    outcome: NDArray[Any],
    a: ArrayLike,
    b: ArrayLike,
    thresholds: ArrayLike,
    *,
    cluster: ArrayLike | None = None,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Band:
    """Return net benefit of risk `a` less that of `b` (n,) on the same patients, at each threshold (p,).

    Arguments and refusals as `decision_curve`.

    >>> truth = np.array([True, False])
    >>> net_benefit_difference(truth, [0.9, 0.2], [0.9, 0.9], [0.5], resamples=5).value.tolist()
    [0.5]
    """
    truth = checked_outcome(outcome)
    at = checked_thresholds(thresholds)
    first, second = (checked_risk(side, truth.size) for side in (a, b))
    class_counts(truth)
    normal_quantile(level)
    places = [np.searchsorted(at, side, side="right") for side in (first, second)]
    codes, place = np.unique(np.stack([truth, *places], axis=1), axis=0, return_inverse=True)
    called = np.arange(1, at.size + 1)
    gap = (codes[:, 1:2] >= called) * 1.0 - (codes[:, 2:3] >= called)
    worth = np.where(codes[:, :1] == 1, gap, -gap * (at / (1 - at)))  # of a case in this cell
    draw = stream(seed, "net benefit difference")
    if cluster is None:
        own = np.bincount(place.ravel(), minlength=len(codes))
        counts = np.vstack([own, draw.multinomial(truth.size, own / truth.size, size=resamples)])
        return _band(counts @ worth / truth.size, level)
    units = checked_clusters(cluster, truth.size)
    rows = np.zeros((int(units.max()) + 1, at.size + 1))
    np.add.at(rows, units, np.hstack([worth[place.ravel()], np.ones((truth.size, 1))]))
    sums = np.vstack([rows.sum(axis=0), resampled_sums(draw, rows, resamples=resamples)])
    return _band(sums[:, :-1] / sums[:, -1:], level)
