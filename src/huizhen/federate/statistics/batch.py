"""Several statistics in lockstep: one exchange a round for all, as cross-validation needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.errors import InvalidInputError, MessageError, NotEstimableError
from huizhen.federate.statistics.aggregate import Aggregate, Layout, aggregate, count
from huizhen.federate.statistics.interface import Ask, Done, Query, Sized, Statistic

__all__ = ["Batch", "Fold", "Folded", "Subsettable"]

R = TypeVar("R")
D = TypeVar("D", bound=Sized)


class Subsettable(Sized, Protocol):
    """Data of one site of which a part of the patients can be taken."""

    def subset(self, keep: NDArray[np.bool_]) -> Any:
        """Return the patients where `keep` (n,) is true, as data of the same kind."""
        ...


S = TypeVar("S", bound=Subsettable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded(Generic[S]):
    """A site's `data` with the number of the `fold` (n,) that each patient is held out in."""

    data: S
    fold: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.fold.shape != (self.data.n,) or self.fold.dtype.kind != "i":
            raise InvalidInputError("doesn't fit the patients", remedy="give one a patient", field="fold")

    @property
    def n(self) -> int:
        """The number of patients."""
        return self.data.n


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold(Generic[S, R]):
    """A `statistic` over the patients outside fold number `fold`, or over those in it where `held_out`."""

    statistic: Statistic[S, R]
    fold: int
    held_out: bool = False

    @property
    def name(self) -> str:
        """The statistic's name."""
        return self.statistic.name

    def start(self) -> Ask:
        """Ask what the statistic asks."""
        return self.statistic.start()

    def layout(self, query: Query) -> Layout:
        """The statistic's layout."""
        return self.statistic.layout(query)

    def answer(self, query: Query, data: Folded[S]) -> Mapping[str, ArrayLike]:
        """Return a site's sums over the part."""
        return self.statistic.answer(query, data.data.subset((data.fold == self.fold) == self.held_out))

    def check(self, query: Query, total: Aggregate) -> None:
        """Raise as the statistic."""
        self.statistic.check(query, total)

    def update(self, ask: Ask, total: Aggregate) -> Ask | Done[R]:
        """Go on as the statistic."""
        return self.statistic.update(ask, total)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch(Generic[D, R]):
    """Statistics over the same sites at once; the result holds one each, or why it isn't estimable.

    Names of parameters and quantities are preceded by the statistic's place: "0.beta".

    >>> from huizhen.federate.statistics.data import table_of
    >>> from huizhen.federate.statistics.moments import Moments
    >>> from huizhen.federate.statistics.runner import run
    >>> both = Batch(parts=(Moments(columns=("age",)), Moments(columns=("age",))))
    >>> found = run(both, [table_of(("age",), [[50.0], [60.0]])])
    >>> [part.mean.tolist() for part in found.result], found.rounds
    ([[55.0], [55.0]], 2)
    """

    parts: tuple[Statistic[D, R], ...]
    name: str = "batch"

    def __post_init__(self) -> None:
        if not self.parts:
            raise InvalidInputError("no statistic", remedy="give at least one", field="parts")

    def start(self) -> Ask:
        """Ask all first queries at once."""
        return self._asking(0, tuple(part.start() for part in self.parts))

    def _asking(self, step: int, states: tuple[Ask | Done[R | NotEstimableError], ...]) -> Ask:
        """Ask the queries of those that aren't done."""
        asks = {place: state for place, state in enumerate(states) if isinstance(state, Ask)}
        values = {
            f"{place}.{name}": value
            for place, ask in asks.items()
            for name, value in ask.query.values.items()
        }
        steps = np.array([[place, ask.query.step] for place, ask in asks.items()], dtype=np.float64)
        return Ask(query=Query(name=self.name, step=step, values={**values, "steps": steps}), state=states)

    def _queries(self, query: Query) -> dict[int, Query]:
        """Return the queries of a batch by place. Raises `MessageError` on a place that there isn't."""
        found = {}
        for place, step in query.array("steps", -1, 2).astype(np.int64):
            if not 0 <= place < len(self.parts):
                raise MessageError("a query of another batch", remedy="use one study", field="steps")
            own = {n.partition(".")[2]: v for n, v in query.values.items() if n.startswith(f"{place}.")}
            found[int(place)] = Query(name=self.parts[place].name, step=int(step), values=own)
        return found

    def layout(self, query: Query) -> Layout:
        """n over the site, and each statistic's quantities."""
        parts = {
            f"{place}.{name}": quantity
            for place, own in self._queries(query).items()
            for name, quantity in self.parts[place].layout(own).items()
        }
        return {"n": count(), **parts}

    def answer(self, query: Query, data: D) -> Mapping[str, ArrayLike]:
        """Return a site's sums for all of them."""
        parts = {
            f"{place}.{name}": value
            for place, own in self._queries(query).items()
            for name, value in self.parts[place].answer(own, data).items()
        }
        return {"n": data.n, **parts}

    def _totals(self, query: Query, total: Aggregate) -> dict[int, Aggregate]:
        """Return the total of each statistic by place."""
        found = {}
        for place, own in self._queries(query).items():
            layout = self.parts[place].layout(own)
            found[place] = aggregate(layout, {name: total[f"{place}.{name}"] for name in layout})
        return found

    def check(self, query: Query, total: Aggregate) -> None:
        """Raise as any of them, or if one has more patients than there are."""
        queries = self._queries(query)
        for place, own in self._totals(query, total).items():
            self.parts[place].check(queries[place], own)
            if own.n > total.n:
                raise MessageError("a part has more patients than there are", remedy="leave out who lies")

    def update(self, ask: Ask, total: Aggregate) -> Ask | Done[tuple[R | NotEstimableError, ...]]:
        """Ask on for those that aren't done, or return all results."""
        states = list(ask.state)
        for place, own in self._totals(ask.query, total).items():
            try:
                states[place] = self.parts[place].update(states[place], own)
            except NotEstimableError as error:
                states[place] = Done(error)
        if any(isinstance(state, Ask) for state in states):
            return self._asking(ask.query.step + 1, tuple(states))
        return Done(tuple(state.result for state in states))
