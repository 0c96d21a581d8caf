"""The cohort stage: intake, quality control, split, leakage check; outcomes of unseen patients are sealed.

Intake reads every outcome, to leave out patients without one or with conflicting ones and to stratify the
split. What trains, tunes and locks is given those of training and tuning patients only. Split, cases and
sealed outcomes are committed to here, before anything is fitted.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huizhen.core.cohort import Case, Part
from huizhen.core.digests import Digest, canonical_json, digest_file
from huizhen.core.files import write_json
from huizhen.core.study import Role
from huizhen.data.consent.screening import consent_evidence
from huizhen.data.disclosure.study_tables import study_table_evidence
from huizhen.data.flow import allocation_evidence, flow_evidence
from huizhen.data.group_columns import with_groups
from huizhen.data.intake import intake
from huizhen.data.splits import Fold, check_leakage, split_cohort
from huizhen.ledger.commitments import commitment
from huizhen.pipeline.casefile import case_from_json, case_to_json, folds_from_json, folds_to_json
from huizhen.pipeline.consent_lists import barred_of, consents_begun
from huizhen.pipeline.listing import listing_digest
from huizhen.pipeline.stage import Made, Run, Stage, study_part

CASES, FOLDS, SEALED, SALT = "cases.json", "folds.json", "sealed.json", "salt.json"
COMMITTED = (CASES, FOLDS, SEALED)
FORM = 2
"""The form of the stage's folder: another one is made anew."""
WITH_GROUPS = 1
"""The form in which a federation's site keeps its patients' groups beside them."""
OUTCOMES_READ_FOR = ("missing_label", "conflicting_label", "stratification")
"""What intake reads outcomes for, those of test patients too."""


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
    keys = (
        "task",
        "modality",
        "site",
        "split",
        "seed",
        "phantom",
        "subgroup",
        *(["use"] if study.use else []),
    )
    settings = study.model_dump(mode="json", include=set(keys))
    listed = listing_digest(study, run.roots, consents_begun(run))

    def body(folder: Path) -> Made:
        found = intake(
            study,
            roots=run.roots,
            pseudonym_secret=run.key.derive_secret("pseudonyms"),
            cache=run.cache,
            progress=run.progress,
            barred=barred_of(run),
            asked=run.whole,
        )
        folds = split_cohort(found.cohort, study, found.links)
        leakage = check_leakage(found.cohort, folds, found.fingerprints, study.split.near_duplicate_distance)
        sealed = sealed_cases(run, found.cohort.cases, folds)
        apart = study.federation is not None  # one site's table may lack a column that another's has
        cases = with_groups(study, found.cohort.cases, run.roots, lenient=apart)
        write_json(
            folder / CASES,
            [case_to_json(case, outcome=case.pseudonym not in sealed) for case in cases],
        )
        write_json(folder / FOLDS, folds_to_json(folds))
        write_json(
            folder / SEALED, {c.pseudonym: c.outcome for c in found.cohort.cases if c.pseudonym in sealed}
        )
        write_json(folder / SALT, {"salt": salt_of(run, listed)})
        shown = [*flow_evidence(found.flow, found.cohort), allocation_evidence(found.cohort, folds), leakage]
        shown += [consent_evidence(one, phantom=study.phantom) for one in found.screenings]
        shown += study_table_evidence(study, found.cohort.cases, run.roots)
        read = {"outcomes_read_for": list(OUTCOMES_READ_FOR), "patients": len(found.cohort.cases)}
        commit = {
            "commitments": commitments(folder),
            "method": study.split.method,
            "cohorts": sealed_counts(folds, sealed),
        }
        return Made(evidence=shown, entries=[("intake", read), ("commit", commit)])

    made_from = {**study_part(study, *keys), "files by name, size and time": listed}
    form: int | list[int] = [FORM, WITH_GROUPS] if study.federation and study.subgroup else FORM
    stage = run.stage("cohort", [settings, listed, run.key.key_id, form], body, made_from=made_from)
    return read_cohort(stage, unsealed=False)


def salt_of(run: Run, listed: Digest) -> str:
    """Return the salt of this run's commitments: known to nobody without the key until it is shown.

    It is derived, not drawn, so that a run that was killed goes on with the same one.
    """
    secret = run.key.derive_secret("commitments")
    return hmac.new(secret, canonical_json([run.study.digest, listed]), hashlib.sha256).hexdigest()


def digests(folder: Path) -> dict[str, Digest]:
    """Return the digest of each file of the stage in `folder` that is committed to."""
    return {name: digest_file(folder / name) for name in COMMITTED}


def commitments(folder: Path) -> dict[str, Digest]:
    """Return the salted commitment to each of these files, with the salt that lies beside them."""
    salt = str(json.loads((folder / SALT).read_text(encoding="utf-8"))["salt"])
    return {name: commitment(salt, name, digest) for name, digest in digests(folder).items()}


def sealed_counts(folds: tuple[Fold, ...], sealed: set[str]) -> Mapping[str, Mapping[str, int]]:
    """Return for each tested cohort its patients, and how many of them have their outcomes sealed."""
    found: dict[str, dict[str, Any]] = {}
    for cohort, part in (("internal", Part.TEST), ("external", Part.EXTERNAL)):
        members = {p for fold in folds for p in fold.members(part)}
        found[cohort] = {"patients": len(members), "sealed": len(members & sealed)}
    return found


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
