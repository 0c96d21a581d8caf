"""`huizhen transfer rules`: the rules that decisions are made by, and the facts that they ask for."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from huizhen.cli.screen import Screen, screen_of

if TYPE_CHECKING:
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
    laws = [law for law in laws_of(folder) if not place or place.upper() in law.places]
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


def _rules(screen: Screen, law: Law, gate: str, day: date) -> None:
    """Print the rules of a gate; those that aren't in force say from when to when they are."""
    for rule in law.rule:
        if rule.gate != gate:
            continue
        span = f"{rule.since}–{rule.until or ''}"
        force = "" if rule.in_force(day) else f" [{screen.text('transfer.not_in_force')}]"
        said = screen.text(f"transfer.decision.{rule.decision}")
        needs = f" [{', '.join(rule.documents)}]" if rule.documents else ""
        marks = f"{screen.text(f'transfer.verified.{rule.verified}')}; {span}{force}"
        screen.plain(f"    {rule.id}  {said}: {'; '.join(rule.when)}{needs}")
        screen.plain(f"      {getattr(rule.basis, screen.language.value)} ({rule.source}) [{marks}]")


def _facts(screen: Screen) -> None:
    """Print the facts that people tell, with the question of each."""
    from huizhen.data.transfer.facts import known_facts

    told = [fact for fact in known_facts().values() if not fact.derived]
    screen.answer({"facts": {fact.name: {"type": fact.type, **fact.ask} for fact in told}})
    for fact in told:
        screen.plain(f"{fact.name} ({fact.type}): {fact.ask[screen.language.value]}")
