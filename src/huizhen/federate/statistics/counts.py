"""Tables of counts: categories of a column, and histograms with given edges. Small cells aren't published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.errors import InvalidInputError, MessageError
from huizhen.federate.statistics.aggregate import Aggregate, Layout, count, table
from huizhen.federate.statistics.columns import check_same_columns
from huizhen.federate.statistics.data import Table
from huizhen.federate.statistics.interface import Ask, Done, Query
from huizhen.federate.statistics.release import check_smallest, suppressed

__all__ = ["Categories", "Cells", "Histogram"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Counts (c,) of patients by cell, NaN where `hidden` (c,) because they are too few; `n` in all."""

    labels: tuple[str, ...]
    counts: NDArray[np.float64]
    hidden: NDArray[np.bool_]
    n: int


def _check_cells(total: Aggregate) -> None:
    """Raise unless the cells add up to the patients."""
    if total["cells"].sum() != total.n:
        raise MessageError("cells don't add up to n", remedy="leave out the site that lies", field="cells")


def _published(labels: tuple[str, ...], total: Aggregate, smallest: int) -> Done[Cells]:
    """Return a table of which small cells are hidden."""
    hidden = suppressed(total["cells"], smallest=smallest)
    counts = np.where(hidden, np.nan, total["cells"])
    return Done(Cells(labels=labels, counts=counts, hidden=hidden, n=total.n))


@dataclass(frozen=True, slots=True, kw_only=True)
class Categories:
    """How many patients have each of `codes` in `column`; the last two cells are any other code, and missing.

    >>> from huizhen.federate.statistics.data import table_of
    >>> from huizhen.federate.statistics.runner import run
    >>> sites = [table_of(("grade",), [[1.0], [2.0], [2.0]]), table_of(("grade",), [[float("nan")], [2.0]])]
    >>> run(Categories(column="grade", codes=(1.0, 2.0)), sites).result.counts.tolist()
    [1.0, 3.0, 0.0, 1.0]
    """

    column: str
    codes: tuple[float, ...]
    smallest_count: int = 1
    name: str = "categories"

    def __post_init__(self) -> None:
        check_smallest(self.smallest_count)
        if not self.codes or len(set(self.codes)) != len(self.codes) or not np.isfinite(self.codes).all():
            raise InvalidInputError("aren't different numbers", remedy="give each code once", field="codes")

    def start(self) -> Ask:
        """Ask for the cells."""
        return Ask(query=Query(name=self.name))

    def layout(self, query: Query) -> Layout:
        """n, and the cells."""
        return {"n": count(), "cells": table(len(self.codes) + 2)}

    def answer(self, query: Query, data: Table) -> Mapping[str, ArrayLike]:
        """Return a site's counts."""
        check_same_columns(data.columns, (self.column,))
        value = data.values[:, 0]
        known = [int(np.count_nonzero(value == code)) for code in self.codes]
        missing = int(np.isnan(value).sum())
        return {"n": data.n, "cells": [*known, data.n - sum(known) - missing, missing]}

    def check(self, query: Query, total: Aggregate) -> None:
        """Raise unless the cells add up to the patients."""
        _check_cells(total)

    def update(self, ask: Ask, total: Aggregate) -> Ask | Done[Cells]:
        """Return the table."""
        labels = (*(f"{code:g}" for code in self.codes), "other", "missing")
        return _published(labels, total, self.smallest_count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """How many patients have `column` in [edge, next edge), below, above, and missing: e - 1 + 3 cells.

    >>> from huizhen.federate.statistics.data import table_of
    >>> from huizhen.federate.statistics.runner import run
    >>> found = run(Histogram(column="age", edges=(0.0, 50.0, 99.0)), [table_of(("age",), [[40.0], [50.0]])])
    >>> dict(zip(found.result.labels, found.result.counts.tolist()))
    {'[0, 50)': 1.0, '[50, 99)': 1.0, 'below': 0.0, 'above': 0.0, 'missing': 0.0}
    """

    column: str
    edges: tuple[float, ...]
    smallest_count: int = 1
    name: str = "histogram"

    def __post_init__(self) -> None:
        check_smallest(self.smallest_count)
        steps = np.diff(np.asarray(self.edges, dtype=np.float64))
        if not steps.size or not np.isfinite(steps).all() or (steps <= 0).any():
            raise InvalidInputError("don't rise", remedy="give at least two, rising", field="edges")

    def start(self) -> Ask:
        """Ask for the cells."""
        return Ask(query=Query(name=self.name))

    def layout(self, query: Query) -> Layout:
        """n, and the cells."""
        return {"n": count(), "cells": table(len(self.edges) + 2)}

    def answer(self, query: Query, data: Table) -> Mapping[str, ArrayLike]:
        """Return a site's counts."""
        check_same_columns(data.columns, (self.column,))
        value = data.values[~np.isnan(data.values[:, 0]), 0]
        place = np.searchsorted(self.edges, value, side="right")  # 0 below, e above
        cells = np.bincount(place, minlength=len(self.edges) + 1)
        return {"n": data.n, "cells": [*cells[1:-1], cells[0], cells[-1], data.n - value.size]}

    def check(self, query: Query, total: Aggregate) -> None:
        """Raise unless the cells add up to the patients."""
        _check_cells(total)

    def update(self, ask: Ask, total: Aggregate) -> Ask | Done[Cells]:
        """Return the table."""
        pairs = zip(self.edges[:-1], self.edges[1:], strict=True)
        labels = (*(f"[{a:g}, {b:g})" for a, b in pairs), "below", "above", "missing")
        return _published(labels, total, self.smallest_count)
