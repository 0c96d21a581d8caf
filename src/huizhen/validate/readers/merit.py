"""Figures of merit of one reader in one modality, and what each case adds to them.

A figure is the mean of its `Part`s' placements: for the AUC those of diseased and of other cases (DeLong's
V10 and V01, either of which has the AUC as its mean); for sensitivity the calls of the diseased cases alone,
for specificity those of the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.placements import place
from huizhen.validate.readers.study import ReaderStudy


class Kind(StrEnum):
    """What is measured."""

    AUC = "auc"
    SENSITIVITY = "sensitivity"
    SPECIFICITY = "specificity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Merit:
    """A figure of merit; sensitivity and specificity call a case where its rating is at least `threshold`.

    Raises `InvalidInputError` where the threshold is missing, or given for the AUC.
    """

    kind: Kind
    threshold: float | None = None

    def __post_init__(self) -> None:
        if (self.threshold is None) != (self.kind is Kind.AUC):
            raise InvalidInputError(
                f"{self.kind} {'takes no' if self.kind is Kind.AUC else 'needs a'} threshold",
                remedy="give it for sensitivity and specificity only",
                field="threshold",
            )


AUC = Merit(kind=Kind.AUC)
"""The area under the empirical ROC curve, ties half."""


def sensitivity_at(threshold: float) -> Merit:
    """Return sensitivity, calling cases rated at least `threshold`."""
    return Merit(kind=Kind.SENSITIVITY, threshold=threshold)


def specificity_at(threshold: float) -> Merit:
    """Return specificity, calling cases rated at least `threshold`."""
    return Merit(kind=Kind.SPECIFICITY, threshold=threshold)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Placements (f, c) of c cases of one truth in f figures, 0 where `read` (f, c) is false."""

    placements: NDArray[np.float64]
    read: NDArray[np.bool_]

    @property
    def counts(self) -> NDArray[np.int64]:
        """The cases read (f,)."""
        return np.asarray(self.read.sum(axis=1), dtype=np.int64)

    @property
    def values(self) -> NDArray[np.float64]:
        """The means of the placements (f,)."""
        return np.asarray(self.placements.sum(axis=1) / self.counts, dtype=np.float64)

    @property
    def centred(self) -> NDArray[np.float64]:
        """The placements less their mean (f, c), 0 where not read."""
        return np.where(self.read, self.placements - self.values[:, np.newaxis], 0.0)


def parts(merit: Merit, truth: NDArray[np.bool_], rows: NDArray[np.float64]) -> tuple[Part, ...]:
    """Return the parts of f figures from their ratings `rows` (f, n), NaN where not read.

    Raises `NotEstimableError` unless each figure has two read cases of every truth that it depends on.
    """
    if merit.kind is Kind.AUC:
        return _placed(truth, rows)
    of_disease = merit.kind is Kind.SENSITIVITY
    own = rows[:, truth == of_disease]
    read = ~np.isnan(own)
    if read.sum(axis=1).min() < 2:
        raise _too_few()
    assert merit.threshold is not None
    right = (own >= merit.threshold) == of_disease
    return (Part(placements=np.where(read, right, 0).astype(np.float64), read=read),)


def _placed(truth: NDArray[np.bool_], rows: NDArray[np.float64]) -> tuple[Part, ...]:
    """Return DeLong's placements of diseased and other cases."""
    read = ~np.isnan(rows)
    sides = (read[:, truth], read[:, ~truth])
    if min(side.sum(axis=1).min() for side in sides) < 2:
        raise _too_few()
    placed = tuple(np.zeros(side.shape) for side in sides)
    for figure, row in enumerate(rows):  # a figure is one reader in one modality: few
        there = read[figure]
        found = place(truth[there], row[np.newaxis, there], least=2)
        placed[0][figure, sides[0][figure]] = found.pos[0] / (2 * found.n_neg)
        placed[1][figure, sides[1][figure]] = found.neg[0] / (2 * found.n_pos)
    return tuple(Part(placements=own, read=side) for own, side in zip(placed, sides, strict=True))


def _too_few() -> NotEstimableError:
    """Return the refusal of a reader with too few cases."""
    return NotEstimableError(
        "a reader has fewer than two cases of a truth in a modality", remedy="gather reads", field="reads"
    )


def rows_of(study: ReaderStudy) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return the ratings (f, n) of the figures that have any read, and their places (f,) in t · r."""
    flat = study.ratings.reshape(-1, study.truth.size)
    kept = np.flatnonzero(study.read.any(axis=2).ravel())
    return flat[kept], kept
