"""What `huizhen study check` says of transfers: what stops a run, and what changes before it ends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from huizhen.core.study import Study
from huizhen.core.study_wording import Problem
from huizhen.data.transfer.decide import Decision, Outcome
from huizhen.data.transfer.study_decisions import changes_of, decisions_of, study_laws, wanted
from huizhen.errors import HuizhenError

__all__ = ["check_transfers"]


def check_transfers(study: Study, roots: Sequence[Path], day: date) -> tuple[list[Problem], list[Problem]]:
    """Return the problems and notes of a study's [transfer] as of `day`; none without one."""
    if study.transfer is None:
        return [], []
    try:
        laws = study_laws(study, roots)
        decisions = decisions_of(study, laws, day)
        changes = changes_of(study, laws, day)
    except HuizhenError as error:
        field = error.field or "transfer"
        return [Problem(field=field, reason=error.message, remedy=error.remedy)], []
    problems = [_problem(one) for one in decisions if one.outcome is not Outcome.PERMITTED]
    notes = [
        Problem(
            field="transfer",
            reason=f"from {change.day} on, {change.after.flow.key} is not permitted any more",
            remedy="renew what runs out, or end the study before: huizhen transfer check tells more",
        )
        for change in changes
        if change.after.outcome is not Outcome.PERMITTED
    ]
    if replaced := [law.id for law in laws if law.replaces]:
        notes.append(
            Problem(
                field="transfer.rules",
                reason=f"files of the study's own stand in the place of carried laws: {', '.join(replaced)}",
                remedy="have somebody compare them with those that huizhen transfer rules lists",
            )
        )
    if not problems:
        notes.append(
            Problem(
                field="transfer",
                reason=f"all {len(decisions)} flows are permitted as of {day}",
                remedy="huizhen transfer check tells by which rules",
            )
        )
    return problems, notes


def _problem(one: Decision) -> Problem:
    return Problem(
        field="transfer",
        reason=f"{one.flow.key} is not permitted by the rules: {wanted(one)}",
        remedy="see huizhen transfer check; tell facts and name documents that are held in [transfer]",
    )
