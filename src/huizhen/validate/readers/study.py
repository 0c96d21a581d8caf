"""The reads of a study: who rated which case in which modality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.errors import InvalidInputError
from huizhen.validate.samples import checked_outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderStudy:
    """Ratings (t, r, n) of t modalities by r readers on n cases, larger for disease, NaN where not read.

    `truth` (n,) boolean. `modalities` and `readers` name the first two axes. Raises `InvalidInputError` on
    shapes that don't fit, infinities, names given twice, or a reader, modality or case without any read.
    """

    truth: NDArray[np.bool_]
    ratings: NDArray[np.float64]
    modalities: tuple[str, ...]
    readers: tuple[str, ...]

    def __post_init__(self) -> None:
        n = checked_outcome(self.truth, name="truth").size
        shape = (len(self.modalities), len(self.readers), n)
        if self.ratings.shape != shape or self.ratings.dtype != np.float64:
            raise _refused(f"ratings are {self.ratings.shape} {self.ratings.dtype}, not {shape} float64")
        if len(set(self.modalities)) < shape[0] or len(set(self.readers)) < shape[1]:
            raise _refused("a modality or reader is named twice")
        if np.isinf(self.ratings).any():
            raise _refused("a rating is infinite")
        for axes, what in (((1, 2), "modality"), ((0, 2), "reader"), ((0, 1), "case")):
            if not self.read.any(axis=axes).all():
                raise _refused(f"a {what} has no read")

    @property
    def read(self) -> NDArray[np.bool_]:
        """Whether a rating is there (t, r, n)."""
        return ~np.isnan(self.ratings)

    @property
    def crossed(self) -> bool:
        """Whether every reader rated every case in every modality."""
        return bool(self.read.all())

    def modality(self, name: str) -> int:
        """Return the place of a modality. Raises `InvalidInputError` if the study doesn't have it."""
        if name not in self.modalities:
            known = ", ".join(self.modalities)
            raise InvalidInputError("no such modality", remedy=f"use one of {known}", field="modality")
        return self.modalities.index(name)

    def only(self, *names: str) -> ReaderStudy:
        """Return the study of these modalities, in this order, with the readers and cases that they have."""
        ratings = self.ratings[[self.modality(name) for name in names]]
        read = ~np.isnan(ratings)
        kept = np.flatnonzero(read.any(axis=(0, 2)))
        cases = read.any(axis=(0, 1))
        return ReaderStudy(
            truth=self.truth[cases],
            ratings=ratings[:, kept][..., cases],
            modalities=names,
            readers=tuple(self.readers[place] for place in kept),
        )


def _refused(why: str) -> InvalidInputError:
    """Return the refusal of a study."""
    return InvalidInputError(why, remedy="check the table of reads", field="reads")


def from_reads(
    *,
    reader: Sequence[object],
    modality: Sequence[object],
    case: Sequence[object],
    truth: NDArray[Any],
    rating: ArrayLike,
) -> ReaderStudy:
    """Return the study of a table with a row for each read; all columns (k,), `truth` boolean.

    Modalities and readers stand in the order of their names. A NaN rating counts as not read. Raises
    `InvalidInputError` on columns of different lengths, a read given twice, or a case with two truths.

    >>> study = from_reads(reader=["x", "x"], modality=["m", "m"], case=[1, 2],
    ...     truth=np.array([True, False]), rating=[3, 1])
    >>> study.ratings.tolist()
    [[[3.0, 1.0]]]
    """
    state, values = checked_outcome(truth, name="truth"), np.asarray(rating, dtype=np.float64)
    if {len(reader), len(modality), len(case), values.size} != {state.size}:
        raise _refused("columns differ in length")
    (readers, row), (modalities, layer), (cases, column) = map(_coded, (reader, modality, case))
    if np.unique(np.stack([layer, row, column]), axis=1).shape[1] < state.size:
        raise _refused("a reader rated a case twice in the same modality")
    ratings = np.full((len(modalities), len(readers), len(cases)), np.nan)
    ratings[layer, row, column] = values
    truths = np.zeros(len(cases), dtype=np.bool_)
    truths[column] = state
    if (truths[column] != state).any():
        raise _refused("a case has two truths")
    return ReaderStudy(truth=truths, ratings=ratings, modalities=modalities, readers=readers)


def _coded(column: Sequence[object]) -> tuple[tuple[str, ...], NDArray[np.intp]]:
    """Return the sorted names of a column and the place of each row's name."""
    names, places = np.unique(np.array([str(item) for item in column]), return_inverse=True)
    return tuple(str(name) for name in names), places
