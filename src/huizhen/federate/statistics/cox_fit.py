"""What pooled and stratified Cox regression share: the fitted model, its settings, and a Newton step."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.federate.statistics.columns import check_same_columns
from huizhen.federate.statistics.interface import Ask, Query
from huizhen.federate.statistics.newton import Climb, Peak, Point, advance
from huizhen.federate.statistics.regression import Fit, check_ridge
from huizhen.federate.statistics.risk_sets import Ties

__all__ = ["CoxFit", "ask_at", "check_settings", "newton_step", "unreachable"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoxFit(Fit):
    """A Cox fit, with Breslow's cumulative `hazard` (K,) of x = 0 at `times` (K,); empty if stratified."""

    times: Floats
    hazard: Floats

    def log_hazard_ratio(self, columns: tuple[str, ...], x: Floats) -> Floats:
        """Return η (n,) of predictors `x` (n, p). Raises `InvalidInputError` on other columns."""
        check_same_columns(columns, self.names)
        return np.asarray(x @ self.coefficients)


def check_settings(columns: tuple[str, ...], ridge: float, ties: Ties) -> None:
    """Raise `InvalidInputError` unless a Cox regression can be set so."""
    check_ridge(ridge)
    if not columns:
        raise InvalidInputError("no column", remedy="name one, or use KaplanMeier", field="columns")
    if ties not in tuple(Ties):
        raise InvalidInputError("is unknown", remedy="use efron or breslow", field="ties")


def ask_at(name: str, climb: Climb) -> Ask:
    """Ask for the sums at a climb's trial."""
    return Ask(query=Query(name=name, step=climb.rounds, values={"beta": climb.trial}), state=climb)


def unreachable(beta: Floats) -> Point:
    """Return the point of a trial (p,) at which somebody's linear predictor is too steep to sum."""
    p = beta.size
    return Point(beta=beta, value=-math.inf, gradient=np.zeros(p), information=np.eye(p))


def newton_step(climb: Climb, point: Point, *, ridge: float, events: float, most_rounds: int) -> Climb | Peak:
    """Return the climb after `point`, or the peak. Raises as `advance`, and also without an event."""
    if math.isfinite(point.value) and not events:
        raise NotEstimableError("nobody had an event", remedy="gather cases", field="event")
    return advance(climb, point.penalised(np.full(point.beta.size, ridge)), most_rounds=most_rounds)
