"""`huizhen site queue`: which cases wait for a label at a site."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli.screen import screen_of

__all__ = ["command"]

SHOWN = ("study", "query", "rank", "case", "state", "answers", "readers", "reason", "labels")
"""What is printed: pseudonyms, without the hospital's own names."""


def command(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument()],
    study: Annotated[str | None, typer.Option("--study")] = None,
    reader: Annotated[str, typer.Option("--reader")] = "",
    csv: Annotated[Path | None, typer.Option("--csv")] = None,
) -> None:
    """List the open questions."""
    screen = screen_of(context)
    from huizhen.federate.site.folder import SiteFolder
    from huizhen.pipeline.site_questions import open_questions, write_questions

    found = open_questions(SiteFolder.open(folder), study=study, reader=reader)
    if csv is not None:
        write_questions(csv, found)
    screen.answer({"questions": [{name: getattr(one, name) for name in SHOWN} for one in found]})
    for one in found:
        screen.plain(
            f"{one.study}  {one.query:>3}  {one.rank:>4}  {one.case:<14}  "
            f"{one.state.value:<8}  {one.answers}/{one.readers}  {one.reason}"
        )
    screen.say("site.questions" if found else "site.no_questions", count=len(found))
    if csv is not None:
        screen.say("site.written", file=csv)
