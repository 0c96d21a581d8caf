"""Subgroups: a forest plot for each column, the worst group, and how differently groups are treated."""

from __future__ import annotations

from collections.abc import Sequence

from huizhen.dossier.blocks import Block, Cell, Inline, Paragraph, Row, Table, phrase
from huizhen.dossier.citations import cite, span
from huizhen.dossier.estimates import (
    DASH,
    cite_all_sizes,
    detail_of,
    estimate_cell,
    methods_of,
    reason_of,
    stacked,
    stacked_cell,
)
from huizhen.dossier.figures.intervals import IntervalAxis
from huizhen.dossier.labels import (
    cohort_name,
    label_of,
    metric_short,
    model_name,
    site_name,
    unquoted,
    value_name,
)
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.wording import Text, join, say

CROSS = " × "
BESIDE = ("sensitivity", "specificity", "ppv", "calibration_in_the_large", "calibration_slope")
"""What stands beside a group's AUC."""
GAPS = ("equalised_odds", "sensitivity_gap", "specificity_gap", "ppv_gap", "demographic_parity")


def subgroups(record: Record, cohort: str) -> list[Block]:
    """Return what groups of patients of `cohort` are compared, each with its forest plot, and the gaps."""
    found = [m for m in record.family("grouping") if m.parts[1:2] == (cohort,)]
    told = next((m for m in found if m.evidence.detail.get("planned") is True), None)
    blocks: list[Block] = [Paragraph(content=_bounds(told), tone="table-note")] if told else []
    for grouping in found:
        if grouping.evidence.reason:
            name = column_title(record, unquoted(grouping.parts[2]))
            line = phrase("note.no_grouping", column=name, reason=reason_of(grouping))
            blocks.append(Paragraph(content=(line,), tone="note"))
        elif table := _forest(record, cohort, grouping):
            blocks.append(table)
    return blocks + _compared(record, cohort, found) + _spread(record, cohort)


def column_title(record: Record, column: str) -> Text:
    """Return what a column of groups is called: its title in the study, or a word for sites and scanners."""
    if CROSS in column:
        return join(*(column_title(record, part) for part in column.split(CROSS)), by=Text.both(CROSS))
    for planned in record.study.get("subgroup", []):
        english, chinese = str(planned.get("title") or ""), str(planned.get("title_zh") or "")
        if planned.get("column") == column and (english or chinese):
            return Text(english or chinese, chinese or english)
    kind, _, modality = column.partition(":")
    if column == "site":
        return say("head.site")
    return (
        say(f"groups.{kind}", modality=modality)
        if modality and kind in ("scanner", "present")
        else Text.both(column)
    )


def _of(record: Record, family: str, cohort: str, column: str) -> list[Measured]:
    """Return the evidence of a family about a column, as it stands in keys."""
    return [m for m in record.family(family) if m.parts[1:3] == (cohort, column)]


def _forest(record: Record, cohort: str, grouping: Measured) -> Table | None:
    """Return the groups of a column under each other, all patients below."""
    column = grouping.parts[2]
    groups = _of(record, "subgroup", cohort, column)
    if not groups:
        return None
    whole = record.one(f"auc/{record.main}/{cohort}/all")
    shown = [m for m in (*groups, *([whole] if whole else [])) if m.evidence.estimate is not None]
    overall = whole.evidence.estimate if whole else None
    axis = IntervalAxis.over([m.evidence for m in shown], references=[] if overall is None else [overall])
    rows = [_group_row(record, m, axis) for m in groups]
    rows += [_whole_row(record, cohort, whole, axis)] if whole else []
    head = (column_title(record, unquoted(column)), say("head.plot_auc"), say("head.auc"))
    blank: Cell = (Text.both(""),)
    return Table(
        id=f"table-groups-of-{_slug(column)}-{cohort}",
        caption=say(
            "table.subgroups",
            column=column_title(record, unquoted(column)),
            model=model_name(record.main),
            cohort=cohort_name(cohort),
        ),
        head=(*head, *map(metric_short, BESIDE)),
        rows=tuple(rows),
        foot=(blank, (axis.foot(3),), *([blank] * (1 + len(BESIDE)))),
        note=_note(grouping, shown),
    )


def _slug(text: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in text)


def _bounds(grouping: Measured) -> Cell:
    """Return what all tables of groups have in common: the bounds below which nothing is shown."""
    bounds = {name: detail_of(grouping, name) or DASH for name in ("least_events", "least_shown")}
    return (say("note.reference_all"), Text.both(" "), phrase("note.suppressed", **bounds))


def _note(grouping: Measured, shown: Sequence[Measured]) -> Cell:
    """Return who is in no group, and the methods."""
    note: list[Inline] = [phrase("note.compared", n=cite_all_sizes(grouping))]
    if grouping.evidence.detail.get("ungrouped"):
        note.append(phrase("note.ungrouped", count=detail_of(grouping, "ungrouped") or DASH))
    return (*note, say("note.beneath"), *methods_of(shown[:1]))


def _group_row(record: Record, measured: Measured, axis: IntervalAxis) -> Row:
    name = group_title(record, unquoted(measured.parts[2]), unquoted(measured.parts[3]))
    if measured.evidence.estimate is None:
        blanks: list[Cell] = [(DASH,)] * len(BESIDE)
        return Row(cells=((name,), (DASH,), _absent(measured), *blanks), phantom=measured.evidence.phantom)
    beside: list[Cell] = [(stacked(measured, field) or DASH,) for field in BESIDE]
    plot = axis.interval(measured.evidence)
    return Row(cells=((name,), (plot,), estimate_cell(measured), *beside), phantom=measured.evidence.phantom)


def group_title(record: Record, column: str, group: str) -> Text:
    """Return a group's name: a site with its title, whether a modality is there, else as the table says."""
    if column == "site":
        return site_name(group, record.site_titles)
    parts = zip(column.split(CROSS), group.split(" · "), strict=False)
    shown = [value_name(one) if of.startswith("present:") else Text.both(one) for of, one in parts]
    return join(*shown, by=Text.both(" · ")) if CROSS in column else shown[0]


def _absent(measured: Measured) -> Cell:
    """Return why a group has no measure, with its size where that may be shown."""
    evidence = measured.evidence
    if evidence.n is None:
        return (reason_of(measured),)
    return (reason_of(measured), Text("; ", "；"), cite_all_sizes(measured))


def _whole_row(record: Record, cohort: str, whole: Measured, axis: IntervalAxis) -> Row:
    """Return the line of all patients."""
    key = f"{record.main}/{cohort}/all"
    beside = [stacked_cell(record.one(f"{metric}/{key}")) for metric in BESIDE]
    plot: Cell = (
        (axis.interval(whole.evidence, strong=True),) if whole.evidence.estimate is not None else (DASH,)
    )
    cells = ((site_name("all"),), plot, estimate_cell(whole), *beside)
    return Row(cells=cells, strong=True, phantom=whole.evidence.phantom)


def _compared(record: Record, cohort: str, found: Sequence[Measured]) -> list[Block]:
    """Return the lowest AUC of any group and the widest gaps, a line a column."""
    rows = [_compared_row(record, cohort, m) for m in found if not m.evidence.reason]
    if not rows:
        return []
    head = (say("head.groups"), say("head.worst_group"), say("head.corrected"), *map(metric_short, GAPS))
    table = Table(
        id=f"table-gaps-{cohort}",
        caption=say("table.gaps", model=model_name(record.main), cohort=cohort_name(cohort)),
        head=head,
        rows=tuple(rows),
        note=(say("note.beneath"), say("note.gaps")),
    )
    return [table]


def _compared_row(record: Record, cohort: str, grouping: Measured) -> Row:
    column = grouping.parts[2]
    worst = next(iter(_of(record, "worst_group", cohort, column)), None)
    gaps = [next(iter(_of(record, family, cohort, column)), None) for family in GAPS]
    corrected: Cell = (detail_of(worst, "corrected") or DASH,) if worst else (DASH,)
    name: Cell = (column_title(record, unquoted(column)), Text.both(" "), cite_all_sizes(grouping))
    cells = (
        _with_group(record, worst, "group"),
        corrected,
        *(_with_group(record, m, "lowest") for m in gaps),
    )
    return Row(cells=(name, *cells), phantom=grouping.evidence.phantom)


def _with_group(record: Record, measured: Measured | None, field: str) -> Cell:
    """Return an estimate with the group that is lowest in it."""
    if measured is None or measured.evidence.estimate is None:
        return (DASH,)
    chance = detail_of(measured, "by_chance")
    beside: Cell = (phrase("groups.by_chance", value=chance),) if chance else ()
    if not isinstance(measured.evidence.detail.get(field), str):
        return (*stacked_cell(measured), Text.both(" "), *beside)
    name = cite(
        measured.entry,
        label_of(measured),
        f"/detail/{field}",
        show=lambda group: group_title(record, unquoted(measured.parts[2]), str(group)),
        phantom=measured.evidence.phantom,
    )
    return (
        *stacked_cell(measured),
        Text.both(" "),
        phrase("groups.lowest", group=name),
        *((Text("; ", "；"), *beside) if beside else ()),
    )


def _spread(record: Record, cohort: str) -> list[Block]:
    """Return how the AUC varies over sites and scanners, and what to expect at the next one."""
    found = [m for m in record.family("heterogeneity") if m.parts[1:2] == (cohort,)]
    shown = [m for m in found if m.evidence.estimate is not None]
    if not shown:
        return []
    fields = ("groups", "tau2", "i2")
    rows = tuple(
        Row(
            cells=(
                (column_title(record, unquoted(m.parts[2])),),
                estimate_cell(m),
                _limits(m),
                *((detail_of(m, name) or DASH,) for name in fields),
            ),
            phantom=m.evidence.phantom,
        )
        for m in shown
    )
    head = ("head.over", "head.mean_auc", "head.next_one", "head.number_of", "head.tau2", "head.i2")
    return [
        Table(
            id=f"table-heterogeneity-{cohort}",
            caption=say("table.heterogeneity", model=model_name(record.main), cohort=cohort_name(cohort)),
            head=tuple(map(say, head)),
            rows=rows,
            note=(say("note.heterogeneity"), *methods_of(shown[:1])),
        )
    ]


def _limits(measured: Measured) -> Cell:
    """Return the prediction interval for a new site."""
    found = measured.evidence.detail.get("prediction")
    if not isinstance(found, dict) or not all(isinstance(found.get(k), float) for k in ("low", "high")):
        return (DASH,)
    label = join(label_of(measured), say("head.next_one"), by=Text.both(" · "))
    paths = ("/detail/prediction/low", "/detail/prediction/high")
    return (cite(measured.entry, label, *paths, show=span, phantom=measured.evidence.phantom),)
