"""Participants: the flow diagram of who was left out and why, the cohort by site, the checks on the data."""

from __future__ import annotations

from huizhen.dossier.blocks import Block, Facts, Row, Section, Table
from huizhen.dossier.details import detail_facts, generic_table, table_of_rows
from huizhen.dossier.estimates import DASH, cite_size, detail_of
from huizhen.dossier.labels import column_name
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.sections.cohort import site_table
from huizhen.dossier.sections.disclosure import disclosure
from huizhen.dossier.sections.flow import flow_by_site, flow_diagram, tallies
from huizhen.dossier.sections.given import not_provided
from huizhen.dossier.sections.order import cite_kind
from huizhen.dossier.wording import Text, say

CONSENT = (
    *("permitted", "no_consent", "not_yet_given", "expired", "withdrawn", "denied"),
    *("purpose", "modality", "partner", "condition"),
)
"""Whether a consent permits the study's use, or why not."""
CHECKS = ("leakage", "data_damage", "split")


def participants(record: Record) -> Section:
    """Return the section on the participants."""
    blocks = not_provided(record, "participants")
    allocation, outcomes = (next(iter(record.about(name)), None) for name in ("allocation", "outcomes"))
    for measured in record.about("flow"):
        made = (flow_diagram(measured, allocation, outcomes), flow_by_site(measured), tallies(measured))
        blocks += [block for block in made if block is not None]
    for measured in record.about("cohort"):
        blocks += _cohort(measured)
    for measured in (*record.about("allocation"), *record.about("outcomes")):
        blocks += _counted(measured)
    blocks += _consents(record)
    blocks += disclosure(record)
    blocks += _damage(record)
    if checks := record.about(*CHECKS):
        blocks.append(generic_table(checks, id="table-checks", caption=say("table.checks")))
    return Section(
        id="participants", title=say("section.participants"), blocks=tuple(blocks), phantom=record.phantom
    )


def _consents(record: Record) -> list[Block]:
    """Return, of each hospital that keeps consents, how many patients permit the use and why others don't."""
    found = record.about("consent")
    reasons = [name for name in CONSENT if any(name in m.evidence.detail for m in found)]
    rows = tuple(
        Row(
            cells=(
                (Text.both(m.evidence.key.partition("/")[2]),),
                (cite_size(m),),
                *((detail_of(m, name) or DASH,) for name in reasons),
                (detail_of(m, "day") or DASH,),
            ),
            phantom=m.evidence.phantom,
        )
        for m in found
    )
    if not rows:
        return []
    told = (say(f"consent.{name}") for name in (*reasons, "day"))
    head = (say("head.site"), column_name("patients"), *told)
    caption, note = say("table.consents"), (say("note.consents"),)
    return [Table(id="table-consents", caption=caption, head=head, rows=rows, note=note)]


def _damage(record: Record) -> list[Block]:
    """Return the damaged cache entries that were set aside and made again."""
    found = record.kind("damage")
    if not found:
        return []
    rows = tuple((say("fact.damage"), (cite_kind(entry),)) for entry in found)
    return [Facts(rows=rows), *(detail_facts(entry, "entries") for entry in found if "entries" in entry.body)]


def _counted(measured: Measured) -> list[Block]:
    """Return the tables of an allocation, or of the events counted once outcomes were opened."""
    fields = [field for field, value in measured.evidence.detail.items() if isinstance(value, list)]
    names = {field: f"{measured.evidence.metric}_{field}" for field in fields}
    made = [
        table_of_rows(measured, field, id=f"table-{name.replace('_', '-')}", caption=say(f"table.{name}"))
        for field, name in names.items()
    ]
    return [table for table in made if table is not None]


def _cohort(measured: Measured) -> list[Block]:
    """Return a table for every list of rows in the detail; that of the sites in its own form."""
    blocks: list[Block] = []
    for field in measured.evidence.detail:
        if made := site_table(measured, field) or table_of_rows(
            measured, field, id=f"table-cohort-{field}", caption=say("table.cohort")
        ):
            blocks.append(made)
    return blocks
