"""Study and protocol: the question, what was fixed beforehand, and when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from huizhen.dossier.blocks import Block, Facts, Fold, Heading, Row, Section, Table
from huizhen.dossier.citations import Cited, cite, pointer, shown_under
from huizhen.dossier.details import cite_leaf, detail_facts, leaves
from huizhen.dossier.labels import column_name, metric_name, model_name
from huizhen.dossier.record import Record
from huizhen.dossier.sections.given import given_facts
from huizhen.dossier.sections.order import order_table, timeline
from huizhen.dossier.sections.protocol import protocol_lock
from huizhen.dossier.wording import Text, listed, say

FACTS = (
    ("name",),
    ("task", "outcome"),
    ("task", "positive"),
    ("task", "negative"),
    ("threshold", "rule"),
    ("threshold", "target"),
    ("split", "method"),
    ("split", "folds"),
    ("split", "test"),
    ("split", "tune"),
    ("network", "variants"),
    ("training", "mode"),
    ("seed",),
)


def study(record: Record) -> Section:
    """Return the section on the study as it was signed."""
    blocks: tuple[Block, ...] = (
        Facts(rows=(*_facts(record), *_signature(record))),
        *given_facts(record),
        *_endpoints(record),
        *(() if record.given else (_modalities(record), _sites(record))),
        Heading(id="when", text=say("heading.when")),
        timeline(record),
        order_table(record),
        *protocol_lock(record),
        Fold(summary=say("fold.whole_study"), blocks=(detail_facts(record.study_entry, "study"),)),
    )
    return Section(id="study", title=say("section.study"), blocks=blocks, phantom=record.phantom)


def _facts(record: Record) -> list[tuple[Text, tuple[Cited, ...]]]:
    found = dict(leaves(record.study))
    unused = ("test",) if record.study.get("split", {}).get("method") == "folds" else ("folds",)
    return [
        (say(f"fact.{'_'.join(steps)}"), (_fact(record, steps, found[steps]),))
        for steps in FACTS
        if steps in found and found[steps] not in (None, "") and steps != ("split", *unused)
    ]


def _fact(record: Record, steps: tuple[str, ...], value: Any) -> Cited:
    if steps == ("seed",):  # a name of a stream, not an amount
        return cite(
            record.study_entry, say("fact.seed"), "/study/seed", show=lambda seed: Text.both(str(seed))
        )
    if steps != ("network", "variants"):
        return cite_leaf(record.study_entry, ("study", *steps), value)
    paths = [pointer("study", *steps, k) for k in range(len(value))]

    def show(*names: Any) -> Text:
        return listed([model_name(str(name)) for name in names])

    return cite(record.study_entry, say("fact.network_variants"), *paths, show=show)


def _signature(record: Record) -> list[tuple[Text, tuple[Cited, ...]]]:
    entry = record.study_entry
    return [
        (say(f"fact.study_{field}"), (cite(entry, say(f"fact.study_{field}"), f"/{field}"),))
        for field in ("digest", "signed_by")
        if isinstance(entry.body.get(field), str)
    ]


def _cell(
    record: Record, steps: tuple[str | int, ...], value: Any, show: Any = None
) -> tuple[Cited | Text, ...]:
    if value in (None, "", [], {}):
        return (Text.both("–"),)
    if isinstance(value, list):
        return (cite_leaf(record.study_entry, ("study", *steps), value),)
    shown = show or shown_under(*steps)
    return (cite(record.study_entry, column_name(str(steps[-1])), pointer("study", *steps), show=shown),)


def _endpoints(record: Record) -> list[Block]:
    endpoints = record.study.get("endpoint") or []
    columns = ("metric", "model", "against", "comparator", "cohort", "at_least", "on")
    shows = {
        "metric": lambda v: metric_name(str(v)),
        "model": lambda v: model_name(str(v)),
        "against": lambda v: model_name(str(v)),
    }

    def row(index: int, endpoint: Mapping[str, Any]) -> Row:
        cells = tuple(_cell(record, ("endpoint", index, c), endpoint.get(c), shows.get(c)) for c in columns)
        return Row(cells=cells, phantom=record.phantom)

    if not endpoints:
        return []
    rows = tuple(row(k, endpoint) for k, endpoint in enumerate(endpoints))
    head = tuple(map(column_name, columns))
    return [_without_empty(Table(id="table-plan", caption=say("table.plan"), head=head, rows=rows))]


def _modalities(record: Record) -> Table:
    columns = (
        "name",
        "title",
        "kind",
        "encoder",
        "size",
        "max_images",
        "numeric",
        "categorical",
        "leave_out",
    )

    def row(index: int, modality: Mapping[str, Any]) -> Row:
        left_out = ", ".join(modality.get("leave_out") or {})
        cells = [_cell(record, ("modality", index, c), modality.get(c)) for c in columns[:-1]]
        return Row(
            cells=(*cells, _left_out(record, index, modality) if left_out else (Text.both("–"),)),
            phantom=record.phantom,
        )

    rows = tuple(row(k, m) for k, m in enumerate(record.study.get("modality", [])))
    return _without_empty(
        Table(
            id="table-modalities",
            caption=say("table.modalities"),
            head=tuple(map(column_name, columns)),
            rows=rows,
        )
    )


def _left_out(record: Record, index: int, modality: Mapping[str, Any]) -> tuple[Cited | Text, ...]:
    """Return the columns that must not be used, each with the reason that was signed."""
    cells: list[Cited | Text] = []
    for name in modality["leave_out"]:
        path = pointer("study", "modality", index, "leave_out", name)

        def show(reason: Any, name: str = name) -> Text:
            return Text(f"{name}: {reason}", f"{name}：{reason}")

        cells += [cite(record.study_entry, Text.both(name), path, show=show), Text("; ", "；")]
    return tuple(cells[:-1])


def _sites(record: Record) -> Table:
    columns = ("name", "title", "title_zh", "role", "jurisdiction")

    def row(index: int, site: Mapping[str, Any]) -> Row:
        return Row(
            cells=tuple(_cell(record, ("site", index, c), site.get(c)) for c in columns),
            phantom=record.phantom,
        )

    rows = tuple(row(k, s) for k, s in enumerate(record.study.get("site", [])))
    head = tuple(map(column_name, ("site", "title", "title_zh", "role", "jurisdiction")))
    return _without_empty(Table(id="table-sites-plan", caption=say("table.sites"), head=head, rows=rows))


def _without_empty(table: Table) -> Table:
    """Return the table without columns that are empty in every row."""
    kept = [k for k in range(len(table.head)) if any(row.cells[k] != (Text.both("–"),) for row in table.rows)]
    rows = tuple(
        Row(cells=tuple(row.cells[k] for k in kept), level=row.level, strong=row.strong, phantom=row.phantom)
        for row in table.rows
    )
    return Table(
        id=table.id,
        caption=table.caption,
        head=tuple(table.head[k] for k in kept),
        rows=rows,
        note=table.note,
    )
