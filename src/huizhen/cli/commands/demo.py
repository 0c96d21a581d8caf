"""`huizhen demo`: a three-hospital study on simulated patients, from nothing to a verified dossier."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli import outcome, paths
from huizhen.cli.screen import screen_of

__all__ = ["command"]


def command(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument()] = Path("huizhen-demo"),
    patients: Annotated[int | None, typer.Option("--patients", min=12, max=10_000)] = None,
) -> None:
    """Run the demo, then verify its dossier."""
    screen = screen_of(context)
    from huizhen.dossier.verification import verify_dossier
    from huizhen.pipeline.demo import run_demo

    screen.say("demo.phantom")
    result = run_demo(
        folder, progress=screen.progress(), language=screen.language, patients=patients, home=paths.home()
    )
    verified = verify_dossier(result.dossier, expected_key_id=result.key_id)
    outcome.show_run(result, screen, verified=verified)
