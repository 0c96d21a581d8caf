"""The harmonisation stages: ComBat fitted on each fold's training patients; later, tested sites' own shifts.

The first stands before the fits. The second stands after the lock: an external site's shift is found from its
own features, without outcomes, and how well sites are told from features is measured before and after.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.cohort import Case, Part
from huizhen.core.evidence import Evidence
from huizhen.core.files import write_bytes
from huizhen.core.study import Study
from huizhen.core.study_harmonisation import Harmonisation
from huizhen.data.harmonise.combat import FEWEST_SHIFT, Prior, SiteShift
from huizhen.data.harmonise.pooled import pooled_of, slopes_of, squares_of, sums_of
from huizhen.data.tables import TableEncoding
from huizhen.errors import StageError
from huizhen.pipeline.cohort_stage import OpenCohort
from huizhen.pipeline.covariates import Covariates, covariates_of
from huizhen.pipeline.material import Columns, Material, encodings_of
from huizhen.pipeline.stage import Made, Run, Stage, study_part
from huizhen.train.arrays import CaseData
from huizhen.train.harmony import Harmony, found_shift, harmony_from, patient_means
from huizhen.validate.assessments.harmonisation import Told, site_told_around

__all__ = ["fitted_harmonies", "harmonise_stage", "harmonised_tests", "prior_of", "read_harmonies"]

ARRAYS, STAGE = "harmony.safetensors", "harmonise"
Harmonies = Mapping[str, Harmony]
"""Modality -> its ComBat in one fold."""
Floats = NDArray[np.float64]


def prior_of(plan: Harmonisation) -> Prior:
    """Return what a study's shifts are drawn towards."""
    return Prior(plan.prior)


def harmonise_stage(run: Run, cohort: OpenCohort) -> Stage | None:
    """Fit ComBat in each fold on its training patients; None in a study without [harmonisation].

    Raises `DataError` where a site has too few training patients, or a covariate can't be told from the site.
    """
    plan = run.study.harmonisation
    if plan is None:
        return None

    def body(folder: Path) -> Made:
        cases = cohort.within(Part.TRAIN, Part.TUNE)
        material = Material(run=run, cases=cases, columns=Columns(run, cases, augmented=True))
        found: list[dict[str, Harmony]] = []
        for fold in cohort.folds:
            encodings = encodings_of(run, cases, fold)
            data = material.data(encodings)
            train = np.array([fold.parts.get(c.pseudonym) is Part.TRAIN for c in cases], bool)
            found.append(fitted_harmonies(run.study, data, [c.site for c in cases], train, encodings))
        write_harmonies(folder / ARRAYS, found)
        return Made(evidence=fitted_evidence(run, found[0]))

    keys = ("harmonisation", "modality", "training", "seed")
    inputs = [run.study.model_dump(mode="json", include=set(keys)), cohort.stage.digest]
    made_from = {**study_part(run.study, *keys), "cohort": cohort.stage.digest}
    return run.stage(STAGE, inputs, body, made_from=made_from)


def fitted_harmonies(
    study: Study,
    data: CaseData,
    sites: Sequence[str],
    train: NDArray[np.bool_],
    encodings: Mapping[str, TableEncoding],
) -> dict[str, Harmony]:
    """Return each image modality's ComBat with every site's shift, from the rows `train` (n,) of `data`."""
    kept = covariates_of(study, data, encodings)
    where = np.array(sites)
    found: dict[str, Harmony] = {}
    for modality in study.image_modalities:
        rows = np.flatnonzero(train & (np.diff(data.images[modality.name].offsets) > 0))
        features = patient_means(data.images[modality.name], rows)
        found[modality.name] = _fitted(study, features, where[rows], kept, rows)
    return found


def _fitted(
    study: Study, features: Floats, sites: NDArray[Any], kept: Covariates, rows: NDArray[np.int64]
) -> Harmony:
    """Return ComBat of one modality's training patients."""
    plan = study.harmonisation or Harmonisation()
    names, batch = np.unique(sites, return_inverse=True)
    reference = None
    if plan.reference is not None:
        reference = int(np.flatnonzero(names == plan.reference)[0]) if plan.reference in names else -1
    covariates = kept.values[rows]
    sums = sums_of(features, covariates, batch=batch, reference=reference)
    slopes = slopes_of(sums, kept.names)
    squares = squares_of(features, covariates, slopes, batch=batch, reference=reference)
    harmony = Harmony(pooled=pooled_of(sums, slopes, *squares), shifts={}, unknown=kept.unknown)
    for place, name in enumerate(names):
        here = batch == place
        shift = found_shift(
            features[here],
            harmony,
            covariates[here],
            prior=prior_of(plan),
            mean_only=plan.mean_only,
            site=str(name),
            training=True,
        )
        harmony = harmony.with_site(str(name), shift.resting() if place == reference else shift)
    return harmony


def write_harmonies(path: Path, folds: Sequence[Harmonies]) -> None:
    """Write each fold's harmonies into one file."""
    from safetensors.numpy import save

    arrays = {
        f"{k}/{modality}/{name}": np.ascontiguousarray(value)
        for k, found in enumerate(folds)
        for modality, harmony in found.items()
        for name, value in harmony.to_arrays().items()
    }
    write_bytes(path, save(arrays))


def read_harmonies(stage: Stage | None, fold: int) -> dict[str, Harmony]:
    """Return the harmonies of a fold that a stage wrote, none without a stage.

    Raises `ModelError` on a file that isn't whole.
    """
    from safetensors.numpy import load_file

    if stage is None:
        return {}
    arrays = load_file(stage.folder / ARRAYS)
    mine: dict[str, dict[str, NDArray[Any]]] = {}
    for key, value in arrays.items():
        number, modality, name = key.split("/", 2)
        if int(number) == fold:
            mine.setdefault(modality, {})[name] = value
    return {modality: harmony_from(found) for modality, found in mine.items()}


def fitted_evidence(run: Run, found: Harmonies) -> list[Evidence]:
    """Return what was fitted in the first fold: features, patients, how far sites were moved."""
    plan = run.study.harmonisation or Harmonisation()
    return [
        Evidence(
            key=f"harmonisation/{modality}/fitted",
            metric="harmonisation",
            stage=STAGE,
            n=harmony.pooled.n,
            descriptive=True,
            phantom=run.study.phantom,
            detail={
                "patients": harmony.pooled.n,
                "features": harmony.pooled.centre.size,
                "constant": int(harmony.pooled.flat.sum()),
                "sites": {name: shift.n for name, shift in harmony.shifts.items()},
                "shifted_only": sorted(name for name, s in harmony.shifts.items() if s.mean_only),
                "keep": list(plan.keep),
                "prior": plan.prior,
            },
        )
        for modality, harmony in found.items()
    ]


def harmonised_tests(run: Run, cohort: OpenCohort, fitted: Stage | None) -> Stage | None:
    """Find the shift of each external site from its own features, and measure how sites are told apart.

    Raises `StageError` before the lock: nothing of tested patients is looked at before. None in a study
    without [harmonisation].
    """
    plan = run.study.harmonisation
    if plan is None or fitted is None:
        return None
    if not any(entry.kind == "lock" for entry in run.log.entries):
        raise StageError("the model isn't locked", remedy="run the stages in order")

    def body(folder: Path) -> Made:
        cases = cohort.within(Part.TEST, Part.EXTERNAL)
        material = Material(run=run, cases=cases, columns=Columns(run, cases, augmented=False))
        found: list[dict[str, Harmony]] = []
        told: dict[str, Told] = {}
        for fold in cohort.folds:
            encodings = encodings_of(run, cohort.cases, fold)
            data = material.data(encodings)
            own = _with_external(
                run.study, read_harmonies(fitted, fold.index), data, cases, cohort, encodings
            )
            found.append(own)
            tested = np.array([fold.parts.get(c.pseudonym) is Part.TEST for c in cases], bool)
            outside = np.array([fold.parts.get(c.pseudonym) is Part.EXTERNAL for c in cases], bool)
            shown = tested | outside if fold.index == 0 else tested
            _add(told, run.study, own, data, cases, shown, outside, encodings)
        write_harmonies(folder / ARRAYS, found)
        return Made(evidence=_measured(run, told))

    made_from = {fitted.name: fitted.digest, "cohort": cohort.stage.digest}
    return run.stage("harmonise-tested", [fitted.digest, cohort.stage.digest], body, made_from=made_from)


def _with_external(
    study: Study,
    harmonies: Harmonies,
    data: CaseData,
    cases: Sequence[Case],
    cohort: OpenCohort,
    encodings: Mapping[str, TableEncoding],
) -> dict[str, Harmony]:
    """Return a fold's harmonies with the shift of every external site that has the modality."""
    outside = {p for fold in cohort.folds for p in fold.members(Part.EXTERNAL)}
    away = np.array([case.pseudonym in outside for case in cases], bool)
    sites = np.array([case.site for case in cases])
    kept = covariates_of(study, data, encodings).values
    found: dict[str, Harmony] = {}
    for name, harmony in harmonies.items():
        there = away & (np.diff(data.images[name].offsets) > 0)
        for site in sorted(set(sites[there].tolist())):
            rows = np.flatnonzero(there & (sites == site))
            features = patient_means(data.images[name], rows)
            harmony = harmony.with_site(site, new_shift(study, features, harmony, kept[rows], site))
        found[name] = harmony
    return found


def new_shift(study: Study, features: Floats, harmony: Harmony, covariates: Floats, site: str) -> SiteShift:
    """Return the shift of a site that wasn't trained at, without outcomes."""
    plan = study.harmonisation or Harmonisation()
    return found_shift(
        features,
        harmony,
        covariates,
        prior=prior_of(plan),
        mean_only=plan.mean_only,
        site=site,
        training=False,
    )


def _add(
    told: dict[str, Told],
    study: Study,
    harmonies: Harmonies,
    data: CaseData,
    cases: Sequence[Case],
    shown: NDArray[np.bool_],
    outside: NDArray[np.bool_],
    encodings: Mapping[str, TableEncoding],
) -> None:
    """Add a fold's tested patients, before and after: an external patient by a shift that others gave."""
    kept = covariates_of(study, data, encodings).values
    sites = np.array([case.site for case in cases])
    for name, harmony in harmonies.items():
        rows = np.flatnonzero(shown & (np.diff(data.images[name].offsets) > 0))
        features = patient_means(data.images[name], rows)
        after = np.empty_like(features)
        for site in sorted(set(sites[rows].tolist())):
            here = np.flatnonzero(sites[rows] == site)
            if outside[rows[here]].any():
                after[here] = _crossed(study, features[here], harmony, kept[rows[here]], site)
            else:
                after[here] = harmony.moved(features[here], site, kept[rows[here]])
        mine = Told(site=sites[rows], before=features, after=after)
        told[name] = told[name].joined(mine) if name in told else mine


def _crossed(study: Study, features: Floats, harmony: Harmony, kept: Floats, site: str) -> Floats:
    """Return an external site's features, each half moved by the other half's shift where that can be."""
    found, half = np.empty_like(features), np.arange(len(features)) % 2 == 0
    for shown, others in ((half, ~half), (~half, half)):
        enough = others if others.sum() >= FEWEST_SHIFT else np.ones_like(half)
        own = new_shift(study, features[enough], harmony, kept[enough], site)
        found[shown] = harmony.with_site(site, own).moved(features[shown], site, kept[shown])
    return found


def _measured(run: Run, told: Mapping[str, Told]) -> list[Evidence]:
    """Return how well sites are told from features, before and after."""
    return [
        item
        for modality, found in told.items()
        for item in site_told_around(found, modality=modality, phantom=run.study.phantom, seed=run.study.seed)
    ]
