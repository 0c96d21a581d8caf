"""`huizhen catalogue serve`: the portal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli.screen import screen_of

__all__ = ["command"]


def command(context: typer.Context, config: Annotated[Path, typer.Option("--config")]) -> None:
    """Serve the portal."""
    screen = screen_of(context)
    from huizhen.cli.error_words import shown
    from huizhen.portal.serving import serve
    from huizhen.portal.settings import load_settings

    settings = load_settings(config)
    screen.say("catalogue.serving", address=settings.portal.address)
    serve(settings, config, told=shown)
