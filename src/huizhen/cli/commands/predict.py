"""`huizhen predict`: a locked model's risks for the patients of a study file's sources, as a CSV."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli import paths
from huizhen.cli.screen import screen_of

__all__ = ["command"]


def command(
    context: typer.Context,
    model: Annotated[Path, typer.Argument()],
    study: Annotated[Path, typer.Argument()],
    out: Annotated[Path, typer.Option("--out")],
    data: Annotated[Path | None, typer.Option("--data")] = None,
) -> None:
    """Predict, and print where the table is."""
    screen = screen_of(context)
    root = paths.data_root(data)
    from huizhen.pipeline.predict import predict

    roots = [root] if root is not None else []
    written = predict(model, study, out=out, progress=screen.progress(), roots=roots)
    screen.answer({"predictions": str(written)})
    screen.say("predict.done", path=written)
