"""Risk levels for triage: cut points fixed with the lock, on tuning patients or by the study.

A table of predictions holds each patient's level as a number: 1 is the lowest, one above the highest level
marks the top share, 0 stands where the model gives no answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from huizhen.core.evidence import Evidence
from huizhen.core.study import Study
from huizhen.errors import NotEstimableError
from huizhen.validate.triage.levels import RiskLevels, fix_levels, weights_at

__all__ = ["fixed_levels", "level_column", "level_over_folds", "levels_evidence"]

Floats = NDArray[np.float64]


def fixed_levels(study: Study, score: Floats, outcome: NDArray[np.bool_]) -> RiskLevels | None:
    """Return the levels that the study asks for; None without [triage], or where tuning patients are too few.

    `score` (n,) of tuning patients on the scale that levels are used on, `outcome` (n,). With
    triage.prevalence the tuning patients are weighted to it.
    """
    plan = study.triage
    if plan is None:
        return None
    if plan.cuts != "tune":
        return RiskLevels(cuts=plan.cuts, top=plan.top_cut)
    try:
        weight = None if plan.prevalence is None else weights_at(outcome, plan.prevalence)
        return fix_levels(score, levels=plan.levels, top_share=plan.top_share, weight=weight)
    except NotEstimableError:
        return None


def levels_evidence(study: Study, key: str, levels: RiskLevels | None, n: int | None) -> Evidence:
    """Return the cut points as evidence, fixed on `n` tuning patients, or by the study where n is None."""
    if levels is None:
        reason = "the tuning patients are too few, or their scores too alike, for risk levels"
        return Evidence.not_assessed(
            key=key, metric="risk_levels", stage="lock", reason=reason, phantom=study.phantom
        )
    detail: dict[str, Any] = {**levels.to_json(), "source": "study" if n is None else "tuning patients"}
    if study.triage is not None and study.triage.prevalence is not None and n is not None:
        detail["prevalence"] = study.triage.prevalence
    return Evidence(
        key=key,
        metric="risk_levels",
        stage="lock",
        n=n,
        descriptive=True,
        phantom=study.phantom,
        detail=detail,
    )


def level_column(levels: RiskLevels, score: Floats) -> NDArray[np.int64]:
    """Return the level of each score (n,), as the module says.

    >>> level_column(RiskLevels(cuts=(0.5,), top=0.9), np.array([0.1, 0.5, 0.95, np.nan])).tolist()
    [1, 2, 3, 0]
    """
    known = ~np.isnan(score)
    found = np.zeros(score.size, dtype=np.int64)
    found[known] = levels.of(score[known]) + levels.in_top(score[known])
    return found


def level_over_folds(
    odds: Floats, levels: Sequence[RiskLevels], tested: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return each patient's level (n,) where several folds' models answer with the mean of log-odds.

    `odds` (n,) are these means, NaN without an answer; `levels` of each fold, on risks, equally many;
    `tested` (f, n): which folds answer whom. A patient's cut points are the mean over these folds of the cut
    points' log-odds, as the threshold is.

    >>> low, high = RiskLevels(cuts=(0.5,)), RiskLevels(cuts=(0.9,))
    >>> tested = np.array([[True, True, False], [False, True, True]])
    >>> level_over_folds(np.array([0.1, 0.1, np.nan]), [low, high], tested).tolist()
    [2, 1, 0]
    """
    points = [[*one.cuts, *([] if one.top is None else [one.top])] for one in levels]
    cuts = logit(np.clip(np.array(points), 1e-12, 1 - 1e-12))  # (f, k)
    asked = tested.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        own = (asked.T @ cuts) / asked.sum(axis=0)[:, np.newaxis]  # (n, k)
        reached = odds[:, np.newaxis] >= own
    return np.where(np.isnan(odds), 0, 1 + reached.sum(axis=1)).astype(np.int64)
