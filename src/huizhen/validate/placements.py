"""Placements: for each case, how the other class stands below or above it. What DeLong's variance is made of.

With the kernel ψ(x, y) = 1, ½, 0 for x >, =, < y, the placement of an event is the mean of ψ over the
non-events, and the other way round. They are kept as whole numbers (sums of 2ψ), so that ties, perfect
separation and equal placements are recognised exactly.

References: DeLong, DeLong & Clarke-Pearson, Biometrics 44:837-845 (1988); Sun & Xu, IEEE Signal Processing
Letters 21:1389-1393 (2014) for the O(n log n) form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.validate.samples import class_counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Placements:
    """Sums of 2ψ for k scores: `pos` (k, m) over the non-events of each event, `neg` (k, n) over the events.

    The difference of two scores' placements is a `Placements` too: that of the difference of their AUCs.
    """

    pos: NDArray[np.int64]
    neg: NDArray[np.int64]

    @property
    def n_pos(self) -> int:
        """m, the number of events."""
        return int(self.pos.shape[1])

    @property
    def n_neg(self) -> int:
        """n, the number of non-events."""
        return int(self.neg.shape[1])

    @property
    def aucs(self) -> NDArray[np.float64]:
        """The AUCs (k,)."""
        return np.asarray(self.pos.sum(axis=1) / (2 * self.n_pos * self.n_neg), dtype=np.float64)

    @property
    def covariance(self) -> NDArray[np.float64]:
        """DeLong's covariance (k, k) of the AUCs, S10 / m + S01 / n; m and n must be at least 2."""
        m, n = self.n_pos, self.n_neg
        return _covariance(self.pos, 2 * n) / m + _covariance(self.neg, 2 * m) / n

    @property
    def constant(self) -> bool:
        """Whether the first score's placements are all the same, which makes its variance zero."""
        return bool(np.ptp(self.pos[0]) == 0 and np.ptp(self.neg[0]) == 0)


def place(outcome: NDArray[np.bool_], rows: NDArray[np.float64], *, least: int) -> Placements:
    """Return the placements of k scores `rows` (k, n), free of NaN, by one sort each.

    Raises `NotEstimableError` unless there are `least` cases of each class.

    >>> placed = place(np.array([True, True, False]), np.array([[0.9, 0.4, 0.4]]), least=1)
    >>> placed.pos.tolist(), placed.neg.tolist()
    ([[2, 1]], [[3]])
    """
    n_pos, n_neg = class_counts(outcome, least=least)
    pos = np.empty((len(rows), n_pos), dtype=np.int64)
    neg = np.empty((len(rows), n_neg), dtype=np.int64)
    for row, score in enumerate(rows):
        placed = _placed(outcome, score, n_pos)
        pos[row], neg[row] = placed[outcome], placed[~outcome]
    return Placements(pos=pos, neg=neg)


def _placed(outcome: NDArray[np.bool_], score: NDArray[np.float64], n_pos: int) -> NDArray[np.int64]:
    """Return the sum of 2ψ (n,) of every case over the other class, in the order of the cases."""
    order = np.argsort(score)
    ranked, events = score[order], outcome[order]
    starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
    sizes = np.diff(np.append(starts, score.size))
    tied_pos = np.add.reduceat(events, starts, dtype=np.int64)  # events in each group of ties
    tied_neg = sizes - tied_pos
    below_neg = np.cumsum(tied_neg) - tied_neg  # non-events strictly below the group
    above_pos = n_pos - np.cumsum(tied_pos)  # events strictly above the group
    of_event = np.repeat(2 * below_neg + tied_neg, sizes)
    of_other = np.repeat(2 * above_pos + tied_pos, sizes)
    placed = np.empty(score.size, dtype=np.int64)
    placed[order] = np.where(events, of_event, of_other)
    return placed


def _covariance(placed: NDArray[np.int64], scale: float) -> NDArray[np.float64]:
    """Return the sample covariance (k, k) of the rows of `placed` / `scale`."""
    centred = placed - placed.mean(axis=1, keepdims=True)
    return np.asarray(centred @ centred.T / ((placed.shape[1] - 1) * scale**2), dtype=np.float64)
