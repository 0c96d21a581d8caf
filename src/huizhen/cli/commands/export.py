"""`huizhen export`: a verified dossier as PDF/A for the archive, or as Word for editing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli.screen import screen_of

__all__ = ["command"]


def command(
    context: typer.Context,
    dossier: Annotated[Path, typer.Argument()],
    out: Annotated[Path, typer.Argument()],
    key: Annotated[str | None, typer.Option("--key")] = None,
    fonts: Annotated[Path | None, typer.Option("--fonts", exists=True, file_okay=False)] = None,
) -> None:
    """Verify the dossier, then write it to `out` in the language of the screen."""
    screen = screen_of(context)
    from huizhen.dossier.printing.export import export_dossier

    size = export_dossier(dossier, out, language=screen.language, key_id=key, fonts=fonts)
    screen.answer({"file": str(out), "bytes": size, "language": screen.language.value})
    screen.plain(screen.text("export.done", file=out, dossier=dossier, size=f"{size / 1e6:.1f}"))
