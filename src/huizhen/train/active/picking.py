"""Which cases may still be asked while a batch is put together: one of a group at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from huizhen.train.active.interface import Picks, Pool

__all__ = ["Open", "highest", "opened"]


class Open:
    """The cases open to be asked; taking one closes its whole group. Ties are broken by a drawn order."""

    def __init__(self, open_: NDArray[np.bool_], group: NDArray[np.int64], rng: np.random.Generator) -> None:
        self.mask = open_.copy()
        self.order = rng.permutation(len(open_))
        self._members = np.argsort(group, kind="stable")
        self._sorted = group[self._members]
        self._group = group

    @property
    def any(self) -> bool:
        """Tell whether a case is left."""
        return bool(self.mask.any())

    def best(self, score: NDArray[np.float64]) -> int:
        """Return the open row of the highest `score` (n,); at least one must be open."""
        rows = np.flatnonzero(self.mask)
        found = score[rows]
        ties = rows[found == found.max()]
        return int(ties[self.order[ties].argmin()]) if len(ties) else int(rows[0])

    def take(self, row: int) -> None:
        """Close a row and its group."""
        low, high = (int(self._sorted.searchsorted(self._group[row], side)) for side in ("left", "right"))
        self.mask[self._members[low:high]] = False


def opened(pool: Pool, rng: np.random.Generator) -> list[Open]:
    """Return the open cases in the order in which they come into question.

    First those of groups without a covered case, then the others that aren't covered themselves.
    """
    fresh = ~np.isin(pool.group, pool.group[pool.covered])
    return [Open(fresh, pool.group, rng), Open(~pool.covered & ~fresh, pool.group, rng)]


def highest(score: NDArray[np.float64], opened: Open, budget: int) -> Picks:
    """Return up to `budget` open cases of the highest `score` (n,), one a group."""
    rows: list[int] = []
    for row in np.lexsort((opened.order, -score)):
        if len(rows) == budget:
            break
        if opened.mask[row]:
            rows.append(int(row))
            opened.take(int(row))
    found = np.array(rows, dtype=np.int64)
    return Picks(rows=found, score=score[found])
