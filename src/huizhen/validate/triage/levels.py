"""Risk levels 1 to 10 of an AI's score by cut points that are fixed on calibration exams, then frozen.

A vendor's or a hospital's levels each hold about a tenth of a screening population. On later exams they hold
what they hold: the share of the top level is monitored, the cut points aren't moved.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.core.digests import Digest, digest_value
from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.proportions import Proportion, proportion
from huizhen.validate.samples import checked_outcome, checked_scores

Floats = NDArray[np.float64]
MOST_LEVELS = 100
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLevels:
    """Frozen cut points: level = 1 + how many of `cuts` are at or below the score; `top`: the top per cent.

    `cuts` don't fall and `top`, where there is one, is no lower than the last. Equal scores are always of one
    level. Raises `InvalidInputError` otherwise.
    """

    cuts: tuple[float, ...]
    top: float | None = None

    def __post_init__(self) -> None:
        points = [*self.cuts, *([] if self.top is None else [self.top])]
        rising = all(low <= high for low, high in pairwise(points))
        if not self.cuts or not rising or not all(math.isfinite(cut) for cut in points):
            raise InvalidInputError(
                "cut points fall, or aren't finite", remedy="write the lowest first", field="cuts"
            )

    @property
    def count(self) -> int:
        """How many levels there are."""
        return len(self.cuts) + 1

    @property
    def digest(self) -> Digest:
        """The digest that a lock holds."""
        return digest_value(self.to_json())

    def of(self, score: ArrayLike) -> NDArray[np.int64]:
        """Return the level of each score, any shape, from 1 (lowest) to `count`. NaN is refused.

        >>> RiskLevels(cuts=(0.2, 0.5)).of([0.1, 0.2, 0.49, 0.9]).tolist()
        [1, 2, 2, 3]
        """
        values = _checked(score)
        return np.searchsorted(np.asarray(self.cuts), values, side="right").astype(np.int64) + 1

    def in_top(self, score: ArrayLike) -> NDArray[np.bool_]:
        """Return whether each score is in the top share; nobody is where no such cut was fixed.

        >>> RiskLevels(cuts=(0.5,), top=0.9).in_top([0.89, 0.9]).tolist()
        [False, True]
        """
        values = _checked(score)
        return np.zeros(values.shape, dtype=np.bool_) if self.top is None else values >= self.top

    def to_json(self) -> dict[str, Any]:
        """Return plain values, for a lock."""
        return {"cuts": list(self.cuts), "top": self.top}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> RiskLevels:
        """Return what `to_json` gave. Raises `InvalidInputError` on another form."""
        try:
            top = record["top"]
            cuts = tuple(float(cut) for cut in record["cuts"])
            return cls(cuts=cuts, top=None if top is None else float(top))
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInputError("no risk levels", remedy="write them with to_json") from error


def fix_levels(
    score: ArrayLike, *, levels: int = 10, top_share: float | None = 0.01, weight: ArrayLike | None = None
) -> RiskLevels:
    """Return cut points so that each level holds an equal share of the calibration exams, `score` (n,).

    `top_share` in (0, 1): the share of the highest scores that is marked beside, at most one level's; None
    for no such mark. `weight` (n,): how much each exam counts, such as `weights_at` gives where the exams are
    enriched with events. Where a cut falls among equal scores, all of them go to the higher level: a level
    from which exams are read twice is never smaller than was asked for. Raises `InvalidInputError` on wrong
    input, `NotEstimableError` on fewer exams than levels or on scores that don't vary.

    >>> fix_levels(np.arange(20) / 20, levels=4, top_share=0.1)
    RiskLevels(cuts=(0.25, 0.5, 0.75), top=0.9)
    """
    values = checked_scores(score, np.size(score))
    if not 2 <= levels <= MOST_LEVELS or (top_share is not None and not 0 < top_share <= 1 / levels):
        raise InvalidInputError("levels or top_share out of range", remedy="use 10 and 0.01", field="levels")
    if values.size < levels or values.min() == values.max() or not np.isfinite(values).all():
        raise NotEstimableError(
            f"{values.size} calibration exams don't give {levels} levels", remedy="gather exams"
        )
    weights = np.ones(values.size) if weight is None else checked_scores(weight, values.size, name="weight")
    if not (weights >= 0).all() or not weights.sum() > 0:
        raise InvalidInputError("weights must be 0 or more, not all 0", remedy="check them", field="weight")
    shares = [(levels - level) / levels for level in range(1, levels)]
    cuts = _cuts(values, weights, [*shares, *([] if top_share is None else [top_share])])
    return RiskLevels(cuts=tuple(cuts[: levels - 1]), top=None if top_share is None else cuts[-1])


def _cuts(values: Floats, weights: Floats, shares: list[float]) -> list[float]:
    """Return for each share the largest score that at least this weighted share of exams reaches."""
    ranked, place = np.unique(-values, return_inverse=True)  # highest first
    reached = np.cumsum(np.bincount(place, weights=weights)) / weights.sum()
    found = np.searchsorted(reached, np.asarray(shares) - _ROUNDING)
    return [float(-ranked[min(index, ranked.size - 1)]) for index in found]


def weights_at(outcome: NDArray[Any], prevalence: float) -> Floats:
    """Return the weight of each exam (n,) that makes a sample one of another prevalence, with mean 1.

    Events count π / p and others (1 - π) / (1 - p), π being `prevalence` and p the sample's own. It holds
    where events, and others, are alike in both. Raises `NotEstimableError` without both classes,
    `InvalidInputError` on a prevalence outside (0, 1). Reference: Elkan, IJCAI 973-978 (2001), section 2.

    >>> weights_at(np.array([True, False, True, False]), 0.1).tolist()
    [0.2, 1.8, 0.2, 1.8]
    """
    truth = checked_outcome(outcome)
    own = float(truth.mean())
    if not 0 < prevalence < 1:
        raise InvalidInputError(f"{prevalence} is outside (0, 1)", remedy="use 0.006", field="prevalence")
    if not 0 < own < 1:
        raise NotEstimableError("all exams are of one class", remedy="gather exams of both")
    return np.where(truth, prevalence / own, (1 - prevalence) / (1 - own))


def level_shares(level: NDArray[np.int64], count: int, *, confidence: float = 0.95) -> list[Proportion]:
    """Return the share of exams in each level, lowest first, with Wilson's interval: how frozen cuts hold up.

    >>> [share.count for share in level_shares(np.array([1, 3, 3]), 3)]
    [1, 0, 2]
    """
    held = np.bincount(level.ravel(), minlength=count + 1)[1:]
    return [proportion(int(each), level.size, level=confidence) for each in held]


def _checked(score: ArrayLike) -> Floats:
    """Return scores of any shape as float64. Raises `InvalidInputError` on NaN."""
    values = np.asarray(score, dtype=np.float64)
    if np.isnan(values).any():
        raise InvalidInputError("holds NaN", remedy="leave out exams without a score", field="score")
    return values
