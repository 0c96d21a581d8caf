"""`huizhen catalogue new`: a site's catalogue.toml to be filled in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli.screen import screen_of

__all__ = ["command"]


def command(context: typer.Context, folder: Annotated[Path, typer.Argument()]) -> None:
    """Write a catalogue.toml to be filled in."""
    screen = screen_of(context)
    from huizhen.data.catalogue.template import write_template
    from huizhen.federate.site.folder import SiteFolder

    path = write_template(SiteFolder.open(folder).path)
    screen.answer({"file": str(path)})
    screen.say("catalogue.made", file=path)
