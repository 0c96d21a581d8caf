"""Disclosure: how easily patients would be found again in a site's tables, against its own bounds."""

from __future__ import annotations

from huizhen.dossier.blocks import Block, Cell, Row, Table
from huizhen.dossier.details import verdict_mark
from huizhen.dossier.estimates import DASH, cite_size, detail_of, reason_of
from huizhen.dossier.labels import column_name, site_name
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.wording import Text, say

__all__ = ["disclosure"]

COLUMNS = ("smallest_class", "max_risk", "average_risk", "share_above", "unique", "quasi_identifiers")


def disclosure(record: Record) -> list[Block]:
    """Return how each table stands; nothing where no site asked."""
    found = record.about("disclosure")
    if not found:
        return []
    head = (say("head.site"), column_name("patients"), *map(column_name, COLUMNS), say("head.verdict"))
    return [
        Table(
            id="table-disclosure",
            caption=say("table.disclosure"),
            head=(*head, column_name("recoded_class")),
            rows=tuple(_row(record, one) for one in found),
            note=(say("note.disclosure"),),
        )
    ]


def _row(record: Record, measured: Measured) -> Row:
    site = measured.parts[0] if measured.parts else ""
    name: Text = site_name(site, record.site_titles)
    evidence = measured.evidence
    if evidence.estimate is None:
        empty: list[Cell] = [(DASH,)] * (len(COLUMNS) + 1)
        return Row(cells=((name,), *empty, (reason_of(measured),), (DASH,)), phantom=evidence.phantom)
    cells: list[Cell] = [(detail_of(measured, column) or DASH,) for column in COLUMNS]
    verdict: Cell = (verdict_mark(evidence.verdict.value),)
    recoded: Cell = (detail_of(measured, "recoded_class") or DASH,)
    return Row(cells=((name,), (cite_size(measured),), *cells, verdict, recoded), phantom=evidence.phantom)
