"""`huizhen study check`: every problem of a study file at once, each with field, reason and remedy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from huizhen.cli import paths
from huizhen.cli.screen import Screen, screen_of
from huizhen.errors import visible

if TYPE_CHECKING:
    from huizhen.core.study_file import Problem

__all__ = ["command"]


def command(
    context: typer.Context,
    file: Annotated[Path, typer.Argument()] = Path("study.toml"),
    data: Annotated[Path | None, typer.Option("--data")] = None,
) -> None:
    """Check a study file; exit with the code of `StudyError` if it has problems."""
    screen = screen_of(context)
    from huizhen.core.study_file import check_study, load_study
    from huizhen.errors import StudyError

    problems = check_study(file, data_root=paths.data_root(data))
    if problems:
        _show(problems, file, screen)
        raise typer.Exit(StudyError.exit_code)
    digest = load_study(file).digest
    screen.answer({"problems": [], "digest": digest})
    screen.say("check.good", file=file, digest=digest[:12])


def _show(problems: list[Problem], file: Path, screen: Screen) -> None:
    """Print the problems: a list for a machine, lines that an editor can follow for a person."""
    if screen.settings.json:
        screen.answer({"ok": False, "problems": [problem.to_json() for problem in problems]})
        return
    for problem in problems:
        place = visible(f"{file}:{problem.line}" if problem.line else f"{file}")
        field = typer.style(visible(problem.field), bold=True)
        typer.echo(f"{place}: {field}: {visible(screen.told(problem.reason))}")
        typer.echo(f"    {screen.text('failure.remedy')} {visible(screen.told(problem.remedy))}")
    screen.say("check.bad" if len(problems) > 1 else "check.bad_one", count=len(problems))
