"""Utility: what acting on the model's risk is worth, at the thresholds that the study fixed beforehand."""

from __future__ import annotations

from collections.abc import Sequence

from huizhen.dossier.blocks import Block, Cell, Figure, Figures, Heading, Paragraph, Row, Series, Table
from huizhen.dossier.citations import Cited, Scalar, cite, decimal, plainly, pointer, span
from huizhen.dossier.estimates import cite_all_sizes, reason_of, sample_flags
from huizhen.dossier.figures.decision import ALL, NOBODY, draw_avoided, draw_decision
from huizhen.dossier.labels import cohort_name, model_name
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.svg import Scale
from huizhen.dossier.wording import Text, join, say

FAMILY = "decision_curve"
BANDS = ("net_benefit", "treat_all", "gain", "avoided")
SHOWN = ("net_benefit", "gain", "avoided")
"""The columns with intervals; of acting on everybody the value alone."""


def utility(record: Record, cohorts: Sequence[str]) -> list[Block]:
    """Return the decision curves of the cohorts and their numbers at round thresholds."""
    found = [m for c in cohorts for m in record.family(FAMILY) if m.parts[1:] == (c,)]
    whole = [m for m in found if _whole(m)]
    if not found:
        return []
    figures = [f for m in whole for f in (_figure(m, "decision"), _figure(m, "avoided"))]
    blocks: list[Block] = [Heading(id="utility", text=say("heading.utility"))]
    blocks += [Figures(figures=tuple(figures))] if figures else []
    blocks += [Paragraph(content=_note(whole[0]), tone="table-note")] if whole else []
    blocks += [_table(m) for m in whole]
    blocks += [Paragraph(content=(reason_of(m),), tone="note") for m in found if m.evidence.reason]
    return blocks


def _whole(measured: Measured) -> bool:
    detail = measured.evidence.detail
    names = ("threshold", *(f"{name}{end}" for name in BANDS for end in ("", "_low", "_high")))
    lists = [detail.get(name) for name in names]
    return all(isinstance(x, list) and len(x) > 1 and len(x) == len(lists[0] or []) for x in lists)


def _figure(measured: Measured, kind: str) -> Figure:
    model, cohort = measured.parts[:2]
    named = {"model": model_name(model), "cohort": cohort_name(cohort)}
    draw = draw_decision if kind == "decision" else draw_avoided
    lines = [Series(style=0, name=model_name(model))]
    if kind == "decision":
        lines += [
            Series(style=ALL, name=say("legend.treat_all")),
            Series(style=NOBODY, name=say("legend.treat_none")),
        ]
    return Figure(
        id=f"figure-{kind}-{cohort}",
        caption=say(f"figure.{kind}", **named),
        alt=say(f"figure.{kind}_alt", **named),
        svg=draw(measured.evidence.detail),
        legend=tuple(lines),
        sources=(measured.entry.index,),
        phantom=measured.evidence.phantom,
    )


def _note(measured: Measured) -> Cell:
    label = say("column.resamples")
    resamples = cite(measured.entry, label, "/detail/resamples", phantom=measured.evidence.phantom)
    space = Text.both(" ")
    return (say("note.utility"), space, say("note.resamples"), space, resamples)


def _table(measured: Measured) -> Table:
    """Return the numbers behind the figures, at the ends of the range and at round thresholds between."""
    model, cohort = measured.parts[:2]
    at = [float(t) for t in measured.evidence.detail["threshold"]]
    ticks = Scale(low=at[0], high=at[-1], start=0, end=1).ticks(5)
    rows = [k for k, t in enumerate(at) if k in (0, len(at) - 1) or any(abs(t - x) < 1e-9 for x in ticks)]
    return Table(
        id=f"table-decision-{cohort}",
        caption=say("table.utility", model=model_name(model), cohort=cohort_name(cohort)),
        head=tuple(say(f"head.{name}") for name in ("act_at", "net_benefit", "treat_all", "gain", "avoided")),
        rows=tuple(_row(measured, k) for k in rows),
        note=(cite_all_sizes(measured), *sample_flags(measured)),
    )


def _row(measured: Measured, k: int) -> Row:
    phantom = measured.evidence.phantom
    label = join(say("metric.decision_curve"), cohort_name(measured.parts[1]), by=Text(", ", "，"))

    def cell(name: str) -> Cited:
        named = join(label, say(f"head.{name}"), by=Text.both(" · "))
        ends = ("", "_low", "_high") if name in SHOWN else ("",)
        paths = [pointer("detail", f"{name}{end}", k) for end in ends]
        show = _in_hundred if name == "avoided" else _banded
        return cite(measured.entry, named, *paths, show=show, phantom=phantom)

    at = cite(measured.entry, say("head.act_at"), pointer("detail", "threshold", k), phantom=phantom)
    return Row(cells=((at,), *((cell(name),) for name in BANDS)), phantom=phantom)


def _banded(value: Scalar, *limits: Scalar) -> Text:
    numbers = [float(v) for v in (value, *limits) if isinstance(v, int | float)]
    if len(numbers) < 3:
        return Text.both(decimal(numbers[0])) if numbers else plainly(value)
    return join(Text.both(f"{decimal(numbers[0])} ("), span(numbers[1], numbers[2]), Text.both(")"))


def _in_hundred(value: Scalar, low: Scalar, high: Scalar) -> Text:
    """Return a share as so many in a hundred patients, to a tenth."""
    numbers = [100 * float(v) for v in (value, low, high) if isinstance(v, int | float)]
    if len(numbers) < 3:
        return plainly(value)
    shown = [decimal(v, 1) for v in numbers]
    bounds = (
        say("number.span", low=shown[1], high=shown[2])
        if numbers[1] < 0
        else Text.both(f"{shown[1]}–{shown[2]}")
    )
    return join(Text.both(f"{shown[0]} ("), bounds, Text.both(")"))
