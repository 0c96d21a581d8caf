"""Cox regression stratified by site: each has its own baseline, and only derivatives leave it.

Risk sets stay within a site, so that fewer sums are sent than for the pooled fit and times needn't lie on a
grid. Reference: Therneau & Grambsch, Modeling Survival Data (2000), section 3.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.federate.statistics.aggregate import Aggregate, Layout, count, real
from huizhen.federate.statistics.columns import check_same_columns
from huizhen.federate.statistics.cox_fit import CoxFit, ask_at, check_settings, newton_step, unreachable
from huizhen.federate.statistics.data import Survival
from huizhen.federate.statistics.interface import Ask, Done, Query
from huizhen.federate.statistics.newton import Climb, Point, pack, unpack
from huizhen.federate.statistics.regression import check_sums
from huizhen.federate.statistics.risk_sets import Ties, by_group, partial_likelihood, steep, still_followed

__all__ = ["StratifiedCox", "partial_likelihood_at"]


def partial_likelihood_at(data: Survival, beta: NDArray[np.float64], *, ties: Ties) -> Point:
    """Return the partial likelihood of one site's (or any pooled) patients at `beta` (p,), on exact times."""
    times, place = np.unique(data.time[data.event], return_inverse=True)
    had, until = data.subset(data.event), np.searchsorted(times, data.time, side="right")
    return partial_likelihood(
        beta,
        events=np.bincount(place, minlength=times.size).astype(np.float64),
        weight=np.bincount(place, weights=had.weights, minlength=times.size).astype(np.float64),
        x_sum=had.x.T @ had.weights,
        followed=still_followed(data, beta, until, times.size),
        tied=by_group(had, beta, place, times.size) if ties is Ties.EFRON else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StratifiedCox:
    """The Cox regression on `columns` with one stratum a site; settings as `Cox`.

    >>> from huizhen.federate.statistics.data import survival
    >>> from huizhen.federate.statistics.runner import run
    >>> a = survival(("x",), [[1.0], [0.0], [1.0]], [1.0, 3.0, 4.0], np.array([True, True, True]))
    >>> run(StratifiedCox(columns=("x",)), [a, a]).result.events
    6.0
    """

    columns: tuple[str, ...]
    ridge: float = 0.0
    ties: Ties = Ties.EFRON
    most_rounds: int = 25
    name: str = "stratified_cox"

    def __post_init__(self) -> None:
        check_settings(self.columns, self.ridge, self.ties)

    def start(self) -> Ask:
        """Ask for the sums at 0."""
        return ask_at(self.name, Climb(trial=np.zeros(len(self.columns))))

    def layout(self, query: Query) -> Layout:
        """n, those too steep, weights, weight of events, partial likelihood and its derivatives."""
        p = len(self.columns)
        head = {"n": count(), "steep": count(), "weight": real(), "events": real(), "value": real()}
        return head | {"gradient": real(p), "information": real(p * (p + 1) // 2)}

    def answer(self, query: Query, data: Survival) -> Mapping[str, ArrayLike]:
        """Return the derivatives of a site's partial likelihood at the query's coefficients."""
        check_same_columns(data.columns, self.columns)
        beta = query.array("beta", len(self.columns))
        too_steep = steep(data, beta)
        point = unreachable(beta) if too_steep else partial_likelihood_at(data, beta, ties=self.ties)
        return {
            "n": data.n,
            "steep": too_steep,
            "weight": data.weights.sum(),
            "events": data.weights[data.event].sum(),
            "value": 0.0 if too_steep else point.value,
            "gradient": point.gradient,
            "information": pack(point.information),
        }

    def check(self, query: Query, total: Aggregate) -> None:
        """Raise if the sums can't be those of a regression."""
        information = unpack(total["information"], len(self.columns))
        check_sums(information, events=float(total["events"]), weight=float(total["weight"]))

    def update(self, ask: Ask, total: Aggregate) -> Ask | Done[CoxFit]:
        """Take a Newton step, or return the fit."""
        beta, events = ask.state.trial, float(total["events"])
        information = unpack(total["information"], beta.size)
        value, gradient = float(total["value"]), total["gradient"]
        point = Point(beta=beta, value=value, gradient=gradient, information=information)
        reached = unreachable(beta) if total["steep"] else point
        after = newton_step(ask.state, reached, ridge=self.ridge, events=events, most_rounds=self.most_rounds)
        if isinstance(after, Climb):
            return ask_at(self.name, after)
        return Done(
            CoxFit(
                names=self.columns,
                coefficients=after.beta,
                covariance=after.covariance,
                log_likelihood=value + float(gradient @ after.step),
                n=total.n,
                events=events,
                times=np.zeros(0),
                hazard=np.zeros(0),
            )
        )
