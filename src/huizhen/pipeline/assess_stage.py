"""The assessment stage: clinical validation of the locked predictions, and what is not assessed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from huizhen.core.evidence import Evidence, Verdict
from huizhen.pipeline.phantom_truth import COHORT_WORDS, against_truth
from huizhen.pipeline.predict_stage import Opened
from huizhen.pipeline.stage import Made, Run, Stage
from huizhen.validate.assess import assess, endpoints_not_assessed

NOT_ASSESSED: Mapping[str, str] = {
    "federation": "this version trains in one process over all development sites; nothing was exchanged",
    "differential_privacy": "training was not differentially private",
    "attacks": "no attack on privacy or integrity was run",
    "subgroups": "no subgroup other than sites and modality subsets was compared",
    "decision_curve": "no net benefit was computed",
    "readers": "no reader study was done",
    "monitoring": "nothing is deployed, so nothing is monitored",
}
"""What a reader of the dossier would look for and this version doesn't measure, each with the reason."""


def assess_stage(run: Run, opened: Opened) -> Stage:
    """Validate each cohort's predictions, and say what is not assessed."""

    def body(folder: Path) -> Made:
        evidence: list[Evidence] = []
        for predictions in opened.predictions.values():
            evidence += assess(predictions, run.study, phantom=run.study.phantom)
        done = {COHORT_WORDS[part] for part in opened.predictions}
        for cohort in COHORT_WORDS.values():
            if cohort not in done:
                evidence += endpoints_not_assessed(
                    run.study,
                    cohort=cohort,
                    reason="no such patients in the study",
                    phantom=run.study.phantom,
                )
        if run.study.phantom_truth:
            evidence += against_truth(run, opened)
        return Made(evidence=[*evidence, *_not_assessed(run)])

    settings = run.study.model_dump(mode="json", include={"endpoint", "phantom", "phantom_truth"})
    return run.stage("assess", [opened.stage.digest, settings], body)


def _not_assessed(run: Run) -> list[Evidence]:
    """Return one line for everything that this version doesn't measure."""
    return [
        Evidence(
            key=f"not_assessed/{topic}",
            metric="not_assessed",
            stage="validate",
            verdict=Verdict.NOT_ASSESSED,
            reason=reason,
            phantom=run.study.phantom,
        )
        for topic, reason in NOT_ASSESSED.items()
    ]
