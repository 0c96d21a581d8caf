"""Reporting guidelines: each item of each checklist, answered from evidence, marked for a person, or open.

Coverage is no score: a checklist says what is reported, not how good a study is, and items weigh differently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from huizhen.dossier.blocks import Block, Cell, Fold, Heading, Inline, Mark, Paragraph, Row, Section, Table
from huizhen.dossier.evidence_items import Item
from huizhen.dossier.guidelines import (
    By,
    Checklist,
    ChecklistItem,
    Kind,
    checklist_from_json,
    shipped_checklists,
)
from huizhen.dossier.item_states import GivenForm, ItemState, State
from huizhen.dossier.record import Record
from huizhen.dossier.sections.items import SPACE, due_of, link_to, owner_of
from huizhen.dossier.wording import Text, join, say

States = Mapping[Item, ItemState]
COMMA = Text(", ", "，")


class Told(StrEnum):
    """How an item of a guideline stands."""

    ANSWERED = "answered"
    STATED = "stated"
    """Answered, and a part of it by a person's statement."""
    PERSON = "person"
    OPEN = "open"


TONES = {Told.ANSWERED: "pass", Told.STATED: "pass", Told.PERSON: "warn", Told.OPEN: "none"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How an item stands, and the evidence items that it waits for."""

    told: Told
    waits_for: tuple[ItemState, ...] = ()


def reporting(record: Record, states: States, given: GivenForm | None) -> Section:
    """Return the section on the reporting guidelines; `given`: who owns what, by when."""
    blocks: tuple[Block, ...] = (
        Paragraph(content=(say("reporting.what"),)),
        Paragraph(content=(say("reporting.no_score"),), tone="note"),
        *_by_kind(record, states, given),
    )
    return Section(id="guidelines", title=say("section.guidelines"), blocks=blocks, phantom=record.phantom)


def _by_kind(record: Record, states: States, given: GivenForm | None) -> list[Block]:
    """Return the folded checklists under a heading for each kind."""
    blocks: list[Block] = []
    for kind in Kind:
        found = [checklist for checklist in checklists_of(record) if checklist.kind is kind]
        if found:
            blocks.append(Heading(id=f"guidelines-{kind.value}", text=say(f"guideline_kind.{kind.value}")))
            blocks += [_folded(record, checklist, states, given) for checklist in found]
    return blocks


def checklists_of(record: Record) -> tuple[Checklist, ...]:
    """Return the study's own checklists, newest of each id, then the shipped ones that it names, or all."""
    own = {c.id: c for c in (checklist_from_json(entry.body) for entry in record.kind("checklist"))}
    settings = record.study.get("dossier")
    chosen = settings.get("checklists") if isinstance(settings, Mapping) else None
    shipped = shipped_checklists()
    names = [name for name in chosen if name in shipped] if isinstance(chosen, list) else list(shipped)
    return (*own.values(), *(shipped[name] for name in names if name not in own))


def standing(row: ChecklistItem, states: States) -> Standing:
    """Return how an item stands: what people have still to give comes first, then what nothing holds.

    An item that evidence answers only in part, or not at all, is answered once a person has said something
    to one of its evidence items.
    """
    found = [states[item] for item in row.evidence]
    missing = tuple(state for state in found if state.state is State.NOT_PROVIDED)
    lacking = tuple(state for state in found if state.state is State.NOT_ASSESSED)
    stated = any(state.answered for state in found)
    if missing:
        return Standing(told=Told.PERSON, waits_for=missing)
    if lacking:
        return Standing(told=Told.OPEN, waits_for=lacking)
    if row.by is not By.AUTOMATIC and not stated:
        return Standing(told=Told.PERSON)
    return Standing(told=Told.STATED if stated else Told.ANSWERED)


def _folded(record: Record, checklist: Checklist, states: States, given: GivenForm | None) -> Fold:
    about = Paragraph(
        content=(Text.both(f"{checklist.edition}. {checklist.citation.rstrip('.')}. "), checklist.rights),
        tone="source",
    )
    rows = tuple(_row(record, row, states, given) for row in checklist.items)
    head = (say("head.number"), say("head.topic"), say("head.evidence"), say("head.state"))
    title = join(checklist.title, Text.both(f" · {checklist.date}"))
    table = Table(id=f"table-checklist-{checklist.id}", caption=checklist.title, head=head, rows=rows)
    return Fold(summary=title, blocks=(about, table))


def _row(record: Record, row: ChecklistItem, states: States, given: GivenForm | None) -> Row:
    links = tuple(x for item in row.evidence for x in (link_to(item), SPACE))
    state = _state(record, standing(row, states), given)
    return Row(cells=((Text.both(row.number),), (row.topic,), links[:-1], state))


def _state(record: Record, found: Standing, given: GivenForm | None) -> Cell:
    """Return how an item stands, with who owns what is missing, or which evidence is open."""
    mark = Mark(TONES[found.told], say(f"told.{found.told.value}"))
    if found.told is Told.PERSON:
        return (mark, SPACE, *_owners(record, found.waits_for, given))
    if found.told is Told.OPEN:
        return (mark, *(x for state in found.waits_for for x in (SPACE, link_to(state.item.id))))
    return (mark,)


def _owners(record: Record, missing: tuple[ItemState, ...], given: GivenForm | None) -> tuple[Inline, ...]:
    """Return each owner and due date once; without evidence to give, those of the form."""
    if not missing:
        return (say("reporting.confirm"), SPACE, owner_of(None, given))
    cells: list[Inline] = []
    for state in {(state.owner, state.due): state for state in missing}.values():
        cells += [owner_of(state, given), COMMA, *due_of(record, state, given), Text("; ", "；")]
    return tuple(cells[:-1])
