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
    exams with the event of which it holds, and those without.
    """

    rows: Floats
    counts: NDArray[np.int64]

    @property
    def units(self) -> int:
        """How many patients there are."""
        return int(self.counts.sum())

    @property
    def sums(self) -> Floats:
        """The sample's own sums (1, q)."""
        return (self.counts @ self.rows)[np.newaxis]

    def resampled(self, draw: np.random.Generator, resamples: int) -> Floats:
        """Return the sums (b, q) of bootstrap samples of the patients. Reference: as `resampling`."""
        if resamples < 1:
            raise InvalidInputError("no resample", remedy="use 2000", field="resamples")
        block, share = max(1, _COUNTS // len(self.counts)), self.counts / self.units
        sizes = [min(block, resamples - done) for done in range(0, resamples, block)]
        return np.concatenate([draw.multinomial(self.units, share, size=size) @ self.rows for size in sizes])


def cells_of(
    outcome: NDArray[np.bool_], courses: Sequence[Course], *, cluster: ArrayLike | None = None
) -> Cells:
    """Return the cells of exams with `outcome` (n,) under each course; with several draws (r, n) their mean.

    `cluster` (n,) names the patient of each exam, where patients may have several. Raises `InvalidInputError`
    on shapes that differ.

    >>> flag = np.array([[True, False, False]])
    >>> cells = cells_of(np.array([True, False, False]), [Course(recalled=flag, first=flag, second=flag,
    ...     consensus=flag)])
    >>> cells.counts.tolist(), cells.sums.tolist()
    ([2, 1], [[1.0, 2.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0]])
    """
    parts = [getattr(course, name) for course in courses for name in QUANTITIES]
    if any(part.ndim != 2 or part.shape != (len(parts[0]), outcome.size) for part in parts):
        raise InvalidInputError("courses differ in shape", remedy="give those of the same exams")
    if len(parts[0]) == 1 and cluster is None and len(courses) <= _MOST_CODED:
        return _coded(outcome, parts)
    means = np.stack([part.mean(axis=0) for part in parts], axis=1)  # (n, 4 p)
    rows = _by_class(outcome, means)
    if cluster is not None:
        group = checked_clusters(cluster, outcome.size)
        rows = np.stack([np.bincount(group, weights=column) for column in rows.T], axis=1)
    kinds, counts = np.unique(rows, axis=0, return_counts=True)
    return Cells(rows=kinds, counts=counts.astype(np.int64))


def _coded(outcome: NDArray[np.bool_], parts: Sequence[NDArray[np.bool_]]) -> Cells:
    """Return the cells of single draws: an exam's flags are the bits of one number."""
    code = outcome.astype(np.int64)
    for place, part in enumerate(parts, start=1):
        code |= part[0].astype(np.int64) << place
    kinds, counts = np.unique(code, return_counts=True)
    bits = (kinds[:, np.newaxis] >> np.arange(1, len(parts) + 1)) & 1
    return Cells(rows=_by_class((kinds & 1) == 1, bits.astype(np.float64)), counts=counts.astype(np.int64))


def _by_class(outcome: NDArray[np.bool_], values: Floats) -> Floats:
    """Return the two classes and the values (n, q) of each, side by side (n, 2 + 2 q)."""
    classes = np.stack([outcome, ~outcome], axis=1).astype(np.float64)  # (n, 2)
    apart = values[:, :, np.newaxis] * classes[:, np.newaxis]  # (n, q, 2)
    return np.concatenate([classes, apart.reshape(len(values), -1)], axis=1)
