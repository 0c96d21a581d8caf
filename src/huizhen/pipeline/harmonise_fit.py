"""Harmonies fitted: ComBat of training patients, their components where asked for, and new sites' shifts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from huizhen.core.study import Study
from huizhen.core.study_harmonisation import Harmonisation
from huizhen.data.harmonise.combat import Prior
from huizhen.data.harmonise.components import both_outcomes, fitted_reduction
from huizhen.data.harmonise.pooled import Pooled, pooled_of, slopes_of, squares_of, sums_of
from huizhen.data.tables import TableEncoding
from huizhen.pipeline.covariates import covariates_of
from huizhen.train.arrays import CaseData
from huizhen.train.harmony import Components, Harmony, patient_means, with_found_site

__all__ = ["fitted_harmonies", "prior_of", "with_new_site"]

Floats = NDArray[np.float64]


def prior_of(plan: Harmonisation) -> Prior:
    """Return what a study's shifts are drawn towards."""
    return Prior(plan.prior)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Training:
    """Training patients of one modality: `features` (n, D), `sites` (n,), `covariates` (n, q).

    `names` (q,) of covariates; `unknown` (q,): which of them aren't known at use. `outcome` (n,): 0 and 1.
    """

    features: Floats
    sites: NDArray[np.str_]
    covariates: Floats
    names: tuple[str, ...]
    unknown: NDArray[np.bool_]
    outcome: Floats


def fitted_harmonies(
    study: Study,
    data: CaseData,
    sites: Sequence[str],
    train: NDArray[np.bool_],
    encodings: Mapping[str, TableEncoding],
) -> dict[str, Harmony]:
    """Return each image modality's ComBat with every site's shift, from the rows `train` (n,) of `data`.

    Raises `DataError` and `NotEstimableError` as ComBat and its components do.
    """
    kept = covariates_of(study, data, encodings)
    found: dict[str, Harmony] = {}
    for modality in study.image_modalities:
        rows = np.flatnonzero(train & (np.diff(data.images[modality.name].offsets) > 0))
        training = _Training(
            features=patient_means(data.images[modality.name], rows),
            sites=np.array(sites)[rows],
            covariates=kept.values[rows],
            names=kept.names,
            unknown=kept.unknown,
            outcome=data.outcome[rows].astype(np.float64),
        )
        found[modality.name] = _fitted(study.harmonisation or Harmonisation(), training)
    return found


def _fitted(plan: Harmonisation, training: _Training) -> Harmony:
    """Return ComBat of one modality's training patients, reduced to components where asked for."""
    harmony = Harmony(pooled=_pooled(plan, training), shifts={}, unknown=training.unknown)
    shifted = _with_sites(plan, training, harmony)
    if plan.components is None:
        return shifted
    for site in np.unique(training.sites):
        both_outcomes(training.outcome[training.sites == site], str(site))
    moved = np.empty_like(training.features)
    for site in np.unique(training.sites):
        here = training.sites == site
        moved[here] = shifted.shifted(training.features[here], str(site), training.covariates[here])
    reduction = fitted_reduction(moved, training.outcome, harmony.pooled, plan.components)
    scores = replace(training, features=reduction.of(moved))
    aligned = Harmony(pooled=_pooled(plan, scores), shifts={}, unknown=training.unknown)
    few = Components(reduction=reduction, aligned=aligned)
    return _with_sites(plan, training, replace(harmony, components=few))


def _pooled(plan: Harmonisation, training: _Training) -> Pooled:
    """Return ComBat's pooled part."""
    names, batch = np.unique(training.sites, return_inverse=True)
    reference = None
    if plan.reference is not None:
        reference = int(np.flatnonzero(names == plan.reference)[0]) if plan.reference in names else -1
    sums = sums_of(training.features, training.covariates, batch=batch, reference=reference)
    slopes = slopes_of(sums, training.names)
    squares = squares_of(training.features, training.covariates, slopes, batch=batch, reference=reference)
    return pooled_of(sums, slopes, *squares)


def _with_sites(plan: Harmonisation, training: _Training, harmony: Harmony) -> Harmony:
    """Return a harmony with the shift of every training site; the reference site's moves nothing."""
    for site in np.unique(training.sites).tolist():
        here = training.sites == site
        harmony = with_found_site(
            training.features[here],
            harmony,
            training.covariates[here],
            prior=prior_of(plan),
            mean_only=plan.mean_only,
            site=site,
            training=True,
        )
        harmony = harmony.resting(site) if site == plan.reference else harmony
    return harmony


def with_new_site(study: Study, features: Floats, harmony: Harmony, covariates: Floats, site: str) -> Harmony:
    """Return a harmony with the shift of a site that wasn't trained at, found without outcomes."""
    plan = study.harmonisation or Harmonisation()
    return with_found_site(
        features,
        harmony,
        covariates,
        prior=prior_of(plan),
        mean_only=plan.mean_only,
        site=site,
        training=False,
    )
