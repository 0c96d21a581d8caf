"""The group that a risk serves worst, with an interval that knows it was picked for being worst.

The lowest of several estimates is too low on average. The bootstrap repeats the picking: in each resample the
lowest AUC of any group counts, and how far it lies below the same group's AUC in the sample measures the
pull. Reference: Efron, JASA 106:1602-1614 (2011), on selection bias.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from huizhen.core.streams import stream
from huizhen.errors import NotEstimableError
from huizhen.validate.estimates import Estimate
from huizhen.validate.placements import Placements, place
from huizhen.validate.resampling import percentile_interval, resampled_counts
from huizhen.validate.samples import checked_outcome, checked_scores
from huizhen.validate.subgroups import checked_groups

Floats = NDArray[np.float64]
LARGE, MANY = 2000, 100
"""In groups beyond this many cases, with so many of either class, the AUC is drawn from the normal law that
DeLong's variance gives on the logit scale: resampling them would take minutes and give the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstGroup:
    """The lowest AUC of any group and its percentile interval; the same with the pull of picking taken off;
    how often each group was the lowest; and the groups that were left out for being small."""

    name: str
    lowest: Estimate
    corrected: float
    chosen: dict[str, float]
    left_out: tuple[str, ...]


def worst_group(
    outcome: NDArray[Any],
    score: ArrayLike,
    group: ArrayLike,
    *,
    least_events: int = 10,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> WorstGroup:
    """Return the group with the lowest AUC, among those with `least_events` events and non-events.

    `outcome` (n,) boolean, `score` (n,), `group` (n,) names. Patients are resampled within groups. Raises
    `InvalidInputError` on wrong input, `NotEstimableError` with under two such groups.

    >>> outcome, score = np.arange(80) % 2 == 0, np.arange(80) % 7 + (np.arange(80) % 2 == 0) * 2.0
    >>> score[40:] *= -1
    >>> worst_group(outcome, score, np.arange(80) // 40, resamples=20).name
    '1'
    """
    truth = checked_outcome(outcome)
    values = checked_scores(score, truth.size)
    names, places = checked_groups(group, truth.size)
    events, sizes = np.bincount(places, weights=truth), np.bincount(places)
    kept = np.flatnonzero(np.minimum(events, sizes - events) >= max(2, least_events))
    if kept.size < 2:
        raise NotEstimableError(
            "fewer than two groups are large enough", remedy="merge groups", field="group"
        )
    own, drawn = np.empty(kept.size), np.empty((resamples, kept.size))
    for column, number in enumerate(kept):
        there = places == number
        placed = place(truth[there], values[there][np.newaxis], least=2)
        own[column] = placed.aucs[0]
        draw = stream(seed, "worst group", names[number])
        if sizes[number] > LARGE and min(placed.n_pos, placed.n_neg) >= MANY and not placed.constant:
            drawn[:, column] = _normal_aucs(draw, placed, resamples)
        else:
            drawn[:, column] = resampled_aucs(draw, truth[there], values[there], resamples=resamples)
    picked = np.nanargmin(np.where(np.isnan(drawn), np.inf, drawn), axis=1)
    lowest = drawn[np.arange(resamples), picked]
    worst = int(own.argmin())
    return WorstGroup(
        name=names[kept[worst]],
        lowest=Estimate(
            value=float(own[worst]), interval=percentile_interval(lowest, of="patients", level=level)
        ),
        corrected=float(min(np.mean(own), own[worst] + np.nanmean(own[picked] - lowest))),
        chosen={names[number]: float(np.mean(picked == column)) for column, number in enumerate(kept)},
        left_out=tuple(name for number, name in enumerate(names) if number not in kept),
    )


def _normal_aucs(draw: np.random.Generator, placed: Placements, resamples: int) -> Floats:
    """Return AUCs (b,) from the normal distribution on the logit scale."""
    value = float(placed.aucs[0])
    error = math.sqrt(placed.covariance[0, 0]) / (value * (1 - value))
    return np.asarray(expit(logit(value) + error * draw.standard_normal(resamples)))


def resampled_aucs(
    draw: np.random.Generator, truth: NDArray[np.bool_], values: Floats, *, resamples: int
) -> Floats:
    """Return the AUCs (b,) of bootstrap samples of the cases, NaN where a class is missing; sorted once.

    >>> resampled_aucs(np.random.default_rng(1), np.array([True] * 9 + [False] * 9), np.arange(18.0) < 9,
    ...     resamples=2).tolist()
    [1.0, 1.0]
    """
    order = np.lexsort((truth, values))  # so that the order of the cases means nothing
    ranked, event = values[order], truth[order].astype(np.int64)
    starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
    found = np.full(resamples, np.nan)
    for number in range(resamples):
        counts = resampled_counts(draw, truth.size)
        events = counts * event
        others = counts - events
        tied_events, tied_others = np.add.reduceat(events, starts), np.add.reduceat(others, starts)
        pairs = float(tied_events.sum()) * float(tied_others.sum())
        if pairs:
            twice_below = 2 * np.cumsum(tied_others) - tied_others
            found[number] = float(tied_events @ twice_below) / (2 * pairs)
    return found
