"""What each patient adds to the sums that measures are made of; patients who add the same are one cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.errors import InvalidInputError
from huizhen.validate.clusters import checked_clusters
from huizhen.validate.triage.policies import Course

Floats = NDArray[np.float64]
QUANTITIES = ("recalled", "first", "second", "consensus")
"""What is summed of each policy, over events and over others."""
_MOST_CODED = 15
"""Policies whose bits fit a 64-bit number beside the outcome's."""
_COUNTS = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Kinds of patients: what one adds to each sum, `rows` (k, 2 + 8 p), and how many there are (k,).

    The first two sums are exams with the event and without; then for each policy and each of `QUANTITIES` the
    exams with the event of which it holds, and those without. With several `draws` of readers each patient is
    there once a draw: sums are means over the draws, and a resample is one trial of as many patients.
    """

    rows: Floats
    counts: NDArray[np.int64]
    draws: int = 1
    clustered: bool = False
    """Whether a row may be of several exams."""

    def discordant(self, place: int, klass: int) -> tuple[float, float, float]:
        """Return the exams of a class that policy `place` alone recalls, the first alone, and all of them.

        `klass`: 0 with the event, 1 without. Means over the draws; each row must be of one exam.
        """
        gaps = self.rows[:, 2 + 2 * len(QUANTITIES) * place + klass] - self.rows[:, 2 + klass]
        own, first, size = (
            float(self.counts @ part) / self.draws
            for part in (np.maximum(gaps, 0), np.maximum(-gaps, 0), self.rows[:, klass])
        )
        return own, first, size

    @property
    def units(self) -> int:
        """How many patients there are."""
        return int(self.counts.sum()) // self.draws

    @property
    def sums(self) -> Floats:
        """The sample's own sums (1, q)."""
        return np.asarray((self.counts @ self.rows)[np.newaxis] / self.draws)

    def resampled(self, draw: np.random.Generator, resamples: int) -> Floats:
        """Return the sums (b, q) of bootstrap samples of the patients. Reference: as `resampling`."""
        if resamples < 1:
            raise InvalidInputError("no resample", remedy="use 2000", field="resamples")
        block, share = max(1, _COUNTS // len(self.counts)), self.counts / self.counts.sum()
        sizes = [min(block, resamples - done) for done in range(0, resamples, block)]
        return np.concatenate([draw.multinomial(self.units, share, size=size) @ self.rows for size in sizes])


def cells_of(
    outcome: NDArray[np.bool_], courses: Sequence[Course], *, cluster: ArrayLike | None = None
) -> Cells:
    """Return the cells of exams with `outcome` (n,) under each course (r, n).

    `cluster` (n,) names the patient of each exam, where patients may have several. Raises `InvalidInputError`
    on shapes that differ, or on more than 15 courses.

    >>> flag = np.array([[True, False, False]])
    >>> cells = cells_of(np.array([True, False, False]), [Course(recalled=flag, first=flag, second=flag,
    ...     consensus=flag)])
    >>> cells.counts.tolist(), cells.sums.tolist()
    ([2, 1], [[1.0, 2.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0]])
    """
    parts = [getattr(course, name) for course in courses for name in QUANTITIES]
    shape = (len(parts[0]), outcome.size) if parts else (0, 0)
    if any(part.shape != shape for part in parts) or not 1 <= len(courses) <= _MOST_CODED:
        raise InvalidInputError("courses differ in shape", remedy="give those of the same exams")
    code = np.broadcast_to(outcome, shape).astype(np.int64)
    for place, part in enumerate(parts, start=1):  # an exam's flags are the bits of one number
        code |= part.astype(np.int64) << place
    kinds, kind, counts = np.unique(code, return_inverse=True, return_counts=True)
    bits = (kinds[:, np.newaxis] >> np.arange(1, len(parts) + 1)) & 1
    rows = _by_class((kinds & 1) == 1, bits.astype(np.float64))
    if cluster is not None:
        return _of_patients(rows[kind.reshape(shape)], checked_clusters(cluster, outcome.size))
    return Cells(rows=rows, counts=counts.astype(np.int64), draws=shape[0])


def _of_patients(rows: Floats, group: NDArray[np.intp]) -> Cells:
    """Return the cells of patients, each the sum of its exams' rows (r, n, q)."""
    patients = int(group.max()) + 1
    sums = np.zeros((len(rows), patients, rows.shape[2]))
    for place, drawn in enumerate(rows):
        np.add.at(sums[place], group, drawn)
    kinds, counts = np.unique(sums.reshape(-1, rows.shape[2]), axis=0, return_counts=True)
    return Cells(rows=kinds, counts=counts.astype(np.int64), draws=len(rows), clustered=True)


def _by_class(outcome: NDArray[np.bool_], values: Floats) -> Floats:
    """Return the two classes and the values (n, q) of each, side by side (n, 2 + 2 q)."""
    classes = np.stack([outcome, ~outcome], axis=1).astype(np.float64)  # (n, 2)
    apart = values[:, :, np.newaxis] * classes[:, np.newaxis]  # (n, q, 2)
    return np.concatenate([classes, apart.reshape(len(values), -1)], axis=1)
