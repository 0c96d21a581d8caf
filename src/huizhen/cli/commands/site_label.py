"""`huizhen site label`: one reader's labels from a CSV into a site's queue."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli.screen import screen_of

__all__ = ["command"]


def command(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument()],
    file: Annotated[Path, typer.Argument()],
    reader: Annotated[str, typer.Option("--reader")],
    study: Annotated[str | None, typer.Option("--study")] = None,
    adjudicate: Annotated[bool, typer.Option("--adjudicate")] = False,
    withdraw: Annotated[bool, typer.Option("--withdraw")] = False,
) -> None:
    """Enter a reader's labels."""
    screen = screen_of(context)
    if adjudicate and withdraw:
        raise typer.BadParameter("--adjudicate and --withdraw exclude each other")
    from huizhen.federate.site.folder import SiteFolder
    from huizhen.pipeline.site_questions import enter_labels, open_questions

    site = SiteFolder.open(folder)
    done = enter_labels(site, file, reader=reader, study=study, adjudicate=adjudicate, withdraw=withdraw)
    left = len(open_questions(site, study=study))
    screen.answer({"new": done.new, "known": done.known, "open": left})
    screen.say("site.entered", new=done.new, known=done.known, left=left)
