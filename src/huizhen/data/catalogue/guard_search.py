"""Combinations of told answers that may be near a question, searched where there are too few subjects to
prove that there is none (`guard_groups`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["TOLERANCE", "Few", "Span", "plain", "span_of"]

TOLERANCE = 1e-5
Float = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """All combinations that equal a question on some cells: `weights` (n,) plus any of `free` (n, z)."""

    weights: Float
    free: Float


def span_of(rows: Float, wanted: Float) -> Span | None:
    """Return the weights w (n,) of answers with `rows` (cells, n) @ w = `wanted` (cells,); None of none.

    >>> span_of(np.array([[1.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0.0, 1.0, 0.0])).weights.round(6)
    array([ 1., -1.])
    >>> span_of(np.array([[1.0], [1.0]]), np.array([0.0, 1.0])) is None
    True
    """
    count = rows.shape[1]
    if not len(rows):
        return Span(weights=np.zeros(count), free=np.eye(count))
    if len(rows) > count:
        left: Float = np.asarray(np.linalg.qr(np.column_stack([rows, wanted]), mode="r"))
        if abs(left[count, count]) > TOLERANCE:
            return None
    sizes, turned = np.linalg.eigh(rows.T @ rows)
    held = sizes > TOLERANCE * max(1.0, float(sizes[-1]))
    weights = turned[:, held] @ ((turned[:, held].T @ (rows.T @ wanted)) / sizes[held])
    if not np.allclose(rows @ weights, wanted, rtol=0, atol=TOLERANCE):
        weights = np.linalg.lstsq(rows, wanted, rcond=None)[0]
        if not np.allclose(rows @ weights, wanted, rtol=0, atol=TOLERANCE):
            return None
    return Span(weights=weights, free=turned[:, ~held])


def plain(weights: Float) -> Float:
    """Return weights without what reckoning left behind: those near whole numbers as such."""
    near = np.rint(weights)
    return np.asarray(np.where(np.abs(weights - near) < TOLERANCE, near, weights), np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Few:
    """The elements in small cells: patterns of who meets what, how often each, and whose they are.

    `told` (patterns, n) and `asked` (patterns,) are 0 or 1, `sizes` counts elements; `pattern` and `owner`
    are of each element.
    """

    told: Float
    asked: Float
    sizes: Float
    pattern: NDArray[np.int64]
    owner: NDArray[np.uint32]

    def apart(self, weights: Float) -> int:
        """Return how many of these subjects tell the question from a combination of what was told."""
        rest = np.abs(self.asked - self.told @ weights) > TOLERANCE
        return len(np.unique(self.owner[rest[self.pattern]]))

    def choices(self, span: Span) -> Iterator[Float]:
        """Yield combinations that may be near the question, the cheapest to find first."""
        yield span.weights
        yield from self._simple()
        yield span.weights + span.free @ self._step(span, self.sizes)
        yield span.weights + span.free @ self._sparsest(span)

    def _simple(self) -> Iterator[Float]:
        """Yield the one answer, sum of two and difference of two that are nearest to the question."""
        weighed = self.told * self.sizes[:, None]
        shared, common = weighed.T @ self.told, weighed.T @ self.asked
        own = np.diag(shared)
        alone = float(self.sizes @ self.asked) + own - 2 * common
        single = np.zeros(len(own))
        single[np.argmin(alone)] = 1.0
        yield single
        for sign in (1.0, -1.0):
            distance = alone[:, None] + own[None, :] + sign * (2 * shared - 2 * common[None, :])
            np.fill_diagonal(distance, np.inf)
            one, other = np.unravel_index(np.argmin(distance), distance.shape)
            weights = np.zeros(len(own))
            weights[one], weights[other] = 1.0, sign
            yield weights

    def _sparsest(self, span: Span) -> Float:
        """Return the step after which the fewest elements are left, as far as reweighting finds it.

        Reference: Daubechies et al., Iteratively reweighted least squares minimization for sparse recovery,
        Comm. Pure Appl. Math. 63:1-38 (2010).
        """
        step = self._step(span, self.sizes)
        for smooth in (1.0, 0.3, 0.1, 0.01, 1e-3, 1e-5):
            rest = self.asked - self.told @ (span.weights + span.free @ step)
            step = self._step(span, self.sizes / (rest**2 + smooth**2))
        return step

    def _step(self, span: Span, sizes: Float) -> Float:
        """Return the step in the free directions after which the fewest squares are left."""
        if not span.free.shape[1] or not len(sizes):
            return np.zeros(span.free.shape[1])
        ways, rest = (
            self.told @ span.free,
            self.asked - self.told @ span.weights,
        )  # (patterns, z), (patterns,)
        weighed = ways.T * sizes
        return np.asarray(np.linalg.lstsq(weighed @ ways, weighed @ rest, rcond=None)[0], np.float64)
