"""The transfer stage: nothing starts unless the rules permit every flow of the study."""

from __future__ import annotations

from pathlib import Path

from huizhen.data.transfer.study_decisions import (
    changes_of,
    decisions_digest,
    decisions_of,
    require_permitted,
    study_laws,
    today,
    transfer_evidence,
)
from huizhen.pipeline.stage import Made, Run, Stage, study_part

__all__ = ["transfer_stage"]


def transfer_stage(run: Run, study_file: Path) -> Stage | None:
    """Decide every flow of the study; None where it has no [transfer].

    Asked anew at every start: a document may have run out since. Raises `PolicyError` where a flow isn't
    permitted, before any data is read.
    """
    if run.study.transfer is None:
        return None
    day = today()
    laws = study_laws(run.study, [*run.roots, study_file.parent])
    decisions = decisions_of(run.study, laws, day)
    require_permitted(decisions)
    for change in changes_of(run.study, laws, day):
        outcome = change.after.outcome.word
        run.progress.note(f"{change.day}: {change.after.flow.key}: {outcome}")

    def body(folder: Path) -> Made:
        return Made(evidence=[transfer_evidence(one, laws, phantom=run.study.phantom) for one in decisions])

    digest = decisions_digest(decisions, laws)
    made_from = {**study_part(run.study, "transfer", "site"), "decisions on transfers": digest}
    return run.stage("transfer", [run.study.digest, digest], body, made_from=made_from)
