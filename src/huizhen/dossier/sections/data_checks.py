"""What was found in the data before the run: missing values, protocols, odd images and values, labels."""

from __future__ import annotations

from huizhen.dossier.blocks import Block, Heading, Paragraph, Table
from huizhen.dossier.details import generic_table, table_of_rows
from huizhen.dossier.labels import part_name
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.wording import Text, join, say

__all__ = ["data_checks", "label_audit"]

ROWS = ("missing_values", "missing_patterns", "missing_by_site", "missing_by_outcome")
"""Evidence of missing values, each a table."""
MADE = "acquisition"
ODD = ("odd_values", "odd_dates", "copies")
IMAGES = "image_outliers"
AUDIT = "label_audit"
LISTS = ("classes", "pairs", "strata")
"""What of an audit is a table of its own."""


def data_checks(record: Record) -> list[Block]:
    """Return what `huizhen data check` found: nothing in a run that was given none of it."""
    found = record.about(*ROWS, MADE, *ODD, IMAGES)
    if not found:
        return []
    blocks: list[Block] = [Heading(id="data-checks", text=say("heading.data_checks"))]
    blocks += [table for m in record.about(*ROWS, MADE, *ODD) if (table := _rows(m, "rows")) is not None]
    if images := record.about(IMAGES):
        blocks.append(generic_table(images, id="table-image-outliers", caption=say(f"table.{IMAGES}")))
    return blocks


def label_audit(record: Record) -> list[Block]:
    """Return what `huizhen data audit-labels` found, and what a second reading did."""
    found = record.family(AUDIT)
    if not found:
        return []
    blocks: list[Block] = [
        Heading(id="label-audit", text=say("heading.label_audit")),
        Paragraph(content=(say("note.label_audit"),), tone="note"),
        generic_table(found, id="table-label-audit", caption=say("table.label_audit")),
    ]
    tables = (_rows(m, name) for m in found for name in LISTS)
    return [*blocks, *(table for table in tables if table is not None)]


def _rows(measured: Measured, field: str) -> Table | None:
    """Return a list of an evidence as a table, captioned by its kind and what it is about."""
    metric = measured.evidence.metric
    about = [part_name(part, measured.own) for part in measured.parts if part != metric]
    name = say(f"table.{metric if field == 'rows' else f'{AUDIT}_{field}'}")
    caption = join(name, *about, by=Text(", ", "，"))
    place = "-".join(["table", *measured.evidence.key.replace("_", "-").split("/"), field])
    return table_of_rows(measured, field, id=place, caption=caption)
