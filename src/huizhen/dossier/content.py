"""What the dossier says: its sections in order, and every citation with its place on the page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from huizhen.dossier.blocks import Block, Fold, Heading, Place, Section
from huizhen.dossier.citations import Cited
from huizhen.dossier.details import generic_table
from huizhen.dossier.item_states import given_form, item_states
from huizhen.dossier.record import Record
from huizhen.dossier.sections.appendix import appendix
from huizhen.dossier.sections.explanation import explanation
from huizhen.dossier.sections.items import evidence_items_section
from huizhen.dossier.sections.limits import limits
from huizhen.dossier.sections.model import model
from huizhen.dossier.sections.participants import participants
from huizhen.dossier.sections.reporting import reporting
from huizhen.dossier.sections.results import results
from huizhen.dossier.sections.study import study
from huizhen.dossier.sections.summary import summary
from huizhen.dossier.wording import Text, say
from huizhen.ledger.reading import VerifiedLog
from huizhen.ledger.records import SignedHead


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The whole dossier as plain data: titles, sections, and the citations in the order of the page."""

    title: Text
    record: Record
    head: SignedHead
    sections: tuple[Section, ...]
    places: tuple[Place, ...]


def content_of(log: VerifiedLog) -> Content:
    """Return what the dossier says of a verified log. Raises `DossierError` if the log can't be told.

    Evidence that no section shows stands in a table of its own: nothing is dropped.
    """
    record = Record.of(log.entries, [leaf.hex() for leaf in log.leaves])
    told = [summary(record), study(record), participants(record), model(record), results(record)]
    told += [explanation(record), limits(record)]
    told = _with_rest(record, told)
    sections = (*told, *_reported(record, tuple(s.id for s in told)), appendix(record, log.head))
    places = tuple(place for section in sections for place in places_in(section))
    return Content(title=_title(record), record=record, head=log.head, sections=sections, places=places)


def _reported(record: Record, ids: tuple[str, ...]) -> tuple[Section, Section]:
    """Return the sections on the evidence items and on the reporting guidelines that they answer."""
    given = given_form(record)
    states = item_states(record, given)
    items = evidence_items_section(record, states, given, (*ids, "ledger"))
    return items, reporting(record, states, given)


def _title(record: Record) -> Text:
    english = str(record.study.get("title") or record.study.get("name") or "")
    return Text(english, str(record.study.get("title_zh") or english))


def _with_rest(record: Record, told: list[Section]) -> list[Section]:
    """Return the sections, with the evidence that none of them cites added to the results."""
    shown = {entry for section in told for entry in cited_entries(section)}
    rest = [m for m in record.measured if m.entry.index not in shown]
    if not rest:
        return told
    added: tuple[Block, ...] = (
        Heading(id="others", text=say("heading.others")),
        generic_table(rest, id="table-others", caption=say("table.others")),
    )
    return [
        Section(id=s.id, title=s.title, blocks=(*s.blocks, *added), phantom=s.phantom)
        if s.id == "results"
        else s
        for s in told
    ]


def citations(node: Any) -> Iterator[Cited]:
    """Yield every citation within a block, table, cell or section, in order."""
    if isinstance(node, Cited):
        yield node
    elif isinstance(node, tuple):
        for inner in node:
            yield from citations(inner)
    elif is_dataclass(node) and not isinstance(node, Text):
        parts = ("en",) if type(node).__name__ == "Phrase" else tuple(f.name for f in fields(node))
        for name in parts:
            yield from citations(getattr(node, name))


def cited_entries(section: Section) -> set[int]:
    """Return the ledger entries whose content a section cites or draws; a mere mention is none."""
    return {c.entry for c in citations(section) if c.values} | set(_drawn(section.blocks))


def _drawn(node: Any) -> Iterator[int]:
    if isinstance(node, tuple):
        for inner in node:
            yield from _drawn(inner)
    elif is_dataclass(node):
        yield from getattr(node, "sources", ())
        for name in ("blocks", "figures"):
            yield from _drawn(getattr(node, name, ()))


def places_in(section: Section) -> Iterator[Place]:
    """Yield every citation of a section with the block that it stands in."""
    for block in _flat(section.blocks):
        for cited in citations(block):
            yield Place(section=section.id, block=getattr(block, "id", section.id), cited=cited)


def _flat(blocks: tuple[Block, ...]) -> Iterator[Block]:
    for block in blocks:
        if isinstance(block, Fold):
            yield from _flat(block.blocks)
        else:
            yield block
