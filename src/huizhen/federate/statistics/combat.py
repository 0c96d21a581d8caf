"""ComBat's pooled part over sites, in two rounds of secure sums: equal to the fit on the pooled patients.

A site sends sums of its features and covariates, and of their products within the site; then the squares of
what is left. Its own shift and scale it finds by itself (`huizhen.data.harmonise.combat`) and keeps: the lead
learns the pooled mean, slopes and scale, and no site's. A reference site's mean and scale are what all others
are moved to, so that these do become known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.data.harmonise.pooled import Pooled, Sums, checked, pooled_of, slopes_of, squares_of, sums_of
from huizhen.errors import InvalidInputError, MessageError
from huizhen.federate.statistics.aggregate import Aggregate, Layout, count, real
from huizhen.federate.statistics.interface import Ask, Done, Query

__all__ = ["Combat", "Features", "features_of"]

Floats = NDArray[np.float64]
TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """A site's patients: features `y` (n, p), covariates `c` (n, q), and whether it is the `reference`.

    `outcome` (n,) of 0 and 1, where components that go with it are looked for.
    """

    y: Floats
    c: Floats
    reference: bool = False
    outcome: Floats | None = None

    @property
    def n(self) -> int:
        """The number of patients."""
        return len(self.y)


def features_of(
    y: Floats, c: Floats | None = None, *, reference: bool = False, outcome: Floats | None = None
) -> Features:
    """Return a site's features. Raises `DataError` on values that aren't finite.

    >>> features_of(np.zeros((3, 2))).c.shape
    (3, 0)
    """
    kept, known = checked(y, c)
    return Features(y=kept, c=known, reference=reference, outcome=outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class Combat:
    """The pooled part of ComBat over `features` features, keeping `covariates`.

    `referenced`: sites are moved to the one that says it is the reference, instead of to the grand mean.

    >>> from huizhen.federate.statistics.runner import run
    >>> north, south = features_of(np.array([[0.0], [2.0]])), features_of(np.array([[5.0], [7.0]]))
    >>> found = run(Combat(features=1), [north, south])
    >>> found.result.centre.tolist(), found.result.scale.tolist(), found.rounds
    ([3.5], [1.0], 2)
    """

    features: int
    covariates: tuple[str, ...] = ()
    referenced: bool = False
    name: str = "combat"

    def __post_init__(self) -> None:
        if self.features < 1:
            raise InvalidInputError("is none", remedy="give at least one feature", field="features")
        if len(set(self.covariates)) < len(self.covariates):
            raise InvalidInputError("names one twice", remedy="name each once", field="covariates")

    def start(self) -> Ask:
        """Ask for sums."""
        return Ask(query=Query(name=self.name))

    def layout(self, query: Query) -> Layout:
        """Sums over patients, and within sites; then squares of what is left."""
        p, q = self.features, len(self.covariates)
        if query.step:
            return {"n": count(), "squares_n": count(), "squares": real(p)}
        return {
            "n": count(),
            "y": real(p),
            "c": real(q),
            "cc": real(q, q),
            "within_cc": real(q, q),
            "within_cy": real(q, p),
            "centre_n": count(),
            "centre_y": real(p),
            "centre_c": real(q),
        }

    def answer(self, query: Query, data: Features) -> Mapping[str, ArrayLike]:
        """Return a site's sums, or its squares about the query's slopes.

        Raises `InvalidInputError` where its features or covariates are others than asked for.
        """
        p, q = self.features, len(self.covariates)
        if data.y.shape[1] != p or data.c.shape[1] != q:
            raise InvalidInputError(
                f"the site has {data.y.shape[1]} features and {data.c.shape[1]} covariates, not {p} and {q}",
                remedy="run the same study and the same version of huizhen everywhere",
                field="harmonisation",
            )
        here = None if not self.referenced else (0 if data.reference else -1)
        if query.step:
            squares, n = squares_of(data.y, data.c, query.array("slopes", q, p), reference=here)
            return {"n": data.n, "squares_n": n, "squares": squares}
        found = sums_of(data.y, data.c, reference=here)
        return {name: getattr(found, name) for name in self.layout(query)}

    def check(self, query: Query, total: Aggregate) -> None:
        """Raise if a sum of squares is negative, or products within sites are above those of all."""
        if query.step:
            wrong = total["squares_n"] > total.n or (total["squares"] < 0).any()
        else:
            whole, inside = np.diag(total["cc"]), np.diag(total["within_cc"])
            bound = whole * (1 + TOLERANCE) + TOLERANCE
            wrong = total["centre_n"] > total.n or (inside < 0).any() or (inside > bound).any()
        if wrong:
            raise MessageError(
                "sums of features contradict each other", remedy="leave out the site that lies"
            )

    def update(self, ask: Ask, total: Aggregate) -> Ask | Done[Pooled]:
        """Go on to the squares, or return the pooled part. Raises as `slopes_of` and `pooled_of`."""
        if ask.query.step == 0:
            sums = _sums(total)
            slopes = slopes_of(sums, self.covariates)
            return Ask(query=Query(name=self.name, step=1, values={"slopes": slopes}), state=sums)
        slopes = ask.query.array("slopes", len(self.covariates), self.features)
        return Done(pooled_of(ask.state, slopes, total["squares"], int(total["squares_n"])))


def _sums(total: Aggregate) -> Sums:
    """Return the first round's total as sums."""
    return Sums(
        n=total.n,
        y=total["y"],
        c=total["c"],
        cc=total["cc"],
        within_cc=total["within_cc"],
        within_cy=total["within_cy"],
        centre_n=int(total["centre_n"]),
        centre_y=total["centre_y"],
        centre_c=total["centre_c"],
    )
