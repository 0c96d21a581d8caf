"""`huizhen verify`: recompute every digest, proof and signature of a dossier; the exit code says it all."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli import outcome
from huizhen.cli.screen import screen_of

__all__ = ["command"]


def command(
    context: typer.Context,
    dossier: Annotated[Path, typer.Argument()],
    key: Annotated[str | None, typer.Option("--key")] = None,
    head: Annotated[Path | None, typer.Option("--head")] = None,
) -> None:
    """Verify a dossier, or exit with the code of what was found wrong."""
    screen = screen_of(context)
    from huizhen.dossier.verification import verify_dossier
    from huizhen.ledger.reading import read_head

    external = read_head(head) if head else None
    verified = verify_dossier(dossier, expected_key_id=key, external_head=external)
    screen.answer(outcome.verified_record(dossier, verified))
    for line in outcome.verified_lines(dossier, verified, screen, key_was_expected=key is not None):
        screen.plain(line)
