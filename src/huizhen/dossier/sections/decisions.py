"""Decisions at the locked thresholds: sensitivity, specificity and predictive values."""

from __future__ import annotations

from collections.abc import Sequence

from huizhen.dossier.blocks import Block, Heading, Row, Table
from huizhen.dossier.estimates import estimate_cell, methods_of
from huizhen.dossier.labels import cohort_name, metric_short, model_name
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.sections.discrimination import of_models
from huizhen.dossier.wording import say

DECISIONS = ("sensitivity", "specificity", "ppv", "npv")


def decisions(record: Record, cohorts: Sequence[str]) -> list[Block]:
    """Return a table a cohort, under one heading."""
    tables = [
        table for cohort in cohorts if (table := measures_table(record, DECISIONS, cohort, "decisions"))
    ]
    return [Heading(id="decisions", text=say("heading.decisions")), *tables] if tables else []


def measures_table(
    record: Record,
    metrics: Sequence[str],
    cohort: str,
    topic: str,
) -> Table | None:
    """Return the table with models as rows and those of `metrics` that were measured as columns."""
    by = {metric: of_models(record, metric, cohort) for metric in metrics}
    measured = [metric for metric in metrics if by[metric]]
    names = sorted({n: None for found in by.values() for n in found}, key=lambda n: n != record.main)
    if not names:
        return None
    rows = tuple(
        _row(name, [by[m].get(name) for m in measured], strong=name == record.main) for name in names
    )
    return Table(
        id=f"table-{topic}-{cohort}",
        caption=say(f"table.{topic}", cohort=cohort_name(cohort)),
        head=(say("head.model"), *map(metric_short, measured)),
        rows=rows,
        note=methods_of([m for found in by.values() for m in found.values()]),
    )


def _row(name: str, found: Sequence[Measured | None], *, strong: bool) -> Row:
    cells = tuple(estimate_cell(m) for m in found)
    phantom = any(m.evidence.phantom for m in found if m)
    return Row(cells=((model_name(name),), *cells), strong=strong, phantom=phantom)
