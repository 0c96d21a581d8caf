"""The distribution of a model's scores by outcome: what thresholds and calibration are chosen from.

It lists every score to 16 bits, without saying whose it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.errors import MessageError
from huizhen.federate.statistics.aggregate import Aggregate, Layout, count, table
from huizhen.federate.statistics.data import Scored
from huizhen.federate.statistics.delong import BINS, bins_of
from huizhen.federate.statistics.interface import Ask, Done, Query

__all__ = ["ScoreDistribution", "Scores"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreDistribution:
    """How many events and how many others have a score in each of 65,536 bins of [0, 1]."""

    events: NDArray[np.int64]
    others: NDArray[np.int64]

    @property
    def outcome(self) -> NDArray[np.bool_]:
        """Return the outcomes (n,): others first, as `score` has them."""
        return np.repeat([False, True], [int(self.others.sum()), int(self.events.sum())])

    @property
    def score(self) -> NDArray[np.float64]:
        """Return the scores (n,), each at its bin's centre; their order within an outcome means nothing."""
        centres = (np.arange(BINS) + 0.5) / BINS
        return np.concatenate([np.repeat(centres, self.others), np.repeat(centres, self.events)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """The distribution of one model's scores.

    >>> from huizhen.federate.statistics.data import scored
    >>> from huizhen.federate.statistics.runner import run
    >>> found = run(Scores(), [scored(np.array([True, False]), [0.75, 0.25])]).result
    >>> found.outcome.tolist(), found.score.round(3).tolist()
    ([False, True], [0.25, 0.75])
    """

    name: str = "scores"

    def start(self) -> Ask:
        """Ask for the histograms."""
        return Ask(query=Query(name=self.name))

    def layout(self, query: Query) -> Layout:
        """n, and the histograms of events and others."""
        return {"n": count(), "events": table(BINS), "others": table(BINS)}

    def answer(self, query: Query, data: Scored) -> Mapping[str, ArrayLike]:
        """Return a site's histograms of its first model's scores."""
        bins = bins_of(data.scores[0])
        return {
            "n": data.n,
            "events": np.bincount(bins[data.outcome], minlength=BINS),
            "others": np.bincount(bins[~data.outcome], minlength=BINS),
        }

    def check(self, query: Query, total: Aggregate) -> None:
        """Raise unless the histograms hold every patient once."""
        if total["events"].sum() + total["others"].sum() != total.n:
            raise MessageError("histograms don't add up to n", remedy="leave out the site that lies")

    def update(self, ask: Ask, total: Aggregate) -> Ask | Done[ScoreDistribution]:
        """Return the distribution."""
        return Done(
            ScoreDistribution(
                events=total["events"].astype(np.int64), others=total["others"].astype(np.int64)
            )
        )
