"""Conformal prediction sets: each class has its own cut, so that each class is covered (Mondrian).

Of n calibration patients of a class the k-th least extreme score, k = ceil((n + 1) x level), is the cut. A
new patient of that class, exchangeable with these, then has a set with the right class in it with a chance of
at least `level`, whatever the model and however many patients; over calibration samples the chance spreads.
Reference: Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World (2005), 4.5 (Mondrian); Vovk,
Machine Learning 92:349-376 (2013) on label-conditional validity.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.errors import InvalidInputError
from huizhen.validate.samples import checked_outcome, checked_scores

__all__ = ["Cuts", "PredictionSets", "fit_cuts", "fits_alone", "mean_cuts", "prediction_sets"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cuts:
    """The event is in the set at a score of at least `event_from`, its absence at one of at most `other_to`.

    None where a class had too few calibration patients: it is then in every set. `n_pos`, `n_neg`: these
    patients.
    """

    event_from: float | None
    other_to: float | None
    n_pos: int
    n_neg: int

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Cuts:
        """Return what `to_json` gave."""
        return cls(**record)


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionSets:
    """Which classes each of n patients' sets hold (n,): the event, and its absence."""

    event: NDArray[np.bool_]
    other: NDArray[np.bool_]


def _place(n: int, level: float) -> int | None:
    """Return which of n scores, from the least extreme, is the cut; None if there are too few."""
    if not 0 < level < 1:
        raise InvalidInputError(f"level {level} is outside (0, 1)", remedy="use 0.9", field="level")
    place = math.ceil((n + 1) * level - 1e-9)
    return place if place <= n else None


def fits_alone(n_pos: int, n_neg: int, level: float) -> bool:
    """Tell whether so many calibration patients give a cut for each class.

    >>> fits_alone(9, 9, 0.9), fits_alone(8, 50, 0.9)
    (True, False)
    """
    return _place(n_pos, level) is not None and _place(n_neg, level) is not None


def fit_cuts(outcome: NDArray[Any], score: NDArray[np.float64], level: float) -> Cuts:
    """Return the cuts of calibration patients: `outcome` (n,) boolean, `score` (n,) larger for events.

    Any rising function of the score gives the same sets. Raises `InvalidInputError` on other input.

    >>> outcome, score = np.repeat([True, False], 9), np.concatenate([np.arange(9.0), np.arange(9.0) - 5])
    >>> found = fit_cuts(outcome, score, 0.8)
    >>> found.event_from, found.other_to
    (1.0, 2.0)
    """
    truth = checked_outcome(outcome)
    scores = checked_scores(score, truth.size)
    events, others = np.sort(scores[truth])[::-1], np.sort(scores[~truth])
    places = [_place(len(found), level) for found in (events, others)]
    cuts = [
        None if place is None else float(found[place - 1])
        for place, found in zip(places, (events, others), strict=True)
    ]
    return Cuts(event_from=cuts[0], other_to=cuts[1], n_pos=len(events), n_neg=len(others))


def mean_cuts(found: list[Cuts]) -> Cuts:
    """Return the mean of several folds' cuts, for patients whom all of them answer; None stays None.

    No promise goes with a mean of cuts: it is measured, like everything else.

    >>> one = Cuts(event_from=1.0, other_to=None, n_pos=9, n_neg=2)
    >>> mean_cuts([one, Cuts(event_from=2.0, other_to=3.0, n_pos=9, n_neg=9)])
    Cuts(event_from=1.5, other_to=None, n_pos=18, n_neg=11)
    """
    events = [cut.event_from for cut in found if cut.event_from is not None]
    others = [cut.other_to for cut in found if cut.other_to is not None]
    return Cuts(
        event_from=float(np.mean(events)) if len(events) == len(found) else None,
        other_to=float(np.mean(others)) if len(others) == len(found) else None,
        n_pos=sum(cut.n_pos for cut in found),
        n_neg=sum(cut.n_neg for cut in found),
    )


def prediction_sets(score: NDArray[np.float64], cuts: Cuts) -> PredictionSets:
    """Return the sets of patients with `score` (n,).

    >>> cuts = Cuts(event_from=1.0, other_to=2.0, n_pos=9, n_neg=9)
    >>> sets = prediction_sets(np.array([0.0, 1.5, 3.0]), cuts)
    >>> sets.event.tolist(), sets.other.tolist()
    ([False, True, True], [True, True, False])
    """
    scores = checked_scores(score, np.size(score))
    low = -math.inf if cuts.event_from is None else cuts.event_from
    high = math.inf if cuts.other_to is None else cuts.other_to
    return PredictionSets(event=scores >= low, other=scores <= high)
