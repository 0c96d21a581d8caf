"""`huizhen site risk`: how easily patients are found again in a table, and how to recode it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli.screen import screen_of

__all__ = ["command"]


def command(
    context: typer.Context,
    table: Annotated[Path, typer.Argument()],
    policy: Annotated[Path, typer.Option("--policy")],
    out: Annotated[Path, typer.Option("--out")],
) -> None:
    """Assess a table and suggest a recoding."""
    screen = screen_of(context)
    from huizhen.data.disclosure.assess import assess
    from huizhen.data.disclosure.beyond import beyond
    from huizhen.data.disclosure.policy import load_policy
    from huizhen.data.disclosure.report import RECODING, report_of, write_report

    found = assess(table, load_policy(policy), progress=screen.progress())
    more = beyond(found, table, policy.parent)
    page = write_report(found, out, screen.language, more)
    screen.answer(report_of(found) | more | {"report": str(page)})
    screen.say("site.risk", k=found.before.k, patients=found.data.people, report=page)
    if found.after is None:
        screen.say("site.no_recoding")
    elif not found.holds:
        screen.say("site.recoding", k=found.after.k, file=out / RECODING)
