"""The budget shared out over hospitals, from summed histograms of scores.

Each hospital ranks its own open cases and counts their scores into bins. The lead sees the sum over hospitals
only, and seeks the score at which the budget is spent; it tells everybody that one score, and each hospital
asks as many of its own cases as score higher. So labels go where they teach most, and nobody learns of a
case, or even of a count, of another hospital. Before that, each hospital's floor is set aside: a share of the
budget that is spent evenly, however little a hospital's cases score.

    site:  ranking = monotone(asked.score)
    site:  count(ranking, floor, edges)  --secure sum-->  lead: narrow(...)   a few times
    lead:  one score  -->  site: number_at(ranking, floor, score)

A sum of two hospitals' counts tells one of them the other's; the sums that carry them set the least number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.errors import InvalidInputError

__all__ = ["Call", "count", "even_floors", "first_edges", "monotone", "narrow", "number_at", "settle"]

BINS = 64
ROUNDS = 5
LOWEST, HIGHEST = 1e-12, 1e3
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
SummedCounts = Callable[[Floats], Counts]
"""Given bin edges (b + 1,), the counts (b,) summed over all hospitals: what secure aggregation carries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What the lead tells every hospital: ask what scores at least `at`, beyond a floor of `floor` cases."""

    at: float
    floor: int


def monotone(score: Floats) -> Floats:
    """Return a ranking's scores (k,) such that none exceeds one before it, so that a cut keeps the order.

    >>> monotone(np.array([3.0, 1.0, 2.0])).tolist()
    [3.0, 1.0, 1.0]
    """
    return np.minimum.accumulate(score) if len(score) else score


def even_floors(budget: int, sites: int, share: float) -> int:
    """Return how many cases each of `sites` hospitals asks at least, if it has them: `share` spent evenly.

    Raises `InvalidInputError` on a share out of [0, 1] or no site.

    >>> even_floors(40, 4, 0.25)
    2
    """
    if not (0 <= share <= 1 and sites > 0 and budget >= 0):
        raise InvalidInputError(
            f"a floor of {share} of the budget over {sites} sites",
            remedy="choose a share in [0, 1] and at least one site",
            field="floor_share",
        )
    return int(budget * share / sites + 1e-9)


def first_edges() -> Floats:
    """Return the edges (65,) of the first histogram: even on a log scale, the same for everybody."""
    return np.geomspace(LOWEST, HIGHEST, BINS + 1)


def count(ranking: Floats, floor: int, edges: Floats) -> Counts:
    """Return how many scores of a hospital's `ranking` beyond its `floor` fall in each bin [low, high).

    What lies outside counts to the outermost bins of the first histogram only; scores of 0 or less never.

    >>> count(np.array([8.0, 4.0, 4.0, 1.0]), 1, np.array([0.5, 2.0, 8.0])).tolist()
    [1, 2]
    """
    rest = ranking[floor:]
    return np.histogram(rest[(rest >= edges[0]) & (rest < edges[-1])], edges)[0].astype(np.int64)


def narrow(total: Counts, edges: Floats, budget: int) -> tuple[Floats, int]:
    """Return the edges within the bin where the `budget` is spent, and the budget left for that bin.

    Everything above that bin is asked. If the budget outlasts all bins, the edges close on the lowest.

    >>> edges, left = narrow(np.array([5, 2, 1]), np.array([0.0, 1.0, 2.0, 3.0]), 2)
    >>> edges[0].item(), edges[-1].item(), left
    (1.0, 2.0, 1)
    """
    above = np.cumsum(total[::-1])[::-1]  # cases in a bin or a higher one
    over = np.flatnonzero(above > budget)
    if not len(over):
        return np.full(2, edges[0]), budget - int(above[0])
    bin_ = int(over[-1])
    left = budget - int(above[bin_ + 1] if bin_ + 1 < len(above) else 0)
    return np.linspace(edges[bin_], edges[bin_ + 1], BINS + 1), left


def settle(summed: SummedCounts, budget: int, *, floor: int) -> Call:
    """Return the call that spends at most `budget` cases beyond the floors, from sums over all hospitals.

    The bin in which the budget ends is divided again, up to five times, so that only equal scores are left
    unspent. Raises `InvalidInputError` when counts of the wrong shape come back.
    """
    edges, left = first_edges(), budget
    for _ in range(ROUNDS):
        total = summed(edges)
        if total.shape != (len(edges) - 1,) or (total < 0).any():
            raise InvalidInputError(
                f"summed counts of shape {total.shape} for {len(edges) - 1} bins",
                remedy="let every site count with the same edges",
            )
        inner, left = narrow(total, edges, left)
        if inner[0] == inner[-1]:
            return Call(at=float(inner[0]), floor=floor)
        edges = inner
        if left == 0:
            break
    return Call(at=float(edges[-1]), floor=floor)


def number_at(ranking: Floats, call: Call) -> int:
    """Return how many cases the hospital with this `ranking` asks: its floor, and what scores enough.

    >>> number_at(np.array([8.0, 4.0, 1.0]), Call(at=4.0, floor=1))
    2
    """
    return min(len(ranking), max(call.floor, int((ranking >= call.at).sum())))
