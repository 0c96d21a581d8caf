"""`huizhen site policy`: check a site's policy and print what it allows."""

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
    """Check a site's policy and print what it allows."""
    screen = screen_of(context)
    from huizhen.federate.site.folder import SiteFolder, policy_toml

    site = SiteFolder.open(folder)
    policy = site.policy()
    screen.answer({"name": site.name, "policy": policy.model_dump(mode="json")})
    screen.plain(policy_toml(policy).rstrip())
    screen.say("site.policy_holds", name=site.name)
    if not policy.partners:
        screen.say("site.no_partners")
