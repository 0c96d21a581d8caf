"""Crossover designs: every reader reads with and without, in two periods, in either order.

Reading a case a second time, or later in the day, changes ratings by itself. When order is balanced and known
(`period` of each read) the effect of the modality is taken within periods, so that what comes with the period
drops out: half of (A1 - B1) + (A2 - B2), A1 being modality A read in the first period. Each reader gives such
a difference if the order changes within the reader (by case); if not, readers of the two orders are two
groups. References: Obuchowski & Bullen, Radiology 303:26-34 (2022) on such designs; Jones & Kenward, Design
and Analysis of Cross-Over Trials, 3rd ed. (2014), chapter 2; variances as in `contrasts`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.readers.contrasts import Generalise, contrast
from huizhen.validate.readers.effects import Effect, effect
from huizhen.validate.readers.figures import CovarianceMethod, Figures, figures
from huizhen.validate.readers.merit import Merit
from huizhen.validate.readers.study import ReaderStudy

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossover:
    """What the modality and the period change in the figure of merit.

    `modality` is the first modality less the second; `period` the second period less the first, the figures
    of both modalities averaged; `carry_over` is what reading the first modality first does to the sum of both
    figures (half of (A1 + B2) - (B1 + A2)): if it isn't near 0, the order matters and `modality` averages
    two effects. `carry_over` is confounded with the difference of the case sets, or of the readers.
    """

    modality: Effect
    period: Effect
    carry_over: Effect
    by_reader: bool


def crossover(
    study: ReaderStudy,
    merit: Merit,
    period: ArrayLike,
    *,
    covariance: CovarianceMethod = "jackknife",
    generalise: Generalise = "readers and cases",
    level: float = 0.95,
) -> Crossover:
    """Return the effects of a study of two modalities, given the period (2, r, n) of each read, 1 or 2.

    The order must change by case within all readers, or be the reader's own. Raises `InvalidInputError` on
    other periods, or a case that a reader read twice in one period; `NotEstimableError` when neither layout
    holds, or as `compare`.
    """
    place = _checked(study, period)
    cells = _cells(study, place)
    there = ~np.isnan(cells).all(axis=2)
    if there.all():
        return _within(_figures(cells, study, merit, covariance), generalise, level)
    orders = [np.flatnonzero((there == np.array(mask)[:, np.newaxis]).all(axis=0)) for mask in _ORDERS]
    if sum(order.size for order in orders) != len(study.readers) or not all(order.size for order in orders):
        raise NotEstimableError(
            "the order changes within some readers only, or for none",
            remedy="give every reader both orders, or each reader one and both orders readers",
            field="period",
        )
    return _between(_figures(cells, study, merit, covariance), orders, generalise, level)


_ORDERS = ((True, False, False, True), (False, True, True, False))
"""The cells A1, A2, B1, B2 that readers have who read A first, and B first."""
_WITHIN = {
    "modality": (0.5, 0.5, -0.5, -0.5),
    "period": (-0.5, 0.5, -0.5, 0.5),
    "carry_over": (0.5, -0.5, -0.5, 0.5),
}
_BETWEEN = {  # of each order's readers: the cells of a reader, and the weights of the two orders
    "modality": ((1.0, 1.0, -1.0, -1.0), (0.5, 0.5)),
    "period": ((1.0, 1.0, -1.0, -1.0), (-0.5, 0.5)),
    "carry_over": ((0.5, 0.5, 0.5, 0.5), (1.0, -1.0)),
}


def _checked(study: ReaderStudy, period: ArrayLike) -> NDArray[np.float64]:
    """Return the periods (2, r, n)."""
    place = np.asarray(period, dtype=np.float64)
    if len(study.modalities) != 2 or place.shape != study.ratings.shape:
        raise InvalidInputError(
            "needs two modalities and a period for every read", remedy="give (2, r, n)", field="period"
        )
    if not np.isin(place[study.read], (1, 2)).all():
        raise InvalidInputError("a period isn't 1 or 2", remedy="number the periods", field="period")
    both = study.read.all(axis=0)
    if (place[0] == place[1])[both].any():
        raise InvalidInputError("a case is read twice in a period", remedy="check the table", field="period")
    return place


def _cells(study: ReaderStudy, place: Floats) -> Floats:
    """Return the ratings (4, r, n) of the cells A1, A2, B1, B2, NaN outside."""
    return np.stack(
        [
            np.where(study.read[modality] & (place[modality] == when), study.ratings[modality], np.nan)
            for modality in (0, 1)
            for when in (1, 2)
        ]
    )


def _figures(cells: Floats, study: ReaderStudy, merit: Merit, covariance: CovarianceMethod) -> Figures:
    """Return the figures (4, r) of the cells."""
    split = ReaderStudy(
        truth=study.truth, ratings=cells, modalities=("A1", "A2", "B1", "B2"), readers=study.readers
    )
    return figures(split, merit, covariance=covariance)


def _each_reader(found: Figures, weights: tuple[float, ...]) -> tuple[Floats, Floats]:
    """Return each reader's weighted sum of cells (r,), absent cells left out, and its covariance (r, r)."""
    sign = np.array(weights)
    return sign @ np.nan_to_num(found.values), np.einsum("a,aibj,b->ij", sign, found.covariance, sign)


def _within(found: Figures, generalise: Generalise, level: float) -> Crossover:
    """Return the effects when every reader has all four cells."""
    everybody = [np.arange(found.values.shape[1])]
    made = {
        name: effect(
            *contrast(*_each_reader(found, weights), everybody, [1.0], generalise),
            method="crossover within readers",
            level=level,
        )
        for name, weights in _WITHIN.items()
    }
    return Crossover(**made, by_reader=False)


def _between(
    found: Figures, orders: list[NDArray[np.intp]], generalise: Generalise, level: float
) -> Crossover:
    """Return the effects when a reader has one order."""
    made = {
        name: effect(
            *contrast(*_each_reader(found, cells), orders, weights, generalise),
            method="crossover between readers",
            level=level,
        )
        for name, (cells, weights) in _BETWEEN.items()
    }
    return Crossover(**made, by_reader=True)
