"""Finding lesions: marks with ratings on cases, of which each either hits a lesion or none.

References: Chakraborty & Berbaum, Med Phys 31:2313-2330 (2004), JAFROC; Chakraborty & Zhai, Acad Radiol
23:1190-1200 (2016) and Chakraborty, Observer Performance Methods (2017) for weighted lesions; Bunch et al.,
Proc SPIE 127:124-135 (1977), the FROC curve.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.core.evidence import Interval
from huizhen.core.streams import stream
from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.estimates import Estimate, logit_wald, normal_quantile, unanimous_floor

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_CELLS = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Lesions (n,) of each case, and marks (k,): their case 0 to n - 1, rating, and lesion, -1 for none.

    `lesion` numbers the lesions of a case from 0. Several marks may hit a lesion: the highest counts. Raises
    `InvalidInputError` on numbers out of range, ratings that aren't finite, or lengths that differ.
    """

    lesions: Ints
    case: Ints
    rating: Floats
    lesion: Ints

    def __post_init__(self) -> None:
        sizes = {self.case.shape, self.rating.shape, self.lesion.shape}
        if len(sizes) != 1 or self.lesions.ndim != 1 or self.case.ndim != 1 or not self.lesions.size:
            raise InvalidInputError("columns differ in length", remedy="give one value a mark", field="marks")
        if self.lesions.min() < 0 or not np.isfinite(self.rating).all():
            raise InvalidInputError(
                "a rating or a count isn't a number of its kind", remedy="check the marks"
            )
        inside = (self.case >= 0) & (self.case < self.lesions.size)
        if not inside.all() or (self.lesion < -1).any() or (self.lesion >= self.lesions[self.case]).any():
            raise InvalidInputError("a mark names no case or lesion", remedy="number from 0", field="marks")

    def lesion_ratings(self) -> tuple[Floats, Ints]:
        """Return the highest rating of each lesion, -inf where missed, and its case, for all lesions."""
        first = np.concatenate([[0], np.cumsum(self.lesions)])
        highest = np.full(int(first[-1]), -np.inf)
        hit = self.lesion >= 0
        np.maximum.at(highest, first[self.case[hit]] + self.lesion[hit], self.rating[hit])
        return highest, np.repeat(np.arange(self.lesions.size), self.lesions)

    def false_ratings(self) -> Floats:
        """Return the highest rating (n,) of a mark that hits no lesion on each case, -inf where there is
        none.
        """
        highest = np.full(self.lesions.size, -np.inf)
        wrong = self.lesion < 0
        np.maximum.at(highest, self.case[wrong], self.rating[wrong])
        return highest


def jafroc(marks: Marks, *, weigh_cases: bool = False, level: float = 0.95) -> Estimate:
    """Return the chance that a lesion is rated above the highest mark on a case without lesions, ties half.

    `weigh_cases`: each case with lesions weighs the same, its lesions sharing the weight (wAFROC); otherwise
    each lesion does. The variance is that of means over independent cases. Raises `NotEstimableError` unless
    there are two cases with and two without lesions.

    >>> marks = Marks(lesions=np.array([1, 2, 0, 0]), case=np.array([0, 1, 2]), rating=np.array([3.0, 2, 2]),
    ...     lesion=np.array([0, 1, -1]))
    >>> round(jafroc(marks).value, 4)
    0.6667
    """
    healthy = marks.lesions == 0
    m, n = int(np.count_nonzero(~healthy)), int(np.count_nonzero(healthy))
    if min(m, n) < 2:
        raise NotEstimableError("fewer than two cases with, or without lesions", remedy="gather cases")
    found, case = marks.lesion_ratings()
    scores = np.concatenate([found, marks.false_ratings()[healthy]])
    weights = 1 / (m * marks.lesions[case]) if weigh_cases else np.full(found.size, 1 / found.size)
    value, of_lesions, of_healthy = _weighted(scores, found.size, weights)
    by_case = np.bincount(case, weights=weights * (of_lesions - value), minlength=healthy.size)[~healthy]
    variance = m / (m - 1) * float(by_case @ by_case) + float(of_healthy.var(ddof=1)) / n
    name = "wAFROC" if weigh_cases else "JAFROC"
    if variance <= 0 or not 0 < value < 1:
        floor, method = unanimous_floor(min(m, n), level=level), "exact bound on disjoint pairs"
        bound = Interval(low=floor * value, high=1 - floor * (1 - value), method=method, level=level)
        return Estimate(value=value, interval=bound)
    interval = logit_wald(value, math.sqrt(variance), method=f"{name} over cases, logit", level=level)
    return Estimate(value=value, interval=interval)


def _weighted(scores: Floats, lesions: int, weights: Floats) -> tuple[float, Floats, Floats]:
    """Return the weighted AUC of the first `lesions` scores against the rest, with both placements."""
    own, others = scores[:lesions], np.sort(scores[lesions:])
    low, high = (np.searchsorted(others, own, side=side) for side in ("left", "right"))
    of_lesions = (low + high) / (2 * others.size)
    order = np.argsort(own)
    above = 1 - np.concatenate([[0.0], np.cumsum(weights[order])])
    under, until = (np.searchsorted(own[order], scores[lesions:], side=side) for side in ("left", "right"))
    same = np.ptp(of_lesions) == 0  # then rounding of the weights mustn't show
    value = float(of_lesions[0] if same else weights @ of_lesions)
    return value, of_lesions, (above[under] + above[until]) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class FrocCurve:
    """Points (p,) from few to many marks: lesions found, wrong marks per case, at marks rated >=
    `threshold`.
    """

    sensitivity: Floats
    false_per_case: Floats
    threshold: Floats


def froc_curve(marks: Marks) -> FrocCurve:
    """Return the FROC curve. Raises `NotEstimableError` when there is no lesion.

    >>> marks = Marks(lesions=np.array([1, 0]), case=np.array([0, 1]), rating=np.array([3.0, 2]),
    ...     lesion=np.array([0, -1]))
    >>> froc_curve(marks).sensitivity.tolist(), froc_curve(marks).false_per_case.tolist()
    ([0.0, 1.0, 1.0], [0.0, 0.0, 0.5])
    """
    found, _ = marks.lesion_ratings()
    if not found.size:
        raise NotEstimableError("there is no lesion", remedy="gather cases", field="lesions")
    wrong = np.sort(-marks.rating[marks.lesion < 0])
    thresholds = np.unique(marks.rating)[::-1]
    hits = np.searchsorted(np.sort(-found), -thresholds, side="right") / found.size
    false = np.searchsorted(wrong, -thresholds, side="right") / marks.lesions.size
    return FrocCurve(
        sensitivity=np.concatenate([[0.0], hits]),
        false_per_case=np.concatenate([[0.0], false]),
        threshold=np.concatenate([[np.inf], thresholds]),
    )


def froc_sensitivity(
    marks: Marks,
    rates: ArrayLike = (0.125, 0.25, 0.5, 1, 2, 4, 8),
    *,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[Estimate, tuple[Estimate, ...]]:
    """Return the sensitivity for lesions at each rate of wrong marks per case, and before it their mean.

    At a rate the lowest threshold counts whose wrong marks per case don't exceed it. The intervals are
    percentiles of a bootstrap over cases, so that the thresholds vary too. Raises `NotEstimableError` unless
    two cases have lesions.

    >>> marks = Marks(lesions=np.array([1, 1, 0, 0]), case=np.array([0, 1, 2]), rating=np.array([3.0, 1, 2]),
    ...     lesion=np.array([0, 0, -1]))
    >>> mean, (at_none, at_one) = froc_sensitivity(marks, (0.1, 1.0), resamples=100)
    >>> mean.value, at_none.value, at_one.value
    (0.75, 0.5, 1.0)
    """
    if np.count_nonzero(marks.lesions) < 2:
        raise NotEstimableError("fewer than two cases with lesions", remedy="gather cases", field="lesions")
    n, wanted = marks.lesions.size, np.asarray(rates, dtype=np.float64)
    normal_quantile(level)
    value = _at_rates(marks, np.ones((1, n)), wanted)[0]
    draw, found = stream(seed, "froc"), []
    block = max(1, _CELLS // (marks.rating.size + n))
    for first in range(0, resamples, block):
        counts = draw.multinomial(n, np.full(n, 1 / n), size=min(block, resamples - first))
        found.append(_at_rates(marks, counts.astype(np.float64), wanted))
    drawn = np.concatenate(found)
    return _percentile(value.mean(), drawn.mean(axis=1), level), tuple(
        _percentile(value[i], drawn[:, i], level) for i in range(wanted.size)
    )


def _at_rates(marks: Marks, counts: Floats, rates: Floats) -> Floats:
    """Return the sensitivity (b, p) at p rates when case i is there `counts` (b, n)[i] times."""
    wrong = marks.lesion < 0
    order = np.argsort(-marks.rating[wrong], kind="stable")
    ratings = marks.rating[wrong][order]
    false = np.cumsum(counts[:, marks.case[wrong][order]], axis=1)
    found, case = marks.lesion_ratings()
    ranked = np.argsort(-found, kind="stable")
    hits = np.hstack([np.zeros((len(counts), 1)), np.cumsum(counts[:, case[ranked]], axis=1)])
    marked = int(np.isfinite(found).sum())
    result = np.empty((len(counts), rates.size))
    for column, rate in enumerate(rates):
        first = np.count_nonzero(false <= rate * marks.lesions.size + 1e-9, axis=1)
        cut = np.append(ratings, -np.inf)[first]  # only lesions rated above the first mark too many
        reached = np.minimum(np.searchsorted(-found[ranked], -cut, side="left"), marked)
        total = hits[:, -1]
        result[:, column] = np.where(
            total > 0, hits[np.arange(len(counts)), reached] / np.maximum(total, 1), np.nan
        )
    return result


def _percentile(value: float, drawn: Floats, level: float) -> Estimate:
    """Return a value with the percentile interval of its resamples; those without a lesion are left out."""
    kept = drawn[~np.isnan(drawn)]
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
    method = f"bootstrap over cases, percentile, {kept.size} resamples"
    return Estimate(
        value=float(value), interval=Interval(low=float(low), high=float(high), method=method, level=level)
    )
