"""`huizhen study check`: every problem of a study file at once, each with field, reason and remedy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from huizhen.cli import paths
from huizhen.cli.problem_lines import show_problems
from huizhen.cli.screen import Screen, screen_of

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
    from huizhen.core.study_file import Problem, check_study, load_study
    from huizhen.errors import StudyError

    root = paths.data_root(data)
    problems, notes = check_study(file, data_root=root), list[Problem]()
    if not problems:
        problems, notes = look_inside(file, root)
    if problems:
        show_problems(problems, file, screen)
        raise typer.Exit(StudyError.exit_code)
    digest = load_study(file).digest
    screen.answer({"problems": [], "notes": [note.to_json() for note in notes], "digest": digest})
    _show_notes(notes, file, screen)
    screen.say("check.good", file=file, digest=digest[:12])


def look_inside(file: Path, data_root: Path | None) -> tuple[list[Problem], list[Problem]]:
    """Return the problems and notes that only the tables' rows and the headers of DICOM files show."""
    from huizhen.cli.dicom_check import check_headers
    from huizhen.core.study_file import load_study, study_roots, study_text, with_lines
    from huizhen.core.study_notes import study_notes
    from huizhen.data.transfer.checking import check_transfers
    from huizhen.data.transfer.study_decisions import today
    from huizhen.pipeline.reporting import reporting_problems

    study, roots, text = load_study(file), study_roots(file, data_root), study_text(file)
    problems, notes = check_headers(study, roots)
    refused, told = check_transfers(study, roots, today())
    problems = [*problems, *reporting_problems(study, file), *refused]
    return with_lines(problems, text), with_lines([*study_notes(study, roots), *notes, *told], text)


def _show_notes(notes: list[Problem], file: Path, screen: Screen) -> None:
    """Print what should be known though it stops no run."""
    for note in notes:
        place = f"{file}:{note.line}" if note.line else f"{file}"
        screen.plain(f"{place}: {screen.text('check.note')} {note.field}: {screen.told(note.reason)}")
        screen.plain(f"    {screen.told(note.remedy)}")
