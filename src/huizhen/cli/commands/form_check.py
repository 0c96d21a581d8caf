"""`huizhen form check`: every problem of a form at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli.problem_lines import show_problems
from huizhen.cli.screen import screen_of

__all__ = ["command"]


def command(
    context: typer.Context,
    file: Annotated[Path, typer.Argument()] = Path("form.toml"),
) -> None:
    """Check a form; exit with the code of `StudyError` if it has problems."""
    screen = screen_of(context)
    from huizhen.dossier.form import read_form
    from huizhen.errors import StudyError
    from huizhen.pipeline.reporting import read_text

    form, problems = read_form(read_text(file))
    if form is None:
        show_problems(problems, file, screen)
        raise typer.Exit(StudyError.exit_code)
    given = sorted(item.value for item, answer in form.answers.items() if answer.answer)
    screen.answer({"problems": [], "digest": form.digest, "answered": given})
    screen.say("form.good", file=file, digest=form.digest[:12])
