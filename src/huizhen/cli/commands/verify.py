"""`huizhen verify`: recompute every digest, proof and signature of a dossier; the exit code says it all."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from huizhen.cli import outcome
from huizhen.cli.screen import Screen, screen_of
from huizhen.errors import VerificationError

if TYPE_CHECKING:
    from huizhen.pipeline.recompute import Recomputed

__all__ = ["command"]

MOST_SHOWN = 20
"""How many differing values are printed; --json has all."""


def command(
    context: typer.Context,
    dossier: Annotated[Path, typer.Argument()],
    key: Annotated[str | None, typer.Option("--key")] = None,
    head: Annotated[Path | None, typer.Option("--head")] = None,
    recompute: Annotated[bool, typer.Option("--recompute")] = False,
) -> None:
    """Verify a dossier, and recompute its numbers if asked; exit with the code of what was found wrong."""
    screen = screen_of(context)
    from huizhen.dossier.verification import verify_dossier
    from huizhen.ledger.reading import read_head

    external = read_head(head) if head else None
    verified = verify_dossier(dossier, expected_key_id=key, external_head=external)
    again = _again(dossier) if recompute else None
    record = outcome.verified_record(dossier, verified)
    if again is not None:
        record["recomputed"] = {
            "claims": again.claims,
            "values": again.values,
            "differing": [asdict(one) for one in again.differing],
            "left": list(again.left),
        }
    screen.answer({**record, "ok": not (again and again.differing)})
    for line in outcome.verified_lines(dossier, verified, screen, key_was_expected=key is not None):
        screen.plain(line)
    if again is not None:
        _show(again, screen)


def _again(dossier: Path) -> Recomputed:
    """Return the comparison with what the dossier's own tables give."""
    from huizhen.pipeline.recompute import recompute

    return recompute(dossier)


def _show(again: Recomputed, screen: Screen) -> None:
    """Print what agreed and what differs; exit with the code of `VerificationError` if anything does."""
    for one in again.differing[:MOST_SHOWN]:
        screen.say("verify.differs", claim=one.key, field=one.field, signed=one.signed, again=one.again)
    if again.left:
        screen.say("verify.left", count=len(again.left), keys=", ".join(again.left[:MOST_SHOWN]))
    if again.differing:
        screen.say("verify.recomputed_otherwise", count=len(again.differing), values=again.values)
        raise typer.Exit(VerificationError.exit_code)
    screen.say("verify.recomputed", claims=again.claims, values=again.values)
