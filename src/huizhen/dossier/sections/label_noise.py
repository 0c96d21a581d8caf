"""Wrong labels: what the model's AUC would read, and within which bounds the right one would lie."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from huizhen.dossier.blocks import Block, Cell, Heading, Paragraph, Row, Table
from huizhen.dossier.citations import Cited, Scalar, cite, decimal, plainly, pointer, span
from huizhen.dossier.estimates import reason_of, sample_flags
from huizhen.dossier.labels import cohort_name, model_name, value_name
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.wording import Text, join, say

FAMILY = "label_noise"
NAMES = ("share", "events", "others", "reads", "reads_low", "reads_high", "corrected", "least", "most")


def label_noise(record: Record) -> list[Block]:
    """Return a table a cohort: for each kind and share of wrong labels what the AUC would read and be."""
    found = record.family(FAMILY)
    if not found:
        return []
    blocks: list[Block] = [Heading(id="label-noise", text=say("heading.label_noise"))]
    whole = [m for m in found if _whole(m)]
    for cohort in dict.fromkeys(m.parts[1] for m in whole):
        blocks.append(_table(record, cohort, [m for m in whole if m.parts[1] == cohort]))
    return blocks + [Paragraph(content=(reason_of(m),), tone="note") for m in found if m.evidence.reason]


def _whole(measured: Measured) -> bool:
    lists = [measured.evidence.detail.get(name) for name in NAMES]
    return all(isinstance(x, list) and x and len(x) == len(lists[0] or []) for x in lists)


def _table(record: Record, cohort: str, found: list[Measured]) -> Table:
    names = ("wrong_labels", "flips", "reads", "right_auc", "extremes")
    return Table(
        id=f"table-label-noise-{cohort}",
        caption=say("table.label_noise", model=model_name(record.main), cohort=cohort_name(cohort)),
        head=tuple(say(f"head.{name}") for name in names),
        rows=tuple(_row(m, k) for m in found for k in range(len(m.evidence.detail["share"]))),
        note=(say("note.label_noise"), *sample_flags(found[0])),
    )


def _row(measured: Measured, k: int) -> Row:
    def cell(name: str, *fields: str) -> Cited:
        label = join(say("metric.label_noise"), say(f"head.{name}"), by=Text.both(" · "))
        paths = [pointer("detail", field, k) for field in fields]
        return cite(measured.entry, label, *paths, show=SHOWN[name], phantom=measured.evidence.phantom)

    cells: tuple[Cell, ...] = (
        (value_name(measured.parts[0]), Text.both(" · "), cell("wrong_labels", "share")),
        (cell("flips", "events", "others"),),
        (cell("reads", "reads", "reads_low", "reads_high"),),
        (cell("right_auc", "corrected"),),
        (cell("extremes", "least", "most"),),
    )
    return Row(cells=cells, phantom=measured.evidence.phantom)


def _percent(share: Scalar) -> Text:
    return Text.both(f"{100 * share:g} %") if isinstance(share, float) else plainly(share)


def _counts(events: Scalar, others: Scalar) -> Text:
    return Text.both(f"{plainly(events).en}, {plainly(others).en}")


def _banded(value: float, low: float, high: float) -> Text:
    return join(Text.both(f"{decimal(value)} ("), span(low, high), Text.both(")"))


def _corrected(value: Scalar) -> Text:
    return Text.both(decimal(value)) if isinstance(value, float) else say("label_noise.beyond")


def _between(least: float, most: float) -> Text:
    return span(least, most)


SHOWN: Mapping[str, Callable[..., Text]] = {
    "wrong_labels": _percent,
    "flips": _counts,
    "reads": _banded,
    "right_auc": _corrected,
    "extremes": _between,
}
"""How the cells of each column are shown."""
