"""Patients whom the model didn't answer: how many of each class, and its result if it were wrong on all."""

from __future__ import annotations

from huizhen.dossier.blocks import Block, Cell, Heading, Row, Table
from huizhen.dossier.estimates import DASH, detail_of, estimate_cell, reason_of, stacked_cell
from huizhen.dossier.labels import cohort_name, metric_short, model_name
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.wording import say

FAMILY = "unanswered"


def unanswered(record: Record) -> list[Block]:
    """Return a table a cohort, under one heading; nothing where everybody was answered."""
    found = record.family(FAMILY)
    if not found:
        return []
    cohorts = dict.fromkeys(m.parts[1] for m in found)
    tables = [_table(record, cohort, [m for m in found if m.parts[1] == cohort]) for cohort in cohorts]
    return [Heading(id="unanswered", text=say("heading.unanswered")), *tables]


def _table(record: Record, cohort: str, found: list[Measured]) -> Table:
    names = ("measure", "as_answered", "all_wrong", "unanswered_events", "unanswered_others")
    return Table(
        id=f"table-unanswered-{cohort}",
        caption=say("table.unanswered", model=model_name(record.main), cohort=cohort_name(cohort)),
        head=tuple(say(f"head.{name}") for name in names),
        rows=tuple(_row(record, m) for m in found),
        note=(say("note.unanswered"),),
    )


def _row(record: Record, measured: Measured) -> Row:
    metric, cohort = measured.parts
    given = record.one(f"{metric}/{record.main}/{cohort}/all")
    wrong: Cell = stacked_cell(measured) if measured.evidence.estimate is not None else (reason_of(measured),)
    return Row(
        cells=(
            (metric_short(metric),),
            estimate_cell(given, with_size=False),
            wrong,
            (detail_of(measured, "events") or DASH,),
            (detail_of(measured, "others") or DASH,),
        ),
        phantom=measured.evidence.phantom,
    )
