"""Participants: the flow diagram of who was left out and why, the cohort by site, the checks on the data."""

from __future__ import annotations

from huizhen.dossier.blocks import Block, Facts, Row, Section, Table
from huizhen.dossier.details import detail_facts, generic_table, table_of_rows
from huizhen.dossier.estimates import DASH, cite_size, detail_of, estimate_of
from huizhen.dossier.labels import column_name
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.sections.cohort import site_table
from huizhen.dossier.sections.data_checks import data_checks
from huizhen.dossier.sections.disclosure import disclosure
from huizhen.dossier.sections.flow import flow_by_site, flow_diagram, tallies
from huizhen.dossier.sections.given import not_provided
from huizhen.dossier.sections.order import cite_kind
from huizhen.dossier.wording import Text, say

CONSENT = (
    *("permitted", "no_consent", "not_yet_given", "expired", "withdrawn", "denied"),
    *("purpose", "modality", "partner", "condition", "unchecked"),
)
"""Whether a consent permits the study's use, or why not."""
WITHDRAWN = (
    *("no_new_use", "next_version", "approximate", "retrain"),
    *("trained", "tuned", "tested", "pooled", "asked"),
)
"""What those who withdrew chose, and how they had been used."""
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
    blocks += data_checks(record)
    if checks := record.about(*CHECKS):
        blocks.append(generic_table(checks, id="table-checks", caption=say("table.checks")))
    return Section(
        id="participants", title=say("section.participants"), blocks=tuple(blocks), phantom=record.phantom
    )


def _consents(record: Record) -> list[Block]:
    """Return what patients permit at each hospital, who was left out since, and who withdrew after use."""
    tables = (
        _consent_table(record, "consent", CONSENT, "note.consents"),
        _consent_table(record, "consent_rounds", ("left_out", *CONSENT[1:]), "note.consents_since"),
        _consent_table(record, "consent_withdrawn", WITHDRAWN, "note.consents_withdrawn"),
    )
    found = [*tables, _unlearned(record)]
    return [table for table in found if table is not None]


def _unlearned(record: Record) -> Table | None:
    """Return a row a hospital that answered whether a model is close to one made without who withdrew."""
    found = record.about("consent_unlearned")
    rows = tuple(
        Row(
            cells=(
                (_hospital(m.evidence.key.partition("/")[2]),),
                (cite_size(m) if m.evidence.n is not None else DASH,),
                (estimate_of(m, with_size=False) or DASH,),
                *((detail_of(m, field) or DASH,) for field in ("delta", "bound")),
                (say(f"consent.{m.evidence.detail.get('why', 'unlearned')}"),),
                *((detail_of(m, field) or DASH,) for field in ("version", "day")),
            ),
            phantom=m.evidence.phantom,
        )
        for m in found
    )
    head = (
        say("head.site"),
        column_name("patients"),
        *(say(f"consent.{name}") for name in ("epsilon", "delta", "bound", "answer", "version", "day")),
    )
    id_, caption = "table-consents-unlearned", say("table.consents_unlearned")
    note = (say("note.consents_unlearned"),)
    return Table(id=id_, caption=caption, head=head, rows=rows, note=note) if rows else None


def _consent_table(record: Record, metric: str, fields: tuple[str, ...], note: str) -> Table | None:
    """Return a row a hospital, or one of all together, with how many patients each of `fields` holds for."""
    found = record.about(metric)
    shown = [field for field in fields if any(field in m.evidence.detail for m in found)]
    rows = tuple(
        Row(
            cells=(
                (_hospital(m.evidence.key.partition("/")[2]),),
                (cite_size(m),),
                *((detail_of(m, field) or DASH,) for field in shown),
                (detail_of(m, "day") or DASH,),
            ),
            phantom=m.evidence.phantom,
        )
        for m in found
    )
    if not rows:
        return None
    told = (say(f"consent.{field}") for field in (*shown, "day"))
    head = (say("head.site"), column_name("patients"), *told)
    name = note.partition(".")[2]
    caption, told_below = say(f"table.{name}"), (say(note),)
    id_ = f"table-{name.replace('_', '-')}"
    return Table(id=id_, caption=caption, head=head, rows=rows, note=told_below)


def _hospital(name: str) -> Text:
    """Return a hospital's name; of several asked together, that."""
    return say("consent.together") if name == "all" else Text.both(name)


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
