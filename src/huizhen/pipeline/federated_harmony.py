"""Harmonised features in a federation: the pooled part of ComBat by secure sums, as it goes into the plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.evidence import Evidence
from huizhen.core.study import Study
from huizhen.core.study_harmonisation import OUTCOME, Harmonisation
from huizhen.data.harmonise.pooled import Pooled
from huizhen.federate.lead import Lead
from huizhen.federate.statistics.combat import Combat
from huizhen.federate.statistics.components import Components, Reduced
from huizhen.federate.statistics.runner import Exchange, conduct
from huizhen.models.build import ENCODER_CHANNELS
from huizhen.pipeline.federated_plan import folds_of, smallest_count_of
from huizhen.pipeline.harmonise_fit import prior_of
from huizhen.pipeline.harmonise_stage import components_detail
from huizhen.pipeline.stage import Run
from huizhen.train import harmony as parts
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
WHOLE = ("flat", "n", "unknown")
"""The plan's whole numbers."""
STAY = "features stay at their sites, so that nobody can try to tell sites by them"


def combat_of(study: Study, modality: str) -> Combat | Components:
    """Return the statistic of one image modality's features: ComBat's, or of components where asked for."""
    encoder = next(m.encoder for m in study.image_modalities if m.name == modality)
    plan, width = study.harmonisation or Harmonisation(), ENCODER_CHANNELS[encoder.value]
    if plan.components is None:
        return Combat(features=width, covariates=plan.keep)
    return Components(
        features=width,
        components=plan.components,
        covariates=plan.keep,
        prior=prior_of(plan),
        mean_only=plan.mean_only,
    )


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
            own[modality.name] = _harmony(_conducted(statistic, exchange, study), unknown)
        found.append(own)
    return tuple(found)


def _conducted(statistic: Combat | Components, exchange: Exchange, study: Study) -> Pooled | Reduced:
    """Return what the sums give."""
    least = smallest_count_of(study)
    if isinstance(statistic, Combat):
        return conduct(statistic, exchange, smallest_count=least).result
    return conduct(statistic, exchange, smallest_count=least).result


def _harmony(found: Pooled | Reduced, unknown: NDArray[np.bool_]) -> Harmony:
    """Return what a statistic found as a harmony without any site's shift."""
    if isinstance(found, Pooled):
        return Harmony(pooled=found, shifts={}, unknown=unknown)
    aligned = Harmony(pooled=found.aligned, shifts={}, unknown=unknown)
    few = parts.Components(reduction=found.reduction, aligned=aligned)
    return Harmony(pooled=found.pooled, shifts={}, unknown=unknown, components=few)


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
        name: np.array(value, np.int64 if name.rpartition("/")[2] in WHOLE else np.float64)
        for name, value in record.items()
    }
    for part in ("", parts.ALIGNED):
        if {f"{part}slopes", f"{part}centre"} <= set(arrays):
            arrays[f"{part}slopes"] = arrays[f"{part}slopes"].reshape(-1, arrays[f"{part}centre"].size)
    return harmony_from(arrays)


def harmonies_fit(study: Study, found: Sequence[Mapping[str, Harmony]]) -> bool:
    """Tell whether a plan's harmonies are of the study's folds, modalities, encoders and covariates."""
    if study.harmonisation is None:
        return not found
    plan = study.harmonisation
    keep, few = len(plan.keep), plan.components
    wide = {m.name: (keep, ENCODER_CHANNELS[m.encoder.value]) for m in study.image_modalities}
    shapes = [{name: h.pooled.slopes.shape for name, h in own.items()} for own in found]
    every = [h for own in found for h in own.values()]
    if shapes != [wide] * folds_of(study) or any(h.shifts for h in every):
        return False
    return all(_fewer_fit(h.components, keep, few) for h in every)


def _fewer_fit(found: parts.Components | None, keep: int, few: int | None) -> bool:
    """Tell whether a plan's components are as many as the study asks for, without any site's shift."""
    if found is None or few is None:
        return found is None and few is None
    return found.aligned.pooled.slopes.shape == (keep, few) and not found.aligned.shifts


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
            **components_detail(harmony),
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
