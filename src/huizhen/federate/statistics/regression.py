"""What logistic and Cox regression share: the fitted coefficients and the checks of settings and sums."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from huizhen.core.evidence import Interval
from huizhen.errors import InvalidInputError, MessageError

__all__ = ["Fit", "check_ridge", "check_sums"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Coefficients (p,) by `names`, and their covariance (p, p): the inverse of the (penalised) information.

    `log_likelihood` is that at the maximum, without the penalty; `events` how many (or their weight).
    """

    names: tuple[str, ...]
    coefficients: Floats
    covariance: Floats
    log_likelihood: float
    n: int
    events: float

    @property
    def errors(self) -> Floats:
        """Standard errors (p,)."""
        return np.sqrt(np.diag(self.covariance))

    def interval(self, name: str, *, level: float = 0.95) -> Interval:
        """Return a coefficient's Wald interval. Raises `InvalidInputError` if there is none of that name."""
        if name not in self.names:
            raise InvalidInputError("is no coefficient", remedy=f"use {', '.join(self.names)}", field=name)
        place = self.names.index(name)
        value = float(self.coefficients[place])
        reach = float(ndtri(0.5 + level / 2)) * math.sqrt(self.covariance[place, place])
        return Interval(low=value - reach, high=value + reach, method="Wald", level=level)


def check_ridge(ridge: float) -> None:
    """Raise `InvalidInputError` unless a penalty is at least 0."""
    if not (math.isfinite(ridge) and ridge >= 0):
        raise InvalidInputError(f"is {ridge}", remedy="give 0 or more", field="ridge")


def check_sums(information: Floats, *, events: float, weight: float) -> None:
    """Raise `MessageError` if an information matrix (p, p) can't be one, or events exceed all weight."""
    diagonal = np.diag(information)
    bound = np.sqrt(np.outer(np.abs(diagonal), np.abs(diagonal))) * (1 + 1e-6) + 1e-6
    wrong = (diagonal < -1e-9).any() or (np.abs(information) > bound).any()
    if wrong or events < -1e-9 or events > weight * (1 + 1e-9) + 1e-9:
        raise MessageError(
            "sums of a regression contradict each other", remedy="leave out the site that lies"
        )
