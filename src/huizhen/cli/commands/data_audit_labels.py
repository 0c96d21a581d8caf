"""`huizhen data audit-labels`: which labels should be looked at again, and what a second reading found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from huizhen.cli import paths
from huizhen.cli.screen import Screen, screen_of
from huizhen.errors import InvalidInputError

if TYPE_CHECKING:
    from huizhen.core.evidence import Evidence
    from huizhen.federate.site.folder import SiteFolder
    from huizhen.pipeline.labels.audit import LabelAudit
    from huizhen.pipeline.labels.suspects import Sheet

__all__ = ["command"]

PRIVATE = "stays"
"""Folder within --out for what stays, where no site is named."""

CACHE = "cache"
"""Folder beside the list for images and features, so that a killed audit goes on where it stood."""

STATE = "labels"
"""Folder within the site's for its audits."""

Rule = Literal["confident", "noise_rate", "class", "margin", "self_confidence", "entropy"]


def command(
    context: typer.Context,
    source: Annotated[Path, typer.Argument()],
    label: Annotated[str, typer.Option("--label")] = "label",
    case: Annotated[str | None, typer.Option("--case")] = None,
    patient: Annotated[str | None, typer.Option("--patient")] = None,
    probability: Annotated[list[str] | None, typer.Option("--probability")] = None,
    reader: Annotated[list[str] | None, typer.Option("--reader")] = None,
    encoding: Annotated[str | None, typer.Option("--encoding")] = None,
    order: Annotated[Rule, typer.Option("--order")] = "class",
    top: Annotated[int | None, typer.Option("--top", min=1)] = None,
    controls: Annotated[int | None, typer.Option("--controls", min=0)] = None,
    reviewed: Annotated[Path | None, typer.Option("--reviewed")] = None,
    site: Annotated[Path | None, typer.Option("--site")] = None,
    out: Annotated[Path | None, typer.Option("--out")] = None,
    data: Annotated[Path | None, typer.Option("--data")] = None,
    seed: Annotated[int, typer.Option("--seed")] = 0,
) -> None:
    """Audit the labels of a study or of a table of out-of-sample probabilities and readings."""
    screen = screen_of(context)
    if not source.name or source.is_dir():
        raise InvalidInputError(
            "is a folder",
            remedy="name a study file or a table",
            field="SOURCE",
            file=str(source),
        )
    folder = out or source.with_suffix(".labels")
    home = _site(site)
    private = home.path / STATE / source.stem if home is not None else folder / PRIVATE
    smallest = _smallest(home)
    if reviewed is not None:
        _count_answers(reviewed, private, folder, smallest, screen)
        return
    given: Any
    if source.suffix == ".toml":
        from huizhen.pipeline.finish import default_home
        from huizhen.pipeline.labels.study_risks import study_risks

        given = study_risks(
            source,
            site=home,
            data_root=paths.data_root(data),
            cache=private / CACHE,
            progress=screen.progress(),
            seed=seed,
            home=paths.home() or default_home(),
        )
    else:
        from huizhen.pipeline.labels.table import AuditColumns, read_audit_table

        columns = AuditColumns(
            label=label,
            case=case,
            patient=patient,
            probability=_mapping(probability or []),
            readers=tuple(reader or ()),
            encoding=encoding,
        )
        given = read_audit_table(source, columns)
    from huizhen.pipeline.labels.audit import audit_evidence, audit_labels
    from huizhen.pipeline.labels.report import write_report
    from huizhen.pipeline.labels.suspects import CONTROLS, write_private
    from huizhen.validate.label_audit.ranking import Order

    audit = audit_labels(given, rule=Order(order), seed=seed)
    count = CONTROLS if controls is None else controls
    sheet = write_private(audit, private, top=top, controls=count)
    evidence = audit_evidence(audit, smallest=smallest)
    write_report(evidence, folder, name=given.name)
    _show(audit, sheet, evidence, private, folder, screen)


def _site(folder: Path | None) -> SiteFolder | None:
    """Return the site whose folder keeps what stays, if one is named."""
    if folder is None:
        return None
    from huizhen.federate.site.folder import SiteFolder

    return SiteFolder.open(folder)


def _smallest(home: SiteFolder | None) -> int:
    """Return the smallest count that may leave: the site's policy says it."""
    from huizhen.pipeline.labels.audit import SMALLEST

    if home is None:
        return SMALLEST
    from huizhen.federate.policy import load_policy

    return load_policy(home.path).smallest_count


def _mapping(named: list[str]) -> dict[str, str]:
    """Return class -> column. Raises `InvalidInputError` on an argument without both."""
    from huizhen.errors import InvalidInputError

    found: dict[str, str] = {}
    for text in named:
        name, sign, column = text.rpartition("=")
        if not (sign and name and column) or name in found:
            raise InvalidInputError(
                f"{text} names no class and column, or a class twice",
                remedy="write --probability malignant=p_malignant",
                field="--probability",
            )
        found[name] = column
    return found


def _count_answers(reviewed: Path, private: Path, folder: Path, smallest: int, screen: Screen) -> None:
    """Count the answers of a second reading: corrected labels at the site, evidence beside the report."""
    from huizhen.pipeline.labels.report import read_evidence, write_report
    from huizhen.pipeline.labels.review import read_decisions, review_evidence, write_corrected
    from huizhen.pipeline.labels.suspects import read_sheet

    sheet = read_sheet(private)
    found = read_decisions(reviewed, sheet)
    corrected = write_corrected(found, private)
    evidence = [*read_evidence(folder), *review_evidence(found, smallest=smallest)]
    write_report(evidence, folder, name=sheet.name)
    screen.answer(
        {
            "report": str(folder),
            "corrected": str(corrected),
            "read": found.listed.read + found.rest.read,
            "changed": len(found.changed),
            "unsure": len(found.unsure),
            "evidence": [one.to_json() for one in evidence],
        }
    )
    read = found.listed.read + found.rest.read
    screen.say("audit.reviewed", read=read, changed=len(found.changed), unsure=len(found.unsure))
    _say_estimates(evidence, screen)
    screen.say("audit.corrected", file=corrected)
    screen.say("audit.report", folder=folder)


def _show(
    audit: LabelAudit, sheet: Sheet, evidence: list[Evidence], private: Path, folder: Path, screen: Screen
) -> None:
    """Print what was found; the cases are in the file alone."""
    screen.answer(
        {
            "report": str(folder),
            "stays": str(private),
            "labels": len(audit.given.case),
            "suspects": audit.suspects,
            "listed": len(sheet.listed),
            "controls": len(sheet.controls),
            "doubts": [doubt.value for doubt in audit.doubts],
            "left_out": dict(audit.given.left_out),
            "evidence": [one.to_json() for one in evidence],
        }
    )
    screen.say("audit.done", n=len(audit.given.case), suspects=audit.suspects)
    for doubt in audit.doubts:
        screen.say(f"audit.doubt.{doubt.value}")
    if audit.given.origin.get("tested_in_turn"):
        screen.say("audit.tested_in_turn")
    for why, n in audit.given.left_out.items():
        screen.say(f"audit.left_out.{why}", n=n)
    _say_estimates(evidence, screen)
    screen.say("audit.sheet", folder=private, listed=len(sheet.listed), controls=len(sheet.controls))
    screen.say("audit.report", folder=folder)


def _say_estimates(evidence: list[Evidence], screen: Screen) -> None:
    """Print the estimates with their intervals."""
    for one in evidence:
        if one.estimate is None or one.interval is None:
            continue
        values = {"value": one.estimate, "low": one.interval.low, "high": one.interval.high}
        shown = {key: f"{value:.3f}" for key, value in values.items()}
        screen.say(f"audit.{one.metric}", n=one.n, **shown)
