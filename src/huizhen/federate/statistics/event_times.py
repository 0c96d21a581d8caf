"""The grid of event times that all sites share: the first of Cox regression's two phases.

Sites count events on a fine grid (by day, for instance); the lead keeps the times at which anybody had one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.errors import InvalidInputError, MessageError, NotEstimableError
from huizhen.federate.statistics.aggregate import Aggregate, Layout, count, table
from huizhen.federate.statistics.data import Survival
from huizhen.federate.statistics.interface import Ask, Done, Query

__all__ = ["EventGrid", "EventTimes", "cells_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventGrid:
    """The rising `cells` (K) at which there are events, `tied` where several; times are cell · resolution."""

    resolution: float
    cells: tuple[int, ...]
    tied: tuple[bool, ...]

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in zip(self.cells, self.cells[1:], strict=False))
        if not self.cells or len(self.cells) != len(self.tied) or not rising or self.cells[0] < 0:
            raise InvalidInputError("doesn't rise", remedy="take it from EventTimes", field="cells")
        if not (math.isfinite(self.resolution) and self.resolution > 0):
            raise InvalidInputError("isn't above 0", remedy="1 for days", field="resolution")

    @property
    def times(self) -> NDArray[np.float64]:
        """The event times (K,)."""
        return np.array(self.cells) * self.resolution


def cells_of(time: NDArray[np.float64], resolution: float) -> NDArray[np.int64]:
    """Return the cell nearest to each time (n,).

    >>> cells_of(np.array([0.0, 3.0, 4.6]), 1.0).tolist()
    [0, 3, 5]
    """
    return np.rint(time / resolution).astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTimes:
    """The grid of event times up to `horizon`, in steps of `resolution`; at most 2^20 steps.

    >>> from huizhen.federate.statistics.data import survival
    >>> from huizhen.federate.statistics.runner import run
    >>> a = survival((), np.zeros((2, 0)), [3.0, 5.0], np.array([True, False]))
    >>> b = survival((), np.zeros((2, 0)), [3.0, 7.0], np.array([True, True]))
    >>> run(EventTimes(horizon=10), [a, b]).result
    EventGrid(resolution=1.0, cells=(3, 7), tied=(True, False))
    """

    horizon: float
    resolution: float = 1.0
    name: str = "event_times"

    def __post_init__(self) -> None:
        if not (0 < self.resolution <= self.horizon < self.resolution * 2**20):
            raise InvalidInputError("don't fit", remedy="at most 2^20 steps", field="horizon, resolution")

    @property
    def _cells(self) -> int:
        return round(self.horizon / self.resolution) + 1

    def start(self) -> Ask:
        """Ask for the counts."""
        return Ask(query=Query(name=self.name))

    def layout(self, query: Query) -> Layout:
        """n, events in each cell, and events after the horizon."""
        return {"n": count(), "events": table(self._cells), "later": table()}

    def answer(self, query: Query, data: Survival) -> Mapping[str, ArrayLike]:
        """Return a site's counts."""
        cells = cells_of(data.time[data.event], self.resolution)
        inside = cells < self._cells
        later = int(np.count_nonzero(~inside))
        return {"n": data.n, "events": np.bincount(cells[inside], minlength=self._cells), "later": later}

    def check(self, query: Query, total: Aggregate) -> None:
        """Raise if there are more events than patients."""
        if total["events"].sum() + total["later"] > total.n:
            raise MessageError("more events than patients", remedy="leave out the site that lies")

    def update(self, ask: Ask, total: Aggregate) -> Ask | Done[EventGrid]:
        """Return the grid."""
        if total["later"]:
            raise NotEstimableError("events after the horizon", remedy="raise it", field="horizon")
        cells = np.flatnonzero(total["events"])
        if not cells.size:
            raise NotEstimableError("nobody had an event", remedy="gather cases", field="event")
        tied = tuple(bool(many) for many in total["events"][cells] > 1)
        return Done(EventGrid(resolution=self.resolution, cells=tuple(map(int, cells)), tied=tied))
