"""`huizhen federation status`: show which sites are connected over FLARE, and which jobs run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli.screen import screen_of

__all__ = ["command"]


def command(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument()],
) -> None:
    """Show which sites are connected over FLARE, and which jobs run."""
    screen = screen_of(context)
    from huizhen.federate.engines.flare import Deployment, status

    found = status(Deployment.open(folder))
    sites = {name: float(silent) for name, silent in found.silent_s.items()}
    screen.answer({"silent_s": sites, "jobs": dict(found.jobs), "waiting": list(found.waiting)})
    for name, silent in sorted(sites.items()):
        screen.say("federation.site", name=name, silent=f"{silent:.0f}")
    screen.say("federation.jobs", jobs=len(found.jobs), waiting=len(found.waiting))
