"""Claims on harmonisation: how well a patient's site is told from features, before and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from huizhen.core.evidence import Evidence
from huizhen.errors import NotEstimableError
from huizhen.validate.mean_auc import mean_auc
from huizhen.validate.shortcuts import FOLDS, told_by_neighbours, told_by_trees, told_from_features

__all__ = ["BOTH", "STAGE", "TELLERS", "Telling", "Told", "site_told_around", "telling_of"]

STAGE = "harmonise"
ALONE = "tested patients of one site alone"
BOTH = -1
"""The half of a patient who is shown with either half of the external sites."""
TELLERS = {"linear": told_from_features, "neighbours": told_by_neighbours, "trees": told_by_trees}
"""How a site is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Each tested `patient` (n,), its `site`, features `before` (n, D) and `after` (n, D or K) harmonisation.

    `half` (n,) of an external site's patients, 0 or 1: each is moved by what the other half gave, and shown
    to classifiers without the other half; `BOTH` for others.
    """

    patient: NDArray[np.str_]
    site: NDArray[np.str_]
    before: NDArray[np.float64]
    after: NDArray[np.float64]
    half: NDArray[np.int64]

    def joined(self, other: Told) -> Told:
        """Return the patients of both."""
        return Told(
            patient=np.concatenate([self.patient, other.patient]),
            site=np.concatenate([self.site, other.site]),
            before=np.concatenate([self.before, other.before]),
            after=np.concatenate([self.after, other.after]),
            half=np.concatenate([self.half, other.half]),
        )

    def showings(self) -> list[NDArray[np.int64]]:
        """Return the rows of each showing: with the first half of external sites, and with the second."""
        if (self.half == BOTH).all():
            return [np.arange(len(self.half))]
        return [np.flatnonzero((self.half == BOTH) | (self.half == half)) for half in (0, 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """What site classifiers said of `patient` (n,) at `site` (n,), from which all figures follow.

    `scores`: "<site>/<before|after>/<how>" -> (k, n) by showing, NaN where a patient wasn't shown. `refused`:
    the same -> why there are none. `features`: how many there are before and after.
    """

    patient: NDArray[np.str_]
    site: NDArray[np.str_]
    scores: Mapping[str, NDArray[np.float64]]
    refused: Mapping[str, str]
    features: Mapping[str, int]


def telling_of(told: Told, *, seed: int) -> Telling:
    """Return what classifiers say of each site against the others, before and after, by each of `TELLERS`.

    Every classifier is trained and tested on patients none of whom harmonisation was fitted on, all of them
    harmonised or none: one trained before and asked after would find nothing and prove nothing. Of two sites
    only the first is told, of one none.
    """
    sites = sorted(set(told.site.tolist()))
    shown = {2: sites[:1], 1: []}.get(len(sites), sites)
    scores: dict[str, NDArray[np.float64]] = {}
    refused: dict[str, str] = {}
    for site, how, when in product(shown, TELLERS, ("before", "after")):
        features = told.before if when == "before" else told.after
        try:
            scores[f"{site}/{when}/{how}"] = _scores(told, features, told.site == site, how, seed)
        except NotEstimableError as error:
            refused[f"{site}/{when}/{how}"] = error.message
    widths = {"before": told.before.shape[1], "after": told.after.shape[1]}
    return Telling(patient=told.patient, site=told.site, scores=scores, refused=refused, features=widths)


def _scores(
    told: Told, features: NDArray[np.float64], belongs: NDArray[np.bool_], how: str, seed: int
) -> NDArray[np.float64]:
    """Return one classifier's scores (k, n) by showing."""
    showings = told.showings()
    found = np.full((len(showings), belongs.size), np.nan)
    for k, rows in enumerate(showings):
        found[k, rows] = TELLERS[how](features[rows], belongs[rows], seed=seed)
    return found


def site_told_around(telling: Telling, *, modality: str, phantom: bool, seed: int) -> list[Evidence]:
    """Return the AUC of each site against the others, by features before and after.

    With an external site the mean over both halves, the interval over patients. Keys
    harmonisation/<modality>/<site>/<before|after>/<how>.
    """
    if np.unique(telling.site).size < 2:
        key = f"harmonisation/{modality}/sites"
        return [Evidence.not_assessed(key=key, metric="site_auc", stage=STAGE, reason=ALONE, phantom=phantom)]
    found = [_one(telling, name, modality, phantom=phantom, seed=seed) for name in telling.scores]
    lacking = [
        Evidence.not_assessed(
            key=f"harmonisation/{modality}/{name}",
            metric="site_auc",
            stage=STAGE,
            reason=reason,
            phantom=phantom,
        )
        for name, reason in telling.refused.items()
    ]
    return [*found, *lacking]


def _one(telling: Telling, name: str, modality: str, *, phantom: bool, seed: int) -> Evidence:
    """Return one site's AUC by one classifier, before or after."""
    site, when, _ = name.split("/")
    belongs, scores = telling.site == site, telling.scores[name]
    found = mean_auc(belongs, scores)
    return Evidence(
        key=f"harmonisation/{modality}/{name}",
        metric="site_auc",
        stage=STAGE,
        estimate=found.value,
        interval=found.interval,
        n=belongs.size,
        phantom=phantom,
        seed=seed,
        detail={
            "at_site": int(belongs.sum()),
            "chance": 0.5,
            "folds": FOLDS,
            "features": telling.features[when],
            "showings": len(scores),
            "sites": np.unique(telling.site).size,
        },
    )
