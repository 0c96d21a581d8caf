"""`huizhen validate`: a table of somebody else's predictions, judged to a signed and verified dossier."""

from __future__ import annotations

import shlex
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from huizhen.cli import outcome, paths
from huizhen.cli.screen import Screen, screen_of
from huizhen.cli.validation_plan import Chosen, Flags, chosen_columns, is_below, plan_text

__all__ = ["command"]

PLAN = "plan.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What people add to the dossier."""

    form: Path | None
    checklists: tuple[Path, ...]
    evidence: tuple[Path, ...]


def command(
    context: typer.Context,
    table: Annotated[Path | None, typer.Argument()] = None,
    patient: Annotated[str | None, typer.Option("--patient")] = None,
    outcome_column: Annotated[str | None, typer.Option("--outcome")] = None,
    score: Annotated[str | None, typer.Option("--score")] = None,
    positive: Annotated[list[str] | None, typer.Option("--positive")] = None,
    negative: Annotated[list[str] | None, typer.Option("--negative")] = None,
    threshold: Annotated[list[str] | None, typer.Option("--threshold")] = None,
    tune: Annotated[Path | None, typer.Option("--tune")] = None,
    rule: Annotated[str | None, typer.Option("--rule")] = None,
    compare: Annotated[list[str] | None, typer.Option("--compare")] = None,
    group: Annotated[list[str] | None, typer.Option("--group")] = None,
    site: Annotated[str | None, typer.Option("--site")] = None,
    cluster: Annotated[bool, typer.Option("--cluster")] = False,
    cohort: Annotated[Literal["external", "internal"] | None, typer.Option("--cohort")] = None,
    scale: Annotated[Literal["probability", "logit", "rank"] | None, typer.Option("--scale")] = None,
    at_least: Annotated[list[str] | None, typer.Option("--at-least")] = None,
    prevalence: Annotated[float | None, typer.Option("--prevalence")] = None,
    reader: Annotated[str | None, typer.Option("--reader")] = None,
    rating: Annotated[str | None, typer.Option("--rating")] = None,
    arm: Annotated[str | None, typer.Option("--arm")] = None,
    reference: Annotated[str | None, typer.Option("--reference")] = None,
    margin: Annotated[float | None, typer.Option("--margin")] = None,
    model: Annotated[str | None, typer.Option("--model")] = None,
    title: Annotated[str | None, typer.Option("--title")] = None,
    encoding: Annotated[str | None, typer.Option("--encoding")] = None,
    phantom: Annotated[bool, typer.Option("--phantom")] = False,
    study: Annotated[Path | None, typer.Option("--study")] = None,
    data: Annotated[Path | None, typer.Option("--data")] = None,
    plan_only: Annotated[bool, typer.Option("--plan-only")] = False,
    out: Annotated[Path | None, typer.Option("--out")] = None,
    form: Annotated[Path | None, typer.Option("--form")] = None,
    checklist: Annotated[list[Path] | None, typer.Option("--checklist")] = None,
    evidence: Annotated[list[Path] | None, typer.Option("--evidence")] = None,
) -> None:
    """Judge the table by the flags, or by the plan of --study."""
    screen = screen_of(context)
    flags = Flags(
        patient=patient,
        outcome=outcome_column,
        score=score,
        positive=tuple(positive or ()),
        negative=tuple(negative or ()),
        threshold=tuple(threshold or ()),
        tune=tune,
        rule=rule,
        compare=tuple(compare or ()),
        group=tuple(group or ()),
        site=site,
        cluster=cluster,
        cohort=cohort,
        scale=scale,
        at_least=tuple(at_least or ()),
        prevalence=prevalence,
        reader=reader,
        rating=rating,
        arm=arm,
        reference=reference,
        margin=margin,
        model=model,
        title=title,
        encoding=encoding,
        phantom=phantom,
    )
    added = Added(form=form, checklists=tuple(checklist or ()), evidence=tuple(evidence or ()))
    if study is not None:
        _of_plan(study, [*(["TABLE"] if table else []), *flags.given()], data, out, added, screen)
    elif data is not None:
        raise _without_plan(data)
    elif plan_only:
        _plan_only(_required(table), flags, out, screen)
    else:
        _of_flags(_required(table), flags, out, added, screen)


def _without_plan(data: Path) -> Exception:
    """Return the error of --data beside a table."""
    from huizhen.errors import InvalidInputError

    return InvalidInputError(
        "--data goes with --study alone",
        remedy="leave it out: the table is read from where it stands",
        field="--data",
        file=str(data),
    )


def _required(table: Path | None) -> Path:
    """Return the table. Raises `InvalidInputError` without one."""
    from huizhen.errors import InvalidInputError

    if table is None:
        raise InvalidInputError(
            "no table was given", remedy="write huizhen validate predictions.csv", field="TABLE"
        )
    return table


def _of_flags(table: Path, flags: Flags, out: Path | None, added: Added, screen: Screen) -> None:
    """Write the plan that the flags ask for into the run's folder, and judge the table by it."""
    from huizhen.core.files import write_text
    from huizhen.errors import HuizhenError, StudyError

    folder = out or table.with_suffix(".validation")
    chosen = chosen_columns(table, flags)
    text = plan_text(table, flags, chosen, beside=table.parent, screen=screen)
    _check(text, table)
    _show_plan(chosen, flags, screen)
    plan = folder / PLAN
    if plan.exists() and plan.read_text(encoding="utf-8") != text:
        raise StudyError(
            "the folder holds a validation by another plan",
            remedy="give the same flags; another plan on opened outcomes is another look at them, is to be "
            "reported as such, and needs a folder of its own with --out",
            file=str(folder),
        )
    write_text(plan, text)
    roots = [table.parent, *([flags.tune.parent] if flags.tune else [])]
    try:
        _judge(plan, folder, roots, added, screen)
    except HuizhenError:
        if not (folder / "ledger").exists():  # refused before anything was opened: other flags may be tried
            plan.unlink(missing_ok=True)
            with suppress(OSError):
                folder.rmdir()
        raise


def _plan_only(table: Path, flags: Flags, out: Path | None, screen: Screen) -> None:
    """Write the plan beside the table, so that it can be changed, published and locked first."""
    from huizhen.core.files import write_text
    from huizhen.errors import StudyError

    file = out or table.with_suffix(".plan.toml")
    if file.exists():
        raise StudyError("is there already", remedy="choose another name with --out", file=str(file))
    chosen = chosen_columns(table, flags)
    text = plan_text(table, flags, chosen, beside=file.parent, screen=screen)
    _check(text, file)
    write_text(file, text)
    screen.answer({"plan": str(file), "columns": {one.key: one.column for one in chosen}})
    _show_plan(chosen, flags, screen)
    given = [] if is_below(table, file.parent) else ["--data", shlex.quote(str(table.parent))]
    screen.say("validate.planned", file=file, data=" ".join(["", *given]))


def _of_plan(
    study: Path, named: list[str], data: Path | None, out: Path | None, added: Added, screen: Screen
) -> None:
    """Judge the table that a plan names, by that plan alone; `named` are arguments that say part of it."""
    from huizhen.core.study_file import load_study
    from huizhen.errors import InvalidInputError, StudyError

    if named:
        raise InvalidInputError(
            f"the plan says all of it, so {named[0].replace('_', '-')} can't be given beside",
            remedy="change the plan, or leave --study out",
            field="--study",
        )
    if not load_study(study).is_given:
        raise StudyError(
            "has neither [predictions] nor [reads]", remedy="run it with huizhen run", file=str(study)
        )
    root = paths.data_root(data)
    _judge(study, out or study.with_suffix(".run"), [root] if root else [], added, screen)


def _check(text: str, file: Path) -> None:
    """Raise `StudyError` with everything wrong with the plan that the flags make."""
    from huizhen.core.study_file import check_study_text, study_error

    if problems := check_study_text(text):
        raise study_error(file, problems)


def _judge(plan: Path, folder: Path, roots: list[Path], added: Added, screen: Screen) -> None:
    """Run the plan and show the result."""
    from huizhen.pipeline.reporting import Reporting
    from huizhen.pipeline.table_run import run_given

    result = run_given(
        plan,
        out=folder,
        roots=roots,
        home=paths.home(),
        progress=screen.progress(),
        language=screen.language,
        reporting=Reporting(form=added.form, checklists=added.checklists, evidence=added.evidence),
    )
    outcome.show_run(result, screen)


def _show_plan(chosen: tuple[Chosen, ...], flags: Flags, screen: Screen) -> None:
    """Print which column holds what, and what the table will not show as the flags stand."""
    for one in chosen:
        what = screen.text(f"validate.{one.key}")
        if one.column:
            screen.say(
                "import.column", what=what, column=one.column, why=screen.text(f"import.why.{one.why}")
            )
        elif one.key == "patient":
            screen.say("validate.no_patient")
    if not (flags.threshold or flags.tune or flags.of_readers):
        screen.say("validate.no_threshold")
