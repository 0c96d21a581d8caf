"""`huizhen catalogue search`: how many patients, studies and series meet a question, over sites."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from huizhen.cli.screen import Screen, screen_of
from huizhen.errors import HuizhenError, MessageError

if TYPE_CHECKING:
    from huizhen.federate.catalogue.envelopes import Answer
    from huizhen.federate.catalogue.totals import Total

__all__ = ["command"]

MEASURES = ("subjects", "studies", "series")


def command(
    context: typer.Context,
    question: Annotated[Path | None, typer.Argument()] = None,
    criterion: Annotated[list[str] | None, typer.Option("--with")] = None,
    site: Annotated[list[Path] | None, typer.Option("--site")] = None,
    portal: Annotated[str | None, typer.Option("--portal")] = None,
    peers: Annotated[Path | None, typer.Option("--peers")] = None,
    within: Annotated[str, typer.Option("--within")] = "series",
) -> None:
    """Count over sites' catalogues."""
    screen = screen_of(context)
    from huizhen.cli.catalogue_question import carrier_of, question_from
    from huizhen.data.catalogue.doubts import doubts_of
    from huizhen.federate.catalogue.asking import ask_sites
    from huizhen.federate.catalogue.totals import total_of

    query = question_from(question, criterion or [], within)
    doubts = doubts_of(query)
    for one in doubts:
        words = "catalogue.unknown_meant" if one.meant else "catalogue.unknown"
        screen.say(words, kind=one.key, value=one.value, meant=one.meant)
    carrier, keys, key = carrier_of(site or [], portal, peers)
    answers = ask_sites(query, keys, carrier, key=key, asker=key.key_id)
    totals = {measure: total_of(answers, measure) for measure in MEASURES}
    doubted = [{"key": one.key, "value": one.value, "meant": one.meant or None} for one in doubts]
    screen.answer(_plain(answers, totals) | {"question": query.plain(), "doubts": doubted})
    _print(screen, answers, totals, untold=getattr(carrier, "untold", {}))
    if not any(answers.values()):
        raise typer.Exit(MessageError.exit_code)


def _plain(answers: Mapping[str, Answer | None], totals: Mapping[str, Total]) -> dict[str, Any]:
    """Return everything as plain values."""
    sites = {
        name: said and said.model_dump(mode="json", exclude={"signature"}) for name, said in answers.items()
    }
    return {"sites": sites, "total": {measure: total.to_json() for measure, total in totals.items()}}


def _print(
    screen: Screen,
    answers: Mapping[str, Answer | None],
    totals: Mapping[str, Total],
    *,
    untold: Mapping[str, HuizhenError],
) -> None:
    """Print a line a site, and the sums where a site answered; `untold` says why a local one didn't."""
    for name, said in answers.items():
        if said is None and (why := untold.get(name)) is not None:
            reason, advice = screen.told(why.message), screen.told(why.remedy)
            screen.say("catalogue.silent_because", site=name, reason=f"{reason}.", advice=advice)
        elif said is None:
            screen.say("catalogue.silent", site=name)
        elif said.refused is not None:
            reason = f"{said.refused.code} {screen.told(said.refused.reason)}"
            screen.say("catalogue.refused", site=name, reason=reason, advice=screen.told(said.refused.remedy))
        else:
            told = {measure: _count(screen, getattr(said.counts, measure)) for measure in MEASURES}
            screen.say("catalogue.site", site=name, **told)
    if not any(answers.values()):
        return
    sums = {measure: _sum(screen, totals[measure]) for measure in MEASURES}
    names = ", ".join(totals["subjects"].told) or "-"
    screen.say("catalogue.total", **sums, sites=names)
    subjects = totals["subjects"]
    if subjects.low is not None:
        words = "catalogue.bounds" if subjects.few else "catalogue.bounds_all"
        screen.say(words, low=subjects.low, high=subjects.high)
    if subjects.few:
        screen.say("catalogue.few", sites=", ".join(subjects.few))


def _sum(screen: Screen, total: Total) -> str:
    """Return a sum as text; where no site told a number there is none."""
    if total.told:
        return str(total.value)
    return screen.text("catalogue.too_few" if total.few else "catalogue.untold")


def _count(screen: Screen, count: Any) -> str:
    """Return one count as text."""
    if count is None:
        return screen.text("catalogue.untold")
    return screen.text("catalogue.too_few") if count.value is None else str(count.value)
