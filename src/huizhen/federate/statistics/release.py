"""Release: small counts don't leave a site in the clear, and aren't published of the total.

Under a secure sum nobody sees one site's counts, so that only the total is held to the smallest count. Where
the lead sees each site's aggregate, the site itself refuses what would show a smaller group.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from huizhen.errors import InvalidInputError, NotEstimableError, PolicyError
from huizhen.federate.statistics.aggregate import Aggregate, Kind

__all__ = ["check_at_site", "check_smallest", "check_total", "suppressed"]


def check_smallest(smallest: int) -> int:
    """Return a smallest count. Raises `InvalidInputError` unless it is at least 1."""
    if smallest < 1:
        raise InvalidInputError(f"is {smallest}", remedy="give at least 1", field="smallest_count")
    return smallest


def check_at_site(answer: Aggregate, *, smallest: int, masked: bool) -> None:
    """Raise `PolicyError` if a site's aggregate would show a group of 1 to `smallest` - 1 patients.

    `masked`: only a secure sum of it with other sites' leaves, so that no such group shows.
    """
    if masked:
        return
    for name, quantity in answer.layout.items():
        small = (answer[name] > 0) & (answer[name] < smallest)
        if (name == "n" or quantity.kind is Kind.TABLE) and small.any():
            raise PolicyError(
                f"a group of fewer than {smallest} patients would be shown",
                remedy="use secure aggregation, or coarser groups",
                field=name,
            )


def check_total(total: Aggregate, *, smallest: int) -> None:
    """Raise `NotEstimableError` for a sum over nobody, `PolicyError` for one over fewer than `smallest`."""
    if not total.n:
        raise NotEstimableError("there is no patient", remedy="gather cases")
    if total.n < smallest:
        raise PolicyError(
            f"a sum over fewer than {smallest} patients", remedy="ask more sites, or wait for more patients"
        )


def suppressed(counts: NDArray[np.float64], *, smallest: int) -> NDArray[np.bool_]:
    """Return which cells of a table (any shape) with a known total may not be published.

    Those of 1 to `smallest` - 1, and, so that they can't be found by subtraction, the next smallest ones
    until at least two cells with at least `smallest` patients together are hidden. Empty cells stay.

    >>> suppressed(np.array([0.0, 2.0, 7.0, 30.0]), smallest=5).tolist()
    [False, True, True, False]
    """
    hidden = (counts > 0) & (counts < smallest)
    for cell in np.argsort(counts, axis=None, kind="stable"):
        enough = hidden.sum() >= 2 and counts[hidden].sum() >= smallest
        if not hidden.any() or enough:
            break
        if counts.flat[cell] > 0:
            hidden.flat[cell] = True
    return hidden
