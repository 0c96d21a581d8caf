"""`huizhen study new`: a commented study file, from questions or from flags."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli.interview import Flags, answers_from
from huizhen.cli.screen import screen_of

__all__ = ["command"]


def command(
    context: typer.Context,
    file: Annotated[Path, typer.Argument()] = Path("study.toml"),
    name: Annotated[str | None, typer.Option("--name")] = None,
    title: Annotated[str | None, typer.Option("--title")] = None,
    question: Annotated[str | None, typer.Option("--question")] = None,
    outcome: Annotated[str | None, typer.Option("--outcome")] = None,
    positive: Annotated[list[str] | None, typer.Option("--positive")] = None,
    negative: Annotated[list[str] | None, typer.Option("--negative")] = None,
    modality: Annotated[list[str] | None, typer.Option("--modality")] = None,
    site: Annotated[list[str] | None, typer.Option("--site")] = None,
    reader: Annotated[str, typer.Option("--reader")] = "images",
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1)] = 20260101,
) -> None:
    """Write the file, unless one is there."""
    screen = screen_of(context)
    from huizhen.core.files import write_text
    from huizhen.core.study_template import commented_study
    from huizhen.errors import StudyError

    if file.exists():
        raise StudyError(
            "is there already", remedy="choose another name; it is not overwritten", file=str(file)
        )
    flags = Flags(
        name=name,
        title=title,
        question=question,
        outcome=outcome,
        positive=tuple(positive or ()),
        negative=tuple(negative or ()),
        modality=tuple(modality or ()),
        site=tuple(site or ()),
        reader=reader,
        seed=seed,
    )
    may_ask = in_terminal() and not screen.settings.json
    write_text(file, commented_study(answers_from(flags, screen, may_ask=may_ask)))
    screen.answer({"study": str(file)})
    screen.say("new.done", file=file)


def in_terminal() -> bool:
    """Tell whether a person can be asked."""
    return sys.stdin.isatty()
