"""ComBat's pooled part and the components of features that go with the outcome, over sites by secure sums.

First ComBat's two rounds. Then each site moves its own features by its own shift, which it finds from the
pooled part in the query, and k + 1 rounds of p sums give the components (`data.harmonise.components`); two
rounds over the few components give the pooled part that they are aligned to. Sums of products of all
features, from which principal components could be found, aren't asked for: with more features than patients
they would tell whose features are among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.data.harmonise.combat import Prior, apply_shift, site_shift
from huizhen.data.harmonise.components import (
    Reduction,
    Scaled,
    both_outcomes,
    first_direction,
    first_sums,
    next_direction,
    product,
    reduction_of,
    scaled_of,
)
from huizhen.data.harmonise.pooled import Pooled
from huizhen.errors import InvalidInputError, MessageError
from huizhen.federate.statistics.aggregate import Aggregate, Layout, count, real
from huizhen.federate.statistics.combat import Combat, Features, features_of
from huizhen.federate.statistics.interface import Ask, Done, Query

__all__ = ["Components", "Reduced"]

Floats = NDArray[np.float64]
COMBAT_ROUNDS = 2
FIRST = COMBAT_ROUNDS
"""The step of the first sums over moved features; products follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduced:
    """What all sites share: ComBat's `pooled` part, the `reduction`, and the components' `aligned` part."""

    pooled: Pooled
    reduction: Reduction
    aligned: Pooled


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What the lead knows so far, beside what ComBat's own rounds remember."""

    pooled: Pooled
    scaled: Scaled | None = None
    directions: tuple[Floats, ...] = ()
    products: tuple[Floats, ...] = ()
    reduction: Reduction | None = None
    inner: Ask | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """The first `components` of `features` features after ComBat that keeps `covariates`.

    `prior` and `mean_only` say how a site finds its own shift. Covariates count as known when it is found,
    and as unknown when features are moved: they are outcomes. Every site's training patients must have both.

    >>> from huizhen.federate.statistics.runner import run
    >>> rng, y = np.random.default_rng(1), np.arange(40) % 2.0
    >>> sites = [features_of(rng.normal(size=(40, 4)) + y[:, None] + k, outcome=y) for k in range(2)]
    >>> found = run(Components(features=4, components=1), sites)
    >>> found.result.reduction.axes.shape, found.rounds
    ((4, 1), 6)
    """

    features: int
    components: int
    covariates: tuple[str, ...] = ()
    prior: Prior = Prior.PARAMETRIC
    mean_only: bool = False
    name: str = "components"

    def __post_init__(self) -> None:
        if not 1 <= self.components <= self.features:
            raise InvalidInputError("fit no features", remedy="give 1 or more", field="components")
        self._combat()

    def _combat(self) -> Combat:
        return Combat(features=self.features, covariates=self.covariates)

    def _aligning(self) -> Combat:
        return Combat(features=self.components, covariates=self.covariates)

    @property
    def _align(self) -> int:
        """The step of the alignment's first round."""
        return FIRST + 1 + self.components

    def _inner(self, query: Query) -> tuple[Combat, Query] | None:
        """Return the ComBat that a query is of, as its own query; None between the two."""
        if query.step < COMBAT_ROUNDS:
            return self._combat(), replace(query, name="combat")
        if query.step >= self._align:
            return self._aligning(), replace(query, name="combat", step=query.step - self._align)
        return None

    def start(self) -> Ask:
        """Ask for ComBat's sums."""
        return self._as_own(self._combat().start(), 0, {})

    def _as_own(self, ask: Ask, step: int, values: Mapping[str, Floats]) -> Ask:
        """Return a ComBat's query as one of these, `step` later."""
        query = replace(
            ask.query, name=self.name, step=ask.query.step + step, values={**ask.query.values, **values}
        )
        return replace(ask, query=query)

    def layout(self, query: Query) -> Layout:
        """ComBat's sums, or those over moved features. Raises `MessageError` for a step that there isn't."""
        if query.step >= self._align + COMBAT_ROUNDS:
            raise MessageError(
                f"{self.name} has no step {query.step}", remedy="start all with one study", field="step"
            )
        if inner := self._inner(query):
            return inner[0].layout(inner[1])
        if query.step == FIRST:
            p = self.features
            return {"n": count(), "events": count(), "x": real(p), "xx": real(p), "xy": real(p)}
        return {"n": count(), "product": real(self.features)}

    def answer(self, query: Query, data: Features) -> Mapping[str, ArrayLike]:
        """Return a site's sums.

        Raises `DataError` where its patients have one outcome alone or are too few, `InvalidInputError` where
        its features are others than asked for, `MessageError` on a query that doesn't fit together.
        """
        inner = self._inner(query)
        if query.step < COMBAT_ROUNDS and inner:
            return inner[0].answer(inner[1], data)
        pooled = pooled_in(query, self.features, len(self.covariates))
        moved = self._moved(data, pooled)
        if inner:
            scores = _reduction_in(query, self.features, self.components).of(moved)
            return inner[0].answer(inner[1], features_of(scores, data.c))
        if query.step == FIRST:
            outcome = np.zeros(0) if data.outcome is None else data.outcome
            both_outcomes(outcome, "this site")
            return {"n": data.n, **first_sums(moved, outcome, pooled)}
        direction = query.array("direction", self.features)
        return {"n": data.n, "product": product(moved, _scaled_in(query, self.features), direction)}

    def _moved(self, data: Features, pooled: Pooled) -> Floats:
        """Return a site's features moved by its own shift, outcomes unknown as they are at use."""
        if data.y.shape[1] != self.features or data.c.shape[1] != len(self.covariates):
            raise InvalidInputError(
                f"the site has {data.y.shape[1]} features and {data.c.shape[1]} covariates",
                remedy="run the same study and the same version of huizhen everywhere",
                field="harmonisation",
            )
        if data.outcome is None or data.outcome.shape != (data.n,):
            raise InvalidInputError(
                "the site gives no outcomes of its training patients", remedy="give them", field="outcome"
            )
        if not data.n:
            return data.y
        shift = site_shift(
            data.y, pooled, covariates=data.c, prior=self.prior, mean_only=self.mean_only, site="this site"
        )
        return apply_shift(data.y, pooled, shift)

    def check(self, query: Query, total: Aggregate) -> None:
        """Raise if sums contradict each other."""
        if inner := self._inner(query):
            inner[0].check(inner[1], total)
        elif query.step == FIRST and (total["events"] > total.n or (total["xx"] < 0).any()):
            raise MessageError(
                "sums of features contradict each other", remedy="leave out the site that lies"
            )

    def update(self, ask: Ask, total: Aggregate) -> Ask | Done[Reduced]:
        """Return the next query, or what all sites share. Raises as the fits of both do."""
        step = ask.query.step
        if step < COMBAT_ROUNDS:
            found = self._combat().update(self._as_combat(ask, 0, ask.state), total)
            if isinstance(found, Ask):
                return self._as_own(found, 0, {})
            return self._ask(FIRST, _Found(pooled=found.result), {})
        known: _Found = ask.state
        if step >= self._align:
            return self._aligned(ask, known, total)
        if step == FIRST:
            return self._first(known, total)
        return self._further(step, known, total)

    def _ask(self, step: int, known: _Found, values: Mapping[str, Floats]) -> Ask:
        sent = {**values_of(known.pooled), **_of_scaled(known.scaled), **values}
        return Ask(query=Query(name=self.name, step=step, values=sent), state=known)

    def _first(self, known: _Found, total: Aggregate) -> Ask:
        """Standardise, and ask for the product with the first direction."""
        sums = {name: total[name] for name in ("x", "xx", "xy", "events")}
        scaled = scaled_of(total.n, total["x"], total["xx"], known.pooled)
        direction = first_direction(total.n, sums, scaled, known.pooled)
        known = replace(known, scaled=scaled, directions=(direction,))
        return self._ask(FIRST + 1, known, {"direction": direction})

    def _further(self, step: int, known: _Found, total: Aggregate) -> Ask:
        """Ask for the product with the next direction; after the last one, align what was found."""
        known = replace(known, products=(*known.products, total["product"]))
        if len(known.directions) < self.components:
            direction = next_direction(known.directions, known.products[-1])
            known = replace(known, directions=(*known.directions, direction))
            return self._ask(step + 1, known, {"direction": direction})
        if known.scaled is None:
            raise MessageError("a product before its directions", remedy="start again", field="step")
        reduction = reduction_of(total.n, known.scaled, known.directions, known.products)
        known = replace(known, reduction=reduction)
        own = self._as_own(self._aligning().start(), self._align, _values(known))
        return replace(own, state=replace(known, inner=self._aligning().start()))

    def _aligned(self, ask: Ask, known: _Found, total: Aggregate) -> Ask | Done[Reduced]:
        """Go on with the alignment's ComBat, or return what all sites share."""
        if known.inner is None or known.reduction is None:
            raise MessageError("an alignment before its components", remedy="start again", field="step")
        inner = self._as_combat(ask, self._align, known.inner.state)
        found = self._aligning().update(inner, total)
        if isinstance(found, Ask):
            own = self._as_own(found, self._align, _values(known))
            return replace(own, state=replace(known, inner=found))
        return Done(Reduced(pooled=known.pooled, reduction=known.reduction, aligned=found.result))

    @staticmethod
    def _as_combat(ask: Ask, step: int, state: object) -> Ask:
        return Ask(query=replace(ask.query, name="combat", step=ask.query.step - step), state=state)


def values_of(pooled: Pooled) -> dict[str, Floats]:
    """Return a pooled part as a query's parameters."""
    return {
        "pooled_centre": pooled.centre,
        "pooled_slopes": pooled.slopes,
        "pooled_scale": pooled.scale,
        "pooled_covariates": pooled.covariates,
        "pooled_flat": pooled.flat.astype(np.float64),
    }


def pooled_in(query: Query, features: int, covariates: int) -> Pooled:
    """Return the pooled part of a query. Raises `MessageError` unless it fits together."""
    try:
        return Pooled(
            centre=query.array("pooled_centre", features),
            slopes=query.array("pooled_slopes", covariates, features),
            scale=query.array("pooled_scale", features),
            covariates=query.array("pooled_covariates", covariates),
            flat=query.array("pooled_flat", features) > 0,
            n=0,
        )
    except InvalidInputError as error:
        raise _wrong("pooled_scale") from error


def _of_scaled(scaled: Scaled | None) -> dict[str, Floats]:
    if scaled is None:
        return {}
    return {"mean": scaled.mean, "spread": scaled.spread, "flat": scaled.flat.astype(np.float64)}


def _scaled_in(query: Query, features: int) -> Scaled:
    spread = query.array("spread", features)
    if (spread <= 0).any():
        raise _wrong("spread")
    return Scaled(mean=query.array("mean", features), spread=spread, flat=query.array("flat", features) > 0)


def _reduction_in(query: Query, features: int, components: int) -> Reduction:
    return Reduction(
        axes=query.array("axes", features, components), constant=query.array("constant", components)
    )


def _values(known: _Found) -> dict[str, Floats]:
    """Return the pooled part and the components as an alignment's parameters."""
    few = known.reduction
    return {
        **values_of(known.pooled),
        **({} if few is None else {"axes": few.axes, "constant": few.constant}),
    }


def _wrong(name: str) -> MessageError:
    return MessageError(
        "a query's parameters don't fit together", remedy="use one version everywhere", field=name
    )
