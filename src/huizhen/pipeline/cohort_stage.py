"""The cohort stage: intake, quality control, split, leakage check; outcomes of unseen patients are sealed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from huizhen.core.cohort import Case, Part
from huizhen.core.files import write_json
from huizhen.core.study import Role
from huizhen.data.flow import flow_evidence
from huizhen.data.intake import intake
from huizhen.data.splits import Fold, check_leakage, split_cohort
from huizhen.pipeline.casefile import case_from_json, case_to_json, folds_from_json, folds_to_json
from huizhen.pipeline.listing import listing_digest
from huizhen.pipeline.stage import Made, Run, Stage, study_part

CASES, FOLDS, SEALED = "cases.json", "folds.json", "sealed.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCohort:
    """The cohort as stages before the lock see it: outcomes of sealed cases are None."""

    stage: Stage
    cases: tuple[Case, ...]
    folds: tuple[Fold, ...]

    def within(self, *parts: Part) -> tuple[Case, ...]:
        """Return the cases that stand in one of `parts` in any fold."""
        wanted = set(parts)
        return tuple(c for c in self.cases if any(f.parts[c.pseudonym] in wanted for f in self.folds))


def cohort_stage(run: Run) -> OpenCohort:
    """Return the study's cohort and folds, made by intake unless sources and settings are unchanged."""
    study = run.study
    keys = ("task", "modality", "site", "split", "seed", "phantom")
    settings = study.model_dump(mode="json", include=set(keys))
    listed = listing_digest(study, run.roots)

    def body(folder: Path) -> Made:
        found = intake(
            study,
            roots=run.roots,
            pseudonym_secret=run.key.derive_secret("pseudonyms"),
            cache=run.cache,
            progress=run.progress,
        )
        folds = split_cohort(found.cohort, study, found.links)
        leakage = check_leakage(found.cohort, folds, found.fingerprints, study.split.near_duplicate_distance)
        sealed = sealed_cases(run, found.cohort.cases, folds)
        write_json(
            folder / CASES,
            [case_to_json(case, outcome=case.pseudonym not in sealed) for case in found.cohort.cases],
        )
        write_json(folder / FOLDS, folds_to_json(folds))
        write_json(
            folder / SEALED, {c.pseudonym: c.outcome for c in found.cohort.cases if c.pseudonym in sealed}
        )
        return Made(evidence=[*flow_evidence(found.flow, found.cohort), leakage])

    made_from = {**study_part(study, *keys), "files by name, size and time": listed}
    stage = run.stage("cohort", [settings, listed, run.key.key_id], body, made_from=made_from)
    return read_cohort(stage, unsealed=False)


def read_cohort(stage: Stage, *, unsealed: bool) -> OpenCohort:
    """Return the stage's cohort; with `unsealed`, every outcome (only after the model is locked)."""
    outcomes = stage.read(SEALED) if unsealed else {}
    return OpenCohort(
        stage=stage,
        cases=tuple(case_from_json(record, outcomes) for record in stage.read(CASES)),
        folds=folds_from_json(stage.read(FOLDS)),
    )


def sealed_cases(run: Run, cases: tuple[Case, ...], folds: tuple[Fold, ...]) -> set[str]:
    """Return who is only ever tested: external patients and, with a holdout, the internal test patients."""
    external = {site.name for site in run.study.site if site.role is Role.EXTERNAL}
    return {
        case.pseudonym
        for case in cases
        if case.site in external or all(fold.parts[case.pseudonym] is Part.TEST for fold in folds)
    }
