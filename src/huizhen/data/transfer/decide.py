"""The decision on a flow: every law that speaks for its sender, the strictest first; unknown is no."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import IntEnum

from huizhen.core.study_transfer import HeldDocument
from huizhen.data.transfer.conditions import Facts, all_hold
from huizhen.data.transfer.facts import known_facts
from huizhen.data.transfer.flows import Flow
from huizhen.data.transfer.law import Gate, Law, Rule

__all__ = ["Decision", "GateFinding", "Outcome", "RuleFinding", "decide", "outcome_counts"]


class Outcome(IntEnum):
    """How a flow stands, from free to forbidden: the larger wins."""

    PERMITTED = 0
    NEEDS_DOCUMENTS = 1
    UNDECIDED = 2
    FORBIDDEN = 3

    @property
    def word(self) -> str:
        """The outcome's name in reports."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFinding:
    """A rule that holds, or (`holds` None) may hold: facts that are missing, documents held and not held.

    `expired` are documents that were held and no longer are.
    """

    rule: Rule
    holds: bool | None
    unknown: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    expired: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFinding:
    """How one gate of a law stands, and the rules that it rests on."""

    law: str
    gate: Gate
    outcome: Outcome
    rules: tuple[RuleFinding, ...]
    reason: str = ""
    """no_basis: nothing permits it; rules_ended: all ran out; law_scope: unknown whether the law applies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The decision on a flow as of `day`: the strictest of its gates, or the `reason` why there is none.

    `reason` is no_border, unknown_sender, unknown_receiver or no_rules. `replaced` are the carried laws in
    whose place a file of one's own was asked.
    """

    flow: Flow
    day: date
    outcome: Outcome
    gates: tuple[GateFinding, ...] = ()
    reason: str = ""
    replaced: tuple[str, ...] = ()

    def _deciding(self) -> list[RuleFinding]:
        return [one for gate in self.gates if gate.outcome is self.outcome for one in gate.rules]

    @property
    def rules(self) -> tuple[str, ...]:
        """The ids of the rules that the decision rests on."""
        chosen = (
            self._deciding()
            if self.outcome is not Outcome.PERMITTED
            else [one for gate in self.gates for one in gate.rules]
        )
        return tuple(dict.fromkeys(one.rule.id for one in chosen))

    @property
    def unknown(self) -> tuple[str, ...]:
        """The facts that are missing."""
        return tuple(dict.fromkeys(name for one in self._deciding() for name in one.unknown))

    @property
    def lacking(self) -> tuple[str, ...]:
        """The documents that are missing, of all rules that would do."""
        found = [one for gate in self.gates if gate.outcome >= Outcome.NEEDS_DOCUMENTS for one in gate.rules]
        return tuple(dict.fromkeys(name for one in found for name in one.lacking))

    @property
    def held(self) -> tuple[str, ...]:
        """The ids of documents that the decision rests on."""
        return tuple(dict.fromkeys(name for gate in self.gates for one in gate.rules for name in one.held))

    @property
    def expired(self) -> tuple[str, ...]:
        """The ids of documents that have run out."""
        return tuple(dict.fromkeys(name for gate in self.gates for one in gate.rules for name in one.expired))

    @property
    def told(self) -> tuple[str, ...]:
        """The facts that people told and the decision rests on."""
        held = [
            one for gate in self.gates for rule in gate.rules if rule.holds for one in rule.rule.conditions
        ]
        names = dict.fromkeys(_told_as(one.fact, self.flow.kind.value) for one in held)
        return tuple(name for name in names if not known_facts()[name].derived)

    @property
    def unverified(self) -> tuple[str, ...]:
        """The rules that it rests on and no source was found for: from memory, or a choice of the file."""
        found = [one.rule for gate in self.gates for one in gate.rules]
        return tuple(dict.fromkeys(rule.id for rule in found if rule.verified != "source"))


def _told_as(fact: str, kind: str) -> str:
    """Return the name that people tell a fact by: that updates are anonymous, say, for what crosses."""
    return f"{kind}_anonymous" if fact == "anonymous" else fact


def decide(
    flow: Flow, facts: Facts, documents: Sequence[HeldDocument], laws: Sequence[Law], *, day: date
) -> Decision:
    """Return the decision on `flow` as of `day`.

    A sender whose jurisdiction isn't known, or for whom there is no law, can't be decided; where sender and
    receiver are in one jurisdiction and no law asks more, nothing crosses a border.
    """
    found = _decided(flow, facts, documents, laws, day)
    return replace(found, replaced=tuple(law.id for law in laws if law.replaces))


def _decided(
    flow: Flow, facts: Facts, documents: Sequence[HeldDocument], laws: Sequence[Law], day: date
) -> Decision:
    if not flow.origin:
        return Decision(flow=flow, day=day, outcome=Outcome.UNDECIDED, reason="unknown_sender")
    speaking = [law for law in laws if flow.origin in law.places]
    found = [gate for law in speaking for gate in _gates(law, facts, flow, documents, day)]
    crosses = facts.get("crosses_border")
    if not flow.destination:
        return Decision(
            flow=flow, day=day, outcome=Outcome.UNDECIDED, gates=tuple(found), reason="unknown_receiver"
        )
    if not found:
        if crosses is False:
            return Decision(flow=flow, day=day, outcome=Outcome.PERMITTED, reason="no_border")
        if not speaking:
            return Decision(flow=flow, day=day, outcome=Outcome.UNDECIDED, reason="no_rules")
    return Decision(
        flow=flow,
        day=day,
        outcome=max((gate.outcome for gate in found), default=Outcome.UNDECIDED),
        gates=tuple(found),
        reason="" if found else "no_rules",
    )


def _gates(
    law: Law, facts: Facts, flow: Flow, documents: Sequence[HeldDocument], day: date
) -> list[GateFinding]:
    """Return the findings of a law's gates; none where it doesn't apply."""
    applies = all_hold(law.conditions, facts)
    if applies is False:
        return []
    found = []
    for gate in law.gate:
        rules = [rule for rule in law.rule if rule.gate == gate.id and rule.in_force(day)]
        if rules:
            found.append(_gate(law, gate, rules, facts, flow, documents, day))
        elif ended := [rule for rule in law.rule if rule.gate == gate.id and rule.since <= day]:
            found.append(_shut(law, gate, ended))
    if applies is None and any(one.outcome is not Outcome.PERMITTED for one in found):
        unknown = tuple(dict.fromkeys(one.fact for one in law.conditions if one.holds(facts) is None))
        asked = RuleFinding(rule=law.rule[0], holds=None, unknown=unknown)
        return [
            GateFinding(
                law=law.id, gate=law.gate[0], outcome=Outcome.UNDECIDED, rules=(asked,), reason="law_scope"
            )
        ]
    return found


def _shut(law: Law, gate: Gate, ended: Sequence[Rule]) -> GateFinding:
    """Return that a gate whose rules have all run out lets nothing through: what they asked isn't dropped."""
    rules = tuple(RuleFinding(rule=rule, holds=False) for rule in ended)
    return GateFinding(law=law.id, gate=gate, outcome=Outcome.FORBIDDEN, rules=rules, reason="rules_ended")


def _gate(
    law: Law,
    gate: Gate,
    rules: Sequence[Rule],
    facts: Facts,
    flow: Flow,
    documents: Sequence[HeldDocument],
    day: date,
) -> GateFinding:
    """Return how a gate stands: closed, opened by an exemption, or by the documents that are held."""
    findings = {rule.id: _finding(rule, facts, flow, documents, day) for rule in rules}

    def made(outcome: Outcome, chosen: Sequence[RuleFinding], reason: str = "") -> GateFinding:
        return GateFinding(law=law.id, gate=gate, outcome=outcome, rules=tuple(chosen), reason=reason)

    def of(decision: str, holds: bool | None) -> list[RuleFinding]:
        return [f for f in findings.values() if f.rule.decision == decision and f.holds is holds]

    if closed := of("forbid", True):
        return made(Outcome.FORBIDDEN, closed)
    if exempt := of("exempt", True):
        return made(Outcome.PERMITTED, exempt)
    if closing := of("forbid", None):
        return made(Outcome.UNDECIDED, closing)
    met, open_ = of("permit", True), of("permit", None)
    ready = [one for one in met if not one.lacking]
    if gate.mode == "any" and ready:
        return made(Outcome.PERMITTED, ready[:1])
    asked = {name for one in met for name in one.lacking}
    if gate.mode == "all" and (more := [one for one in open_ if set(one.lacking) - asked]):
        return made(Outcome.UNDECIDED, more)
    if met and len(ready) == len(met):
        return made(Outcome.PERMITTED, met)
    if met:
        return made(Outcome.NEEDS_DOCUMENTS, [*met, *open_] if gate.mode == "any" else met)
    if open_ or of("exempt", None):
        return made(Outcome.UNDECIDED, open_ or of("exempt", None))
    return made(Outcome.FORBIDDEN, [], "no_basis")


def _finding(
    rule: Rule, facts: Facts, flow: Flow, documents: Sequence[HeldDocument], day: date
) -> RuleFinding:
    """Return how a rule stands with what is known and held."""
    unknown = tuple(dict.fromkeys(one.fact for one in rule.conditions if one.holds(facts) is None))
    held: list[str] = []
    lacking: list[str] = []
    expired: list[str] = []
    for kind in rule.documents:
        of_kind = [one for one in documents if one.covers(kind, flow.sender, flow.receiver)]
        valid = [one.id for one in of_kind if one.valid(day)]
        held += valid[:1]
        lacking += [] if valid else [kind]
        expired += [one.id for one in of_kind if not valid and one.expires is not None and one.expires < day]
    return RuleFinding(
        rule=rule,
        holds=all_hold(rule.conditions, facts),
        unknown=unknown,
        held=tuple(held),
        lacking=tuple(lacking),
        expired=tuple(expired),
    )


def outcome_counts(decisions: Sequence[Decision]) -> Mapping[str, int]:
    """Return how many flows each outcome holds for."""
    return {one.word: sum(d.outcome is one for d in decisions) for one in Outcome}
