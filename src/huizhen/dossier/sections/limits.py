"""Limits: what was not assessed and why, what failed, what was measured twice, rules that were not kept."""

from __future__ import annotations

from huizhen.core.evidence import Verdict
from huizhen.dossier.blocks import Block, Fold, Mark, Paragraph, Row, Section, Table
from huizhen.dossier.details import generic_table
from huizhen.dossier.estimates import estimate_of, reason_of
from huizhen.dossier.labels import label_of
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.sections.given import taken_on_trust
from huizhen.dossier.sections.order import broken_rules, cite_kind, rule_text
from huizhen.dossier.wording import Text, say, say_or


def limits(record: Record) -> Section:
    """Return the section on the limits."""
    blocks: list[Block] = (
        [Paragraph(content=(say("phantom.limit"),), tone="phantom")] if record.phantom else []
    )
    blocks += [Paragraph(content=(say("limits.general"),))]
    blocks += taken_on_trust(record)
    blocks += _rules(record)
    blocks += _failed(record)
    blocks += _not_assessed(record)
    blocks += _superseded(record)
    return Section(id="limits", title=say("section.limits"), blocks=tuple(blocks), phantom=record.phantom)


def _rules(record: Record) -> list[Block]:
    return [
        Paragraph(
            content=(Mark(rule.held.value, say(f"order.held.{rule.held.value}")), rule_text(record, rule)),
            tone="fail" if rule.held.value == "fail" else "note",
        )
        for rule in broken_rules(record)
    ]


def _failed(record: Record) -> list[Block]:
    failed = [m for m in record.measured if m.evidence.verdict is Verdict.FAIL]
    return [generic_table(failed, id="table-failed", caption=say("table.failed"))] if failed else []


def _not_assessed(record: Record) -> list[Block]:
    """Return the topics that were left out, and folded away the numbers that could not be computed."""
    found = [m for m in record.measured if m.evidence.verdict is Verdict.NOT_ASSESSED]
    topics = [m for m in found if m.family == "not_assessed"]
    others = [m for m in found if m.family != "not_assessed"]
    blocks: list[Block] = [_reasons(topics, "not_assessed")] if topics else []
    blocks += [] if topics else [Paragraph(content=(say("limits.none_named"),), tone="note")]
    blocks += (
        [Fold(summary=say("fold.not_computed"), blocks=(_reasons(others, "not_computed"),))] if others else []
    )
    return blocks


def _reasons(found: list[Measured], name: str) -> Table:
    rows = tuple(Row(cells=((_topic(m),), (reason_of(m),)), phantom=m.evidence.phantom) for m in found)
    head = (say("head.topic"), say("head.reason"))
    return Table(id=f"table-{name}", caption=say(f"table.{name}"), head=head, rows=rows)


def _topic(measured: Measured) -> Text:
    if measured.family != "not_assessed":
        return label_of(measured)
    topic = "/".join(measured.parts)
    return say_or(f"topic.{topic}", topic.replace("_", " "))


def _superseded(record: Record) -> list[Block]:
    """Return the older entries of keys that were measured again with another result."""
    if not record.superseded:
        return []
    now = {m.evidence.key: m for m in record.measured}

    def row(measured: Measured) -> Row:
        newer = now[measured.evidence.key]
        old, new = estimate_of(measured), estimate_of(newer)
        cells = (
            (label_of(measured),),
            (old or cite_kind(measured.entry), Text.both(" "), cite_kind(measured.entry)),
            (new or cite_kind(newer.entry), Text.both(" "), cite_kind(newer.entry)),
        )
        return Row(cells=cells, phantom=measured.evidence.phantom)

    head = (say("head.measure"), say("head.earlier"), say("head.shown"))
    rows = tuple(map(row, record.superseded))
    return [Table(id="table-superseded", caption=say("table.superseded"), head=head, rows=rows)]
