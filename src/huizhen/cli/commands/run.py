"""`huizhen run`: from the study file to the signed dossier, going on where it was stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from huizhen.cli import outcome, paths
from huizhen.cli.screen import Screen, screen_of

if TYPE_CHECKING:
    from huizhen.core.study import Study

__all__ = ["command", "run_federation"]


def command(
    context: typer.Context,
    file: Annotated[Path, typer.Argument()],
    out: Annotated[Path | None, typer.Option("--out")] = None,
    data: Annotated[Path | None, typer.Option("--data")] = None,
    form: Annotated[Path | None, typer.Option("--form")] = None,
    checklist: Annotated[list[Path] | None, typer.Option("--checklist")] = None,
    evidence: Annotated[list[Path] | None, typer.Option("--evidence")] = None,
) -> None:
    """Run the study and print where its dossier is."""
    screen = screen_of(context)
    root = paths.data_root(data)
    from huizhen.core.study_file import load_study

    study = load_study(file)
    if study.federation is not None:
        options = [*(["--form", str(form)] if form else [])]
        options += [part for path in checklist or () for part in ("--checklist", str(path))]
        options += [part for path in evidence or () for part in ("--evidence", str(path))]
        raise typer.Exit(run_federation(file, study, out, root, screen, options))
    from huizhen.pipeline.reporting import Reporting
    from huizhen.pipeline.run import run_study

    result = run_study(
        file,
        out=out,
        data_root=root,
        home=paths.home(),
        progress=screen.progress(),
        language=screen.language,
        reporting=Reporting(form=form, checklists=tuple(checklist or ()), evidence=tuple(evidence or ())),
    )
    outcome.show_run(result, screen)


def run_federation(
    file: Path, study: Study, out: Path | None, root: Path | None, screen: Screen, options: list[str]
) -> int:
    """Run a federated study with a process for each site on this machine; return the lead's exit code."""
    from huizhen.pipeline.finish import default_home
    from huizhen.pipeline.local_sites import run_local

    arguments = ["--lang", screen.language.value]
    arguments += ["--json"] if screen.settings.json else []
    arguments += ["--quiet"] if screen.settings.quiet else []
    return run_local(
        file,
        study,
        out=out or file.with_suffix(".run"),
        data=root or file.parent,
        home=paths.home() or default_home(),
        arguments=arguments,
        options=options,
    )
