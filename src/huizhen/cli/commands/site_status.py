"""`huizhen site status`: who a site is, what it allows, what it holds, what left it."""

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
    """Show a site."""
    screen = screen_of(context)
    from huizhen.federate.outbox import read_outbox
    from huizhen.federate.site.folder import SiteFolder

    site = SiteFolder.open(folder)
    policy = site.policy()
    sent = list(read_outbox(site.path))
    studies = sorted(path.name for path in (site.path / "studies").glob("*"))
    size = sum(item.size for item in sent)
    screen.answer(
        {
            "name": site.name,
            "jurisdiction": site.jurisdiction,
            "public_key": site.key.public.hex,
            "policy": policy.model_dump(mode="json"),
            "studies": studies,
            "frames": len(sent),
            "bytes": size,
        }
    )
    screen.say("site.who", name=site.name, jurisdiction=site.jurisdiction or "-", key_id=site.key.key_id)
    screen.say(
        "site.allows",
        signers=len(policy.signers),
        plain=policy.plain_updates,
        smallest=policy.smallest_count,
        cohort=policy.minimum_cohort,
    )
    screen.say("site.studies", count=len(studies))
    screen.say("site.left", frames=len(sent), bytes=size)
