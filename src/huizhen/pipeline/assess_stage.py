"""The assessment stage: clinical validation of the locked predictions, and what is not assessed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from huizhen.core.cohort import Part
from huizhen.core.digests import digest_file
from huizhen.core.evidence import Evidence
from huizhen.core.predictions import Predictions
from huizhen.core.study import Role, Study
from huizhen.data.readers.paths import find_path
from huizhen.pipeline.opened import COHORT_WORDS, Opened
from huizhen.pipeline.stage import Made, Run, Stage, study_part
from huizhen.validate.assess import assess, endpoints_not_assessed, with_multiplicity

MADE_ELSEWHERE: Mapping[str, str] = {
    "training": "not provided: the model was made elsewhere",
    "participants": "not provided: how patients came into the table is known to whoever made it",
    "differential_privacy": "not provided: the model was made elsewhere",
    "attacks": "the model itself was not given, so none was run",
    "robustness": "no image was given, so none was disturbed",
    "explanation": "neither model nor images were given",
    "subgroups": "the plan names no column of groups",
    "decision_curve": "no net benefit was computed",
    "readers": "no reader study was done",
    "monitoring": "nothing is deployed, so nothing is monitored",
}
"""What a table of somebody else's predictions can't show, with the reason."""


def assess_stage(run: Run, opened: Opened) -> Stage:
    """Validate each cohort's predictions, and say what is not assessed."""

    def body(folder: Path) -> Made:
        evidence = assessed(run.study, opened.predictions)
        if run.study.phantom_truth:
            from huizhen.pipeline.phantom_truth import against_truth

            evidence += against_truth(run, opened, folder)
        return Made(evidence=[*evidence, *not_assessed(run.study, evidence)])

    keys: tuple[str, ...] = ("endpoint", "evaluation", "subgroup", "seed", "phantom", "phantom_truth")
    keys += ("robustness",) if run.study.robustness is not None else ()
    keys += ("triage",) if run.study.triage is not None else ()
    settings = run.study.model_dump(mode="json", include=set(keys))
    made_from = {opened.stage.name: opened.stage.digest, **study_part(run.study, *keys)}
    if run.study.phantom_truth:
        path = find_path(run.study.phantom_truth, run.roots, field="phantom_truth")
        made_from["latent truth of the phantoms"] = digest_file(path)
    return run.stage("assess", [opened.stage.digest, settings], body, made_from=made_from)


def assessed(study: Study, predictions: Mapping[Part, Predictions]) -> list[Evidence]:
    """Return the evidence of every tested part, and the endpoints of those without patients."""
    evidence: list[Evidence] = []
    for table in predictions.values():
        evidence += assess(table, study, phantom=study.phantom)
    done = {COHORT_WORDS[part] for part in predictions}
    reason = "no such patients in the study"
    for cohort in COHORT_WORDS.values():
        if cohort not in done:
            evidence += endpoints_not_assessed(study, cohort=cohort, reason=reason, phantom=study.phantom)
    return with_multiplicity(evidence, study)


def not_assessed(study: Study, evidence: Iterable[Evidence]) -> list[Evidence]:
    """Return one line for everything that a reader would look for and `evidence` doesn't hold."""
    held = {item.key.partition("/")[0] for item in evidence} | ({"subgroups"} if study.subgroup else set())
    return [
        Evidence.not_assessed(
            key=f"not_assessed/{topic}",
            metric="not_assessed",
            stage="validate",
            reason=reason,
            phantom=study.phantom,
        )
        for topic, reason in _left_out(study)
        if topic not in held
    ]


def _untried(study: Study) -> Iterator[tuple[str, str]]:
    """Yield what of robustness isn't tried, though the study asks for it or readers look for it."""
    apart = study.federation is not None
    if study.robustness is None and study.image_modalities:
        yield "robustness", "no disturbed image was tried"
    elif study.robustness is not None and apart:
        yield "robustness", "images lie at the sites, and a federated run doesn't ask for disturbed ones"
    elif study.robustness is not None and study.robustness.label_flips:
        yield "label_noise_training", "no model was trained again with wrong labels"


def _left_out(study: Study) -> Iterator[tuple[str, str]]:
    """Yield what these stages don't measure, each with the reason that holds for `study`."""
    if study.is_given:
        yield from MADE_ELSEWHERE.items()
        return
    images = bool(study.image_modalities)
    if study.federation is not None:
        pass  # the rounds' own evidence tells of it
    elif sum(site.role is Role.DEVELOPMENT for site in study.site) > 1:
        yield "federation", "one process read the data of all development sites; nothing was exchanged"
    else:
        yield "federation", "the study has one development site"
    if study.privacy is None:
        yield "differential_privacy", "training was not differentially private"
    yield "attacks", "no attack on privacy or integrity was run"
    yield from _untried(study)
    if not images:
        yield "explanation", "the study has no images to draw heatmaps over"
    yield "subgroups", "no subgroup other than sites and modality subsets was compared"
    yield "decision_curve", "no net benefit was computed"
    yield "readers", "no reader study was done"
    if images and not study.phantom:
        yield "deidentification", "files were read as they lie; none was cleaned or searched for names"
    yield "monitoring", "nothing is deployed, so nothing is monitored"
