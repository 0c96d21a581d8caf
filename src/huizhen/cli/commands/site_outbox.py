"""`huizhen site outbox`: every frame that left a site."""

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
    """Show every frame that left the site."""
    screen = screen_of(context)
    from huizhen.federate.outbox import read_outbox
    from huizhen.federate.site.folder import SiteFolder

    sent = list(read_outbox(SiteFolder.open(folder).path))
    rows = [
        {name: getattr(item, name) for name in ("time", "kind", "study", "size", "digest")} for item in sent
    ]
    screen.answer({"sent": rows})
    for item in sent:
        screen.plain(f"{item.time}  {item.kind:<10}  {item.study[:12]}  {item.size:>12,}  {item.digest[:16]}")
    if not sent:
        screen.say("site.nothing")
