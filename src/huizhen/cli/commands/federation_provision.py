"""`huizhen federation provision`: make certificates and kits for a federation over NVIDIA FLARE."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli.screen import screen_of

__all__ = ["command"]


def command(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument()],
    lead: Annotated[str, typer.Option("--lead")],
    site: Annotated[list[str], typer.Option("--site")],
    host: Annotated[str, typer.Option("--host")],
    port: Annotated[int, typer.Option("--port")] = 8002,
) -> None:
    """Make certificates and kits for a federation over NVIDIA FLARE."""
    screen = screen_of(context)
    from huizhen.federate.engines.flare import provision

    made = provision(folder, lead=lead, sites=site, host=host, port=port)
    kits = {name: str(made.site(name)) for name in site}
    screen.answer({"server": str(made.server), "sites": kits})
    screen.say("federation.server", kit=made.server)
    for name, kit in kits.items():
        screen.say("federation.kit", name=name, kit=kit)
