"""`huizhen site audit`: the site's own ledger against the heads in a dossier."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli.screen import screen_of

__all__ = ["command"]


def command(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument()],
    dossier: Annotated[Path, typer.Argument()],
    key: Annotated[str | None, typer.Option("--key")] = None,
) -> None:
    """Check what this site had committed to and what it opened."""
    screen = screen_of(context)
    from huizhen.pipeline.site_audit import audit_site

    found = audit_site(folder, dossier, key_id=key)
    record = {"study": found.study, "entries": found.entries, "fixed": dict(found.fixed)}
    screen.answer({**record, "opened": found.opened})
    sizes = ", ".join(f"{moment} {size}" for moment, size in found.fixed.items())
    screen.say("site.audited", entries=found.entries, fixed=sizes, opened=found.opened)
