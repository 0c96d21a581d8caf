"""`huizhen transfer rules`: the rules that decisions are made by, and the facts that they ask for."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from huizhen.cli.screen import Screen, screen_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from huizhen.data.transfer.law import Law

__all__ = ["command"]


def command(
    context: typer.Context,
    folder: Annotated[Path | None, typer.Option("--rules")] = None,
    place: Annotated[str, typer.Option("--place")] = "",
    as_of: Annotated[datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"])] = None,
    facts: Annotated[bool, typer.Option("--facts")] = False,
) -> None:
    """List rules, or facts."""
    screen = screen_of(context)
    from huizhen.data.transfer.law import laws_of
    from huizhen.data.transfer.study_decisions import today

    if facts:
        _facts(screen)
        return
    day = as_of.date() if as_of else today()
    laws = _of_place(laws_of(folder), place)
    screen.answer({"as_of": str(day), "laws": [law.model_dump(mode="json") for law in laws]})
    language = screen.language.value
    for law in laws:
        screen.plain(f"{law.id}  {getattr(law.title, language)}")
        if law.note is not None:
            screen.plain(f"  {getattr(law.note, language)}")
        for gate in law.gate:
            screen.plain(f"  {getattr(gate.title, language)}")
            _rules(screen, law, gate.id, day)
    screen.say("transfer.no_advice")


def _of_place(laws: Sequence[Law], place: str) -> list[Law]:
    """Return the laws that speak for senders in `place`, all without one. Raises `InvalidInputError`."""
    from huizhen.core.jurisdictions import CODES, meant_by
    from huizhen.errors import InvalidInputError

    code = place.strip().upper()
    if not code:
        return list(laws)
    known = sorted({one for law in laws for one in law.places})
    if code not in CODES:
        meant = meant_by(code)
        raise InvalidInputError(
            f"{place[:40]!r} is no ISO 3166 code of two letters",
            remedy=f"did you mean {meant}?" if meant else f"there are rules for: {', '.join(known)}",
            field="place",
        )
    if code not in known:
        raise InvalidInputError(
            f"there are no rules for senders in {code}",
            remedy=f"there are rules for: {', '.join(known)}",
            field="place",
        )
    return [law for law in laws if code in law.places]


def _rules(screen: Screen, law: Law, gate: str, day: date) -> None:
    """Print the rules of a gate; those that aren't in force say from when to when they are."""
    from huizhen.data.transfer.explain import condition_text

    for rule in law.rule:
        if rule.gate != gate:
            continue
        span = f"{rule.since}–{rule.until or ''}"
        force = "" if rule.in_force(day) else f" [{screen.text('transfer.not_in_force')}]"
        said = screen.text(f"transfer.decision.{rule.decision}")
        needs = f" [{', '.join(rule.documents)}]" if rule.documents else ""
        marks = f"{screen.text(f'transfer.verified.{rule.verified}')}; {span}{force}"
        language = screen.language
        when = "; ".join(condition_text(one, language) for one in rule.conditions)
        screen.plain(f"    {rule.id}  {said}: {when}{needs}")
        source = getattr(rule.source, language.value)
        screen.plain(f"      {getattr(rule.basis, language.value)} ({source}) [{marks}]")


def _facts(screen: Screen) -> None:
    """Print the facts that people tell, with the question of each."""
    from huizhen.data.transfer.facts import known_facts

    told = [fact for fact in known_facts().values() if not fact.derived]
    screen.answer({"facts": {fact.name: {"type": fact.type, **fact.ask} for fact in told}})
    for fact in told:
        screen.plain(f"{fact.name} ({fact.type}): {fact.ask[screen.language.value]}")
