"""Claims on harmonisation: how well a patient's site is told from features, before and after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.core.evidence import Evidence
from huizhen.errors import NotEstimableError
from huizhen.validate.assessments.discrimination import INTERVAL
from huizhen.validate.discrimination import auc_interval
from huizhen.validate.shortcuts import FOLDS, told_by_neighbours, told_from_features

__all__ = ["STAGE", "Told", "site_told_around"]

STAGE = "harmonise"
ALONE = "tested patients of one site alone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The sites (n,) of tested patients and their features `before` and `after` (n, D) harmonisation."""

    site: NDArray[np.str_]
    before: NDArray[np.float64]
    after: NDArray[np.float64]

    def joined(self, other: Told) -> Told:
        """Return the patients of both."""
        return Told(
            site=np.concatenate([self.site, other.site]),
            before=np.concatenate([self.before, other.before]),
            after=np.concatenate([self.after, other.after]),
        )


def site_told_around(told: Told, *, modality: str, phantom: bool, seed: int) -> list[Evidence]:
    """Return the AUC of each site against the others, by features before and after, linear and by neighbours.

    Every classifier is trained and tested on patients none of whom harmonisation was fitted on, all of them
    harmonised or none: one trained before and asked after would find nothing and prove nothing. Keys
    harmonisation/<modality>/<site>/<before|after>/<linear|neighbours>; of two sites only the first is told.
    """
    sites = sorted(set(told.site.tolist()))
    if len(sites) < 2:
        key = f"harmonisation/{modality}/sites"
        return [Evidence.not_assessed(key=key, metric="site_auc", stage=STAGE, reason=ALONE, phantom=phantom)]
    return [
        _one(told, modality, site, when, how, phantom=phantom, seed=seed)
        for site in (sites[:1] if len(sites) == 2 else sites)
        for how in ("linear", "neighbours")
        for when in ("before", "after")
    ]


def _one(told: Told, modality: str, site: str, when: str, how: str, *, phantom: bool, seed: int) -> Evidence:
    """Return one site's AUC."""
    key, belongs = f"harmonisation/{modality}/{site}/{when}/{how}", told.site == site
    features = told.before if when == "before" else told.after
    teller = told_from_features if how == "linear" else told_by_neighbours
    try:
        found = auc_interval(belongs, teller(features, belongs, seed=seed), method=INTERVAL)
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
            "sites": np.unique(told.site).size,
        },
    )
