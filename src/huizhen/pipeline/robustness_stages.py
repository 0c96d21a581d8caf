"""The robustness stages: one for each kind of disturbance, on a sample of the internal test patients.

They come after the unsealing and change nothing that was locked. A run that is killed goes on with the kind
that it stood at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.cohort import Case, Part
from huizhen.core.files import write_json
from huizhen.core.predictions import Predictions
from huizhen.core.streams import stream
from huizhen.core.study import ImageModality, Variant
from huizhen.core.study_robustness import TABLE_DISTURBANCES, Disturbance, Robustness
from huizhen.data.corruptions.cells import Row
from huizhen.data.corruptions.disturb import disturbed_image, disturbed_row
from huizhen.data.tables import TableEncoding
from huizhen.pipeline.asked import asked_networks, encoders_below
from huizhen.pipeline.asked_again import Scene, as_read, as_shown, packs_of, risks
from huizhen.pipeline.fit_stage import FittedModel
from huizhen.pipeline.lock_stage import Locked
from huizhen.pipeline.opened import Opened
from huizhen.pipeline.other_scanners import Scanners, reference_cases
from huizhen.pipeline.robustness_file import DisturbedRisks, write_risks
from huizhen.pipeline.stage import ARTEFACTS, Made, Run, Stage, study_part
from huizhen.validate.assessments.interface import Evaluation
from huizhen.validate.assessments.robustness import disturbed, tried_of, undisturbed

__all__ = ["robustness_stages", "sampled_rows"]

CMAN = Variant.CMAN.value
BASE = "undisturbed.json"


@dataclass(frozen=True)
class Trial:
    """One domain (images or tables): its sample, and the locked networks, loaded when a stage first asks."""

    run: Run
    opened: Opened
    fits: Sequence[FittedModel]
    locked: Locked
    domain: str

    @property
    def settings(self) -> Robustness:
        """The study's [robustness]."""
        return self.run.study.robustness or Robustness()

    @cached_property
    def table(self) -> Predictions:
        """The sampled patients with their locked risks."""
        whole = self.opened.predictions[Part.TEST]
        study = self.run.study
        names = [
            m.name for m in (study.table_modalities if self.domain == "tables" else study.image_modalities)
        ]
        able = np.logical_or.reduce([whole.present[name] for name in names]) & ~np.isnan(whole.risk[CMAN])
        rows = sampled_rows(whole.outcome, able, self.settings.patients, study.seed)
        return Predictions(
            patient=whole.patient[rows],
            site=whole.site[rows],
            part=Part.TEST,
            outcome=whole.outcome[rows],
            risk={CMAN: whole.risk[CMAN][rows]},
            present={name: values[rows] for name, values in whole.present.items()},
        )

    @cached_property
    def scene(self) -> Scene:
        """The sampled cases and the locked networks."""
        run, cohort = self.run, self.opened.cohort
        by_name = {case.pseudonym: case for case in cohort.cases}
        cases = tuple(by_name[str(name)] for name in self.table.patient)
        asked = [f for f in self.fits if f.model.variant is Variant.CMAN]
        tested = cohort.within(*self.opened.predictions)
        return Scene(
            run=run,
            cases=cases,
            part=Part.TEST,
            folds=cohort.folds,
            networks=tuple(asked_networks(run, cohort, asked)),
            decisions=self.locked.decisions[CMAN],
            encoders=encoders_below(run),
            packs=packs_of(run, tested, (*cases, *reference_cases(tested, cases))),
        )

    @cached_property
    def scanners(self) -> Scanners:
        """How far the sites' scanners are apart in their grey values."""
        tested = self.opened.cohort.within(*self.opened.predictions)
        shown = (*self.scene.cases, *reference_cases(tested, self.scene.cases))
        return Scanners.of(self.run.study, self.scene.packs, shown)


def sampled_rows(
    outcome: NDArray[np.bool_], able: NDArray[np.bool_], most: int, seed: int
) -> NDArray[np.int64]:
    """Return at most `most` rows of those `able` (n,), half with the event as far as there are so many.

    Drawn by `seed`, in rising order. An AUC doesn't depend on how common the event is, and is most precise
    where both classes are alike in number.

    >>> outcome = np.array([True] * 2 + [False] * 8)
    >>> sampled_rows(outcome, np.ones(10, bool), 6, seed=1)[:2].tolist()
    [0, 1]
    """
    rng = stream(seed, "robustness", "sample")
    events, others = (rng.permutation(np.flatnonzero(able & which)) for which in (outcome, ~outcome))
    half = min(len(events), max(most // 2, most - len(others)))
    return np.sort(np.concatenate([events[:half], others[: most - half]])).astype(np.int64)


def robustness_stages(run: Run, opened: Opened, fits: Sequence[FittedModel], locked: Locked) -> list[Stage]:
    """Try the locked model on disturbed images and rows of internal test patients, as the study asks."""
    if run.study.robustness is None or Part.TEST not in opened.predictions or CMAN not in locked.decisions:
        return []
    stages: list[Stage] = []
    for domain in ("images", "tables"):
        kinds = [k for k in run.study.robustness.kinds if (k in TABLE_DISTURBANCES) == (domain == "tables")]
        there = run.study.table_modalities if domain == "tables" else run.study.image_modalities
        if kinds and there:
            trial = Trial(run=run, opened=opened, fits=fits, locked=locked, domain=domain)
            base = _base_stage(trial)
            stages += [base, *(_kind_stage(trial, base, kind) for kind in kinds)]
    return stages


def _made_from(trial: Trial) -> dict[str, Any]:
    asked = [f for f in trial.fits if f.model.variant is Variant.CMAN]
    return {
        trial.opened.stage.name: trial.opened.stage.digest,
        "lock": trial.locked.stage.digest,
        **{f.stage.name: f.stage.digest for f in asked},
    }


def _base_stage(trial: Trial) -> Stage:
    """Return the stage of the sampled patients as they are, on the way that disturbed images take."""
    run, settings = trial.run, trial.settings

    def body(folder: Path) -> Made:
        found = _asked(trial, None, 0, "undisturbed")
        write_json(folder / BASE, [None if np.isnan(r) else float(r) for r in found])
        evaluation = _evaluation(trial, found)
        whole = trial.opened.predictions[Part.TEST]
        made = undisturbed(
            evaluation, trial.domain, sampled_from=len(whole.patient), locked=trial.table.risk[CMAN]
        )
        return Made(evidence=[made])

    inputs = [trial.opened.stage.digest, trial.locked.stage.digest, settings.patients, run.study.seed]
    return run.stage(f"robustness/undisturbed/{trial.domain}", inputs, body, made_from=_made_from(trial))


def _kind_stage(trial: Trial, base: Stage, kind: Disturbance) -> Stage:
    """Return the stage of one kind: every step on the same patients."""
    run, settings = trial.run, trial.settings

    def body(folder: Path) -> Made:
        start = np.array([np.nan if r is None else r for r in base.read(BASE)])
        found = {step: _asked(trial, kind, step, f"{kind.value} {step}") for step in settings.steps}
        table = DisturbedRisks(
            patient=trial.table.patient,
            outcome=trial.table.outcome,
            risks={0: start, **found},
            notes=_notes(trial, kind),
        )
        write_risks(folder / ARTEFACTS, kind.value, table, phantom=run.study.phantom)
        return Made(evidence=disturbed(_evaluation(trial, start), tried_of(kind, found, table.notes)))

    endpoints = run.study.model_dump(mode="json", include={"endpoint"})
    inputs = [base.digest, kind.value, list(settings.steps), endpoints]
    made_from = {base.name: base.digest, **study_part(run.study, "robustness"), **_made_from(trial)}
    return run.stage(f"robustness/{kind.value}", inputs, body, made_from=made_from)


def _evaluation(trial: Trial, start: NDArray[np.float64]) -> Evaluation:
    table = replace(trial.table, risk={CMAN: start})
    return Evaluation(predictions=table, study=trial.run.study, phantom=trial.run.study.phantom)


def _notes(trial: Trial, kind: Disturbance) -> dict[str, Any]:
    if kind is not Disturbance.SCANNER:
        return {}
    return {"toward": trial.scanners.told()}


def _asked(trial: Trial, kind: Disturbance | None, step: int, about: str) -> NDArray[np.float64]:
    """Return the risks (n,) of the sampled patients under one disturbance."""
    scene, seed = trial.scene, trial.run.study.seed
    of_images = kind is not None and kind not in TABLE_DISTURBANCES

    def images(case: Case, modality: ImageModality) -> NDArray[np.uint8]:
        bag = case.images.get(modality.name, ())
        shown = []
        for number, record in enumerate(bag):
            pixels = as_read(scene.packs[modality.name], record)
            if kind is not None and of_images:
                setting = trial.scanners.setting(modality, case.site)
                pixels = disturbed_image(
                    pixels, kind, step, setting, seed=seed, patient=case.pseudonym, image=number
                )
            shown.append(as_shown(pixels, modality))
        empty = np.zeros((0, modality.channels, modality.size, modality.size), np.uint8)
        return np.stack(shown) if shown else empty

    def cells(case: Case, encoding: TableEncoding, row: Row) -> Row:
        if kind is None or of_images:
            return row
        return disturbed_row(row, kind, step, encoding, seed=seed, patient=case.pseudonym)

    with trial.run.progress.track("robustness", len(scene.cases), about=about) as advance:
        return risks(scene, images, advance, cells=cells)
