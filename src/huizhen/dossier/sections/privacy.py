"""The privacy ledger: what each site's training patients may have lost at most, and how it was reckoned."""

from __future__ import annotations

from huizhen.dossier.blocks import Block, Cell, Heading, Paragraph, Row, Table
from huizhen.dossier.citations import cite, plainly
from huizhen.dossier.estimates import DASH, detail_of, reason_of
from huizhen.dossier.figures.intervals import IntervalAxis
from huizhen.dossier.labels import column_name, site_name
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.wording import Text, say

__all__ = ["privacy"]

BESIDE = ("prv", "pld", "rdp_upper_bound", "delta", "noise_multiplier", "sampling_rate", "steps", "clip_norm")


def privacy(record: Record) -> list[Block]:
    """Return the spend of every site; nothing in a study without differential privacy."""
    found = record.family("differential_privacy")
    spent = [m for m in found if m.evidence.metric == "epsilon"]
    if not spent:
        return []
    asked = [m.evidence.detail["asked"] for m in spent if m.evidence.detail.get("asked") is not None]
    known = [m.evidence for m in spent if m.evidence.estimate is not None]
    axis = IntervalAxis.over(known, references=asked[:1], also=(0.0,), most=float("inf"))
    head = (say("head.site"), column_name("patients"), say("head.epsilon_plot"), say("head.epsilon"))
    blank: Cell = (Text.both(""),)
    return [
        Heading(id="privacy", text=say("heading.privacy")),
        Paragraph(content=(say("privacy.meaning"),), tone="note"),
        Table(
            id="table-privacy",
            caption=say("table.privacy"),
            head=(*head, *map(column_name, BESIDE)),
            rows=tuple(_row(record, axis, one) for one in spent),
            foot=(blank, blank, (axis.foot(),), *([blank] * (1 + len(BESIDE)))) if known else (),
            note=(say("note.privacy"),),
        ),
    ]


def _row(record: Record, axis: IntervalAxis, spent: Measured) -> Row:
    evidence = spent.evidence
    name: Cell = (site_name(spent.parts[-1], record.site_titles),)
    if evidence.estimate is None:
        empty: list[Cell] = [(DASH,)] * len(BESIDE)
        return Row(cells=(name, (DASH,), (DASH,), (reason_of(spent),), *empty), phantom=evidence.phantom)
    label = say("head.epsilon")
    patients = cite(spent.entry, column_name("patients"), "/n", show=plainly, phantom=evidence.phantom)
    epsilon = cite(spent.entry, label, "/estimate", show=plainly, phantom=evidence.phantom)
    beside = [detail_of(spent, name) for name in BESIDE]
    cells: list[Cell] = [(cell,) if cell else (DASH,) for cell in beside]
    return Row(cells=(name, (patients,), (axis.bar(evidence),), (epsilon,), *cells), phantom=evidence.phantom)
