"""Harmonised features in a federation: the pooled part of ComBat by secure sums, as it goes into the plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from huizhen.core.evidence import Evidence
from huizhen.core.study import Study
from huizhen.core.study_harmonisation import OUTCOME, Harmonisation
from huizhen.federate.lead import Lead
from huizhen.federate.statistics.combat import Combat
from huizhen.federate.statistics.runner import conduct
from huizhen.models.build import ENCODER_CHANNELS
from huizhen.pipeline.federated_plan import folds_of, smallest_count_of
from huizhen.pipeline.stage import Run
from huizhen.train.harmony import Harmony, harmony_from

__all__ = [
    "COMBAT",
    "combat_of",
    "harmonies_fit",
    "harmonies_over",
    "harmonised_evidence",
    "harmony_from_json",
    "harmony_to_json",
]

COMBAT = "combat"
DIGITS = 12
"""Significant digits of the plan's numbers: far below a feature's noise, and the same at every site."""
STAY = "features stay at their sites, so that nobody can try to tell sites by them"


def combat_of(study: Study, modality: str) -> Combat:
    """Return the statistic of one image modality's features."""
    encoder = next(m.encoder for m in study.image_modalities if m.name == modality)
    keep = study.harmonisation.keep if study.harmonisation else ()
    return Combat(features=ENCODER_CHANNELS[encoder.value], covariates=keep)


def harmonies_over(study: Study, lead: Lead, sites: Sequence[str]) -> tuple[dict[str, Harmony], ...]:
    """Return each fold's harmonies from sums over the training patients of `sites`, without any shift.

    Empty without [harmonisation]. Raises what the sums raise.
    """
    if study.harmonisation is None:
        return ()
    unknown = np.array([key == OUTCOME for key in study.harmonisation.keep], np.bool_)
    found: list[dict[str, Harmony]] = []
    for fold in range(folds_of(study)):
        own: dict[str, Harmony] = {}
        for modality in study.image_modalities:
            exchange = lead.exchange(f"{COMBAT}/{fold}/{modality.name}", secure=True, sites=sites)
            statistic = combat_of(study, modality.name)
            pooled = conduct(statistic, exchange, smallest_count=smallest_count_of(study)).result
            own[modality.name] = Harmony(pooled=pooled, shifts={}, unknown=unknown)
        found.append(own)
    return tuple(found)


def harmony_to_json(harmony: Harmony) -> dict[str, Any]:
    """Return a harmony's pooled part as plain values."""
    return {name: _rounded(value) for name, value in harmony.to_arrays().items()}


def _rounded(array: Any) -> Any:
    """Return an array as nested lists, floats to so many significant digits."""
    if array.dtype.kind == "i":
        return array.tolist()
    if array.ndim > 1:
        return [_rounded(row) for row in array]
    return [float(f"{value:.{DIGITS}g}") for value in array]


def harmony_from_json(record: Mapping[str, Any]) -> Harmony:
    """Return what `harmony_to_json` gave. Raises `ModelError` on anything else."""
    arrays = {
        name: np.array(value, np.int64 if name in ("flat", "n", "unknown") else np.float64)
        for name, value in record.items()
    }
    if "slopes" in arrays and "centre" in arrays:
        arrays["slopes"] = arrays["slopes"].reshape(-1, arrays["centre"].size)
    return harmony_from(arrays)


def harmonies_fit(study: Study, found: Sequence[Mapping[str, Harmony]]) -> bool:
    """Tell whether a plan's harmonies are of the study's folds, modalities, encoders and covariates."""
    if study.harmonisation is None:
        return not found
    keep = len(study.harmonisation.keep)
    wide = {m.name: (keep, ENCODER_CHANNELS[m.encoder.value]) for m in study.image_modalities}
    shapes = [{name: h.pooled.slopes.shape for name, h in own.items()} for own in found]
    return shapes == [wide] * folds_of(study) and not any(h.shifts for own in found for h in own.values())


def harmonised_evidence(run: Run, found: Sequence[Mapping[str, Harmony]]) -> list[Evidence]:
    """Return what was fitted in the first fold; how sites are told apart nobody can measure here."""
    plan = run.study.harmonisation or Harmonisation()
    evidence: list[Evidence] = []
    for modality, harmony in found[0].items() if found else ():
        detail = {
            "patients": harmony.pooled.n,
            "features": harmony.pooled.centre.size,
            "constant": int(harmony.pooled.flat.sum()),
            "keep": list(plan.keep),
            "prior": plan.prior,
        }
        evidence += [
            Evidence(
                key=f"harmonisation/{modality}/fitted",
                metric="harmonisation",
                stage="harmonise",
                n=harmony.pooled.n,
                descriptive=True,
                phantom=run.study.phantom,
                detail=detail,
            ),
            Evidence.not_assessed(
                key=f"harmonisation/{modality}/sites",
                metric="site_auc",
                stage="harmonise",
                reason=STAY,
                phantom=run.study.phantom,
            ),
        ]
    return evidence
