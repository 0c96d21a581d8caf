"""`huizhen site serve`: answer the study lead at a local socket."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli.screen import screen_of

__all__ = ["command"]


def command(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument()],
    socket: Annotated[Path, typer.Option("--socket")],
) -> None:
    """Answer the study lead at a local socket."""
    screen = screen_of(context)
    from huizhen.federate.engines.local import serve
    from huizhen.federate.site.folder import SiteFolder
    from huizhen.federate.site.lock import alone
    from huizhen.federate.site.worker import Worker
    from huizhen.pipeline.site_learner import open_learner

    site = SiteFolder.open(folder)
    screen.say("site.who", name=site.name, jurisdiction=site.jurisdiction or "-", key_id=site.key.key_id)
    with alone(site.path):
        serve(socket, name=site.name, key=site.key, answer=Worker(site, open_learner).answer)
