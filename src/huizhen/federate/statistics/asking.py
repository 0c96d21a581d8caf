"""A budget of labels shared out over sites: from summed histograms of scores, the one score to ask from.

Each site ranks its own open cases. The lead sees how many labels all have together, then, of what lies beyond
the sites' floors, the sum of the counts of scores; it divides the bin in which the budget ends until only
scores that are nearly equal lie in it. What it announces is that score (`huizhen.train.active.allocation`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.errors import InvalidInputError, MessageError
from huizhen.federate.statistics.aggregate import Aggregate, Layout, count, table
from huizhen.federate.statistics.interface import Ask, Done, Query
from huizhen.train.active.allocation import BINS, ROUNDS, fair_floor, first_edges, narrow
from huizhen.train.active.allocation import count as counted

__all__ = ["Asking", "Ranking", "Share"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """A site's open cases: how many (`n`), the scores (k,) of the best, falling, and its labels so far."""

    n: int
    scores: NDArray[np.float64]
    labelled: int

    def floor(self, budget: int, *, labelled: int, sites: int, share: float) -> int:
        """Return how many this site asks at least of `budget`; `labelled` are all sites' labels so far."""
        least = fair_floor(budget, labelled_here=self.labelled, labelled=labelled, sites=sites, share=share)
        return min(least, len(self.scores))


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """From which score on cases are asked, over `open` cases and with `labelled` labels so far.

    `floors`: how many of the budget the sites set aside for themselves, all together.
    """

    at: float
    open: int
    labelled: int
    floors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """The score from which on cases are asked, so that at most `budget` are, floors included.

    >>> from huizhen.federate.statistics.runner import run
    >>> two = [Ranking(n=3, scores=np.array([9.0, 8.0, 1.0]), labelled=0),
    ...        Ranking(n=2, scores=np.array([4.0, 2.0]), labelled=0)]
    >>> found = run(Asking(budget=3, sites=2, floor_share=0.0), two).result
    >>> 2.0 < found.at <= 4.0, found.open
    (True, 5)
    """

    budget: int
    sites: int
    floor_share: float
    name: str = "asking"

    def __post_init__(self) -> None:
        if self.budget < 1 or self.sites < 1 or not 0 <= self.floor_share <= 1:
            raise InvalidInputError(
                f"{self.budget} labels over {self.sites} sites", remedy="ask for at least one", field="budget"
            )

    def start(self) -> Ask:
        """Ask how many labels there are."""
        return Ask(query=Query(name=self.name))

    def layout(self, query: Query) -> Layout:
        """n open cases; and first the labels so far, then the floors and the counts of scores."""
        if query.step == 0:
            return {"n": count(), "labelled": count()}
        return {"n": count(), "floor": count(), "bins": table(BINS)}

    def answer(self, query: Query, data: Ranking) -> Mapping[str, ArrayLike]:
        """Return a site's counts."""
        if query.step == 0:
            return {"n": data.n, "labelled": data.labelled}
        edges = query.array("edges", BINS + 1)
        if (np.diff(edges) <= 0).any():
            raise MessageError("the edges of a histogram don't rise", remedy="start again", field="edges")
        (labelled,) = query.array("labelled", 1)
        floor = data.floor(self.budget, labelled=int(labelled), sites=self.sites, share=self.floor_share)
        return {"n": data.n, "floor": floor, "bins": counted(data.scores, floor, edges)}

    def check(self, query: Query, total: Aggregate) -> None:
        """Raise unless what is counted are open cases."""
        if query.step and total["bins"].sum() + total["floor"] > total.n:
            raise MessageError(
                "more scores than open cases", remedy="leave out the site that lies", field="bins"
            )

    def update(self, ask: Ask, total: Aggregate) -> Ask | Done[Share]:
        """Divide the bin in which the budget ends, or return where it does."""
        if ask.query.step == 0:
            values = {"labelled": total["labelled"].reshape(1), "edges": first_edges()}
            return Ask(query=Query(name=self.name, step=1, values=values))
        floors = int(total["floor"])
        left = self.budget - floors if ask.state is None else ask.state
        if left < 0:
            raise MessageError(
                "floors exceed the budget", remedy="leave out the site that lies", field="floor"
            )
        edges, left = narrow(total["bins"].astype(np.int64), ask.query.values["edges"], left)
        closed = left == 0 or edges[0] == edges[-1] or not (np.diff(edges) > 0).all()
        if closed or ask.query.step == ROUNDS:
            labelled = int(ask.query.values["labelled"][0])
            return Done(Share(at=float(edges[-1]), open=total.n, labelled=labelled, floors=floors))
        values = {"labelled": ask.query.values["labelled"], "edges": edges}
        return Ask(query=Query(name=self.name, step=ask.query.step + 1, values=values), state=left)
