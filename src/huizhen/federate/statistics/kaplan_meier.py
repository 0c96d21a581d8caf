"""Kaplan and Meier's curve from counts on a common grid of times, with Greenwood's variance.

A time counts at the first grid time that isn't before it, so that a grid that holds every event time gives
the pooled curve exactly, and a coarser one the curve of the rounded times.

References: Kaplan & Meier, J Am Stat Assoc 53:457-481 (1958); Greenwood (1926); Kalbfleisch & Prentice, 2nd
ed. (2002), section 1.4 (the interval on the log-log scale).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from huizhen.errors import InvalidInputError, MessageError
from huizhen.federate.statistics.aggregate import Aggregate, Layout, count, table
from huizhen.federate.statistics.data import Survival
from huizhen.federate.statistics.interface import Ask, Done, Query
from huizhen.federate.statistics.release import check_smallest

__all__ = ["KaplanMeier", "SurvivalCurve"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SurvivalCurve:
    """At each of g `times`: the share `survival` (g,), Greenwood's `error` (g,) and limits, NaN where hidden.

    `at_risk` and `events` (g,) are those behind them, `events` summed over the hidden times before.
    """

    times: Floats
    survival: Floats
    error: Floats
    low: Floats
    high: Floats
    at_risk: Floats
    events: Floats
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KaplanMeier:
    """Survival at the rising `times` (g,). Follow-up beyond the last counts as censored after it.

    With `smallest_count` k the curve is shown only where at least k are at risk and since the last shown time
    none or at least k had the event. Case weights aren't used.

    >>> from huizhen.federate.statistics.data import survival
    >>> from huizhen.federate.statistics.runner import run
    >>> a = survival((), np.zeros((2, 0)), [1.0, 2.0], np.array([True, False]))
    >>> b = survival((), np.zeros((2, 0)), [2.0, 3.0], np.array([True, True]))
    >>> run(KaplanMeier(times=(1.0, 2.0, 3.0)), [a, b]).result.survival.tolist()
    [0.75, 0.5, 0.0]
    """

    times: tuple[float, ...]
    level: float = 0.95
    smallest_count: int = 1
    name: str = "kaplan_meier"

    def __post_init__(self) -> None:
        check_smallest(self.smallest_count)
        grid = np.asarray(self.times, dtype=np.float64)
        if not grid.size or not np.isfinite(grid).all() or (np.diff(grid) <= 0).any():
            raise InvalidInputError("don't rise", remedy="give at least one, rising", field="times")
        if not 0 < self.level < 1:
            raise InvalidInputError("is outside (0, 1)", remedy="use 0.95", field="level")

    def start(self) -> Ask:
        """Ask for the counts."""
        return Ask(query=Query(name=self.name))

    def layout(self, query: Query) -> Layout:
        """n, events at each time, censored at each time, and those followed beyond the last."""
        g = len(self.times)
        return {"n": count(), "events": table(g), "censored": table(g), "beyond": table()}

    def answer(self, query: Query, data: Survival) -> Mapping[str, ArrayLike]:
        """Return a site's counts."""
        g = len(self.times)
        place = np.searchsorted(self.times, data.time, side="left")  # g beyond the last
        inside = place < g
        return {
            "n": data.n,
            "events": np.bincount(place[inside & data.event], minlength=g),
            "censored": np.bincount(place[inside & ~data.event], minlength=g),
            "beyond": data.n - np.count_nonzero(inside),
        }

    def check(self, query: Query, total: Aggregate) -> None:
        """Raise unless all patients leave the curve once."""
        if total["events"].sum() + total["censored"].sum() + total["beyond"] != total.n:
            raise MessageError("counts don't add up to n", remedy="leave out the site that lies")

    def update(self, ask: Ask, total: Aggregate) -> Ask | Done[SurvivalCurve]:
        """Return the curve."""
        events = total["events"]
        left = np.cumsum(events + total["censored"])
        at_risk = total.n - np.concatenate(([0.0], left[:-1]))
        here = np.maximum(at_risk, 1.0)
        survival = np.cumprod(1 - events / here)
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.cumsum(events / (here * (here - events)))
            error = np.where(survival > 0, survival * np.sqrt(terms), 0.0)
        shown, since = _shown(events, at_risk, self.smallest_count)
        low, high = _log_log(survival, error, self.level)
        curves = (np.where(shown, c, np.nan) for c in (survival, error, low, high, at_risk, since))
        names = ("survival", "error", "low", "high", "at_risk", "events")
        return Done(
            SurvivalCurve(
                times=np.asarray(self.times, dtype=np.float64),
                n=total.n,
                **dict(zip(names, curves, strict=True)),
            )
        )


def _shown(events: Floats, at_risk: Floats, smallest: int) -> tuple[NDArray[np.bool_], Floats]:
    """Return which times (g,) may be shown, and the events since the last shown time (g,)."""
    shown, since, open_events = np.zeros(events.size, dtype=bool), np.zeros(events.size), 0.0
    for place in range(events.size):
        open_events += events[place]
        since[place] = open_events
        if at_risk[place] >= smallest and (open_events == 0 or open_events >= smallest):
            shown[place], open_events = True, 0.0
    return shown, since


def _log_log(survival: Floats, error: Floats, level: float) -> tuple[Floats, Floats]:
    """Return limits (g,) on the log-log scale; where survival is 0 or 1 the limits are that."""
    inside = (survival > 0) & (survival < 1)
    share = np.where(inside, survival, 0.5)
    reach = ndtri(0.5 + level / 2) * error / (share * np.abs(np.log(share)))
    low, high = share ** np.exp(reach), share ** np.exp(-reach)
    return np.where(inside, low, survival), np.where(inside, high, survival)
