"""Calibration over sites: intercept and slope of logit(outcome) on logit(risk), and the intercept alone.

References: Cox, Biometrika 45:562-565 (1958); Van Calster et al., BMC Med 17:230 (2019).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logit

from huizhen.errors import InvalidInputError
from huizhen.federate.statistics.aggregate import Aggregate, Layout
from huizhen.federate.statistics.data import Design, Scored, design
from huizhen.federate.statistics.interface import Ask, Done, Query
from huizhen.federate.statistics.logistic import Logistic
from huizhen.federate.statistics.regression import Fit

__all__ = ["LOGIT", "Recalibration"]

LOGIT = "logit(risk)"
_EDGE = 1e-12
"""Risks closer to 0 or 1 than this are moved here before the logit is taken, as in `validate.calibration`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalibration:
    """The fit of logit(outcome) = a + b · logit(risk): 0 and 1 where calibration is perfect.

    With `in_the_large` the slope b is held at 1, and a alone is fitted: above 0 when risks are too low.

    >>> from huizhen.federate.statistics.data import scored
    >>> from huizhen.federate.statistics.runner import run
    >>> outcome = np.array([True, False, False, False, True, True, True, False])
    >>> found = run(Recalibration(), [scored(outcome, [0.25] * 4 + [0.75] * 4)]).result
    >>> [abs(round(float(value), 9)) for value in found.coefficients]
    [0.0, 1.0]
    """

    in_the_large: bool = False
    name: str = "recalibration"

    @property
    def _regression(self) -> Logistic:
        return Logistic(columns=() if self.in_the_large else (LOGIT,), name=self.name)

    def _design(self, data: Scored) -> Design:
        """Return a site's risks as the data of a regression."""
        if len(data.scores) != 1:
            raise InvalidInputError("several models' risks", remedy="ask one at a time", field="scores")
        predictor = logit(np.clip(data.scores[0], _EDGE, 1 - _EDGE))
        target = data.outcome.astype(np.float64)
        if self.in_the_large:
            return design((), np.zeros((data.n, 0)), target, offset=predictor)
        return design((LOGIT,), predictor[:, np.newaxis], target)

    def start(self) -> Ask:
        """Ask for the sums at 0."""
        return self._regression.start()

    def layout(self, query: Query) -> Layout:
        """The layout of the regression."""
        return self._regression.layout(query)

    def answer(self, query: Query, data: Scored) -> Mapping[str, ArrayLike]:
        """Return a site's sums."""
        return self._regression.answer(query, self._design(data))

    def check(self, query: Query, total: Aggregate) -> None:
        """Raise if the sums can't be those of a logistic regression."""
        self._regression.check(query, total)

    def update(self, ask: Ask, total: Aggregate) -> Ask | Done[Fit]:
        """Take a Newton step, or return the fit."""
        return self._regression.update(ask, total)
