"""Simulated readers by the model of Roe and Metz, to check a method or to plan a study.

The rating of a case of truth s by reader j in modality i is s · mean_i + R + TR + C + TC + RC + E, with
independent normal effects of reader (R, by truth), modality and reader (TR, by truth), case (C), modality and
case (TC), reader and case (RC) and the rest (E). The variances of C, TC, RC and E sum to 1.
Reference: Roe & Metz, Acad Radiol 4:298-303 (1997).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from huizhen.errors import InvalidInputError
from huizhen.validate.readers.study import ReaderStudy

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoeMetz:
    """Variances of the model. Raises `InvalidInputError` on a negative one, or if C + TC + RC exceeds 1."""

    reader: float = 0.011
    modality_reader: float = 0.011
    case: float = 0.3
    modality_case: float = 0.3
    reader_case: float = 0.2

    def __post_init__(self) -> None:
        each = (self.reader, self.modality_reader, self.case, self.modality_case, self.reader_case)
        if min(each) < 0 or self.rest < -1e-12:
            raise InvalidInputError(
                "a variance is negative, or those of cases exceed 1", remedy="lower them", field="variances"
            )

    @property
    def rest(self) -> float:
        """The variance of E."""
        return 1 - self.case - self.modality_case - self.reader_case

    @property
    def spread(self) -> float:
        """The standard deviation of the difference of two cases' ratings, over readers and cases."""
        return math.sqrt(2 * (1 + self.reader + self.modality_reader))

    def auc(self, mean: float) -> float:
        """Return the AUC that readers have on average where the disease adds `mean`.

        >>> round(RoeMetz().auc(0.75), 3)
        0.7
        """
        return float(ndtr(mean / self.spread))

    def mean(self, auc: float) -> float:
        """Return the mean that gives an average AUC; the inverse of `auc`."""
        return float(ndtri(auc)) * self.spread


def simulate_readers(
    draw: np.random.Generator,
    model: RoeMetz,
    *,
    aucs: Sequence[float],
    readers: int,
    diseased: int,
    others: int,
    levels: int | None = None,
) -> ReaderStudy:
    """Return a fully crossed study with the average AUCs `aucs`, one for each modality.

    `levels`: cut ratings at equal quantiles of the pooled ratings into so many (2 for binary); None leaves
    them continuous. Raises `InvalidInputError` on under two levels or AUCs outside (0, 1).

    >>> study = simulate_readers(np.random.default_rng(1), RoeMetz(), aucs=[0.8, 0.8], readers=3, diseased=4,
    ...     others=6, levels=5)
    >>> study.ratings.shape, np.unique(study.ratings).tolist()
    ((2, 3, 10), [1.0, 2.0, 3.0, 4.0, 5.0])
    """
    if not all(0 < auc < 1 for auc in aucs) or (levels is not None and levels < 2):
        raise InvalidInputError("an AUC outside (0, 1), or under two levels", remedy="check them")
    t, n = len(aucs), diseased + others
    truth = np.arange(n) < diseased
    means = np.array([model.mean(auc) for auc in aucs])[:, np.newaxis, np.newaxis]
    ratings = means * truth + _effects(draw, model, t, readers, truth)
    if levels is not None:
        cuts = np.quantile(ratings, np.arange(1, levels) / levels)
        ratings = np.searchsorted(cuts, ratings, side="right").astype(np.float64) + 1
    return ReaderStudy(
        truth=truth,
        ratings=ratings,
        modalities=tuple(f"modality {i + 1}" for i in range(t)),
        readers=tuple(f"reader {j + 1}" for j in range(readers)),
    )


def _effects(draw: np.random.Generator, model: RoeMetz, t: int, r: int, truth: NDArray[np.bool_]) -> Floats:
    """Return the sum (t, r, n) of all random effects."""
    n, by_truth = truth.size, truth.astype(np.intp)
    of_readers = math.sqrt(model.reader) * draw.normal(size=(1, r, 2)) + math.sqrt(
        model.modality_reader
    ) * draw.normal(size=(t, r, 2))
    return np.asarray(
        of_readers[..., by_truth]
        + math.sqrt(model.case) * draw.normal(size=(1, 1, n))
        + math.sqrt(model.modality_case) * draw.normal(size=(t, 1, n))
        + math.sqrt(model.reader_case) * draw.normal(size=(1, r, n))
        + math.sqrt(max(model.rest, 0.0)) * draw.normal(size=(t, r, n)),
        dtype=np.float64,
    )
