"""Claims on harmonisation: how well a patient's site is told from features, before and after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.core.evidence import Evidence
from huizhen.errors import NotEstimableError
from huizhen.validate.mean_auc import mean_auc
from huizhen.validate.shortcuts import FOLDS, told_by_neighbours, told_by_trees, told_from_features

__all__ = ["BOTH", "STAGE", "TELLERS", "Told", "site_told_around"]

STAGE = "harmonise"
ALONE = "tested patients of one site alone"
BOTH = -1
"""The half of a patient who is shown with either half of the external sites."""
TELLERS = {"linear": told_from_features, "neighbours": told_by_neighbours, "trees": told_by_trees}
"""How a site is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The `site` (n,) of tested patients, features `before` (n, D) and `after` (n, D or K) harmonisation.

    `half` (n,) of an external site's patients, 0 or 1: each is moved by what the other half gave, and shown
    to classifiers without the other half; `BOTH` for others.
    """

    site: NDArray[np.str_]
    before: NDArray[np.float64]
    after: NDArray[np.float64]
    half: NDArray[np.int64]

    def joined(self, other: Told) -> Told:
        """Return the patients of both."""
        return Told(
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


def site_told_around(told: Told, *, modality: str, phantom: bool, seed: int) -> list[Evidence]:
    """Return the AUC of each site against the others, by features before and after, by each of `TELLERS`.

    Every classifier is trained and tested on patients none of whom harmonisation was fitted on, all of them
    harmonised or none: one trained before and asked after would find nothing and prove nothing. With an
    external site the mean over both halves. Keys harmonisation/<modality>/<site>/<before|after>/<how>; of two
    sites only the first is told.
    """
    sites = sorted(set(told.site.tolist()))
    if len(sites) < 2:
        key = f"harmonisation/{modality}/sites"
        return [Evidence.not_assessed(key=key, metric="site_auc", stage=STAGE, reason=ALONE, phantom=phantom)]
    return [
        _one(told, modality, site, when, how, phantom=phantom, seed=seed)
        for site in (sites[:1] if len(sites) == 2 else sites)
        for how in TELLERS
        for when in ("before", "after")
    ]


def _one(told: Told, modality: str, site: str, when: str, how: str, *, phantom: bool, seed: int) -> Evidence:
    """Return one site's AUC."""
    key, belongs = f"harmonisation/{modality}/{site}/{when}/{how}", told.site == site
    features = told.before if when == "before" else told.after
    scores = np.full((len(told.showings()), belongs.size), np.nan)
    try:
        for k, rows in enumerate(told.showings()):
            scores[k, rows] = TELLERS[how](features[rows], belongs[rows], seed=seed)
        found = mean_auc(belongs, scores)
    except NotEstimableError as error:
        return Evidence.not_assessed(
            key=key, metric="site_auc", stage=STAGE, reason=error.message, phantom=phantom
        )
    return Evidence(
        key=key,
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
            "features": features.shape[1],
            "showings": len(scores),
            "sites": np.unique(told.site).size,
        },
    )
