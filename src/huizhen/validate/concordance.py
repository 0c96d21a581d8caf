"""Concordance of risks with times to an event: Harrell's C and Uno's C.

A pair counts when it is known who had the event first; censoring at the time of an event counts as later.
Harrell's C drifts with the pattern of censoring. Uno's weighs each event by one over the squared chance of
being uncensored, so that it estimates the same number whatever the censoring, up to a time `until`.

References: Harrell, Lee & Mark, Stat Med 15:361-387 (1996); Uno, Cai, Pencina, D'Agostino & Wei, Stat Med
30:1105-1117 (2011). The standard error is the infinitesimal jackknife over patients, the chance of being
uncensored taken as known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.core.evidence import Interval
from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.estimates import Estimate, logit_wald, unanimous_floor
from huizhen.validate.pair_counts import sums_below
from huizhen.validate.samples import checked_outcome, checked_scores

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Survival:
    """Times (n,) at least 0, and whether each ended in the event (n,) or in censoring."""

    time: Floats
    event: NDArray[np.bool_]


def checked_survival(time: ArrayLike, event: NDArray[Any]) -> Survival:
    """Return times and events. Raises `InvalidInputError` on negative or infinite times or other lengths,
    `NotEstimableError` when there is no event.

    >>> checked_survival([1.0, 2.0], np.array([True, False])).event.tolist()
    [True, False]
    """
    happened = checked_outcome(event, name="event")
    times = checked_scores(time, happened.size, name="time")
    if not np.isfinite(times).all() or times.min() < 0:
        raise InvalidInputError("a time is negative or infinite", remedy="check the times", field="time")
    if not happened.any():
        raise NotEstimableError("there is no event", remedy="follow patients for longer", field="event")
    return Survival(time=times, event=happened)


def uncensored_chance(data: Survival, at: Floats) -> Floats:
    """Return the chance of being uncensored just before each time of `at`, by Kaplan and Meier.

    An event comes before a censoring at the same time.

    >>> data = Survival(time=np.array([1.0, 2, 3, 4]), event=np.array([True, False, True, True]))
    >>> uncensored_chance(data, np.array([2.0, 3.0])).round(4).tolist()
    [1.0, 0.6667]
    """
    times, place = np.unique(data.time, return_inverse=True)
    total, events = np.bincount(place), np.bincount(place, weights=data.event)
    left = data.time.size - np.cumsum(total) + total - events  # at risk of censoring: events have gone
    censored = total - events
    kept = np.where(censored > 0, 1 - censored / np.maximum(left, 1), 1.0)
    after = np.concatenate([[1.0], np.cumprod(kept)])
    return np.asarray(after[np.searchsorted(times, at, side="left")], dtype=np.float64)


def harrell_c(time: ArrayLike, event: NDArray[Any], risk: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Return the share of comparable pairs in which the higher risk has the earlier event, ties half.

    `time` (n,), `event` (n,) boolean, `risk` (n,), larger for earlier events. Raises as `checked_survival`,
    and `NotEstimableError` when no pair is comparable.

    >>> harrell_c([1.0, 2.0, 3.0], np.array([True, True, False]), [3.0, 1.0, 2.0]).value
    0.6666666666666666
    """
    data = checked_survival(time, event)
    scores = checked_scores(risk, data.event.size, name="risk")
    return _concordance(data, scores, data.event.astype(np.float64), "Harrell's C", level)


def uno_c(
    time: ArrayLike, event: NDArray[Any], risk: ArrayLike, *, until: float, level: float = 0.95
) -> Estimate:
    """Return Uno's C for events before `until`, at which some patient must still be under observation.

    Arguments and refusals as `harrell_c`; also `NotEstimableError` when nobody is uncensored at `until`.

    >>> uno_c([1.0, 2.0, 3.0], np.array([True, True, False]), [3.0, 1.0, 2.0], until=2.5).value
    0.6666666666666666
    """
    data = checked_survival(time, event)
    scores = checked_scores(risk, data.event.size, name="risk")
    counted = data.event & (data.time < until)
    chance = uncensored_chance(data, data.time)
    if not counted.any() or data.time.max() < until:
        raise NotEstimableError(
            "no event before this time, or nobody observed until then", remedy="choose another", field="until"
        )
    weights = np.where(counted, 1 / np.maximum(chance, 1e-300) ** 2, 0.0)
    return _concordance(data, scores, weights, "Uno's C", level)


def _concordance(data: Survival, risk: Floats, weights: Floats, name: str, level: float) -> Estimate:
    """Return the weighted share of concordant pairs; `weights` (n,) are those of the earlier event, 0
    else.
    """
    _, order = np.unique(2 * np.unique(data.time, return_inverse=True)[1] + ~data.event, return_inverse=True)
    when, ones = order.astype(np.float64), np.ones(order.size)
    later = order.size - np.cumsum(np.bincount(order))[order]  # patients known to be later than each
    before = np.concatenate([[0.0], np.cumsum(np.bincount(order, weights=weights))])[order]
    as_earlier = weights * _half_tied(sums_below(-when, risk, ones), sums_below(-when, -risk, ones), later)
    as_later = _half_tied(sums_below(when, -risk, weights), sums_below(when, risk, weights), before)
    total = float(before.sum())
    if not total > 0:
        raise NotEstimableError("no pair is comparable", remedy="gather events", field="event")
    value = float(as_later.sum()) / total
    moved = (as_earlier + as_later - value * (weights * later + before)) / total
    error = math.sqrt(float(moved @ moved))
    if error < 1e-12 or not 0 < value < 1:
        pairs = max(1, int(np.count_nonzero(weights)) // 2)
        floor, method = unanimous_floor(pairs, level=level), "exact bound on disjoint pairs"
        bound = Interval(low=floor * value, high=1 - floor * (1 - value), method=method, level=level)
        return Estimate(value=value, interval=bound)
    return Estimate(value=value, interval=logit_wald(value, error, method=f"{name}, logit", level=level))


def _half_tied(concordant: Floats, discordant: Floats, all_of_them: NDArray[Any]) -> Floats:
    """Return concordant pairs and half of the tied ones."""
    return np.asarray((concordant + all_of_them - discordant) / 2, dtype=np.float64)
