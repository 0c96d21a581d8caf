"""`huizhen federation lead`: run a federated study as its lead."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from huizhen.cli import outcome, paths
from huizhen.cli.screen import screen_of
from huizhen.errors import InvalidInputError

if TYPE_CHECKING:
    from huizhen.federate.engines.flare import FlareEngine
    from huizhen.federate.engines.local import LocalEngine
    from huizhen.ledger.signing import PublicKey

__all__ = ["command"]

CONNECT_S = 60.0
"""How long the lead waits for all sites to connect before it begins with those that have."""


def command(
    context: typer.Context,
    file: Annotated[Path, typer.Argument()],
    out: Annotated[Path, typer.Option("--out")],
    peers: Annotated[Path, typer.Option("--peers")],
    socket: Annotated[Path | None, typer.Option("--socket")] = None,
    flare: Annotated[Path | None, typer.Option("--flare")] = None,
    form: Annotated[Path | None, typer.Option("--form")] = None,
    checklist: Annotated[list[Path] | None, typer.Option("--checklist")] = None,
    evidence: Annotated[list[Path] | None, typer.Option("--evidence")] = None,
) -> None:
    """Run a federated study as its lead."""
    screen = screen_of(context)
    from huizhen.pipeline.federated_run import run_federated
    from huizhen.pipeline.local_sites import read_peers
    from huizhen.pipeline.reporting import Reporting

    known = read_peers(peers)
    engine = _engine(socket, flare, known)
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
            reporting=Reporting(form=form, checklists=tuple(checklist or ()), evidence=tuple(evidence or ())),
        )
    finally:
        engine.close()
    outcome.show_run(result, screen)


def _engine(
    socket: Path | None, flare: Path | None, peers: Mapping[str, PublicKey]
) -> LocalEngine | FlareEngine:
    """Return the engine that the options name. Raises `InvalidInputError` unless they name one."""
    if (socket is None) == (flare is None):
        raise InvalidInputError(
            "one of --socket and --flare is needed",
            remedy="give the socket, or FLARE's folder",
            field="--flare",
        )
    if flare is not None:
        from huizhen.federate.engines.flare import Deployment, FlareEngine

        return FlareEngine(Deployment.open(flare), sorted(peers))
    from huizhen.federate.engines.local import LocalEngine

    assert socket is not None
    return LocalEngine(socket, peers)
