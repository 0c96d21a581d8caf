"""What every federated statistic is: a query, an answer of sums, and how the lead goes on from the total."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.errors import MessageError
from huizhen.federate.statistics.aggregate import Aggregate, Layout

__all__ = ["Ask", "Done", "Query", "Sized", "Statistic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What the lead broadcasts in one round: the statistic's `name`, the round's `step`, its parameters."""

    name: str
    step: int = 0
    values: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def array(self, name: str, *shape: int) -> NDArray[np.float64]:
        """Return a parameter of the given shape (-1: any length). Raises `MessageError` unless it is there.

        >>> Query(name="mean", values={"centre": np.zeros(2)}).array("centre", 2)
        array([0., 0.])
        """
        value = self.values.get(name)
        if value is None or value.ndim != len(shape):
            raise MessageError("a query lacks a parameter", remedy="use one version everywhere", field=name)
        if any(want not in (-1, have) for want, have in zip(shape, value.shape, strict=True)):
            raise MessageError(
                f"a query's parameter has shape {value.shape}", remedy=f"send {shape}", field=name
            )
        if not np.isfinite(value).all():
            raise MessageError("a query holds NaN or infinity", remedy="start the fit again", field=name)
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """The lead's next query, and what it alone remembers until the answers come."""

    query: Query
    state: Any = None


R_co = TypeVar("R_co", covariant=True)
D_contra = TypeVar("D_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class Done(Generic[R_co]):
    """The statistic is known."""

    result: R_co


class Sized(Protocol):
    """Data of one site: it knows over how many patients it goes."""

    @property
    def n(self) -> int:
        """The number of patients."""
        ...


class Statistic(Protocol[D_contra, R_co]):
    """A statistic over sites whose data are D, with result R. Implementations are frozen and hold settings.

    `answer` runs at a site, all else at the lead or at both. Every method is pure.
    """

    @property
    def name(self) -> str:
        """The name that queries carry, so that a site refuses another statistic's."""
        ...

    def start(self) -> Ask:
        """Return the first query."""
        ...

    def layout(self, query: Query) -> Layout:
        """Return the shapes of an answer to `query`. Raises `MessageError` if the query is malformed."""
        ...

    def answer(self, query: Query, data: D_contra) -> Mapping[str, ArrayLike]:
        """Return a site's sums. Raises `InvalidInputError` if its data don't fit the statistic."""
        ...

    def check(self, query: Query, total: Aggregate) -> None:
        """Raise `MessageError` if sums, of one site or of all, contradict each other."""
        ...

    def update(self, ask: Ask, total: Aggregate) -> Ask | Done[R_co]:
        """Return the next query, or the result. Raises `NotEstimableError` if there is none."""
        ...
