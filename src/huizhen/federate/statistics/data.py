"""One site's patients as arrays: they stay at the site, and only sums over them leave it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.errors import InvalidInputError

__all__ = ["Design", "Scored", "Survival", "Table", "design", "scored", "survival", "table_of"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Named columns `values` (n, p), NaN where missing, with a weight a patient. Use `table_of`."""

    columns: tuple[str, ...]
    values: Floats
    weights: Floats

    def __post_init__(self) -> None:
        _check_columns(self.columns, self.values)
        if np.isinf(self.values).any():
            raise InvalidInputError("holds infinity", remedy="give numbers, NaN if missing", field="values")
        _check_column("weights", self.weights, self.n)
        _check_weights(self.weights)

    @property
    def n(self) -> int:
        """The number of patients."""
        return len(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Predictors `x` (n, p) without missing values, `target` (n,) in [0, 1], offsets and weights (n,)."""

    columns: tuple[str, ...]
    x: Floats
    target: Floats
    offset: Floats
    weights: Floats

    def __post_init__(self) -> None:
        _check_predictors(self.columns, self.x)
        for name, column in (("target", self.target), ("offset", self.offset), ("weights", self.weights)):
            _check_column(name, column, self.n)
        if self.n and (self.target.min() < 0 or self.target.max() > 1):
            raise InvalidInputError("leaves [0, 1]", remedy="code events as 1", field="target")
        _check_weights(self.weights)

    @property
    def n(self) -> int:
        """The number of patients."""
        return len(self.x)

    def subset(self, keep: NDArray[np.bool_]) -> Design:
        """Return the patients where `keep` (n,) is true."""
        return Design(
            columns=self.columns,
            x=self.x[keep],
            target=self.target[keep],
            offset=self.offset[keep],
            weights=self.weights[keep],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Survival:
    """Predictors `x` (n, p), follow-up `time` (n,) >= 0, whether an `event` ended it, and weights (n,)."""

    columns: tuple[str, ...]
    x: Floats
    time: Floats
    event: NDArray[np.bool_]
    weights: Floats

    def __post_init__(self) -> None:
        _check_predictors(self.columns, self.x)
        _check_column("time", self.time, self.n)
        _check_column("weights", self.weights, self.n)
        if self.n and self.time.min() < 0:
            raise InvalidInputError("is negative", remedy="count from the start of follow-up", field="time")
        _check_outcome("event", self.event, self.n)
        _check_weights(self.weights)

    @property
    def n(self) -> int:
        """The number of patients."""
        return len(self.x)

    def subset(self, keep: NDArray[np.bool_]) -> Survival:
        """Return the patients where `keep` (n,) is true."""
        return Survival(
            columns=self.columns,
            x=self.x[keep],
            time=self.time[keep],
            event=self.event[keep],
            weights=self.weights[keep],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """The `outcome` (n,) of patients and k models' scores or risks for them, `scores` (k, n) in [0, 1]."""

    outcome: NDArray[np.bool_]
    scores: Floats

    def __post_init__(self) -> None:
        if self.scores.ndim != 2:
            raise InvalidInputError(f"has shape {self.scores.shape}", remedy="give (k, n)", field="scores")
        _check_outcome("outcome", self.outcome, self.n)
        if not (np.isfinite(self.scores).all() and (self.scores >= 0).all() and (self.scores <= 1).all()):
            raise InvalidInputError("leaves [0, 1] or holds NaN", remedy="give risks", field="scores")

    @property
    def n(self) -> int:
        """The number of patients."""
        return int(self.scores.shape[1])


def table_of(columns: tuple[str, ...], values: ArrayLike, *, weights: ArrayLike | None = None) -> Table:
    """Return a table of `values` (n, p). Raises `InvalidInputError` on wrong shapes, types or infinities.

    >>> table_of(("age", "size"), [[60.0, 2.0], [70.0, float("nan")]]).n
    2
    """
    array = _floats("values", values)
    return Table(columns=columns, values=array, weights=_given(weights, 1.0, len(array), "weights"))


def design(
    columns: tuple[str, ...],
    x: ArrayLike,
    target: ArrayLike,
    *,
    offset: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> Design:
    """Return the data of a regression. Raises `InvalidInputError` on wrong shapes, NaN or a target outside
    [0, 1].

    >>> design(("age",), [[0.1], [0.2]], [0, 1]).n
    2
    """
    array = _floats("x", x)
    return Design(
        columns=columns,
        x=array,
        target=_floats("target", target),
        offset=_given(offset, 0.0, len(array), "offset"),
        weights=_given(weights, 1.0, len(array), "weights"),
    )


def survival(
    columns: tuple[str, ...],
    x: ArrayLike,
    time: ArrayLike,
    event: NDArray[Any],
    *,
    weights: ArrayLike | None = None,
) -> Survival:
    """Return the data of a survival analysis. Raises `InvalidInputError` on wrong shapes, NaN, or an event
    that isn't boolean.

    >>> survival(("age",), [[0.1], [0.2]], [3.0, 5.0], np.array([True, False])).n
    2
    """
    array = _floats("x", x)
    return Survival(
        columns=columns,
        x=array,
        time=_floats("time", time),
        event=np.asarray(event),
        weights=_given(weights, 1.0, len(array), "weights"),
    )


def scored(outcome: NDArray[Any], scores: ArrayLike) -> Scored:
    """Return `outcome` (n,) boolean with `scores` (n,) or (k, n). Raises `InvalidInputError` on NaN, or
    anything outside [0, 1].

    >>> scored(np.array([True, False]), [0.9, 0.2]).scores.shape
    (1, 2)
    """
    return Scored(outcome=np.asarray(outcome), scores=np.atleast_2d(_floats("scores", scores)))


def _floats(name: str, values: ArrayLike) -> Floats:
    """Return numbers as float64. Raises `InvalidInputError` on anything else."""
    try:
        return np.asarray(values).astype(np.float64, casting="safe")
    except (TypeError, ValueError) as error:
        raise InvalidInputError("not real numbers", remedy="give floats", field=name) from error


def _given(values: ArrayLike | None, default: float, n: int, name: str) -> Floats:
    """Return numbers as float64, or `default` for all."""
    return np.full(n, default) if values is None else _floats(name, values)


def _check_columns(columns: tuple[str, ...], values: Floats) -> None:
    """Raise unless there is one column (n,) a name, and no name twice."""
    if values.ndim != 2 or values.shape[1] != len(columns) or len(set(columns)) != len(columns):
        raise InvalidInputError(
            f"has shape {values.shape} for {len(set(columns))} names", remedy="name each column once"
        )


def _check_predictors(columns: tuple[str, ...], x: Floats) -> None:
    """Raise unless predictors are (n, p) and finite."""
    _check_columns(columns, x)
    if not np.isfinite(x).all():
        raise InvalidInputError(
            "holds NaN or infinity", remedy="standardise, which fills missing values", field="x"
        )


def _check_column(name: str, values: Floats, n: int) -> None:
    """Raise unless `values` are (n,) and finite."""
    if values.shape != (n,):
        raise InvalidInputError(f"has shape {values.shape} for {n} patients", remedy="give n", field=name)
    if not np.isfinite(values).all():
        raise InvalidInputError("holds NaN or infinity", remedy="leave the patients out", field=name)


def _check_weights(weights: Floats) -> None:
    """Raise unless all weights are at least 0."""
    if (weights < 0).any():
        raise InvalidInputError("are negative", remedy="give weights of at least 0", field="weights")


def _check_outcome(name: str, outcome: NDArray[Any], n: int) -> None:
    """Raise unless an outcome is (n,) boolean."""
    if outcome.shape != (n,) or outcome.dtype != np.bool_:
        raise InvalidInputError(
            f"must be ({n},) boolean, is {outcome.shape} {outcome.dtype}",
            remedy="convert it with == 1",
            field=name,
        )
