"""The partial likelihood of given coefficients over sites, which cross-validation compares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from huizhen.federate.statistics.aggregate import Aggregate, Layout
from huizhen.federate.statistics.cox import Cox
from huizhen.federate.statistics.data import Survival
from huizhen.federate.statistics.interface import Ask, Done, Query

__all__ = ["CoxLikelihood"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoxLikelihood:
    """The log partial likelihood of `coefficients` (p,) on a `model`'s grid and ties; -inf if too steep."""

    model: Cox
    coefficients: tuple[float, ...]
    name: str = "cox_likelihood"

    @property
    def _model(self) -> Cox:
        return replace(self.model, derivatives=False)

    def start(self) -> Ask:
        """Ask for the sums."""
        return Ask(query=Query(name=self.name, values={"beta": np.array(self.coefficients)}))

    def layout(self, query: Query) -> Layout:
        """The model's, without derivatives."""
        return self._model.layout(query)

    def answer(self, query: Query, data: Survival) -> Mapping[str, ArrayLike]:
        """Return a site's sums."""
        return self._model.answer(query, data)

    def check(self, query: Query, total: Aggregate) -> None:
        """Raise if the sums can't be those over risk sets."""
        self._model.check(query, total)

    def update(self, ask: Ask, total: Aggregate) -> Ask | Done[float]:
        """Return the log partial likelihood."""
        return Done(self._model.point(ask.query.values["beta"], total).value)
