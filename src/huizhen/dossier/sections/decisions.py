"""Decisions at the locked thresholds: sensitivity, specificity and predictive values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from huizhen.dossier.blocks import Block, Cell, Heading, Row, Table, phrase
from huizhen.dossier.estimates import DASH, cite_sizes, detail_of, estimate_cell, methods_of, stacked_cell
from huizhen.dossier.labels import cohort_name, metric_short, model_name
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.sections.discrimination import of_models
from huizhen.dossier.wording import say

DECISIONS = ("sensitivity", "specificity", "ppv", "npv")
PLANNED = (
    "ppv_at_prevalence",
    "npv_at_prevalence",
    "sensitivity_at_specificity",
    "partial_auc",
    "expected_cost",
    "expected_cost_at_prevalence",
)
"""What a study may ask for beside its endpoints."""


def decisions(record: Record, cohorts: Sequence[str]) -> list[Block]:
    """Return a table a cohort, under one heading."""
    tables = [
        table for cohort in cohorts if (table := measures_table(record, DECISIONS, cohort, "decisions"))
    ]
    return [Heading(id="decisions", text=say("heading.decisions")), *tables] if tables else []


def planned(record: Record, cohorts: Sequence[str]) -> list[Block]:
    """Return what the study's [evaluation] asks for beside its endpoints, a table a cohort."""
    tables = [
        replace(table, note=(*_terms(record, cohort), *table.note))
        for cohort in cohorts
        if (table := measures_table(record, PLANNED, cohort, "planned", narrow=True))
    ]
    return [Heading(id="planned", text=say("heading.planned")), *tables] if tables else []


def _terms(record: Record, cohort: str) -> Cell:
    """Return on which terms the study asks for them, and what acting on all and on none would cost."""
    asked = {name: record.quote("evaluation", name) for name in ("prevalence", "at_specificity")}
    terms = [phrase(f"terms.{name}", value=value) for name, value in asked.items() if value]
    for side in ("specificity", "sensitivity"):
        if value := record.quote("evaluation", "partial_auc", side):
            terms.append(phrase(f"terms.partial_{side}", value=value))
    for family in PLANNED[-2:]:
        found = record.one(f"{family}/{record.main}/{cohort}/all")
        alone = {name: detail_of(found, name) for name in ("act_on_all", "act_on_none")} if found else {}
        if found and all(alone.values()):
            parts = {name: value for name, value in alone.items() if value}
            terms.append(phrase("terms.cost", share=detail_of(found, "at_prevalence") or DASH, **parts))
    return tuple(terms)


def measures_table(
    record: Record,
    metrics: Sequence[str],
    cohort: str,
    topic: str,
    *,
    narrow: bool = False,
) -> Table | None:
    """Return the table with models as rows and those of `metrics` that were measured as columns.

    `narrow`: intervals stand beneath the estimates, and the patients, the same for all, in a column.
    """
    by = {metric: of_models(record, metric, cohort) for metric in metrics}
    measured = [metric for metric in metrics if by[metric]]
    names = sorted({n: None for found in by.values() for n in found}, key=lambda n: n != record.main)
    if not names:
        return None
    rows = tuple(
        _row(name, [by[m].get(name) for m in measured], strong=name == record.main, narrow=narrow)
        for name in names
    )
    methods = methods_of([m for found in by.values() for m in found.values()])
    return Table(
        id=f"table-{topic}-{cohort}",
        caption=say(f"table.{topic}", cohort=cohort_name(cohort)),
        head=(say("head.model"), *((say("head.n"),) if narrow else ()), *map(metric_short, measured)),
        rows=rows,
        note=(say("note.beneath"), *methods) if narrow else methods,
    )


def _row(name: str, found: Sequence[Measured | None], *, strong: bool, narrow: bool) -> Row:
    cells = tuple(stacked_cell(m) if narrow else estimate_cell(m) for m in found)
    if narrow:
        sized = next((m for m in found if m and m.evidence.n is not None), None)
        cells = ((cite_sizes(sized) if sized else DASH,), *cells)
    phantom = any(m.evidence.phantom for m in found if m)
    return Row(cells=((model_name(name),), *cells), strong=strong, phantom=phantom)
