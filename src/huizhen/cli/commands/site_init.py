"""`huizhen site init`: make a site's folder, key and policy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli.screen import screen_of

__all__ = ["command"]


def command(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument()],
    name: Annotated[str, typer.Option("--name")],
    data: Annotated[Path, typer.Option("--data")],
    jurisdiction: Annotated[str, typer.Option("--jurisdiction")] = "",
    lead: Annotated[str | None, typer.Option("--lead")] = None,
) -> None:
    """Make a site's folder, key and policy."""
    screen = screen_of(context)
    from huizhen.federate.site.folder import SiteFolder, accept_lead
    from huizhen.ledger.signing import PublicKey

    accepted = PublicKey(hex=lead) if lead else None
    site = SiteFolder.create(folder, name=name, data=data.resolve(), jurisdiction=jurisdiction)
    if accepted is not None:
        accept_lead(site, accepted)
    key = site.key.public.hex
    screen.answer({"name": name, "folder": str(folder), "public_key": key})
    screen.say("site.made", name=name, folder=folder, public_key=key)
