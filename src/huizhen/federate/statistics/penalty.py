"""The ridge penalty by cross-validation over sites: all folds and penalties at once, on sums only.

Each site deals its own patients into folds, evenly within each class. Every penalty is fitted outside every
fold and judged by the log-likelihood of the held-out patients; for Cox regression, whose partial likelihood
isn't a sum over patients, by the likelihood of all less that of the rest.

References: Stone, J R Stat Soc B 36:111-147 (1974); Verweij & van Houwelingen, Stat Med 12:2305-2314 (1993).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from huizhen.core.streams import stream
from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.federate.statistics.batch import Batch, Fold, Folded, Subsettable
from huizhen.federate.statistics.cox import Cox
from huizhen.federate.statistics.cox_likelihood import CoxLikelihood
from huizhen.federate.statistics.data import Design, Survival
from huizhen.federate.statistics.interface import Sized, Statistic
from huizhen.federate.statistics.logistic import Logistic, LogisticLikelihood
from huizhen.federate.statistics.regression import Fit
from huizhen.federate.statistics.runner import Run

__all__ = ["Chosen", "choose_cox_ridge", "choose_logistic_ridge", "deal_folds"]

S = TypeVar("S", bound=Subsettable)
Runner = Callable[[Statistic[Any, Any], Sequence[Sized]], Run[Any]]
"""Runs a statistic over sites: `runner.run`, or the same over an engine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The `ridge` of the highest held-out log-likelihood, and the `scores` (r,) of all `ridges`.

    A score is -inf where the fit isn't estimable. `rounds` of exchange were needed.
    """

    ridge: float
    ridges: tuple[float, ...]
    scores: NDArray[np.float64]
    rounds: int


def deal_folds(strata: NDArray[Any], folds: int, *, seed: int, site: str) -> NDArray[np.int64]:
    """Return the fold (n,) of each patient of a site, dealt evenly within each stratum (n,) at random.

    >>> sorted(deal_folds(np.array([0, 0, 1, 1]), 2, seed=1, site="a").tolist())
    [0, 0, 1, 1]
    """
    if folds < 2:
        raise InvalidInputError(f"is {folds}", remedy="give at least 2", field="folds")
    random = stream(seed, "statistics folds", site)
    dealt, first = np.zeros(strata.size, dtype=np.int64), 0
    for stratum in np.unique(strata):
        who = random.permutation(np.flatnonzero(strata == stratum))
        dealt[who] = (first + np.arange(who.size)) % folds
        first += who.size
    return dealt


def choose_logistic_ridge(
    model: Logistic,
    sites: Sequence[Folded[Design]],
    ridges: Sequence[float],
    *,
    folds: int,
    run: Runner,
) -> Chosen:
    """Return the ridge of `ridges` for a logistic `model`. Raises `NotEstimableError` if none fits."""

    def held_out(fit: Fit, fold: int) -> list[Statistic[Any, Any]]:
        likelihood = LogisticLikelihood(model=model, coefficients=tuple(fit.coefficients))
        return [Fold(statistic=likelihood, fold=fold, held_out=True)]

    return _choose(model, sites, ridges, folds, run, held_out, np.array([1.0]))


def choose_cox_ridge(
    model: Cox,
    sites: Sequence[Folded[Survival]],
    ridges: Sequence[float],
    *,
    folds: int,
    run: Runner,
) -> Chosen:
    """Return the ridge of `ridges` for a pooled Cox `model`. Raises as `choose_logistic_ridge`."""

    def held_out(fit: Fit, fold: int) -> list[Statistic[Any, Any]]:
        likelihood = CoxLikelihood(model=model, coefficients=tuple(fit.coefficients))
        return [Fold(statistic=likelihood, fold=-1), Fold(statistic=likelihood, fold=fold)]

    return _choose(model, sites, ridges, folds, run, held_out, np.array([1.0, -1.0]))


def _choose(
    model: Logistic | Cox,
    sites: Sequence[Sized],
    ridges: Sequence[float],
    folds: int,
    run: Runner,
    held_out: Callable[[Fit, int], list[Statistic[Any, Any]]],
    signs: NDArray[np.float64],
) -> Chosen:
    """Fit every ridge outside every fold, and add up the signed likelihoods of each."""
    if not ridges:
        raise InvalidInputError("no penalty", remedy="give some to choose from", field="ridges")
    pairs = [(place, fold) for place in range(len(ridges)) for fold in range(folds)]
    fits = run(
        Batch(parts=tuple(Fold(statistic=replace(model, ridge=ridges[r]), fold=fold) for r, fold in pairs)),
        sites,
    )
    failed = {r for (r, _), fit in zip(pairs, fits.result, strict=True) if isinstance(fit, NotEstimableError)}
    kept = [(r, fold, fit) for (r, fold), fit in zip(pairs, fits.result, strict=True) if r not in failed]
    if not kept:
        raise NotEstimableError("no penalty gives a fit in every fold", remedy="give larger ones")
    parts = [part for _, fold, fit in kept for part in held_out(fit, fold)]
    judged = run(Batch(parts=tuple(parts)), sites)
    scores = np.full(len(ridges), -np.inf)
    scores[[r for r in range(len(ridges)) if r not in failed]] = 0.0
    likelihoods = np.array(judged.result).reshape(len(kept), signs.size) @ signs
    np.add.at(scores, [r for r, _, _ in kept], np.nan_to_num(likelihoods, nan=-np.inf, neginf=-np.inf))
    return Chosen(
        ridge=float(ridges[int(np.argmax(scores))]),
        ridges=tuple(ridges),
        scores=scores,
        rounds=fits.rounds + judged.rounds,
    )
