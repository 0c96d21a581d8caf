"""`huizhen site consents import`: FHIR Consent resources as a register."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli.screen import screen_of

__all__ = ["command"]

SHOWN = 20


def command(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument()],
    out: Annotated[Path, typer.Option("--out")],
    strict: Annotated[bool, typer.Option("--strict")] = False,
) -> None:
    """Read FHIR Consent resources and write the register."""
    screen = screen_of(context)
    from huizhen.data.consent.fhir_import import import_fhir
    from huizhen.data.consent.replacing import refuse_losses
    from huizhen.data.consent.table import write_register
    from huizhen.errors import DataError

    found = import_fhir(paths)
    for one in found.unclear[:SHOWN]:
        screen.plain(f"{one.file}: {one.path}: {screen.told(one.why)}")
    if strict and found.unclear:
        first = found.unclear[0]
        raise DataError(
            first.why,
            remedy="correct the resource, or import without --strict: its patient is then denied",
            file=first.file,
            field=first.path,
        )
    refuse_losses(out, found.consents)
    write_register(out, found.consents)
    unclear = [{"file": one.file, "path": one.path, "why": one.why} for one in found.unclear]
    patients = len({one.patient for one in found.consents})
    screen.answer({"patients": patients, "rows": len(found.consents), **found.counts, "unclear": unclear})
    screen.say("consents.imported", patients=patients, rows=len(found.consents), file=out)
    if found.unclear:
        screen.say("consents.unclear", count=len(found.unclear))
