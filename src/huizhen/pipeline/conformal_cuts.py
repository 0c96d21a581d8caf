"""Cuts of prediction sets, fixed on tuning patients together with calibration and thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from huizhen.core.cohort import Case
from huizhen.core.study import Study, Variant
from huizhen.pipeline.decisions import Decisions
from huizhen.pipeline.tuning_file import Tuned
from huizhen.validate.conformal import fit_cuts, fits_alone

__all__ = ["CONFORMAL", "POOLED", "common_cuts", "conformal_cuts"]

CMAN: Final = Variant.CMAN.value
CONFORMAL: Final = "conformal.json"
POOLED: Final = "pooled"
"""The cuts of all tuning patients together: for external sites, and for those with too few of a class."""


def conformal_cuts(
    study: Study, cases: Sequence[Case], tuned: Sequence[Tuned], decisions: Decisions
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return CMAN's cuts in each fold, by site and pooled, as plain values; nothing without [conformal].

    A site has cuts of its own where it has enough tuning patients of each class.
    """
    if study.conformal is None:
        return {}
    level, site_of = study.conformal.level, {case.pseudonym: case.site for case in cases}
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for one in tuned:
        if one.model != CMAN or one.fold not in decisions.get(CMAN, {}):
            continue
        odds = _calibrated(one, decisions)
        sites = np.array([site_of[name] for name in one.patient])
        own = {POOLED: fit_cuts(one.outcome, odds, level).to_json()}
        for site in sorted(set(sites.tolist())):
            here = sites == site
            events = int(one.outcome[here].sum())
            if site != POOLED and fits_alone(events, int(here.sum()) - events, level):
                own[site] = fit_cuts(one.outcome[here], odds[here], level).to_json()
        found[str(one.fold)] = own
    return found


def common_cuts(
    study: Study, tuned: Sequence[Tuned], decisions: Decisions
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return CMAN's cuts in each fold where nobody knows of which site the patients are."""
    if study.conformal is None:
        return {}
    return {
        str(one.fold): {
            POOLED: fit_cuts(one.outcome, _calibrated(one, decisions), study.conformal.level).to_json()
        }
        for one in tuned
        if one.model == CMAN and one.fold in decisions.get(CMAN, {})
    }


def _calibrated(tuned: Tuned, decisions: Decisions) -> NDArray[np.float64]:
    """Return calibrated log-odds (n,)."""
    platt = decisions[CMAN][tuned.fold].platt
    return np.asarray(platt.intercept + platt.slope * tuned.log_odds)
