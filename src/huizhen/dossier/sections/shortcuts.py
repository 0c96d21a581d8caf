"""Shortcuts: whether features tell the site, and what the model says of images without their lesion."""

from __future__ import annotations

from huizhen.dossier.blocks import Block, Cell, Heading, Paragraph, Row, Table
from huizhen.dossier.estimates import DASH, detail_of, estimate_cell, methods_of, reason_of
from huizhen.dossier.figures.intervals import IntervalAxis
from huizhen.dossier.labels import cohort_name, modality_name, site_name, value_name
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.wording import Text, say

FAMILY = "shortcut"
CHANCE = 0.5
SHOWN = ("masked_images", "lesion_blanked", "lesion_only")


def shortcuts(record: Record) -> list[Block]:
    """Return the tables of both tests, or why there is none."""
    found = record.family(FAMILY)
    if not found:
        return []
    blocks: list[Block] = [Heading(id="shortcuts", text=say("heading.shortcuts"))]
    sites = [m for m in found if m.parts[0] == "site"]
    told = [m for m in sites if len(m.parts) == 3]
    blocks += [_sites(record, told)] if told else []
    blocks += [Paragraph(content=(reason_of(m),), tone="note") for m in sites if len(m.parts) < 3]
    blinded = [m for m in found if m.parts[0] in SHOWN]
    blocks += [_lesions(record, blinded)] if blinded else []
    blocks += [] if blinded else [Paragraph(content=(say("shortcuts.no_masks"),), tone="note")]
    return blocks


def _sites(record: Record, told: list[Measured]) -> Table:
    axis = IntervalAxis.over([m.evidence for m in told], references=[CHANCE])
    blank: Cell = (Text.both(""),)
    names = ("modality", "told_site", "plot_auc", "auc", "by_outcome")
    return Table(
        id="table-shortcut-sites",
        caption=say("table.shortcut_sites"),
        head=tuple(say(f"head.{name}") for name in names),
        rows=tuple(
            Row(
                cells=(
                    (modality_name(record, m.parts[1]),),
                    (site_name(m.parts[2], record.site_titles),),
                    _plot(axis, m),
                    estimate_cell(m),
                    (detail_of(m, "by_outcome") or DASH,),
                ),
                phantom=m.evidence.phantom,
            )
            for m in told
        ),
        foot=(blank, blank, (axis.foot(),), blank, blank),
        note=(say("note.shortcut_sites"), *methods_of(told)),
    )


def _plot(axis: IntervalAxis, measured: Measured) -> Cell:
    return (axis.interval(measured.evidence),) if measured.evidence.estimate is not None else (DASH,)


def _lesions(record: Record, found: list[Measured]) -> Table:
    """Return a row for each cohort and way of showing its images."""
    names = ("cohort", "shown_of", "auc", "less_whole", "score_change", "of_events", "of_others")
    pairs = list(dict.fromkeys((m.parts[1], m.parts[0]) for m in found))
    return Table(
        id="table-shortcut-lesions",
        caption=say("table.shortcut_lesions"),
        head=tuple(say(f"head.{name}") for name in names),
        rows=tuple(_lesion_row(record, cohort, shown) for cohort, shown in pairs),
        note=(say("note.shortcut_lesions"), *methods_of([m for m in found if m.evidence.interval])),
    )


def _lesion_row(record: Record, cohort: str, shown: str) -> Row:
    by = {
        name: record.one(f"{FAMILY}/{shown}/{cohort}/{name}")
        for name in ("auc", "auc_difference", "score_change")
    }
    change = by["score_change"]
    cells: list[Cell] = [(cohort_name(cohort),), (value_name(shown),), estimate_cell(by["auc"])]
    cells += [estimate_cell(by[name], with_size=False) for name in ("auc_difference", "score_change")]
    cells += [((detail_of(change, name) if change else None) or DASH,) for name in ("of_events", "of_others")]
    phantom = any(m.evidence.phantom for m in by.values() if m)
    return Row(cells=tuple(cells), strong=shown == SHOWN[0], phantom=phantom)
