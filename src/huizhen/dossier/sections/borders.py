"""Borders: what the study sends from whom to whom, and by which rules and documents that is permitted."""

from __future__ import annotations

from collections.abc import Sequence

from huizhen.dossier.blocks import Block, Cell, Heading, Row, Table
from huizhen.dossier.citations import cite, pointer, readable
from huizhen.dossier.details import cite_leaf, verdict_mark
from huizhen.dossier.estimates import DASH, detail_of
from huizhen.dossier.labels import column_name, site_name
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.wording import Text, say

__all__ = ["borders"]

COLUMNS = ("rules", "documents", "unverified", "as_told", "as_of")
SELDOM = ("replaced",)
"""Shown where a flow says something of it: carried laws in whose place files of one's own were asked."""


def borders(record: Record) -> list[Block]:
    """Return the decision on each flow of the study; nothing in a study that asked for none."""
    found = record.about("transfer")
    if not found:
        return []
    more = [name for name in SELDOM if any(one.evidence.detail.get(name) for one in found)]
    facts = record.about("transfer_facts")
    return [
        Heading(id="borders", text=say("heading.borders")),
        Table(
            id="table-transfer",
            caption=say("table.transfer"),
            head=(
                column_name("from_to"),
                column_name("kind_of_data"),
                say("head.verdict"),
                *map(column_name, [*COLUMNS, *more]),
            ),
            rows=tuple(_row(record, one, more) for one in found),
            note=(say("note.transfer"),),
        ),
        *([_facts(record, facts)] if facts else []),
    ]


def _facts(record: Record, found: Sequence[Measured]) -> Table:
    """Return for each hospital what it checked itself, and what the lead says that nobody checked."""
    rows = tuple(
        Row(
            cells=(
                (site_name(one.parts[0], record.site_titles),),
                _listed(one, "checked"),
                _listed(one, "unchecked"),
            ),
            phantom=one.evidence.phantom,
        )
        for one in found
    )
    return Table(
        id="table-transfer-facts",
        caption=say("table.transfer_facts"),
        head=(say("head.site"), column_name("checked_by_site"), column_name("said_by_lead")),
        rows=rows,
        note=(say("note.transfer_facts"),),
    )


def _row(record: Record, measured: Measured, more: Sequence[str]) -> Row:
    cells: tuple[Cell, ...] = (
        (_flow(record, measured),),
        (detail_of(measured, "kind") or DASH,),
        (verdict_mark(measured.evidence.verdict.value),),
        *(_listed(measured, name) for name in ("rules", "documents", "unverified", "told")),
        (detail_of(measured, "day") or DASH,),
        *(_listed(measured, name) for name in more),
    )
    return Row(cells=cells, phantom=measured.evidence.phantom)


def _flow(record: Record, measured: Measured) -> Text:
    """Return who sends to whom, each with the jurisdiction."""
    told = measured.evidence.detail

    def party(name: str, place: str) -> Text:
        who = str(told.get(name, ""))
        named = say("borders.lead") if who == "lead" else site_name(who, record.site_titles)
        where = str(told.get(place, "")) or "?"
        return Text(f"{named.en} ({where})", f"{named.zh}（{where}）")

    one, other = party("sender", "origin"), party("receiver", "destination")
    return Text(f"{one.en} → {other.en}", f"{one.zh} → {other.zh}")


def _listed(measured: Measured, name: str) -> Cell:
    values = measured.evidence.detail.get(name)
    if not isinstance(values, list) or not values:
        return (DASH,)
    if len(values) == 1:
        place = pointer("detail", name, 0)
        return (
            cite(measured.entry, column_name(name), place, show=readable, phantom=measured.evidence.phantom),
        )
    return (cite_leaf(measured.entry, ("detail", name), values, phantom=measured.evidence.phantom),)
