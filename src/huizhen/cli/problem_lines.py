"""The problems of a file on screen: a list for a machine, lines that an editor can follow for a person."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from huizhen.cli.screen import Screen
from huizhen.errors import visible

if TYPE_CHECKING:
    from huizhen.core.study_file import Problem

__all__ = ["show_problems"]


def show_problems(problems: Sequence[Problem], file: Path, screen: Screen) -> None:
    """Print the problems of `file`, each with place, field, reason and remedy, and how many there are."""
    if screen.settings.json:
        screen.answer({"ok": False, "problems": [problem.to_json() for problem in problems]})
        return
    for problem in problems:
        place = visible(f"{file}:{problem.line}" if problem.line else f"{file}")
        field = typer.style(visible(problem.field), bold=True)
        typer.echo(f"{place}: {field}: {visible(screen.told(problem.reason))}")
        typer.echo(f"    {screen.text('failure.remedy')} {visible(screen.told(problem.remedy))}")
    screen.say("check.bad" if len(problems) > 1 else "check.bad_one", count=len(problems))
