"""Evidence items: where each of the 48 stands, what of the ledger holds it, who has still to give what."""

from __future__ import annotations

from collections.abc import Mapping

from huizhen.dossier.blocks import (
    Block,
    Cell,
    Facts,
    Fold,
    Inline,
    Link,
    Mark,
    Paragraph,
    Row,
    Section,
    Table,
)
from huizhen.dossier.citations import Cited, Scalar, cite, pointer
from huizhen.dossier.estimates import DASH, reason_of
from huizhen.dossier.evidence_items import Item
from huizhen.dossier.item_states import GivenForm, ItemState, State
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.sections.order import cite_kind, cite_time
from huizhen.dossier.wording import Text, say
from huizhen.ledger.records import Entry

MOST_LINKS = 6
"""Entries that a row links to, the first of each pattern; the others stand in the section it names."""

TONES = {State.FILLED: "pass", State.NOT_PROVIDED: "warn", State.NOT_ASSESSED: "none"}
SPACE = Text.both(" ")


def evidence_items_section(
    record: Record, states: Mapping[Item, ItemState], given: GivenForm | None, sections: tuple[str, ...]
) -> Section:
    """Return the section on the evidence items; `sections` are the ids that links may lead to."""
    waiting = [state for state in states.values() if state.state is State.NOT_PROVIDED]
    blocks: list[Block] = [Paragraph(content=(say("items.what"),)), *_form(given)]
    if waiting:
        blocks.append(Fold(summary=say("fold.waiting"), blocks=(_waiting(record, waiting, given),)))
    table = _table(record, list(states.values()), given, sections)
    blocks.append(Fold(summary=say("fold.items"), blocks=(table,)))
    return Section(id="evidence", title=say("section.evidence"), blocks=tuple(blocks), phantom=record.phantom)


def _form(given: GivenForm | None) -> list[Block]:
    """Return which form was given, or that none was."""
    if given is None:
        return [Paragraph(content=(say("items.no_form"),), tone="note")]
    digest = cite(given.entry, say("fact.form_digest"), "/digest")
    rows = ((say("fact.form_digest"), (digest,)), (say("fact.form_given"), (cite_time(given.entry),)))
    return [Facts(rows=rows)]


def _waiting(record: Record, waiting: list[ItemState], given: GivenForm | None) -> Table:
    rows = tuple(
        Row(
            cells=((link_to(s.item.id), SPACE, s.item.title), (owner_of(s, given),), due_of(record, s, given))
        )
        for s in waiting
    )
    head = (say("head.item"), say("head.owner"), say("head.due"))
    return Table(id="table-waiting", caption=say("table.waiting"), head=head, rows=rows)


def owner_of(state: ItemState | None, given: GivenForm | None) -> Cited | Text:
    """Return who owns an item, as the form says it (without an item: for all), or that nobody is named."""
    return _said(state, given, "owner") or say("items.nobody")


def due_of(record: Record, state: ItemState | None, given: GivenForm | None) -> Cell:
    """Return by when an item is due, marked if the ledger's last entry is later; or that none is set."""
    due = _said(state, given, "due")
    if due is None:
        return (say("items.no_date"),)
    late = due.text.en < record.entries[-1].time[:10]
    return (due, SPACE, Mark("warn", say("items.overdue"))) if late else (due,)


def _said(state: ItemState | None, given: GivenForm | None, field: str) -> Cited | None:
    """Return a field of an item's answer, else of the form's default, or None where neither says it."""
    if given is None:
        return None
    if state is not None and state.answer is not None and getattr(state.answer, field):
        path = pointer("answers", state.item.id.value, field)
    elif getattr(given.form.default, field):
        path = pointer("default", field)
    else:
        return None
    return cite(given.entry, say(f"head.{field}"), path)


def link_to(item: Item) -> Link:
    """Return a link to an item's row."""
    return Link(f"#{anchor(item)}", Text.both(item.value))


def anchor(item: Item) -> str:
    """Return the id of an item's row.

    >>> anchor(Item.EV05)
    'ev-05'
    """
    return f"ev-{item.value[2:]}"


def _table(
    record: Record, states: list[ItemState], given: GivenForm | None, sections: tuple[str, ...]
) -> Table:
    head = (say("head.item"), say("head.state"), say("head.of_ledger"), say("head.of_person"))
    rows = tuple(
        Row(
            id=anchor(state.item.id),
            cells=(
                (Text.both(state.item.id.value), SPACE, state.item.title),
                (state_mark(state.state),),
                _of_ledger(state, sections),
                _of_person(record, state, given),
            ),
        )
        for state in states
    )
    return Table(id="table-items", caption=say("table.items"), head=head, rows=rows)


def state_mark(state: State) -> Mark:
    """Return a state as a mark."""
    return Mark(TONES[state], say(f"state.{state.value}"))


def _of_ledger(state: ItemState, sections: tuple[str, ...]) -> Cell:
    """Return links to the entries that hold the item, and why something isn't there."""
    if not state.item.of_ledger:
        return (say("items.person_alone"),)
    cell: list[Inline] = _links(state.held)
    if state.held and state.item.section in sections:
        cell += [Link(f"#{state.item.section}", say(f"section.{state.item.section}"))]
    if state.reason is not None:
        cell.append(reason_of(state.reason) if isinstance(state.reason, Measured) else state.reason)
    if state.beside:
        cell += [SPACE, say("items.beside"), SPACE, *_links(state.beside)]
    return tuple(cell) or (DASH,)


def _links(entries: tuple[Entry, ...]) -> list[Inline]:
    found: list[Inline] = [x for entry in entries[:MOST_LINKS] for x in (cite_kind(entry), SPACE)]
    return [*found, Text.both("… ")] if len(entries) > MOST_LINKS else found


def _of_person(record: Record, state: ItemState, given: GivenForm | None) -> Cell:
    """Return a person's answer or reason with its owner, or who has still to give it."""
    owner = owner_of(state, given)
    if given is not None and state.answer is not None and (state.answer.answer or state.answer.reason):
        field = "answer" if state.answer.answer else "reason"
        return (_quoted(given, state, field), Text(" (", "（"), owner, Text(")", "）"))
    if state.state is not State.NOT_PROVIDED:
        return (say("items.not_asked"),)
    return (owner, Text(", ", "，"), *due_of(record, state, given))


def _quoted(given: GivenForm, state: ItemState, field: str) -> Cited:
    """Return the text as it stands in the form's entry, its Chinese where the form gives one."""
    item = state.item.id.value
    paths = [pointer("answers", item, field)]
    if getattr(state.answer, f"{field}_zh"):
        paths.append(pointer("answers", item, f"{field}_zh"))

    def show(text: Scalar, chinese: Scalar = None) -> Text:
        return Text(str(text), str(chinese or text))

    return cite(given.entry, state.item.title, *paths, show=show)
