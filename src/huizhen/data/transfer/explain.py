"""A decision in words: the outcome, the rules that it rests on with their sources, what is missing."""

from __future__ import annotations

from collections.abc import Iterator

from huizhen.core.words import Language, word
from huizhen.data.transfer.decide import Decision, GateFinding, Outcome, RuleFinding
from huizhen.data.transfer.documents import document_titles
from huizhen.data.transfer.facts import known_facts

__all__ = ["decision_lines"]

_ROOM = "huizhen.data.transfer"


def decision_lines(decision: Decision, language: Language) -> list[str]:
    """Return a decision as lines: the flow first, then each gate that decides it, or all that opened it."""
    flow = decision.flow

    def say(key: str, **values: object) -> str:
        return word(_ROOM, language, key, **values)

    head = say(
        "head",
        sender=flow.sender,
        origin=flow.origin or "?",
        receiver=flow.receiver,
        destination=flow.destination or "?",
        kind=say(f"kind.{flow.kind.value}"),
        outcome=say(f"outcome.{decision.outcome.word}"),
    )
    lines = [head]
    if decision.replaced:
        lines.append("  " + say("replaced", laws=", ".join(decision.replaced)))
    if decision.reason:
        lines.append("  " + say(f"because.{decision.reason}"))
    shown = [gate for gate in decision.gates if gate.outcome is decision.outcome]
    for gate in shown:
        lines += [f"  {line}" for line in _gate_lines(gate, language)]
    return lines


def _gate_lines(gate: GateFinding, language: Language) -> Iterator[str]:
    def say(key: str, **values: object) -> str:
        return word(_ROOM, language, key, **values)

    yield f"{gate.law}: {getattr(gate.gate.title, language.value)}"
    if gate.reason:
        yield "  " + say(f"because.{gate.reason}")
    for one in gate.rules:
        if gate.reason != "law_scope":
            rule = one.rule
            mark = "" if rule.verified == "source" else f" [{say(f'verified.{rule.verified}')}]"
            yield f"  {rule.id}: {getattr(rule.basis, language.value)} ({rule.source}){mark}"
        for line in _missing(one, gate.outcome, language):
            yield f"    {line}"


def _missing(one: RuleFinding, outcome: Outcome, language: Language) -> Iterator[str]:
    """Yield what a rule still wants, and the question that a person must look at."""

    def say(key: str, **values: object) -> str:
        return word(_ROOM, language, key, **values)

    for name in one.unknown:
        yield say("needs_fact", fact=name, ask=known_facts()[name].ask[language.value])
    if outcome is not Outcome.PERMITTED:
        for kind in one.lacking:
            title = document_titles().get(kind, {}).get(language.value, kind)
            yield say("needs_document", kind=kind, title=title)
        for number in one.expired:
            yield say("expired", id=number)
    for number in one.held:
        yield say("held", id=number)
    if one.rule.ask is not None:
        yield say("ask", ask=getattr(one.rule.ask, language.value))
