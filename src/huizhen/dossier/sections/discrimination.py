"""Discrimination: every model's AUC with its interval and its paired difference from the main model; ROC."""

from __future__ import annotations

from collections.abc import Sequence

from huizhen.dossier.blocks import Block, Cell, Figure, Figures, Paragraph, Row, Series, Table
from huizhen.dossier.estimates import cite_size, detail_of, estimate_cell, estimate_of, methods_of
from huizhen.dossier.figures.intervals import IntervalAxis
from huizhen.dossier.figures.roc import Operating, RocLine, draw_roc
from huizhen.dossier.labels import cohort_name, model_name, split_difference
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.wording import Text, say

STYLES = 8


def of_models(record: Record, family: str, cohort: str) -> dict[str, Measured]:
    """Return model -> evidence `family`/model/cohort over all sites, the main model first."""
    found = {m.parts[0]: m for m in record.family(family) if m.parts[1:] in ((cohort,), (cohort, "all"))}
    return dict(sorted(found.items(), key=lambda item: item[0] != record.main))


def styles(record: Record) -> dict[str, int]:
    """Return every model's colour number: 0 for the main model, the same in all figures."""
    names = [m.parts[0] for m in record.family("auc", "roc") if m.parts]
    ordered = sorted(dict.fromkeys(names), key=lambda name: name != record.main)
    first = 0 if ordered and ordered[0] == record.main else 1
    return {
        name: 0 if name == record.main else 1 + (k - 1 + first) % (STYLES - 1)
        for k, name in enumerate(ordered)
    }


def discrimination(record: Record, cohort: str) -> list[Block]:
    """Return the table of all models in `cohort`."""
    models = of_models(record, "auc", cohort)
    shown = {name: m for name, m in models.items() if m.evidence.estimate is not None}
    if not models:
        return []
    axis = IntervalAxis.over(
        [m.evidence for m in record.family("auc") if m.parts[2:] == ("all",)],
        references=_bounds(record, cohort),
    )
    colours = styles(record)
    differences = _differences(record, cohort)
    rows = tuple(
        _row(name, m, axis, colours.get(name, 0), differences.get(name)) for name, m in models.items()
    )
    empty: Cell = (Text.both(""),)
    head = (
        say("head.model"),
        say("head.plot_auc"),
        say("head.auc"),
        say("head.difference", model=model_name(record.main)),
        say("head.same", model=model_name(record.main)),
    )
    used = [*shown.values(), *differences.values()]
    return [
        Table(
            id=f"table-auc-{cohort}",
            caption=say("table.models", cohort=cohort_name(cohort)),
            head=head,
            rows=rows,
            foot=(empty, (axis.foot(),), empty, empty, empty),
            note=_note(record, used, axis),
        )
    ]


def _note(record: Record, used: Sequence[Measured], axis: IntervalAxis) -> Cell:
    bound = (say("note.bound_line"),) if axis.references else ()
    return (say("note.difference", model=model_name(record.main)), *methods_of(used), *bound)


def _bounds(record: Record, cohort: str) -> list[float]:
    """Return the acceptance bound on the main model's AUC in this cohort, for the reference line."""
    return [
        m.evidence.bound.at_least
        for m in record.family("endpoint")
        if m.evidence.bound and m.parts[1:3] == ("auc", cohort)
    ]


def _row(name: str, measured: Measured, axis: IntervalAxis, style: int, difference: Measured | None) -> Row:
    """Return a model's row; the main model has style 0."""
    number = estimate_of(measured)
    dash: Cell = (Text.both("–"),)
    plot: Cell = (axis.interval(measured.evidence, style=style),) if number else dash
    change = estimate_of(difference, with_size=False) if difference else None
    same = _same_patients(difference)
    return Row(
        cells=(
            (model_name(name),),
            plot,
            estimate_cell(measured),
            (change,) if change else dash,
            same or dash,
        ),
        strong=style == 0,
        phantom=measured.evidence.phantom,
    )


def _same_patients(difference: Measured | None) -> Cell:
    """Return the main model's AUC on the patients of a difference, with their number."""
    if difference is None or not (auc := detail_of(difference, "auc_main")):
        return ()
    return (auc, Text.both(" "), cite_size(difference))


def _differences(record: Record, cohort: str) -> dict[str, Measured]:
    """Return baseline -> the paired difference main model less baseline."""
    found: dict[str, Measured] = {}
    for m in record.family("auc_difference"):
        first, second = split_difference(m.parts[0]) if m.parts else ("", "")
        if first == record.main and m.parts[1:] in ((cohort,), (cohort, "all")):
            found[second] = m
    return found


def roc_figures(record: Record, cohorts: Sequence[str]) -> list[Block]:
    """Return the ROC figures of the cohorts side by side."""
    figures = [figure for cohort in cohorts if (figure := _roc(record, cohort))]
    note = Paragraph(content=(say("note.roc", model=model_name(record.main)),), tone="table-note")
    return [Figures(figures=tuple(figures)), note] if figures else []


def _roc(record: Record, cohort: str) -> Figure | None:
    curves = {
        name: m
        for name, m in of_models(record, "roc", cohort).items()
        if m.evidence.detail.get("fpr") and m.evidence.detail.get("tpr")
    }
    if not curves:
        return None
    colours = styles(record)
    aucs, differences = of_models(record, "auc", cohort), _differences(record, cohort)
    lines = [
        RocLine(detail=m.evidence.detail, style=colours[name], operating=_operating(record, name, cohort))
        for name, m in curves.items()
    ]
    return Figure(
        id=f"figure-roc-{cohort}",
        caption=say("figure.roc", cohort=cohort_name(cohort)),
        alt=say("figure.roc_alt", cohort=cohort_name(cohort)),
        svg=draw_roc(lines),
        legend=tuple(
            _legend(name, colours[name], aucs.get(name) or m, differences.get(name))
            for name, m in curves.items()
        ),
        sources=tuple(m.entry.index for m in curves.values()),
        phantom=any(m.evidence.phantom for m in curves.values()),
    )


def _legend(name: str, style: int, auc: Measured, difference: Measured | None) -> Series:
    """Return a line of the legend; beside another model stands the main one's AUC on the same patients."""
    number = estimate_of(auc)
    content: Cell = (number,) if number else ()
    if same := _same_patients(difference):
        main = model_name(split_difference(difference.parts[0])[0]) if difference else Text.both("")
        content += (Text("; ", "；"), say("legend.same", model=main), Text.both(" "), *same)
    return Series(style=style, name=model_name(name), content=content)


def _operating(record: Record, model: str, cohort: str) -> Operating | None:
    """Return the model's operating point in a cohort, or None unless both proportions have intervals."""
    pair = [of_models(record, family, cohort).get(model) for family in ("sensitivity", "specificity")]
    triples = [
        (m.evidence.estimate, m.evidence.interval.low, m.evidence.interval.high)
        for m in pair
        if m and m.evidence.estimate is not None and m.evidence.interval
    ]
    return Operating(sensitivity=triples[0], specificity=triples[1]) if len(triples) == 2 else None
