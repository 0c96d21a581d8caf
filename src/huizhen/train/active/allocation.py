"""The budget shared out over hospitals, from summed histograms of scores.

Each hospital ranks its own open cases and counts their scores into bins. The lead sees the sum over hospitals
only, and seeks the score at which the budget is spent; it tells everybody that one score, and each hospital
asks as many of its own cases as score higher. So labels go where they teach most, and nobody learns of a
case, or even of a count, of another hospital. Before that, each hospital sets its floor aside: what it lacks
to an even part of a share of all labels, however little its cases score.

    site:  ranking = monotone(asked.score);  floor = fair_floor(...)  --secure sum of floors-->  lead
    site:  count(ranking, floor, edges)                       --secure sum-->  lead: settle(...), a few times
    lead:  one score  -->  site: asked.rows[: number_at(ranking, floor, score)]

With the counts of two hospitals, one knows the other's from the sum; the least number is for the sums to set.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from huizhen.errors import InvalidInputError

__all__ = ["count", "fair_floor", "first_edges", "monotone", "narrow", "number_at", "settle", "strict"]

BINS = 64
ROUNDS = 5
LOWEST, HIGHEST = 1e-12, 1e3
APART = 1e-5
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
SummedCounts = Callable[[Floats], Counts]
"""Given bin edges (b + 1,), the counts (b,) summed over all hospitals: what secure aggregation carries."""


def monotone(score: Floats) -> Floats:
    """Return a ranking's scores (k,) such that none exceeds one before it, so that a cut keeps the order.

    >>> monotone(np.array([3.0, 1.0, 2.0])).tolist()
    [3.0, 1.0, 1.0]
    """
    return np.minimum.accumulate(score) if len(score) else score


def strict(score: Floats, *, shift: float = 0.0) -> Floats:
    """Return a ranking's scores (k,), each a little below the one before, within the first histogram's bins.

    So a cut can be made between any two. `shift` in [0, 1): a site's own, so that equal scores of two sites
    differ too. Scores change by a hundred-thousandth a place, or by more where they would rise.

    >>> strict(np.array([3.0, 1.0, 2.0])).round(6).tolist()
    [3.0, 1.0, 0.99999]
    """
    place = np.arange(len(score)) * -np.log1p(-APART)
    logs = np.log(np.clip(score, 2 * LOWEST, HIGHEST / 2))
    falling = np.minimum.accumulate(logs + place) - place if len(score) else logs
    found: Floats = np.exp(falling) * (1 - APART * shift)
    return found


def fair_floor(budget: int, *, labelled_here: int, labelled: int, sites: int, share: float) -> int:
    """Return how many cases a hospital asks at least in a round of `budget`, if it has so many.

    It is what the hospital lacks to an even part of `share` of all labels after the round, and no more than
    an even part of the round, so that floors never exceed the budget. Raises `InvalidInputError` on a share
    out of [0, 1] or no site.

    >>> fair_floor(20, labelled_here=0, labelled=60, sites=4, share=0.2)
    4
    """
    if not (0 <= share <= 1 and sites > 0 and budget >= 0):
        raise InvalidInputError(
            f"a floor of {share} of the budget over {sites} sites",
            remedy="choose a share in [0, 1] and at least one site",
            field="floor_share",
        )
    fair = int((labelled + budget) * share / sites + 1e-9)
    return max(0, min(fair - labelled_here, budget // sites))


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


def settle(summed: SummedCounts, budget: int) -> float:
    """Return the score from which on cases are asked, so that at most `budget` are, beyond the floors.

    The bin in which the budget ends is divided again, up to five times, so that only equal scores are left
    unspent. Raises `InvalidInputError` on a negative budget, or when counts of the wrong shape come back.
    """
    if budget < 0:
        raise InvalidInputError(f"a budget of {budget}", remedy="ask for 0 or more cases", field="budget")
    edges, left = first_edges(), budget
    for _ in range(ROUNDS):
        total = summed(edges)
        if total.shape != (len(edges) - 1,) or (total < 0).any():
            raise InvalidInputError(
                f"summed counts of shape {total.shape} for {len(edges) - 1} bins",
                remedy="let every site count with the same edges",
            )
        edges, left = narrow(total, edges, left)
        if left == 0 or edges[0] == edges[-1]:
            break
    return float(edges[-1])


def number_at(ranking: Floats, floor: int, at: float) -> int:
    """Return how many cases the hospital with this `ranking` asks: its floor, and what scores at least `at`.

    >>> number_at(np.array([8.0, 4.0, 1.0]), 1, 4.0), number_at(np.array([]), 2, 1.0)
    (2, 0)
    """
    return min(len(ranking), max(floor, int((ranking >= at).sum())))
