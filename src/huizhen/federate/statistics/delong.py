"""AUCs of k models and DeLong's covariance from histograms of 16-bit scores, equal to the pooled result.

Scores in [0, 1] are cut into 65,536 bins. How an event stands to all non-events depends on its bin only, so
that the total histograms of one score give its AUC and variance in one round. The covariance of two models
needs each patient's two placements together: in a second round the lead sends the placement of every bin, and
sites return sums of their products. All sums are of whole numbers, so that nothing is lost.

References: DeLong, DeLong & Clarke-Pearson, Biometrics 44:837-845 (1988); Hanley & McNeil, Radiology
143:29-36 (1982). The total histogram lists the scores: docs/explanation/federated-statistics.md says what
that means.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from huizhen.core.evidence import Interval
from huizhen.errors import InvalidInputError, MessageError, NotEstimableError
from huizhen.federate.statistics.aggregate import Aggregate, Layout, Quantity, count, real, table
from huizhen.federate.statistics.data import Scored
from huizhen.federate.statistics.interface import Ask, Done, Query

__all__ = ["BINS", "AucComparison", "Aucs", "DeLong", "bins_of"]

BINS = 65_536
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class AucComparison:
    """The difference of two AUCs on the same patients, its interval and test; NaN where there is no test."""

    estimate: float
    interval: Interval
    z: float
    p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Aucs:
    """AUCs (k,) of k models on the same patients, and DeLong's covariance (k, k) of them."""

    aucs: Floats
    covariance: Floats
    n_pos: int
    n_neg: int

    def interval(self, model: int = 0, *, level: float = 0.95) -> Interval:
        """Return AUC ± z·SE cut to [0, 1], or an exact bound where the variance is 0.

        Of k = min(m, n) disjoint pairs all fell the same way then, so that the chance of it is at least
        ((1 - level) / 2)^(1/k).
        """
        value, spread = float(self.aucs[model]), float(self.covariance[model, model])
        if spread <= 0:
            floor = float(((1 - level) / 2) ** (1 / min(self.n_pos, self.n_neg)))
            method = "exact bound on disjoint pairs"
            return Interval(low=floor * value, high=1 - floor * (1 - value), method=method, level=level)
        reach = float(ndtri(0.5 + level / 2)) * math.sqrt(spread)
        low, high = max(0.0, value - reach), min(1.0, value + reach)
        return Interval(low=low, high=high, method="DeLong", level=level)

    def difference(self, a: int, b: int, *, level: float = 0.95) -> AucComparison:
        """Return AUC(a) - AUC(b) with DeLong's paired interval and test.

        Where its variance is 0 though the AUCs differ, or one is perfect, the interval joins the two single
        ones by Bonferroni's inequality.
        """
        estimate = float(self.aucs[a] - self.aucs[b])
        spread = float(self.covariance[a, a] + self.covariance[b, b] - 2 * self.covariance[a, b])
        if spread <= 1e-15:
            return self._without_test(a, b, estimate, level)
        reach, z = float(ndtri(0.5 + level / 2)) * math.sqrt(spread), estimate / math.sqrt(spread)
        low, high = max(-1.0, estimate - reach), min(1.0, estimate + reach)
        interval = Interval(low=low, high=high, method="DeLong, paired", level=level)
        return AucComparison(estimate=estimate, interval=interval, z=z, p=float(2 * ndtr(-abs(z))))

    def _without_test(self, a: int, b: int, estimate: float, level: float) -> AucComparison:
        """Return a difference whose variance is 0, from two intervals with half the error each."""
        first, second = (self.interval(side, level=(1 + level) / 2) for side in (a, b))
        low, high = first.low - second.high, first.high - second.low
        interval = Interval(low=low, high=high, method="Bonferroni of two intervals", level=level)
        z, p = (0.0, 1.0) if estimate == 0 else (math.nan, math.nan)
        return AucComparison(estimate=estimate, interval=interval, z=z, p=p)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    """By bin, sums of 2ψ over the other class (k, bins) less a whole `centre` (k,), for one class of `m`."""

    by_bin: Floats
    m: int
    scale: int
    """What 2ψ is divided by: twice the size of the other class."""

    @classmethod
    def of(cls, own: Floats, other: Floats, *, above: bool) -> _Placed:
        """Place the bins of `own` (k, bins) among `other`; `above`: non-events among events above them."""
        below = np.cumsum(other, axis=1) - other
        m, others = int(own[0].sum()), int(other[0].sum())
        twice = 2 * (others - below - other) + other if above else 2 * below + other
        centre = np.rint((own * twice).sum(axis=1) / m)
        return cls(by_bin=twice - centre[:, np.newaxis], m=m, scale=2 * others)

    def covariance(self, products: Floats, sums: Floats) -> Floats:
        """Return this class's part (k, k) of DeLong's covariance, from sums over its patients."""
        centred = products - np.outer(sums, sums) / self.m
        return np.asarray(centred / (self.scale**2 * (self.m - 1.0) * self.m))


def bins_of(scores: Floats) -> NDArray[np.int64]:
    """Return the 16-bit bins of scores in [0, 1].

    >>> bins_of(np.array([0.0, 0.5, 1.0])).tolist()
    [0, 32768, 65535]
    """
    return np.minimum((scores * BINS).astype(np.int64), BINS - 1)


def _whole(*shape: int) -> Quantity:
    """Return a quantity of large whole numbers."""
    return real(*shape, fraction_bits=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeLong:
    """AUCs of `models` models: one round for one model, two for more.

    >>> from huizhen.federate.statistics.data import scored
    >>> from huizhen.federate.statistics.runner import run
    >>> sites = [scored(np.array([True, False]), [0.9, 0.4]), scored(np.array([True, False]), [0.4, 0.1])]
    >>> found = run(DeLong(), sites).result
    >>> found.aucs.tolist(), found.covariance.tolist()
    ([0.875], [[0.03125]])
    """

    models: int = 1
    name: str = "delong"

    def __post_init__(self) -> None:
        if not 1 <= self.models <= 64:
            raise InvalidInputError(f"is {self.models}", remedy="give 1 to 64", field="models")

    def start(self) -> Ask:
        """Ask for the histograms."""
        return Ask(query=Query(name=self.name))

    def layout(self, query: Query) -> Layout:
        """n, and histograms (k, bins) of events and non-events; then sums of placements and products."""
        k = self.models
        if query.step == 0:
            return {"n": count(), "pos": table(k, BINS), "neg": table(k, BINS)}
        sums = {"pos_sum": _whole(k), "neg_sum": _whole(k)}
        return {"n": count(), **sums, "pos_product": _whole(k, k), "neg_product": _whole(k, k)}

    def answer(self, query: Query, data: Scored) -> Mapping[str, ArrayLike]:
        """Return a site's histograms, or its sums."""
        if len(data.scores) != self.models:
            raise InvalidInputError(
                f"{len(data.scores)} models' scores, not {self.models}",
                remedy="score all patients with every model",
                field="scores",
            )
        bins = bins_of(data.scores)
        sides = {"pos": data.outcome, "neg": ~data.outcome}
        if query.step == 0:
            tables = {
                side: [np.bincount(row[who], minlength=BINS) for row in bins] for side, who in sides.items()
            }
            return {"n": data.n, **tables}
        sums: dict[str, ArrayLike] = {"n": data.n}
        for side, who in sides.items():
            placed = np.take_along_axis(query.array(side, self.models, BINS), bins[:, who], axis=1)
            sums |= {f"{side}_sum": placed.sum(axis=1), f"{side}_product": placed @ placed.T}
        return sums

    def check(self, query: Query, total: Aggregate) -> None:
        """Raise unless every histogram holds every patient once, or products are those of real numbers."""
        if query.step == 0:
            pos, neg = total["pos"].sum(axis=1), total["neg"].sum(axis=1)
            if (pos != pos[0]).any() or (pos + neg != total.n).any():
                raise MessageError("histograms don't add up to n", remedy="leave out the site that lies")
            return
        for side in ("pos_product", "neg_product"):
            product = total[side]
            if not np.array_equal(product, product.T) or (np.diag(product) < 0).any():
                raise MessageError("impossible products", remedy="leave out the site that lies", field=side)

    def update(self, ask: Ask, total: Aggregate) -> Ask | Done[Aucs]:
        """Return the AUCs, or ask for the products of several models' placements."""
        if ask.query.step:
            return self._joint(ask, total)
        pos, neg = total["pos"], total["neg"]
        n_pos, n_neg = int(pos[0].sum()), int(neg[0].sum())
        if min(n_pos, n_neg) < 2:
            raise NotEstimableError(
                f"{n_pos} events and {n_neg} non-events: at least 2 of each are needed", remedy="gather cases"
            )
        below = np.cumsum(neg, axis=1) - neg
        aucs = (pos * (2 * below + neg)).sum(axis=1) / (2.0 * n_pos * n_neg)
        placed = {"pos": _Placed.of(pos, neg, above=False), "neg": _Placed.of(neg, pos, above=True)}
        if self.models > 1:
            values = {side: part.by_bin for side, part in placed.items()}
            return Ask(query=Query(name=self.name, step=1, values=values), state=(placed, aucs))
        spread = sum(
            part.covariance(own @ (part.by_bin**2).T, (own * part.by_bin).sum(axis=1))
            for part, own in ((placed["pos"], pos), (placed["neg"], neg))
        )
        return Done(Aucs(aucs=aucs, covariance=np.asarray(spread), n_pos=n_pos, n_neg=n_neg))

    def _joint(self, ask: Ask, total: Aggregate) -> Done[Aucs]:
        """Return the AUCs with their covariance from sums of products."""
        placed, aucs = ask.state
        parts = [placed[s].covariance(total[f"{s}_product"], total[f"{s}_sum"]) for s in ("pos", "neg")]
        sizes = {"n_pos": placed["pos"].m, "n_neg": placed["neg"].m}
        return Done(Aucs(aucs=aucs, covariance=parts[0] + parts[1], **sizes))
