"""Cox regression over sites by Newton steps on sums over risk sets: equal to the pooled fit.

Risk sets go over all sites: sums at each time of a common grid (`EventTimes`) add up to those of the pooled
patients. References: those of `risk_sets`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.errors import InvalidInputError, MessageError
from huizhen.federate.statistics.aggregate import Aggregate, Layout, count, real, table
from huizhen.federate.statistics.columns import check_same_columns
from huizhen.federate.statistics.cox_fit import CoxFit, ask_at, check_settings, newton_step, unreachable
from huizhen.federate.statistics.data import Survival
from huizhen.federate.statistics.event_times import EventGrid, cells_of
from huizhen.federate.statistics.interface import Ask, Done, Query
from huizhen.federate.statistics.newton import Climb, Peak, Point
from huizhen.federate.statistics.risk_sets import (
    Ties,
    Weighted,
    by_group,
    partial_likelihood,
    steep,
    still_followed,
)

__all__ = ["Cox"]

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cox:
    """The pooled Cox regression on `columns`, on the `grid` of event times that `EventTimes` found.

    `ridge` is λ in the partial log-likelihood less ½ λ Σ coefficients². Times are moved to the grid's nearest
    multiple of its resolution, events and censoring alike. With `derivatives` false only the likelihood's own
    sums are asked for, which `CoxLikelihood` uses.

    >>> from huizhen.federate.statistics.data import survival
    >>> from huizhen.federate.statistics.event_times import EventTimes
    >>> from huizhen.federate.statistics.runner import run
    >>> a = survival(("x",), [[1.0], [0.0]], [1.0, 3.0], np.array([True, True]))
    >>> b = survival(("x",), [[0.0], [1.0]], [2.0, 4.0], np.array([True, False]))
    >>> grid = run(EventTimes(horizon=10), [a, b]).result
    >>> [round(float(value), 6) for value in run(Cox(columns=("x",), grid=grid), [a, b]).result.coefficients]
    [-0.481212]
    """

    columns: tuple[str, ...]
    grid: EventGrid
    ridge: float = 0.0
    ties: Ties = Ties.EFRON
    derivatives: bool = True
    most_rounds: int = 25
    name: str = "cox"

    def __post_init__(self) -> None:
        check_settings(self.columns, self.ridge, self.ties)

    @property
    def _tied(self) -> Places:
        """Which of the grid's times have several events, if ties are Efron's."""
        return np.flatnonzero(self.grid.tied) if self.ties is Ties.EFRON else np.zeros(0, dtype=np.int64)

    def start(self) -> Ask:
        """Ask for the sums at 0."""
        return ask_at(self.name, Climb(trial=np.zeros(len(self.columns))))

    def layout(self, query: Query) -> Layout:
        """n, those too steep, events, and the sums over risk sets (s) and over tied events (t)."""
        p, k, t = len(self.columns), len(self.grid.cells), self._tied.size
        q = p * (p + 1) // 2
        parts = {"n": count(), "steep": count(), "events": table(k), "weight": real(k), "x_sum": real(p)}
        parts |= {"s0": real(k)} | ({"t0": real(t)} if t else {})
        if self.derivatives:
            parts |= {"s1": real(k, p), "s2": real(k, q)}
            parts |= {"t1": real(t, p), "t2": real(t, q)} if t else {}
        return parts

    def answer(self, query: Query, data: Survival) -> Mapping[str, ArrayLike]:
        """Return a site's sums at the query's coefficients; zeros if a linear predictor is too steep."""
        check_same_columns(data.columns, self.columns)
        beta, layout = query.array("beta", len(self.columns)), self.layout(query)
        if too_steep := steep(data, beta):
            empty: dict[str, ArrayLike] = {name: np.zeros(part.shape) for name, part in layout.items()}
            return empty | {"n": data.n, "steep": too_steep}
        place, until = self._places(data)
        had, k = data.subset(data.event), len(self.grid.cells)
        sums: dict[str, ArrayLike] = {
            "n": data.n,
            "steep": 0,
            "events": np.bincount(place, minlength=k),
            "weight": np.bincount(place, weights=had.weights, minlength=k),
            "x_sum": had.x.T @ had.weights,
        }
        followed = still_followed(data, beta, until, k, second=self.derivatives)
        sums |= {"s0": followed.s0, "s1": followed.s1, "s2": followed.s2}
        return {
            name: value for name, value in (sums | self._ties(had, beta, place)).items() if name in layout
        }

    def _places(self, data: Survival) -> tuple[Places, Places]:
        """Return at which grid time each event was (events,), and at how many times each is followed (n,)."""
        cells, grid = cells_of(data.time, self.grid.resolution), np.array(self.grid.cells)
        until = np.searchsorted(grid, cells, side="right")
        place = until[data.event] - 1
        if (place < 0).any() or (grid[place] != cells[data.event]).any():
            raise InvalidInputError("an event isn't on the grid", remedy="ask EventTimes again", field="time")
        return place, until

    def _ties(self, had: Survival, beta: Floats, place: Places) -> dict[str, ArrayLike]:
        """Return the sums over tied events, of those who had the event at grid times `place`."""
        here = np.isin(place, self._tied)
        group = np.searchsorted(self._tied, place[here])
        tied = by_group(had.subset(here), beta, group, self._tied.size, second=self.derivatives)
        return {"t0": tied.s0, "t1": tied.s1, "t2": tied.s2}

    def check(self, query: Query, total: Aggregate) -> None:
        """Raise if the sums can't be those over risk sets on this grid."""
        s0, events = total["s0"], total["events"]
        wrong = (s0 < 0).any() or (np.diff(s0) > 1e-9 * (1 + s0[:-1])).any() or (total["weight"] < 0).any()
        wrong = wrong or events.sum() > total.n or ((events > 1) & ~np.array(self.grid.tied)).any()
        if self.derivatives and not wrong:
            row, column = np.triu_indices(len(self.columns))
            diagonal = total["s2"][:, row == column]
            bound = s0[:, np.newaxis] * diagonal * (1 + 1e-6) + 1e-6
            wrong = (diagonal < -1e-9).any() or (total["s1"] ** 2 > bound).any()
        if wrong:
            raise MessageError("sums over risk sets contradict each other", remedy="leave out who lies")

    def point(self, beta: Floats, total: Aggregate) -> Point:
        """Return the partial likelihood at `beta` (p,) from the sums over all sites."""
        if total["steep"]:
            return unreachable(beta)
        tied = self._spread(total) if self.ties is Ties.EFRON else None
        return partial_likelihood(
            beta,
            events=total["events"],
            weight=total["weight"],
            x_sum=total["x_sum"],
            followed=self._sums(total, "s"),
            tied=tied,
        )

    def _sums(self, total: Aggregate, letter: str) -> Weighted:
        """Return one kind of sums; empty derivatives if none were asked for."""
        rows = len(total[f"{letter}0"])
        p = len(self.columns) if self.derivatives else 0
        blank = {1: np.zeros((rows, p)), 2: np.zeros((rows, p * (p + 1) // 2))}
        s1, s2 = (total[f"{letter}{o}"] if self.derivatives else blank[o] for o in (1, 2))
        return Weighted(s0=total[f"{letter}0"], s1=s1, s2=s2)

    def _spread(self, total: Aggregate) -> Weighted:
        """Return the sums over tied events at all times of the grid, 0 where no more than one can be."""
        k, times = len(self.grid.cells), self._tied
        tied = self._sums(total, "t") if times.size else self._sums(total, "s")
        parts = [np.zeros((k, *part.shape[1:])) for part in (tied.s0, tied.s1, tied.s2)]
        if times.size:
            for full, part in zip(parts, (tied.s0, tied.s1, tied.s2), strict=True):
                full[times] = part
        return Weighted(s0=parts[0], s1=parts[1], s2=parts[2])

    def update(self, ask: Ask, total: Aggregate) -> Ask | Done[CoxFit]:
        """Take a Newton step, or return the fit."""
        point, events = self.point(ask.state.trial, total), float(total["weight"].sum())
        after = newton_step(ask.state, point, ridge=self.ridge, events=events, most_rounds=self.most_rounds)
        return ask_at(self.name, after) if isinstance(after, Climb) else Done(self._fit(after, point, total))

    def _fit(self, peak: Peak, point: Point, total: Aggregate) -> CoxFit:
        """Return the fit at a peak, with Breslow's hazard there."""
        followed = np.where(total["events"] > 0, total["s0"] + total["s1"] @ peak.step, 1.0)
        return CoxFit(
            names=self.columns,
            coefficients=peak.beta,
            covariance=peak.covariance,
            log_likelihood=point.value + float(point.gradient @ peak.step),
            n=total.n,
            events=float(total["weight"].sum()),
            times=self.grid.times,
            hazard=np.cumsum(total["weight"] / followed),
        )
