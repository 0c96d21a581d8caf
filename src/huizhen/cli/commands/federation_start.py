"""`huizhen federation start`: start the FLARE server or site of a kit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli.screen import screen_of

__all__ = ["command"]


def command(
    context: typer.Context,
    kit: Annotated[Path, typer.Argument()],
    site: Annotated[Path | None, typer.Option("--site")] = None,
) -> None:
    """Start the FLARE server or site of a kit."""
    screen = screen_of(context)
    from huizhen.federate.engines.flare import attach, start_server, start_site

    if site is not None:
        attach(kit, site=site)

    server = kit.name == "server"
    pid = start_server(kit) if server else start_site(kit)
    screen.answer({"kit": str(kit), "pid": pid})
    screen.say("federation.started", kit=kit, pid=pid)
