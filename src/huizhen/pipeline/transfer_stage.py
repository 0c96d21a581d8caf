"""The transfer stage: nothing starts unless the rules permit every flow of the study."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from huizhen.data.transfer.decide import Decision
from huizhen.data.transfer.law import Law
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

__all__ = ["Permitted", "permitted_flows", "transfer_stage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Permitted:
    """The decisions on all flows of a study, each of which is permitted, and the laws they were made by."""

    decisions: tuple[Decision, ...]
    laws: tuple[Law, ...]


def permitted_flows(run: Run, study_file: Path) -> Permitted | None:
    """Return the decisions on the study's flows; None where it has no [transfer].

    Asked anew at every start, before the study is signed: a document may have run out since. Raises
    `PolicyError` where a flow isn't permitted.
    """
    if run.study.transfer is None:
        return None
    day = today()
    laws = study_laws(run.study, [*run.roots, study_file.parent], file=study_file.name)
    decisions = decisions_of(run.study, laws, day)
    require_permitted(decisions)
    for change in changes_of(run.study, laws, day):
        run.progress.note(f"{change.day}: {change.after.flow.key}: {change.after.outcome.word}")
    return Permitted(decisions=decisions, laws=laws)


def transfer_stage(run: Run, permitted: Permitted | None) -> Stage | None:
    """Enter the decisions in the ledger, again where they rest on something else than before."""
    if permitted is None:
        return None

    def body(folder: Path) -> Made:
        phantom = run.study.phantom
        found = [transfer_evidence(one, permitted.laws, phantom=phantom) for one in permitted.decisions]
        return Made(evidence=found)

    digest = decisions_digest(permitted.decisions, permitted.laws)
    made_from = {**study_part(run.study, "transfer", "site"), "decisions on transfers": digest}
    return run.stage("transfer", [run.study.digest, digest], body, made_from=made_from)
