"""`huizhen show`: the key numbers of a dossier or a run, each with its interval and n."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli import outcome
from huizhen.cli.screen import screen_of

__all__ = ["command"]


def command(
    context: typer.Context,
    path: Annotated[Path, typer.Argument()],
    open_page: Annotated[bool, typer.Option("--open")] = False,
) -> None:
    """Print the headline of a dossier, or the path of its page."""
    screen = screen_of(context)
    from huizhen.cli.headline import find_page, headline_of

    if open_page:
        page = find_page(path)
        screen.answer({"page": str(page)})
        screen.plain(str(page))
        return
    headline = headline_of(path)
    screen.answer({"path": str(path), "headline": headline})
    outcome.headline_table(headline, screen)
