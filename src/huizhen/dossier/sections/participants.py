"""Participants: the flow diagram of who was left out and why, the cohort by site, the checks on the data."""

from __future__ import annotations

from huizhen.dossier.blocks import Block, Facts, Section
from huizhen.dossier.details import detail_facts, generic_table, table_of_rows
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.sections.cohort import site_table
from huizhen.dossier.sections.flow import flow_by_site, flow_diagram, tallies
from huizhen.dossier.sections.given import not_provided
from huizhen.dossier.sections.order import cite_kind
from huizhen.dossier.wording import say

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
    blocks += _damage(record)
    if checks := record.about(*CHECKS):
        blocks.append(generic_table(checks, id="table-checks", caption=say("table.checks")))
    return Section(
        id="participants", title=say("section.participants"), blocks=tuple(blocks), phantom=record.phantom
    )


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
