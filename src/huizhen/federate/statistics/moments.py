"""Means, variances and standardisation of columns with missing values, in two rounds.

The first round asks for sums, the second for sums of squares about the pooled mean, so that a large mean
doesn't swamp a small variance.

Reference: Chan, Golub & LeVeque, Am Stat 37:242-247 (1983), the two-pass algorithm with its correction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.errors import InvalidInputError, MessageError, NotEstimableError
from huizhen.federate.statistics.aggregate import Aggregate, Layout, count, real
from huizhen.federate.statistics.columns import check_same_columns
from huizhen.federate.statistics.data import Table
from huizhen.federate.statistics.interface import Ask, Done, Query

__all__ = ["Moments", "Standardisation", "Summary", "standardise"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Of p columns: patients with a value `present` (p,), their total `weight`, `mean` and `variance` (p,).

    The variance divides by the weight less 1 (weights count patients); it is NaN where that isn't positive.
    """

    columns: tuple[str, ...]
    n: int
    present: NDArray[np.int64]
    weight: Floats
    mean: Floats
    variance: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Standardisation:
    """Pooled `mean` and `scale` (p,) of columns; missing values become the mean, that is 0."""

    columns: tuple[str, ...]
    mean: Floats
    scale: Floats

    def apply(self, values: Floats) -> Floats:
        """Return `values` (n, p) standardised and filled.

        >>> both = Standardisation(columns=("age",), mean=np.array([60.0]), scale=np.array([10.0]))
        >>> both.apply(np.array([[70.0], [np.nan]])).tolist()
        [[1.0], [0.0]]
        """
        if values.ndim != 2 or values.shape[1] != len(self.columns):
            raise InvalidInputError(
                f"has shape {values.shape}", remedy=f"give {len(self.columns)} columns", field="values"
            )
        return np.nan_to_num((values - self.mean) / self.scale, nan=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Means and variances of `columns` over sites' tables."""

    columns: tuple[str, ...]
    name: str = "moments"

    def start(self) -> Ask:
        """Ask for sums."""
        return Ask(query=Query(name=self.name))

    def layout(self, query: Query) -> Layout:
        """n, patients with a value, weights, and sums (of squares too, about the centre) of each column."""
        p = len(self.columns)
        shared = {"n": count(), "present": count(p), "weight": real(p), "sum": real(p)}
        return shared if query.step == 0 else {**shared, "square": real(p)}

    def answer(self, query: Query, data: Table) -> Mapping[str, ArrayLike]:
        """Return a site's sums about the query's centre."""
        check_same_columns(data.columns, self.columns)
        p = len(self.columns)
        centre = query.array("centre", p) if query.step else np.zeros(p)
        there = ~np.isnan(data.values)
        weights = np.where(there, data.weights[:, np.newaxis], 0.0)  # (n, p)
        apart = np.where(there, data.values - centre, 0.0)  # (n, p)
        sums = {
            "n": data.n,
            "present": there.sum(axis=0),
            "weight": weights.sum(axis=0),
            "sum": (weights * apart).sum(axis=0),
        }
        return sums if query.step == 0 else {**sums, "square": (weights * apart**2).sum(axis=0)}

    def check(self, query: Query, total: Aggregate) -> None:
        """Raise if more values than patients are claimed, or a weight or sum of squares is impossible."""
        wrong = (total["present"] > total.n).any() or (total["weight"] < 0).any()
        if query.step:
            bound = total["square"] * total["weight"] * (1 + 1e-9) + 1e-9
            wrong = wrong or (total["square"] < 0).any() or (total["sum"] ** 2 > bound).any()
        if wrong:
            raise MessageError("sums of a table contradict each other", remedy="leave out the site that lies")

    def update(self, ask: Ask, total: Aggregate) -> Ask | Done[Summary]:
        """Go on about the mean, or return the summary."""
        weight = total["weight"]
        shift = np.divide(total["sum"], weight, out=np.zeros_like(weight), where=weight > 0)
        if ask.query.step == 0:
            return Ask(query=Query(name=self.name, step=1, values={"centre": shift}))
        apart = np.maximum(total["square"] - weight * shift**2, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = np.where(weight > 1, apart / (weight - 1), np.nan)
        mean = np.where(weight > 0, ask.query.values["centre"] + shift, np.nan)
        return Done(
            Summary(
                columns=self.columns,
                n=total.n,
                present=total["present"].astype(np.int64),
                weight=weight,
                mean=mean,
                variance=variance,
            )
        )


def standardise(summary: Summary) -> Standardisation:
    """Return the map to mean 0 and variance 1; a constant column is only centred.

    Raises `NotEstimableError` for a column without a value.

    >>> from huizhen.federate.statistics.data import table_of
    >>> from huizhen.federate.statistics.runner import run
    >>> sites = [table_of(("age",), [[50.0], [60.0]]), table_of(("age",), [[70.0]])]
    >>> found = run(Moments(columns=("age",)), sites).result
    >>> standardise(found).mean.tolist(), standardise(found).scale.tolist()
    ([60.0], [10.0])
    """
    if empty := [c for c, w in zip(summary.columns, summary.weight, strict=True) if w <= 0]:
        raise NotEstimableError(
            f"no patient has a value of {', '.join(empty)}", remedy="leave the column out", field="columns"
        )
    deviation = np.sqrt(np.nan_to_num(summary.variance))
    flat = deviation <= 1e-12 * (1 + np.abs(summary.mean))
    return Standardisation(columns=summary.columns, mean=summary.mean, scale=np.where(flat, 1.0, deviation))
