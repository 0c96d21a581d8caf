"""Quantiles of a column, exact on a grid of stated resolution, by refining histograms.

Values are moved to the nearest point of the grid `low`, `low` + `resolution`, ... `high`. The first round
counts them in 256 ranges, each further round cuts the ranges that hold a wanted order statistic into 256,
until they are one grid point wide: r rounds for 256**r points. Only counts leave a site.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.errors import InvalidInputError, MessageError, NotEstimableError, PolicyError
from huizhen.federate.statistics.aggregate import Aggregate, Layout, count, table
from huizhen.federate.statistics.columns import check_same_columns
from huizhen.federate.statistics.data import Table
from huizhen.federate.statistics.interface import Ask, Done, Query
from huizhen.federate.statistics.release import check_smallest

__all__ = ["Quantiles", "QuantilesFound"]

_CUTS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantilesFound:
    """The quantiles `values` (q,) at `levels`, each within half a `resolution`, over `n` known values."""

    levels: tuple[float, ...]
    values: NDArray[np.float64]
    resolution: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What the lead knows: `ranks` (k,) wanted, how many values are `below` (k,) each range, `n` values."""

    ranks: NDArray[np.int64]
    below: NDArray[np.int64]
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantiles:
    """Quantiles of `column` at `levels` in [0, 1], between `low` and `high`.

    "linear" interpolates between two order statistics as numpy does by default; "inverted_cdf" is the
    smallest value with at least that share at or below it. With `smallest_count` k, levels with fewer than k
    values on either side are refused, because they show single patients (a minimum, for instance).

    >>> from huizhen.federate.statistics.data import table_of
    >>> from huizhen.federate.statistics.runner import run
    >>> sites = [table_of(("age",), [[40.0], [70.0]]), table_of(("age",), [[60.0]])]
    >>> median = Quantiles(column="age", levels=(0.5,), low=0, high=120, resolution=0.5)
    >>> run(median, sites).result.values.tolist()
    [60.0]
    """

    column: str
    levels: tuple[float, ...]
    low: float
    high: float
    resolution: float
    method: Literal["linear", "inverted_cdf"] = "linear"
    smallest_count: int = 1
    name: str = "quantiles"

    def __post_init__(self) -> None:
        check_smallest(self.smallest_count)
        if not self.levels or not all(0 <= level <= 1 for level in self.levels):
            raise InvalidInputError("leave [0, 1]", remedy="give levels such as 0.5", field="levels")
        span = self.high - self.low
        if not (math.isfinite(span) and span > 0 and 0 < self.resolution <= span):
            raise InvalidInputError("don't fit", remedy="low < high, resolution > 0", field="low, high")
        if span / self.resolution > 2**40:
            raise InvalidInputError("is too fine", remedy="at most 2^40 points", field="resolution")
        if self.method not in ("linear", "inverted_cdf"):
            raise InvalidInputError("is unknown", remedy="use linear or inverted_cdf", field="method")

    @property
    def points(self) -> int:
        """How many points the grid has."""
        return round((self.high - self.low) / self.resolution) + 1

    def start(self) -> Ask:
        """Ask for counts over the whole grid."""
        whole = {"first": np.zeros(1), "width": np.full(1, _wide(self.points))}
        return Ask(query=Query(name=self.name, values=whole))

    def layout(self, query: Query) -> Layout:
        """n patients, values there, outside the bounds, and in each cut of each range."""
        ranges = query.array("first", -1).size
        return {"n": count(), "present": count(), "outside": count(2), "cuts": table(ranges, _CUTS)}

    def answer(self, query: Query, data: Table) -> Mapping[str, ArrayLike]:
        """Return a site's counts in the query's ranges."""
        check_same_columns(data.columns, (self.column,))
        first = query.array("first", -1)
        width = query.array("width", first.size)
        value = data.values[~np.isnan(data.values[:, 0]), 0]
        outside = [(value < self.low).sum(), (value > self.high).sum()]
        points = np.rint((np.clip(value, self.low, self.high) - self.low) / self.resolution)
        cuts = np.array([_cut(points, *pair) for pair in zip(first, width, strict=True)])
        return {"n": data.n, "present": value.size, "outside": outside, "cuts": cuts}

    def check(self, query: Query, total: Aggregate) -> None:
        """Raise if more values than patients are claimed, or more in a range than there are."""
        inside = total["cuts"].sum(axis=1)
        all_in_range = query.step > 0 or inside[0] == total["present"]
        if total["present"] > total.n or (inside > total["present"]).any() or not all_in_range:
            raise MessageError("counts contradict each other", remedy="leave out the site that lies")

    def update(self, ask: Ask, total: Aggregate) -> Ask | Done[QuantilesFound]:
        """Refine the ranges that hold the wanted order statistics, or return the quantiles."""
        state = ask.state or self._wanted(total)
        query = ask.query
        cuts = np.broadcast_to(total["cuts"], (state.ranks.size, _CUTS)).astype(np.int64)
        passed = state.below[:, np.newaxis] + np.cumsum(cuts, axis=1)  # (k, cuts)
        if (passed[:, -1] <= state.ranks).any():
            raise MessageError("counts changed between rounds", remedy="start again", field="cuts")
        hit = (passed <= state.ranks[:, np.newaxis]).sum(axis=1)
        below = np.take_along_axis(passed - cuts, hit[:, np.newaxis], axis=1)[:, 0]
        first = query.values["first"] + hit * query.values["width"]
        if query.values["width"][0] == 1:
            return Done(self._found(first, state))
        width = np.full(first.size, query.values["width"][0] / _CUTS)
        values = {"first": first, "width": width}
        following = Query(name=self.name, step=query.step + 1, values=values)
        return Ask(query=following, state=_State(ranks=state.ranks, below=below, n=state.n))

    def _wanted(self, total: Aggregate) -> _State:
        """Return the order statistics that the levels need: two each."""
        n = int(total["present"])
        if not n:
            raise NotEstimableError("no patient has a value", remedy="ask another column", field=self.column)
        if total["outside"].any():
            raise NotEstimableError(
                f"{int(total['outside'].sum())} values are outside the bounds",
                remedy="widen low and high",
                field=self.column,
            )
        ranks = np.array([self._ranks(level, n) for level in self.levels], dtype=np.int64).ravel()
        if min(ranks.min() + 1, n - ranks.max()) < self.smallest_count:
            raise PolicyError(
                f"a quantile with fewer than {self.smallest_count} values on one side",
                remedy="ask a level further from 0 and 1",
                field="levels",
            )
        return _State(ranks=ranks, below=np.zeros(ranks.size, dtype=np.int64), n=n)

    def _ranks(self, level: float, n: int) -> tuple[int, int]:
        """Return the two order statistics, from 0, that a level lies between."""
        if self.method == "inverted_cdf":
            rank = max(math.ceil(level * n - 1e-9) - 1, 0)
            return rank, rank
        place = level * (n - 1)
        return math.floor(place), math.ceil(place)

    def _found(self, points: NDArray[np.float64], state: _State) -> QuantilesFound:
        """Return the quantiles from the grid points of their order statistics."""
        pairs = (self.low + points * self.resolution).reshape(-1, 2)
        share = np.array([level * (state.n - 1) % 1 for level in self.levels])
        values = pairs[:, 0] + (pairs[:, 1] - pairs[:, 0]) * share
        return QuantilesFound(levels=self.levels, values=values, resolution=self.resolution, n=state.n)


def _wide(points: int) -> float:
    """Return the width of the first cuts: a power of 256, 256 of which span all points.

    >>> _wide(256), _wide(257)
    (1.0, 256.0)
    """
    width = 1
    while width * _CUTS < points:
        width *= _CUTS
    return float(width)


def _cut(points: NDArray[np.float64], first: float, width: float) -> NDArray[np.int64]:
    """Return how many `points` (n,) fall in each of 256 cuts of `width` from `first` on."""
    place = np.floor((points - first) / width)
    return np.bincount(place[(place >= 0) & (place < _CUTS)].astype(np.int64), minlength=_CUTS)
