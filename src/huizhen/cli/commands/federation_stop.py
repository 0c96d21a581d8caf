"""`huizhen federation stop`: stop the FLARE server or site of a kit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli.screen import screen_of

__all__ = ["command"]


def command(
    context: typer.Context,
    kit: Annotated[Path, typer.Argument()],
) -> None:
    """Stop the FLARE server or site of a kit."""
    screen = screen_of(context)
    from huizhen.federate.engines.flare import stop

    stopped = stop(kit)
    screen.answer({"kit": str(kit), "stopped": stopped})
    screen.say("federation.stopped" if stopped else "federation.idle", kit=kit)
