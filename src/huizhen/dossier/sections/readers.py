"""Reader studies: every arm over its readers, the differences between arms, each reader alone."""

from __future__ import annotations

from collections.abc import Sequence

from huizhen.dossier.blocks import Block, Cell, Fold, Heading, Row, Table
from huizhen.dossier.estimates import DASH, detail_of, estimate_cell, methods_of
from huizhen.dossier.figures.intervals import IntervalAxis
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.wording import Text, say

__all__ = ["readers"]

MEASURES = ("reader_auc", "reader_sensitivity", "reader_specificity")


def readers(record: Record) -> list[Block]:
    """Return the tables of a reader study; nothing where none was done."""
    found = record.family(*MEASURES)
    if not found:
        return []
    differences = record.family(*(f"{name}_difference" for name in MEASURES))
    blocks: list[Block] = [Heading(id="readers", text=say("heading.readers")), _arms(record, found)]
    blocks += [_differences(differences)] if differences else []
    return [*blocks, *_alone(found)]


def _by(found: Sequence[Measured], family: str, last: str) -> dict[str, Measured]:
    """Return arm -> evidence of a family that ends in `last`."""
    return {m.parts[0]: m for m in found if m.family == family and m.parts[-1] == last}


def _arms(record: Record, found: Sequence[Measured]) -> Table:
    """Return every arm's means over its readers, with the AUC drawn."""
    by = {family: _by(found, family, "all") for family in MEASURES}
    shown = [family for family in MEASURES if by[family]]
    arms = list(dict.fromkeys(arm for family in shown for arm in by[family]))
    drawn = [m.evidence for m in by["reader_auc"].values() if m.evidence.estimate is not None]
    axis = IntervalAxis.over(drawn) if drawn else None

    def row(style: int, arm: str) -> Row:
        auc = by["reader_auc"].get(arm)
        drawable = axis and auc and auc.evidence.estimate is not None
        plot: Cell = (axis.interval(auc.evidence, style=style),) if axis and auc and drawable else (DASH,)
        count = detail_of(auc, "readers") if auc else None
        cells = [estimate_cell(by[family].get(arm)) for family in shown]
        return Row(cells=((Text.both(arm),), (count or DASH,), plot, *cells), phantom=record.phantom)

    blank: Cell = (Text.both(""),)
    return Table(
        id="table-readers",
        caption=say("table.readers"),
        head=(say("head.arm"), say("head.readers"), say("head.plot_auc"), *(say(f"head.{f}") for f in shown)),
        rows=tuple(row(k % 8, arm) for k, arm in enumerate(arms)),
        foot=(blank, blank, (axis.foot(),) if axis else blank, *([blank] * len(shown))),
        note=(say("note.readers"), *methods_of([m for f in shown for m in by[f].values()])),
    )


def _differences(found: Sequence[Measured]) -> Table:
    """Return the differences of arms from the reference."""

    def row(measured: Measured) -> Row:
        first, _, second = measured.parts[0].partition("~")
        name = say("model.versus", first=first, second=second)
        measure = say(f"metric.{measured.family}")
        cells: tuple[Cell, ...] = (
            (name,),
            (measure,),
            estimate_cell(measured),
            (detail_of(measured, "df") or DASH,),
            (detail_of(measured, "p", p=True) or DASH,),
        )
        return Row(cells=cells, phantom=measured.evidence.phantom)

    return Table(
        id="table-reader-differences",
        caption=say("table.reader_differences"),
        head=(
            say("head.arms"),
            say("head.measure"),
            say("head.estimate"),
            say("head.df"),
            say("head.p_two_sided"),
        ),
        rows=tuple(map(row, found)),
        note=methods_of(found),
    )


def _alone(found: Sequence[Measured]) -> list[Block]:
    """Return every reader's own AUC in every arm, folded away."""
    own = [m for m in found if m.family == "reader_auc" and m.parts[-1] != "all"]
    arms = list(dict.fromkeys(m.parts[0] for m in own))
    names = list(dict.fromkeys(m.parts[1] for m in own))
    if not own:
        return []
    at = {m.parts: m for m in own}
    rows = tuple(
        Row(
            cells=((Text.both(name),), *(estimate_cell(at.get((arm, name))) for arm in arms)),
            phantom=own[0].evidence.phantom,
        )
        for name in names
    )
    table = Table(
        id="table-each-reader",
        caption=say("table.each_reader"),
        head=(say("head.reader"), *map(Text.both, arms)),
        rows=rows,
        note=methods_of(own[:1]),
    )
    return [Fold(summary=say("fold.each_reader"), blocks=(table,))]
