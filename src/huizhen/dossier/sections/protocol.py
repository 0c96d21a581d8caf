"""The protocol's lock: what was fixed under a signature before the run, and every change since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from huizhen.dossier.blocks import Block, Cell, Facts, Mark, Paragraph, Row, Table, phrase
from huizhen.dossier.citations import Scalar, cite, pointer, readable, when
from huizhen.dossier.estimates import DASH
from huizhen.dossier.record import Record
from huizhen.dossier.wording import Text, say
from huizhen.ledger.records import Entry

__all__ = ["deviation_note", "protocol_lock"]

COLUMNS = ("field", "locked", "now", "when", "reason")


def protocol_lock(record: Record) -> list[Block]:
    """Return when the protocol was locked, and a table of the deviations; nothing where none was locked."""
    entry = next(iter(reversed(record.kind("protocol_lock"))), None)
    if entry is None:
        return []
    facts = Facts(rows=tuple(_lock(entry, k, lock) for k, lock in enumerate(_rows(entry, "locks"))))
    return [facts, _table(entry) or Paragraph(content=(say("deviation.none"),), tone="note")]


def deviation_note(record: Record) -> list[Block]:
    """Return a warning for the summary where the study that was run isn't the one that was locked."""
    entry = next(iter(reversed(record.kind("protocol_lock"))), None)
    found = _rows(entry, "deviations") if entry else []
    if entry is None or not found:
        return []

    def count(*fields: Scalar) -> Text:
        return Text.both(str(len(fields)))

    paths = [pointer("deviations", k, "field") for k in range(len(found))]
    number = cite(entry, say("deviation.label"), *paths, show=count)
    return [
        Paragraph(
            content=(Mark("warn", say("deviation.label")), phrase("deviation.some", number=number)),
            tone="fail",
        )
    ]


def _rows(entry: Entry, field: str) -> Sequence[Mapping[str, Any]]:
    rows = entry.body.get(field)
    return rows if isinstance(rows, list) and all(isinstance(row, Mapping) for row in rows) else []


def _moment(value: Scalar) -> Text:
    return when(str(value))


def _as_it_is(value: Scalar) -> Text:
    return Text.both(str(value))


def _lock(entry: Entry, index: int, lock: Mapping[str, Any]) -> tuple[Text, Cell]:
    """Return one lock: its time, its key, its digest."""
    name = say("deviation.locked" if index == 0 else "deviation.amended")
    cells: list[Any] = []
    for field in ("time", "key_id", "digest"):
        if isinstance(lock.get(field), str):
            label = say(f"deviation.{field}")
            show = _moment if field == "time" else readable
            cells += [cite(entry, label, pointer("locks", index, field), show=show), Text.both(" ")]
    return name, tuple(cells[:-1])


def _table(entry: Entry) -> Table | None:
    """Return every deviation with both values."""
    found = _rows(entry, "deviations")
    if not found:
        return None

    def row(index: int, deviation: Mapping[str, Any]) -> Row:
        return Row(
            cells=tuple(
                (
                    cite(
                        entry,
                        say(f"deviation.{column}"),
                        pointer("deviations", index, column),
                        show=_moment if column == "when" else _as_it_is,
                    ),
                )
                if deviation.get(column)
                else (DASH,)
                for column in COLUMNS
            )
        )

    return Table(
        id="table-deviations",
        caption=say("deviation.caption"),
        head=tuple(say(f"deviation.{column}") for column in COLUMNS),
        rows=tuple(row(k, deviation) for k, deviation in enumerate(found)),
        note=(say("deviation.note"),),
    )
