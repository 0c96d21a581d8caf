"""Power and size of a reader study with two modalities, from the components of a pilot or of the literature.

Cases are assumed in the pilot's mix of truths: covariances over cases shrink with their number, the variance
of modality-reader effects doesn't. References: Hillis, Obuchowski & Berbaum, Acad Radiol 18:129-142 (2011);
Hillis & Schartz, J Med Imaging 5:045503 (2018).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import fdtri, ncfdtr, ndtr

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.estimates import normal_quantile
from huizhen.validate.readers.components import Components
from huizhen.validate.readers.contrasts import Generalise, check_readers


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorModel:
    """What a planned study can expect: the variance of modality-reader effects, covariances at `cases`."""

    interaction: float
    variance: float
    cov1: float
    cov2: float
    cov3: float
    cases: int


def error_model(pilot: Components, *, cases: int) -> ErrorModel:
    """Return the model of a pilot with so many cases; a negative interaction variance counts as 0."""
    return ErrorModel(
        interaction=max(0.0, pilot.interaction_variance),
        variance=pilot.variance,
        cov1=pilot.cov1,
        cov2=pilot.cov2,
        cov3=pilot.cov3,
        cases=cases,
    )


def reader_power(
    model: ErrorModel,
    *,
    effect: float,
    readers: int,
    cases: int,
    generalise: Generalise = "readers and cases",
    alpha: float = 0.05,
) -> float:
    """Return the power of the two-sided test of no difference when the true difference is `effect`.

    Raises `InvalidInputError` on an option out of range, `NotEstimableError` under 3 random readers.

    >>> model = ErrorModel(interaction=2e-4, variance=8e-4, cov1=3.5e-4, cov2=3.4e-4, cov3=2.4e-4, cases=114)
    >>> round(reader_power(model, effect=0.05, readers=6, cases=114), 2)
    0.68
    """
    check_readers(readers, generalise)
    normal_quantile(1 - alpha)
    if cases < 4 or model.cases < 4:
        raise InvalidInputError("a study of so few cases", remedy="give at least 4", field="cases")
    ratio, shared = model.cases / cases, max(model.cov2 - model.cov3, 0.0)
    if generalise == "cases":
        error = 2 / readers * ratio * (model.variance - model.cov1 + (readers - 1) * shared)
        shift, bound = abs(effect) / math.sqrt(error), normal_quantile(1 - alpha)
        return float(ndtr(shift - bound) + ndtr(-shift - bound))
    own = model.interaction + ratio * (model.variance - model.cov1 - shared)
    total = own + (readers * ratio * shared if generalise == "readers and cases" else 0.0)
    if not own > 0:
        raise NotEstimableError("the readers add no variance", remedy="take a larger pilot", field="pilot")
    df = (readers - 1) * (total / own) ** 2
    critical = float(fdtri(1, df, 1 - alpha))
    power = 1 - float(ncfdtr(1, df, readers * effect**2 / (2 * total), critical))
    return power if np.isfinite(power) else 1.0  # the series gives NaN far out, where the power is 1


def cases_needed(
    model: ErrorModel,
    *,
    effect: float,
    readers: int,
    power: float = 0.8,
    generalise: Generalise = "readers and cases",
    alpha: float = 0.05,
    most: int = 1_000_000,
) -> int:
    """Return the least number of cases with which the test reaches `power`.

    Raises as `reader_power`, and `NotEstimableError` when even `most` cases don't reach it: more readers are
    needed then.
    """

    def enough(cases: int) -> bool:
        return (
            reader_power(
                model, effect=effect, readers=readers, cases=cases, generalise=generalise, alpha=alpha
            )
            >= power
        )

    if not enough(most):
        raise NotEstimableError(f"{most} cases don't reach it", remedy="take more readers", field="readers")
    low, high = 3, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
