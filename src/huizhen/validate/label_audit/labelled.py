"""Labels beside out-of-sample probabilities: what an audit works on, and what makes its input doubtful."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.errors import InvalidInputError, NotEstimableError

__all__ = ["FEWEST", "Doubt", "Labelled", "doubts_of"]

FEWEST = 5
"""Labels that a class needs for a threshold of its own: nothing is suspected of a smaller one."""
SUM_TOLERANCE = 0.01
"""How far the probabilities of a case may be from 1 in sum: what rounding to two or three digits does."""
SURE = 1e-9
MOST_SURE = 0.02
"""Share of exact 0 or 1 beyond which probabilities are doubted."""
TOO_GOOD = 0.999
"""Share of labels that are the likeliest class beyond which probabilities are doubted."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Doubt(StrEnum):
    """Why the input of an audit may not be what it should be."""

    EXACT = "exact"
    """Many probabilities are exactly 0 or 1, as a tree's or a model's on its own training cases are."""
    TOO_GOOD = "too_good"
    """The labels are almost all the likeliest class, as on cases that a model was trained on."""
    FEW = "few"
    """A class has fewer labels than `FEWEST`: nothing is said of it."""
    UNINFORMATIVE = "uninformative"
    """The probabilities tell the classes apart no better than their shares do: every rank is chance."""


@dataclass(frozen=True)
class Labelled:
    """n cases with the label that each was given (n,) 0 to K - 1, and the probabilities (n, K) of classes.

    The probabilities must come from models that did not see the case. `cluster` (n,) names the patient.
    """

    label: Ints
    probability: Floats
    cluster: Ints

    @classmethod
    def of(cls, label: NDArray[Any], probability: ArrayLike, cluster: ArrayLike | None = None) -> Labelled:
        """Return labels and probabilities, each row brought to a sum of exactly 1.

        Raises `InvalidInputError` on shapes that don't fit, a label out of range, NaN, a value outside
        [0, 1] or a row whose sum is more than 0.01 from 1; `NotEstimableError` with fewer than two classes
        among the labels.

        >>> Labelled.of(np.array([0, 1]), [[0.9, 0.1], [0.2, 0.8]]).classes
        2
        """
        given, rows = np.asarray(label), np.asarray(probability, dtype=np.float64)
        if rows.ndim != 2 or given.shape != rows.shape[:1] or not np.issubdtype(given.dtype, np.integer):
            raise InvalidInputError(
                f"labels {given.shape} don't fit probabilities {rows.shape}",
                remedy="give one whole number and one probability a class for each case",
                field="label",
            )
        if given.size and not (given.min() >= 0 and given.max() < rows.shape[1]):
            raise InvalidInputError(
                "a label has no probability", remedy="give one for each class", field="label"
            )
        _check_rows(rows)
        if np.unique(given).size < 2:
            raise NotEstimableError(
                "all labels are of one class", remedy="audit cases of all classes together", field="label"
            )
        patients = np.arange(given.size) if cluster is None else np.asarray(cluster)
        if patients.shape != given.shape:
            raise InvalidInputError(
                "patients don't fit the labels", remedy="give one a case", field="cluster"
            )
        group = np.unique(patients, return_inverse=True)[1].astype(np.int64)
        return cls(
            label=given.astype(np.int64), probability=rows / rows.sum(axis=1, keepdims=True), cluster=group
        )

    def __len__(self) -> int:
        return int(self.label.size)

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return int(self.probability.shape[1])

    @cached_property
    def counts(self) -> Ints:
        """How many labels each class has (K,)."""
        return np.bincount(self.label, minlength=self.classes).astype(np.int64)

    @cached_property
    def large(self) -> Bools:
        """Which classes have labels enough to be judged (K,)."""
        return np.asarray(self.counts >= FEWEST)

    @cached_property
    def own(self) -> Floats:
        """The probability of the label that each case was given (n,)."""
        return np.asarray(self.probability[np.arange(len(self)), self.label])


def _check_rows(rows: Floats) -> None:
    """Raise `InvalidInputError` unless every row is a distribution over the classes, but for rounding."""
    if np.isnan(rows).any():
        raise InvalidInputError(
            f"{int(np.isnan(rows).any(axis=1).sum())} cases have no probability",
            remedy="leave out the cases that have no answer",
            field="probability",
        )
    if rows.size and (rows.min() < 0 or rows.max() > 1):
        raise InvalidInputError(
            "probabilities leave [0, 1]", remedy="give probabilities, not scores", field="probability"
        )
    off = np.abs(rows.sum(axis=1) - 1) > SUM_TOLERANCE
    if off.any():
        raise InvalidInputError(
            f"the probabilities of {int(off.sum())} cases don't add up to 1",
            remedy="give one column for each class, of a model that chooses one of them",
            field="probability",
        )


def doubts_of(data: Labelled) -> tuple[Doubt, ...]:
    """Return why these probabilities may be no out-of-sample ones, or of no use; nothing where all is well.

    >>> label = np.array([0, 1] * 20)
    >>> [str(doubt) for doubt in doubts_of(Labelled.of(label, np.eye(2)[label]))]
    ['exact', 'too_good']
    """
    found: list[Doubt] = []
    sure = (data.probability <= SURE) | (data.probability >= 1 - SURE)
    if sure.all(axis=1).mean() > MOST_SURE:
        found.append(Doubt.EXACT)
    if len(data) >= 2 * FEWEST and (data.probability.argmax(axis=1) == data.label).mean() >= TOO_GOOD:
        found.append(Doubt.TOO_GOOD)
    if not data.large.all():
        found.append(Doubt.FEW)
    share = data.counts / len(data)
    known = np.maximum(data.own, 1e-12)
    if np.log(known).mean() <= np.log(share[data.label]).mean():
        found.append(Doubt.UNINFORMATIVE)
    return tuple(found)
