"""`huizhen catalogue publish`: index a site's data and sign its record."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli.screen import screen_of

__all__ = ["command"]


def command(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument()],
    out: Annotated[Path, typer.Option("--out")],
) -> None:
    """Index a site's data and sign its record."""
    screen = screen_of(context)
    from huizhen.core.files import write_bytes
    from huizhen.federate.catalogue.publishing import publish
    from huizhen.federate.site.folder import SiteFolder

    site = SiteFolder.open(folder)
    made = publish(site, progress=screen.progress())
    write_bytes(out, made.data)
    facts = made.facts.model_dump(mode="json")
    screen.answer(
        {"record": str(out), "site": site.name, "facts": facts, "kept": made.kept, "noise": not made.exact}
    )
    screen.say(
        "catalogue.published",
        file=out,
        subjects=made.facts.subjects,
        studies=screen.text("catalogue.untold") if made.facts.studies is None else made.facts.studies,
        site=site.name,
    )
    if made.kept:
        screen.say("catalogue.kept", smallest=made.facts.smallest)
    if made.exact:
        screen.say("catalogue.exact")
