"""`huizhen site approve`: a person's approval of a study at a site."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli.screen import screen_of

__all__ = ["command"]


def command(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument()],
    study: Annotated[Path, typer.Argument()],
    by: Annotated[str, typer.Option("--by")],
) -> None:
    """Note a person's approval."""
    screen = screen_of(context)
    from huizhen.core.study_file import load_study
    from huizhen.federate.site.folder import SiteFolder

    site, found = SiteFolder.open(folder), load_study(study)
    site.approve(found.digest, by=by)
    screen.answer({"name": site.name, "study": found.name, "digest": found.digest, "by": by})
    screen.say("site.approved", by=by, study=found.name, digest=found.digest[:16], name=site.name)
