"""The labels asked for between rounds: who gave them, and what the model reached with how many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from huizhen.dossier.blocks import Block, Cell, Figure, Heading, Inline, Paragraph, Row, Table
from huizhen.dossier.citations import cite, plainly
from huizhen.dossier.details import cite_leaf
from huizhen.dossier.estimates import DASH, detail_of, estimate_cell, estimate_of, reason_of
from huizhen.dossier.figures.label_cost import draw_label_cost
from huizhen.dossier.labels import label_of, metric_name
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.wording import Text, say

__all__ = ["labelling"]

BEFORE = ("rule", "budget")


def labelling(record: Record) -> list[Block]:
    """Return the query rounds, in order, with agreement of readers; nothing in a study that didn't ask."""
    asked = record.family("labels")
    if not asked:
        return []
    blocks: list[Block] = [Heading(id="labelling", text=say("heading.labelling"))]
    if asked[0].evidence.reason:
        said: tuple[Inline, ...] = (reason_of(asked[0]),)
        blocks.append(Paragraph(content=said, tone="fail"))
    blocks.append(_table(record, asked))
    reached = [m for m in record.family("label_cost") if m.evidence.estimate is not None]
    if len(reached) > 1:
        blocks.append(
            Figure(
                id="figure-label-cost",
                caption=say("figure.label_cost"),
                alt=say("figure.label_cost_alt"),
                svg=draw_label_cost([m.evidence for m in reached]),
                sources=tuple(m.entry.index for m in reached),
                phantom=record.phantom,
            )
        )
    if agreement := record.family("label_agreement"):
        content: tuple[Inline, ...] = (metric_name("label_agreement"), Text(": ", "："))
        blocks.append(Paragraph(content=(*content, *estimate_cell(agreement[0])), tone="note"))
    return blocks


def _table(record: Record, asked: Sequence[Measured]) -> Table:
    """Return the rounds as rows; each with the AUC that was reached with all labels so far."""
    sites = [str(row["site"]) for row in asked[0].evidence.detail["sites"]]
    heads = ("query", "rule", "budget", "given", "labels_so_far")
    head = (*(say(f"head.{name}") for name in heads), *map(Text.both, sites), say("head.auc_tuning"))
    return Table(
        id="table-labelling",
        caption=say("table.labelling"),
        head=head,
        rows=tuple(_row(record, one) for one in asked),
        note=(say("note.labelling"),),
    )


def _row(record: Record, asked: Measured) -> Row:
    number = int(asked.parts[0].removeprefix("query"))
    reached = record.one(f"label_cost/query{number + 1}")
    phantom = asked.evidence.phantom
    given = estimate_of(asked, with_size=False)
    so_far = cite(asked.entry, label_of(asked), "/n", show=plainly, phantom=phantom)
    cells: list[Cell] = [
        (say("labelling.first") if number == 0 else Text.both(str(number)),),
        *((found,) if (found := detail_of(asked, name)) else (DASH,) for name in BEFORE),
        (given or DASH,),
        (so_far,),
    ]
    rows: Sequence[Mapping[str, object]] = asked.evidence.detail["sites"]
    cells += [_site(asked, place, row) for place, row in enumerate(rows)]
    return Row(cells=(*cells, estimate_cell(reached)), phantom=phantom)


def _site(asked: Measured, place: int, row: Mapping[str, object]) -> Cell:
    """Return one site's labels of a round, or that it shows no count so small."""
    if row["labels"] is None:
        return (say("labelling.not_shown"),)
    where = ("detail", "sites", place, "labels")
    return (cite_leaf(asked.entry, where, row["labels"], phantom=asked.evidence.phantom),)
