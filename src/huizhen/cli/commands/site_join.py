"""`huizhen site join`: accept a study lead's key at a site."""

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
    peers: Annotated[Path | None, typer.Option("--peers")] = None,
) -> None:
    """Accept a study lead's key at a site."""
    screen = screen_of(context)
    from huizhen.federate.site.folder import SiteFolder, accept_lead, enter_peer
    from huizhen.ledger.signing import PublicKey

    site = SiteFolder.open(folder)
    key = site.key.public.hex
    accept_lead(site, PublicKey(hex=lead))
    if peers is not None:
        enter_peer(peers, site.name, site.key.public)
    screen.answer({"name": site.name, "public_key": key, "lead": lead})
    screen.say("site.joined", name=site.name, lead=PublicKey(hex=lead).key_id, public_key=key)
