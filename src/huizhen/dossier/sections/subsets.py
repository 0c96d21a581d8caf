"""What remains when modalities are absent, and for phantoms the share of what the exact log-odds reach."""

from __future__ import annotations

from huizhen.dossier.blocks import Block, Cell, Heading, Mark, Row, Table
from huizhen.dossier.estimates import (
    DASH,
    detail_estimate,
    detail_of,
    estimate_cell,
    estimate_of,
    methods_of,
)
from huizhen.dossier.figures.intervals import IntervalAxis
from huizhen.dossier.labels import cohort_name, label_of, modality_names
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.wording import Text, say

CHANCE = 0.5
"""Where the bars begin: an AUC of no use."""


def subsets(record: Record, cohort: str) -> list[Block]:
    """Return the main model's AUC on every subset of the modalities, fewest first."""
    found = [m for m in record.family("subset_auc") if len(m.parts) > 1 and m.parts[1] == cohort]
    shown = [m for m in found if m.evidence.estimate is not None]
    if not found:
        return []
    order = _modalities(record, found)
    found.sort(key=lambda m: (len(_subset(m)), [order.index(x) for x in _subset(m)], m.entry.index))
    best = {m.entry.index: _best(record, "best_reachable_auc", m, cohort) for m in found}
    shares = {m.entry.index: _best(record, "share_of_best", m, cohort) for m in found}
    every = [m.evidence for m in record.family("subset_auc", "best_reachable_auc")]
    axis = IntervalAxis.over(every, also=[CHANCE])
    ticked = any(best.values())
    specialist = [
        f
        for f in ("specialist", "difference")
        if any(isinstance(m.evidence.detail.get(f), dict) for m in found)
    ]
    head = (
        say("head.subset"),
        *map(Text.both, order),
        say("head.plot_auc"),
        say("head.auc"),
        *((say("head.best_auc"), say("head.share_of_best")) if ticked else ()),
        *(say(f"head.{f}_auc") for f in specialist),
    )
    more = len(specialist) + (2 if ticked else 0)
    blank: Cell = (Text.both(""),)
    note: Cell = methods_of(shown)
    note += (say("note.best_tick"),) if ticked else ()
    return [
        Table(
            id=f"table-subsets-{cohort}",
            caption=say("table.subsets", cohort=cohort_name(cohort)),
            head=head,
            rows=tuple(
                _row(
                    m, order, axis, specialist, (best[m.entry.index], shares[m.entry.index]) if ticked else ()
                )
                for m in found
            ),
            foot=(*([blank] * (1 + len(order))), (axis.foot(),), blank, *([blank] * more)),
            note=note,
        )
    ]


def _best(record: Record, family: str, measured: Measured, cohort: str) -> Measured | None:
    """Return a subset's own evidence against the truth, on the same patients: never the whole cohort's."""
    return record.one(f"{family}/{measured.parts[0]}/{cohort}")


def _subset(measured: Measured) -> list[str]:
    return measured.parts[0].split("+")


def _modalities(record: Record, found: list[Measured]) -> list[str]:
    used = list(dict.fromkeys(x for m in found for x in _subset(m)))
    planned = [name for name in modality_names(record) if name in used]
    return [*planned, *(name for name in used if name not in planned)]


def _row(
    measured: Measured,
    order: list[str],
    axis: IntervalAxis,
    specialist: list[str],
    against: tuple[Measured | None, ...],
) -> Row:
    present = set(_subset(measured))
    marks: list[Cell] = [
        (Mark("on", say("subset.present")) if name in present else Mark("off", say("subset.absent")),)
        for name in order
    ]
    tick = against[0].evidence.estimate if against and against[0] else None
    plot: Cell = (axis.bar(measured.evidence, tick=tick) if measured.evidence.estimate is not None else DASH,)
    beside: list[Cell] = [estimate_cell(m, with_size=False) for m in against]
    beside += [(detail_estimate(measured, field) or DASH,) for field in specialist]
    return Row(
        cells=((Text.both(" + ".join(_subset(measured))),), *marks, plot, estimate_cell(measured), *beside),
        strong=len(present) == len(order),
        phantom=measured.evidence.phantom,
    )


def best_shares(record: Record) -> list[Block]:
    """Return the AUC of a phantom's exact log-odds, the share of it reached, and the population's value.

    Those of subsets stand in the tables of subsets.
    """
    found = [m for m in record.family("best_reachable_auc", "share_of_best") if len(m.parts) == 1]
    shown = [m for m in found if m.evidence.estimate is not None]
    if not shown:
        return []
    most = max([1.0, *(m.evidence.interval.high for m in shown if m.evidence.interval)])
    axis = IntervalAxis.over([m.evidence for m in shown], references=[1.0], most=most)
    rows = tuple(
        Row(
            cells=(
                (label_of(m),),
                (axis.interval(m.evidence, style=1 if m.family != "share_of_best" else 0),),
                (number,),
                (detail_of(m, "population") or DASH,),
            ),
            phantom=m.evidence.phantom,
        )
        for m in shown
        if (number := estimate_of(m))
    )
    blank: Cell = (Text.both(""),)
    table = Table(
        id="table-best",
        caption=say("table.best"),
        head=(say("head.measure"), say("head.plot"), say("head.estimate"), say("head.population")),
        rows=rows,
        foot=(blank, (axis.foot(),), blank, blank),
        note=(say("note.best"),),
    )
    return [Heading(id="best", text=say("heading.best")), table]
