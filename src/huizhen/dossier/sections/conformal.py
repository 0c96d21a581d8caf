"""Prediction sets: how often they held the outcome, by class and site, and how often they named one class."""

from __future__ import annotations

from huizhen.dossier.blocks import Block, Cell, Heading, Mark, Paragraph, Row, Table, phrase
from huizhen.dossier.citations import Scalar, cite, plainly
from huizhen.dossier.estimates import DASH, detail_of, estimate_cell, methods_of
from huizhen.dossier.labels import cohort_name, column_name, site_name
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.wording import Text, say

FAMILY = "conformal"
TONES = {"kept": "pass", "not kept": "fail", "inconclusive": "none"}
COUNTS = ("double", "empty", "single_wrong")


def conformal(record: Record) -> list[Block]:
    """Return the coverage and the forms of the prediction sets, a row a cohort and site."""
    singles = [m for m in record.family(FAMILY) if m.parts[0] == "one_class"]
    covered = [m for m in record.family(FAMILY) if m.parts[0] == "coverage"]
    if not singles:
        return []
    names = (
        "cohort",
        "site",
        "cuts",
        "covered_event",
        "covered_other",
        "covered_any",
        "single_sets",
        *COUNTS,
    )
    table = Table(
        id="table-conformal",
        caption=say("table.conformal"),
        head=tuple(say(f"head.{name}") for name in names),
        rows=tuple(_row(record, m) for m in singles),
        note=(say("note.conformal"), *methods_of([*covered, *singles])),
    )
    return [Heading(id="conformal", text=say("heading.conformal")), *_level(covered), table]


def _level(covered: list[Measured]) -> list[Block]:
    """Return what the sets are meant to reach."""
    for m in covered:
        if isinstance(m.evidence.detail.get("level"), float):
            cited = cite(
                m.entry, column_name("level"), "/detail/level", show=_percent, phantom=m.evidence.phantom
            )
            return [Paragraph(content=(phrase("conformal.level", level=cited),), tone="table-note")]
    return []


def _percent(level: Scalar) -> Text:
    return Text.both(f"{100 * level:g} %") if isinstance(level, float) else plainly(level)


def _row(record: Record, single: Measured) -> Row:
    cohort, group = single.parts[1], single.parts[2]
    by = [record.one(f"{FAMILY}/coverage/{cohort}/{group}/{which}") for which in ("event", "other", "any")]
    cuts = detail_of(by[2], "cuts") if by[2] else None
    cells: list[Cell] = [(cohort_name(cohort),), (site_name(group, record.site_titles),), (cuts or DASH,)]
    cells += [_covered(found) for found in by]
    cells += [estimate_cell(single)]
    cells += [(detail_of(single, name) or DASH,) for name in COUNTS]
    return Row(cells=tuple(cells), strong=group == "all", phantom=single.evidence.phantom)


def _covered(found: Measured | None) -> Cell:
    cell = estimate_cell(found)
    judgement = found.evidence.detail.get("judgement") if found else None
    if not isinstance(judgement, str) or judgement not in TONES:
        return cell
    mark = Mark(TONES[judgement], say(f"conformal.{judgement.replace(' ', '_')}"))
    return (*cell, Text.both(" "), mark)
