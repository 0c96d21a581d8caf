"""What a dossier says of a table that was made elsewhere: what was given, and what nobody gave."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from huizhen.dossier.blocks import Block, Cell, Facts, Paragraph
from huizhen.dossier.citations import Scalar, cite, plainly, pointer, readable
from huizhen.dossier.details import cite_leaf
from huizhen.dossier.record import Record
from huizhen.dossier.wording import Text, known, say

__all__ = ["given_facts", "not_provided", "taken_on_trust"]

FIELDS = (
    *("table", "patient", "outcome", "score", "model", "compare", "scale", "threshold", "compare_thresholds"),
    *("tune", "site", "clustered", "cohort", "reader", "rating", "arm", "reference"),
    *("generalise", "margin"),
)
"""The keys of [predictions] and [reads] that are told, in this order."""


def given_facts(record: Record) -> list[Block]:
    """Return what was given: the table with its digest and rows, and what its columns hold."""
    if not record.given:
        return []
    section = "predictions" if record.study.get("predictions") else "reads"
    rows = [(say(f"given.{name}"), cell) for name in FIELDS if (cell := _field(record, section, name))]
    return [Facts(rows=(*_table(record), *rows))]


def _field(record: Record, section: str, name: str) -> Cell:
    """Return a field of the table's section in the study, or nothing where it is empty."""
    value = record.given.get(name)
    if value in (None, "", [], {}, False):
        return ()
    entry = record.study_entry
    if isinstance(value, Mapping):
        cited = [
            cite(entry, Text.both(str(key)), pointer("study", section, name, key), show=_named(str(key)))
            for key in value
        ]
        return tuple(part for one in cited for part in (one, Text("; ", "；")))[:-1]
    return (cite_leaf(entry, ("study", section, name), value),)


def _named(name: str) -> Callable[[Scalar], Text]:
    def show(value: Scalar) -> Text:
        return Text.both(f"{name}: {plainly(value).en}")

    return show


def _table(record: Record) -> list[tuple[Text, Cell]]:
    """Return the digest of the table and how many of its rows count."""
    intake = next(iter(record.kind("intake")), None)
    held = intake.body.get("table") if intake else None
    if intake is None or not isinstance(held, Mapping):
        return []
    return [
        (say(f"given.{name}"), (cite(intake, say(f"given.{name}"), pointer("table", name), show=readable),))
        for name in ("sha256", "rows", "counted")
        if name in held
    ]


def not_provided(record: Record, topic: str) -> list[Block]:
    """Return a paragraph that says what of `topic` came with no table; nothing for other studies."""
    if not record.given:
        return []
    of_reads = f"not_provided.{topic}_of_reads"
    key = of_reads if record.study.get("reads") and known(of_reads) else f"not_provided.{topic}"
    return [Paragraph(content=(say(key),), tone="note")]


def taken_on_trust(record: Record) -> list[Block]:
    """Return what the order of events can't show of a table that came with its outcomes."""
    return [Paragraph(content=(say("given.trust"),), tone="note")] if record.given else []
