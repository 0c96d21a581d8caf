"""A decision in words: the outcome, the rules that it rests on with their sources, what is missing."""

from __future__ import annotations

from collections.abc import Iterator

from huizhen.core.words import Language, word
from huizhen.data.transfer.conditions import Condition
from huizhen.data.transfer.decide import Decision, GateFinding, Outcome, RuleFinding
from huizhen.data.transfer.documents import document_titles
from huizhen.data.transfer.facts import known_facts

__all__ = ["condition_text", "decision_lines"]

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
    if decision.told:
        lines.append("  " + say("told", facts=", ".join(decision.told)))
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
            basis, source = (getattr(one, language.value) for one in (rule.basis, rule.source))
            yield f"  {rule.id}: {basis} ({source}){mark}"
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


def condition_text(condition: Condition, language: Language) -> str:
    """Return a condition in words; in English as the file has it, which is what one writes there.

    >>> from huizhen.data.transfer.conditions import parse_condition
    >>> found = parse_condition("sensitive_persons >= 10000", {})
    >>> condition_text(found, Language.ZH)
    '当年累计敏感个人信息人数（sensitive_persons）≥ 10,000'
    """
    if language is Language.EN:
        return condition.text
    fact = known_facts()[condition.fact]
    called = word(_ROOM, language, "condition.fact", called=fact.called[language.value], name=fact.name)
    match condition.value:
        case bool():
            return word(_ROOM, language, f"condition.{'yes' if condition.value else 'no'}", called=called)
        case frozenset():
            among = "not_among" if condition.op == "not in" else "among"
            named = "、".join(_named(fact.name, one, language) for one in sorted(condition.value))
            return word(_ROOM, language, f"condition.{among}", called=called, named=named)
        case int():
            return f"{called}{_SIGNS.get(condition.op, condition.op)} {condition.value:,}"
    return f"{called}{_SIGNS.get(condition.op, condition.op)} {condition.value}"


_SIGNS = {">=": "≥", "<=": "≤", "!=": "≠"}


def _named(fact: str, value: str, language: Language) -> str:
    """Return a word of a fact; kinds of what crosses have names of their own."""
    return word(_ROOM, language, f"kind.{value}") if fact == "kind" else value
