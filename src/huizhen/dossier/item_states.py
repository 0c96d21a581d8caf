"""What a ledger says of each of the 48 evidence items: filled, not provided, or not assessed; never blank."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from huizhen.core.evidence import Verdict
from huizhen.dossier.evidence_items import EvidenceItem, Item, evidence_items, matches
from huizhen.dossier.form import Answer, Form, form_from_json
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.wording import Text, say
from huizhen.ledger.records import Entry

__all__ = ["GivenForm", "ItemState", "State", "given_form", "item_states"]


Assessed = Mapping[str, Entry]
"""The entries of evidence that was assessed, by key."""


class State(StrEnum):
    """Where an item stands."""

    FILLED = "filled"
    NOT_PROVIDED = "not_provided"
    """A person has still to give it, or their part of it."""
    NOT_ASSESSED = "not_assessed"


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenForm:
    """The newest form of a ledger and the entry that it stands in."""

    form: Form
    entry: Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemState:
    """An item of one ledger: its state, what of the ledger belongs to it, and what a person said.

    `held`: entries that fill it, in ledger order by pattern; `beside`: entries that belong to it but don't
    fill it. `reason`: of what the ledger lacks, as evidence that names it or as a text. `owner` and `due` are
    empty where nobody has named them.
    """

    item: EvidenceItem
    state: State
    held: tuple[Entry, ...] = ()
    beside: tuple[Entry, ...] = ()
    reason: Measured | Text | None = None
    answer: Answer | None = None
    owner: str = ""
    due: str = ""

    @property
    def answered(self) -> bool:
        """Whether a person gave an answer."""
        return self.answer is not None and bool(self.answer.answer)


def given_form(record: Record) -> GivenForm | None:
    """Return the newest form, or None. Raises `DossierError` when its entry holds none."""
    entries = record.kind("form")
    return GivenForm(form=form_from_json(entries[-1].body), entry=entries[-1]) if entries else None


def item_states(record: Record, given: GivenForm | None = None) -> Mapping[Item, ItemState]:
    """Return the state of every item; `given` is `given_form(record)`."""
    form = given.form if given else Form.empty()
    measured = [m for m in record.measured if m.evidence.verdict is not Verdict.NOT_ASSESSED]
    assessed = {m.evidence.key: m.entry for m in measured}
    return {item.id: _state(record, assessed, item, form) for item in evidence_items().values()}


def _state(record: Record, assessed: Assessed, item: EvidenceItem, form: Form) -> ItemState:
    held = _entries(record, assessed, item.evidence, item.entries)
    beside = _entries(record, assessed, item.beside, item.beside_entries)
    answer = form.answers.get(item.id)
    reason = _reason(record, item) if item.of_ledger and not held else None
    return ItemState(
        item=item,
        state=_judge(item, bool(held), answer),
        held=held,
        beside=tuple(entry for entry in beside if entry not in held),
        reason=reason,
        answer=answer,
        owner=(answer.owner if answer else "") or form.default.owner,
        due=(answer.due if answer else "") or form.default.due,
    )


def _judge(item: EvidenceItem, held: bool, answer: Answer | None) -> State:
    """Return the state: what a person has still to give comes first, then what nothing holds."""
    if answer is not None and answer.reason:
        return State.NOT_ASSESSED
    if answer is not None and answer.answer:
        return State.FILLED
    if item.asked or answer is not None:
        return State.NOT_PROVIDED
    if held:
        return State.FILLED
    return State.NOT_PROVIDED if item.lacks is not None else State.NOT_ASSESSED


def _entries(
    record: Record, assessed: Assessed, patterns: tuple[str, ...], kinds: tuple[str, ...]
) -> tuple[Entry, ...]:
    """Return the assessed evidence of `patterns`, the first pattern's first, then the entries of `kinds`."""
    wanted = [pattern for pattern in patterns if not pattern.startswith("!")]
    left = {key: entry for key, entry in assessed.items() if matches(patterns, key)} if wanted else {}
    found = [entry for pattern in wanted for key, entry in left.items() if fnmatchcase(key, pattern)]
    found += [entry for kind in kinds for entry in record.kind(kind)]
    return tuple({entry.index: entry for entry in found}.values())


def _reason(record: Record, item: EvidenceItem) -> Measured | Text:
    """Return why the ledger holds nothing that fills the item: evidence that says so, or a text."""
    for topic in item.topics:
        if (told := record.one(f"not_assessed/{topic}")) is not None:
            return told
    tried = (m for m in record.measured if m.evidence.verdict is Verdict.NOT_ASSESSED)
    if (told := next((m for m in tried if item.fills(m.evidence.key)), None)) is not None:
        return told
    if item.lacks is not None:
        return say("form.lacks", what=item.lacks)
    return item.without or say("item.no_entry")
