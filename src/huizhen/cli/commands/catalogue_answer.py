"""`huizhen catalogue answer`: a site answers what waits for it at a portal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli.screen import screen_of

__all__ = ["command"]


def command(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument()],
    portal: Annotated[str, typer.Option("--portal")],
    once: Annotated[bool, typer.Option("--once")] = False,
) -> None:
    """Answer what waits at a portal."""
    screen = screen_of(context)
    from huizhen.federate.site.folder import SiteFolder
    from huizhen.portal.post import answer_waiting

    site = SiteFolder.open(folder)
    screen.say("catalogue.answering", site=site.name, portal=portal)
    count = answer_waiting(site, portal, once=once)
    screen.answer({"site": site.name, "answered": count})
    screen.say("catalogue.answered", count=count)
