"""Logistic regression over sites by Newton steps on sums: the pooled fit, with a ridge penalty if wanted.

References: McCullagh & Nelder, Generalized Linear Models, 2nd ed. (1989), section 4.4; le Cessie & van
Houwelingen, Appl Stat 41:191-201 (1992), the ridge.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.federate.statistics.aggregate import Aggregate, Layout, count, real
from huizhen.federate.statistics.columns import check_same_columns
from huizhen.federate.statistics.data import Design
from huizhen.federate.statistics.interface import Ask, Done, Query
from huizhen.federate.statistics.newton import Climb, Peak, Point, advance, pack, unpack
from huizhen.federate.statistics.regression import Fit, check_ridge, check_sums

__all__ = ["INTERCEPT", "Logistic", "LogisticLikelihood", "risk_of"]

INTERCEPT = "(intercept)"
Floats = NDArray[np.float64]


def risk_of(fit: Fit, columns: tuple[str, ...], x: Floats) -> Floats:
    """Return the risks (n,) that a logistic fit gives to predictors `x` (n, p) named `columns`.

    Raises `InvalidInputError` if the columns aren't those of the fit.
    """
    intercept = fit.names[:1] == (INTERCEPT,)
    check_same_columns(columns, fit.names[intercept:])
    start = float(fit.coefficients[0]) if intercept else 0.0
    return np.asarray(expit(start + x @ fit.coefficients[intercept:]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Logistic:
    """Maximum likelihood of logit(target) = offset + intercept + columns · coefficients.

    `ridge` is λ in the log-likelihood less ½ λ Σ coefficients² (scikit-learn's 1 / C); the intercept isn't
    penalised. Case weights count in sums.

    >>> from huizhen.federate.statistics.data import design
    >>> from huizhen.federate.statistics.runner import run
    >>> sites = [design((), np.zeros((2, 0)), [1, 0]), design((), np.zeros((2, 0)), [0, 0])]
    >>> fit = run(Logistic(columns=()), sites).result
    >>> round(float(fit.coefficients[0]), 6), round(float(fit.covariance[0, 0]), 6)
    (-1.098612, 1.333333)
    """

    columns: tuple[str, ...]
    ridge: float = 0.0
    intercept: bool = True
    most_rounds: int = 25
    name: str = "logistic"

    def __post_init__(self) -> None:
        check_ridge(self.ridge)
        if not self.names:
            raise InvalidInputError("no column", remedy="name one, or fit an intercept", field="columns")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the coefficients."""
        return ((INTERCEPT,) if self.intercept else ()) + self.columns

    @property
    def penalty(self) -> Floats:
        """The ridge of each coefficient (p,)."""
        return np.array([0.0 if name == INTERCEPT else self.ridge for name in self.names])

    def start(self) -> Ask:
        """Ask for the sums at 0."""
        return self._at(Climb(trial=np.zeros(len(self.names))))

    def _at(self, climb: Climb) -> Ask:
        """Ask for the sums at a climb's trial."""
        query = Query(name=self.name, step=climb.rounds, values={"beta": climb.trial})
        return Ask(query=query, state=climb)

    def layout(self, query: Query) -> Layout:
        """n, weights, weight of events, log-likelihood, and its first two derivatives."""
        p = len(self.names)
        sums = {"weight": real(), "events": real(), "value": real()}
        return {"n": count(), **sums, "gradient": real(p), "information": real(p * (p + 1) // 2)}

    def answer(self, query: Query, data: Design) -> Mapping[str, ArrayLike]:
        """Return a site's sums at the query's coefficients."""
        check_same_columns(data.columns, self.columns)
        x = np.column_stack([np.ones(data.n), data.x]) if self.intercept else data.x
        eta = data.offset + x @ query.array("beta", len(self.names))
        mean = expit(eta)
        spread = data.weights * mean * (1 - mean)
        return {
            "n": data.n,
            "weight": data.weights.sum(),
            "events": data.weights @ data.target,
            "value": data.weights @ (data.target * eta - np.logaddexp(0, eta)),
            "gradient": x.T @ (data.weights * (data.target - mean)),
            "information": pack((x.T * spread) @ x),
        }

    def check(self, query: Query, total: Aggregate) -> None:
        """Raise if the sums can't be those of a logistic regression."""
        information = unpack(total["information"], len(self.names))
        check_sums(information, events=float(total["events"]), weight=float(total["weight"]))

    def update(self, ask: Ask, total: Aggregate) -> Ask | Done[Fit]:
        """Take a Newton step, or return the fit."""
        events, weight = float(total["events"]), float(total["weight"])
        if not 0 < events < weight:
            raise NotEstimableError("only one class is there", remedy="ask more sites", field="target")
        point = Point(
            beta=ask.state.trial,
            value=float(total["value"]),
            gradient=total["gradient"],
            information=unpack(total["information"], len(self.names)),
        )
        after = advance(ask.state, point.penalised(self.penalty), most_rounds=self.most_rounds)
        if isinstance(after, Climb):
            return self._at(after)
        return Done(self._fit(after, point, total))

    def _fit(self, peak: Peak, point: Point, total: Aggregate) -> Fit:
        """Return the fit at a peak."""
        return Fit(
            names=self.names,
            coefficients=peak.beta,
            covariance=peak.covariance,
            log_likelihood=point.value + float(point.gradient @ peak.step),
            n=total.n,
            events=float(total["events"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogisticLikelihood:
    """The log-likelihood of given coefficients of a `model`, for held-out patients."""

    model: Logistic
    coefficients: tuple[float, ...]
    name: str = "logistic_likelihood"

    def start(self) -> Ask:
        """Ask for the sum."""
        return Ask(query=Query(name=self.name, values={"beta": np.array(self.coefficients)}))

    def layout(self, query: Query) -> Layout:
        """n, and the log-likelihood."""
        return {"n": count(), "value": real()}

    def answer(self, query: Query, data: Design) -> Mapping[str, ArrayLike]:
        """Return a site's log-likelihood."""
        return {"n": data.n, "value": self.model.answer(query, data)["value"]}

    def check(self, query: Query, total: Aggregate) -> None:
        """A log-likelihood alone contradicts nothing but its sign, which offsets and weights leave free."""

    def update(self, ask: Ask, total: Aggregate) -> Ask | Done[float]:
        """Return the log-likelihood."""
        value = float(total["value"])
        return Done(value if math.isfinite(value) else -math.inf)
