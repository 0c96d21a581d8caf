"""`huizhen site recode`: apply a recoding to its table, if the bounds hold of what comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli.screen import screen_of

__all__ = ["command"]


def command(
    context: typer.Context,
    table: Annotated[Path, typer.Argument()],
    recoding: Annotated[Path, typer.Option("--recoding")],
    out: Annotated[Path, typer.Option("--out")],
) -> None:
    """Write a table recoded."""
    screen = screen_of(context)
    from huizhen.core.files import write_text
    from huizhen.data.disclosure.recoding import load_recoding, recode

    _refuse_overwriting(out, (table, recoding))
    text, released = recode(table, load_recoding(recoding))
    write_text(out, text)
    kept = int(released.sizes[~released.failing].min())
    screen.answer({"file": str(out), "rows": text.count("\n") - 1, "k": kept})
    screen.say("site.recoded", file=out, rows=text.count("\n") - 1, k=kept)


def _refuse_overwriting(out: Path, inputs: tuple[Path, ...]) -> None:
    """Raise where the recoded table would take the place of what it is made from."""
    from huizhen.errors import DataError

    if out.exists() and any(one.exists() and out.samefile(one) for one in inputs):
        raise DataError(
            "is what is recoded, or the recoding: it would be lost",
            remedy="choose another file for what leaves",
            file=str(out),
            field="--out",
        )
