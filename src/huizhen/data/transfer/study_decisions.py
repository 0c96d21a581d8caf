"""The decisions on all flows of a study, what changes before it ends, and evidence of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from huizhen.core.digests import Digest, digest_value
from huizhen.core.evidence import Evidence, Verdict
from huizhen.core.study import Study
from huizhen.data.readers.paths import find_path
from huizhen.data.transfer.decide import Decision, Outcome, decide
from huizhen.data.transfer.flows import facts_of, flows_of
from huizhen.data.transfer.law import Law, laws_of
from huizhen.data.transfer.plan_checks import check_plan
from huizhen.errors import DataError, PolicyError

__all__ = [
    "Change",
    "changes_of",
    "decisions_digest",
    "decisions_of",
    "require_permitted",
    "study_laws",
    "today",
    "transfer_evidence",
    "wanted",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """On `day`, the decision on a flow becomes another one."""

    day: date
    before: Decision
    after: Decision


def today() -> date:
    """Return the day that rules are held against, in universal time."""
    return datetime.now(UTC).date()


def study_laws(study: Study, roots: Sequence[Path], *, file: str | None = None) -> tuple[Law, ...]:
    """Return the laws for a study: those that huizhen carries, and its own folder's.

    Raises `PolicyError` for a folder or file of rules that can't be used, and for a name in [transfer] that
    none of them knows; `file`: the study's, for messages.
    """
    own = study.transfer.rules if study.transfer else None
    try:
        found = laws_of(find_path(own, roots, field="transfer.rules")) if own is not None else laws_of()
    except DataError as error:
        raise PolicyError(error.message, remedy=error.remedy, field="transfer.rules", file=own) from error
    check_plan(study, found, file=file)
    return found


def decisions_of(study: Study, laws: Sequence[Law], day: date) -> tuple[Decision, ...]:
    """Return the decision on each flow as of `day`. Raises `InvalidInputError` for a fact that is none."""
    documents = study.transfer.document if study.transfer else []
    return tuple(
        decide(flow, facts_of(study, flow, day), documents, laws, day=day) for flow in flows_of(study)
    )


def changes_of(study: Study, laws: Sequence[Law], day: date) -> tuple[Change, ...]:
    """Return what changes after `day` until the study ends; nothing where it doesn't say when it does.

    Rules come into force or run out, documents do, and numbers counted since 1 January begin anew.
    """
    until = study.transfer.until if study.transfer else None
    if until is None:
        return ()
    found: list[Change] = []
    before = decisions_of(study, laws, day)
    for then in _days(study, laws, day, until):
        after = decisions_of(study, laws, then)
        found += [
            Change(day=then, before=one, after=other)
            for one, other in zip(before, after, strict=True)
            if one.outcome is not other.outcome
        ]
        before = after
    return tuple(found)


def _days(study: Study, laws: Sequence[Law], day: date, until: date) -> list[date]:
    """Return the days after `day` up to `until` on which something may change, in order."""
    next_day = timedelta(days=1)
    ends = [rule.until for law in laws for rule in law.rule]
    held = study.transfer.document if study.transfer else []
    ends += [one.expires for one in held]
    found = {rule.since for law in laws for rule in law.rule} | {one.issued for one in held}
    found |= {end + next_day for end in ends if end is not None}
    found |= {date(year, 1, 1) for year in range(day.year + 1, until.year + 1)}
    return sorted(one for one in found if day < one <= until)


def require_permitted(decisions: Sequence[Decision]) -> None:
    """Check that every flow is permitted. Raises `PolicyError` that names those that aren't."""
    refused = [one for one in decisions if one.outcome is not Outcome.PERMITTED]
    if refused:
        named = "; ".join(f"{one.flow.key} ({wanted(one)})" for one in refused[:6])
        raise PolicyError(
            f"{len(refused)} of {len(decisions)} flows are not permitted by the rules: {named}",
            remedy="see huizhen transfer check; tell facts and name documents that are held in [transfer]",
            field="transfer",
        )


def wanted(one: Decision) -> str:
    """Return in short what a decision wants: names of facts, documents or rules."""
    match one.outcome:
        case Outcome.NEEDS_DOCUMENTS:
            return ", ".join(one.lacking)
        case Outcome.UNDECIDED:
            return ", ".join(one.unknown) or one.reason
        case _:
            return ", ".join(one.rules) or "no_basis"


def decisions_digest(decisions: Sequence[Decision], laws: Sequence[Law]) -> Digest:
    """Return a digest over decisions and laws that doesn't change with the calendar alone."""
    said = [
        [one.flow.key, one.flow.origin, one.flow.destination, one.outcome.word, *one.rules, "", *one.held]
        for one in decisions
    ]
    return digest_value([said, sorted([law.id, law.digest] for law in laws)])


def transfer_evidence(decision: Decision, laws: Sequence[Law], *, phantom: bool) -> Evidence:
    """Return what a dossier says of a flow: the decision, its rules and documents, and what is missing."""
    flow = decision.flow
    used = {gate.law for gate in decision.gates}
    permitted = decision.outcome is Outcome.PERMITTED
    return Evidence(
        key=f"transfer/{flow.sender}/{flow.receiver}/{flow.kind.value}",
        metric="transfer",
        stage="protocol",
        unit="flow",
        descriptive=True,
        phantom=phantom,
        verdict=Verdict.PASS if permitted else Verdict.FAIL,
        reason="the rules permit it" if permitted else "the rules don't permit it",
        inputs=tuple(law.digest for law in laws if law.id in used),
        detail={
            "sender": flow.sender,
            "receiver": flow.receiver,
            "kind": flow.kind.value,
            "origin": flow.origin,
            "destination": flow.destination,
            "outcome": decision.outcome.word,
            "because": decision.reason,
            "laws": sorted(used),
            "rules": list(decision.rules),
            "documents": list(decision.held),
            "missing": [*decision.unknown, *decision.lacking],
            "unverified": list(decision.unverified),
            "replaced": list(decision.replaced),
            "told": list(decision.told),
            "day": decision.day.isoformat(),
        },
    )
