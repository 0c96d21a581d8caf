"""`huizhen federation lead`: run a federated study as its lead."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli import outcome, paths
from huizhen.cli.screen import screen_of

__all__ = ["command"]

CONNECT_S = 60.0
"""How long the lead waits for all sites to connect before it begins with those that have."""


def command(
    context: typer.Context,
    file: Annotated[Path, typer.Argument()],
    out: Annotated[Path, typer.Option("--out")],
    peers: Annotated[Path, typer.Option("--peers")],
    socket: Annotated[Path, typer.Option("--socket")],
) -> None:
    """Run a federated study as its lead."""
    screen = screen_of(context)
    from huizhen.federate.engines.local import LocalEngine
    from huizhen.pipeline.federated_run import run_federated
    from huizhen.pipeline.local_sites import read_peers

    known = read_peers(peers)
    engine = LocalEngine(socket, known)
    try:
        engine.wait_for(list(known), timeout_s=CONNECT_S)
        result = run_federated(
            file,
            out=out,
            engine=engine,
            peers=known,
            home=paths.home(),
            progress=screen.progress(),
            language=screen.language,
        )
    finally:
        engine.close()
    outcome.show_run(result, screen)
