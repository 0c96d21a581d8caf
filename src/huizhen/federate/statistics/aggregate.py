"""Aggregates: the sums, counts and tables that answer a query, in a layout known beforehand at both ends.

An aggregate holds no row of a patient: each quantity is a sum over all patients of a site, and `n` says over
how many. The layout gives each quantity its shape and its fixed-point resolution, so that a sum of aggregates
can be formed modulo 2^32 under masks (`fixed_point`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.errors import InvalidInputError

__all__ = ["Aggregate", "Kind", "Layout", "Quantity", "add", "aggregate", "count", "real", "table"]


class Kind(StrEnum):
    """What a quantity is, which decides how it is checked and released."""

    COUNT = "count"
    """Whole numbers of patients over the whole site, such as `n`."""
    TABLE = "table"
    """Whole numbers of patients in small groups: cells of histograms and curves."""
    REAL = "real"
    """Sums of real numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """One named array of an aggregate: its `shape`, and its resolution of 2**-`fraction_bits`.

    A value is carried in `limbs` words of 32 bits; the sum over all sites must stay within
    ±2**(31 + 24 (limbs - 1) - fraction_bits).
    """

    kind: Kind
    shape: tuple[int, ...] = ()
    fraction_bits: int = 0
    limbs: int = 1

    @property
    def size(self) -> int:
        """The number of values."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def words(self) -> int:
        """The number of 32-bit words that carry it."""
        return self.size * self.limbs

    @property
    def capacity(self) -> float:
        """The largest absolute value that a sum over all sites may take."""
        return float(2.0 ** (31 + 24 * (self.limbs - 1) - self.fraction_bits))


Layout = Mapping[str, Quantity]
"""The quantities of an aggregate by name, in order; "n", a count of patients, is always one of them."""


def count(*shape: int) -> Quantity:
    """Return a quantity of whole numbers of patients, up to 2^31.

    >>> count(2).words
    2
    """
    return Quantity(kind=Kind.COUNT, shape=shape)


def table(*shape: int) -> Quantity:
    """Return a quantity of cells of a table of patients, up to 2^31 each."""
    return Quantity(kind=Kind.TABLE, shape=shape)


def real(*shape: int, fraction_bits: int = 48) -> Quantity:
    """Return a quantity of real sums with a resolution of 2**-48 (3.6e-15) and a capacity of 2**55 (3.6e16).

    >>> real(2, 3).words, real().capacity == 2.0**55
    (24, True)
    """
    return Quantity(kind=Kind.REAL, shape=shape, fraction_bits=fraction_bits, limbs=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """Sums over `n` units ("patient") in the shapes of `layout`. Use `aggregate` to make one.

    Raises `InvalidInputError` unless every quantity is there in its shape and finite, and counts are whole
    and not negative.
    """

    layout: Layout
    values: Mapping[str, NDArray[np.float64]]
    unit: str = field(default="patient")

    def __post_init__(self) -> None:
        if "n" not in self.layout or list(self.layout) != list(self.values):
            raise InvalidInputError("quantities don't fit the layout", remedy="give each once, with n")
        for name, quantity in self.layout.items():
            _check(name, quantity, self.values[name])

    @property
    def n(self) -> int:
        """The number of units summed over."""
        return int(self.values["n"])

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        return self.values[name]


def _check(name: str, quantity: Quantity, value: NDArray[np.float64]) -> None:
    """Raise unless a value is what its quantity says."""
    if value.shape != quantity.shape:
        raise InvalidInputError(
            f"has shape {value.shape}, not {quantity.shape}", remedy="sum over all patients", field=name
        )
    if not np.isfinite(value).all():
        raise InvalidInputError("holds NaN or infinity", remedy="check the site's data", field=name)
    if quantity.kind is not Kind.REAL and ((value < 0).any() or (value != np.rint(value)).any()):
        raise InvalidInputError("is no count", remedy="check who sends negative counts", field=name)


def aggregate(layout: Layout, values: Mapping[str, ArrayLike], *, unit: str = "patient") -> Aggregate:
    """Return `values` as an aggregate in the order of `layout`. Raises as `Aggregate`.

    >>> aggregate({"n": count(), "sum": real(2)}, {"sum": [1.0, 2.0], "n": 3}).n
    3
    """
    if set(layout) != set(values):
        raise InvalidInputError(
            "quantities are missing or unknown", remedy=f"give {', '.join(layout)}", field="values"
        )
    arrays = {name: np.asarray(values[name], dtype=np.float64) for name in layout}
    return Aggregate(layout=layout, values=arrays, unit=unit)


def add(a: Aggregate, b: Aggregate) -> Aggregate:
    """Return the aggregate over both. Raises `InvalidInputError` if their layouts or units differ.

    >>> one = aggregate({"n": count()}, {"n": 2})
    >>> add(one, one).n
    4
    """
    if dict(a.layout) != dict(b.layout) or a.unit != b.unit:
        raise InvalidInputError("aggregates of different layouts", remedy="ask both sites the same query")
    return aggregate(a.layout, {name: a[name] + b[name] for name in a.layout}, unit=a.unit)
