"""`huizhen site attach`: tie a FLARE kit to the site's own folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli.screen import screen_of

__all__ = ["command"]


def command(
    context: typer.Context,
    kit: Annotated[Path, typer.Argument()],
    site: Annotated[Path, typer.Option("--site")],
) -> None:
    """Tie a FLARE kit to the site's own folder."""
    screen = screen_of(context)
    from huizhen.federate.engines.flare import attach
    from huizhen.federate.site.folder import SiteFolder

    name = SiteFolder.open(site).name
    attach(kit, site=site)
    screen.answer({"kit": str(kit), "site": name})
    screen.say("federation.attached", kit=kit, name=name)
