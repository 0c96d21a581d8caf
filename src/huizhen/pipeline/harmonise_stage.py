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
from huizhen.data.tables import TableEncoding
from huizhen.errors import StageError
from huizhen.pipeline.cohort_stage import OpenCohort
from huizhen.pipeline.covariates import covariates_of
from huizhen.pipeline.harmonise_fit import fitted_harmonies, with_new_site
from huizhen.pipeline.harmonise_told import Shown, told_of
from huizhen.pipeline.material import Columns, Material, encodings_of
from huizhen.pipeline.site_telling_file import told_again, write_tellings
from huizhen.pipeline.stage import ARTEFACTS, Made, Run, Stage, study_part
from huizhen.train.arrays import CaseData
from huizhen.train.harmony import Harmony, harmony_from, patient_means
from huizhen.validate.assessments.harmonisation import Told, telling_of

__all__ = ["components_detail", "harmonise_stage", "harmonised_tests", "read_harmonies"]

ARRAYS, STAGE = "harmony.safetensors", "harmonise"
Harmonies = Mapping[str, Harmony]
"""Modality -> its ComBat in one fold."""


def harmonise_stage(run: Run, cohort: OpenCohort) -> Stage | None:
    """Fit ComBat in each fold on its training patients; None in a study without [harmonisation].

    Raises `DataError` where a site has too few training patients, or one outcome alone and components are
    asked for, or a covariate can't be told from the site.
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
                **components_detail(harmony),
            },
        )
        for modality, harmony in found.items()
    ]


def components_detail(harmony: Harmony) -> dict[str, Any]:
    """Return how many components features were reduced to, for evidence; nothing where they weren't.

    How strongly each goes with the outcome stays out: that is of training patients.
    """
    few = harmony.components
    return {} if few is None else {"components": few.reduction.constant.size}


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
            if plan.components is not None and fold.index > 0:
                continue  # another fold's components are other axes: their numbers don't belong together
            tested = np.array([fold.parts.get(c.pseudonym) is Part.TEST for c in cases], bool)
            outside = np.array([fold.parts.get(c.pseudonym) is Part.EXTERNAL for c in cases], bool)
            told_here = Shown(
                data=data,
                patients=np.array([case.pseudonym for case in cases]),
                sites=np.array([case.site for case in cases]),
                shown=tested | outside if fold.index == 0 else tested,
                outside=outside,
                covariates=covariates_of(run.study, data, encodings).values,
            )
            for name, mine in told_of(run.study, own, told_here).items():
                told[name] = told[name].joined(mine) if name in told else mine
        write_harmonies(folder / ARRAYS, found)
        tellings = {name: telling_of(mine, seed=run.study.seed) for name, mine in told.items()}
        write_tellings(folder / ARTEFACTS, tellings, phantom=run.study.phantom)
        return Made(evidence=told_again(tellings, run.study))

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
            harmony = with_new_site(study, features, harmony, kept[rows], site)
        found[name] = harmony
    return found
