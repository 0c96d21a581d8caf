"""`huizhen site consents export`: a register as FHIR Consent resources."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli.screen import screen_of

__all__ = ["Release", "command"]


class Release(StrEnum):
    """A release of FHIR."""

    R4B = "R4B"
    R5 = "R5"


def command(
    context: typer.Context,
    register: Annotated[Path, typer.Argument()],
    out: Annotated[Path, typer.Option("--out")],
    fhir: Annotated[Release, typer.Option("--fhir")] = Release.R4B,
) -> None:
    """Write a register as FHIR."""
    screen = screen_of(context)
    from huizhen.data.consent.fhir_export import export_fhir
    from huizhen.data.consent.register import read_register

    found = read_register(register)
    rows = [one for consents in found.consents.values() for one in consents]
    file = export_fhir(rows, out, release="R5" if fhir is Release.R5 else "R4B")
    screen.answer({"file": str(file), "resources": len(rows), "fhir": fhir.value})
    screen.say("consents.exported", resources=len(rows), fhir=fhir.value, file=file)
