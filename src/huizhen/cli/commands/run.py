"""`huizhen run`: from the study file to the signed dossier, going on where it was stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli import outcome, paths
from huizhen.cli.screen import screen_of

__all__ = ["command"]


def command(
    context: typer.Context,
    file: Annotated[Path, typer.Argument()],
    out: Annotated[Path | None, typer.Option("--out")] = None,
    data: Annotated[Path | None, typer.Option("--data")] = None,
) -> None:
    """Run the study and print where its dossier is."""
    screen = screen_of(context)
    root = paths.data_root(data)
    from huizhen.pipeline.run import run_study

    result = run_study(
        file, out=out, data_root=root, home=paths.home(), progress=screen.progress(), language=screen.language
    )
    outcome.show_run(result, screen)
