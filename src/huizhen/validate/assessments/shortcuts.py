"""Claims on shortcuts: the site told from features, and the AUC without the lesion or with it alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from huizhen.core.digests import plain
from huizhen.core.evidence import Evidence
from huizhen.errors import NotEstimableError
from huizhen.validate.assessments.discrimination import INTERVAL, auc_of, difference_of
from huizhen.validate.assessments.interface import Evaluation, Measured, sample_notes
from huizhen.validate.calibration import EDGE
from huizhen.validate.discrimination import auc, auc_interval
from huizhen.validate.shortcuts import FOLDS, mean_change, told_from_features

__all__ = ["Features", "lesions", "site_told"]

STAGE = "shortcuts"
WHOLE = "masked_images"
"""What the same patients' images with a mask show, as they are."""

Features = Mapping[str, tuple[NDArray[np.bool_], NDArray[np.float64]]]
"""Modality -> which of n patients have it (n,), and the network's features of these (k, p)."""


def site_told(evaluation: Evaluation, features: Features, *, seed: int) -> list[Evidence]:
    """Return how well each site is told from the others by each modality's features.

    `evaluation` holds all tested patients that one network never learned from; of two sites only the first is
    told. Key shortcut/site/<modality>/<site>, the cross-validated AUC, 0.5 for features that know nothing of
    the site; `detail` says what the outcome alone tells, as sites may differ in how common it is.
    """
    sites = sorted(set(evaluation.predictions.site.tolist()))
    return [
        replace(
            evaluation.evidence(
                f"shortcut/site/{modality}/{site}",
                "site_auc",
                partial(_told, evaluation, found, site, seed=seed),
            ),
            stage=STAGE,
        )
        for modality, found in features.items()
        for site in (sites[:1] if len(sites) == 2 else sites)
        if len(sites) > 1
    ]


def _told(
    evaluation: Evaluation, found: tuple[NDArray[np.bool_], NDArray[np.float64]], site: str, *, seed: int
) -> Measured:
    there, rows = found
    belongs = evaluation.predictions.site[there] == site
    outcome = evaluation.predictions.outcome[there]
    if not belongs.any() or belongs.all():
        raise NotEstimableError("one site alone has this modality", remedy="gather cases")
    told = auc_interval(belongs, told_from_features(rows, belongs, seed=seed), method=INTERVAL)
    by_outcome = auc(belongs, outcome.astype(float))
    return Measured(
        estimate=told.value,
        interval=told.interval,
        n=belongs.size,
        n_events=int(belongs.sum()),
        detail={
            "chance": 0.5,
            "by_outcome": max(by_outcome, 1 - by_outcome),
            "sites": np.unique(evaluation.predictions.site[there]).size,
            "folds": FOLDS,
        },
    )


def lesions(evaluation: Evaluation, shown: Mapping[str, NDArray[np.float64]]) -> list[Evidence]:
    """Return what the model says of images with a lesion mask: as they are, without the lesion, of it alone.

    `evaluation` holds the patients with such images and their risks from these alone; `shown`: name ->
    risks (n,) of the same images altered. Keys shortcut/masked_images/<cohort>/auc, and for each name
    shortcut/<name>/<cohort>/auc, .../auc_difference (paired), .../score_change (mean change of log-odds).
    """
    cohort, main = evaluation.cohort, evaluation.main
    whole = partial(auc_of, evaluation, main, evaluation.everyone())
    found = [evaluation.evidence(f"shortcut/{WHOLE}/{cohort}/auc", "lesion_auc", whole)]
    for name, risk in shown.items():
        table = evaluation.predictions
        here = replace(evaluation, predictions=replace(table, risk={**table.risk, name: risk}))
        key = f"shortcut/{name}/{cohort}"
        found += [
            here.evidence(f"{key}/auc", "lesion_auc", partial(auc_of, here, name, here.everyone())),
            here.evidence(
                f"{key}/auc_difference",
                "lesion_auc_difference",
                partial(difference_of, here, name, main, here.everyone()),
            ),
            here.evidence(f"{key}/score_change", "score_change", partial(_change, here, name)),
        ]
    return [replace(item, stage=STAGE) for item in found]


def _change(evaluation: Evaluation, name: str) -> Measured:
    """Return the mean change of calibrated log-odds; `detail` has it with and without the event."""
    kept = evaluation.answered(evaluation.everyone(), name, evaluation.main)
    risk, outcome = evaluation.predictions.risk, evaluation.predictions.outcome[kept]
    before, after = (_log_odds(risk[model][kept]) for model in (evaluation.main, name))
    found = mean_change(before, after)
    return Measured(
        estimate=found.value,
        interval=found.interval,
        n=outcome.size,
        n_events=int(np.count_nonzero(outcome)),
        detail={
            "of_events": plain(float(np.mean((after - before)[outcome])) if outcome.any() else np.nan),
            "of_others": plain(float(np.mean((after - before)[~outcome])) if not outcome.all() else np.nan),
            **sample_notes(evaluation.everyone(), kept, evaluation.predictions.outcome),
        },
    )


def _log_odds(risk: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = np.clip(risk, EDGE, 1 - EDGE)
    return np.asarray(np.log(inside / (1 - inside)))
