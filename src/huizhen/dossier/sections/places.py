"""Results by site: a forest plot of the main model, the other models' numbers folded away."""

from __future__ import annotations

from huizhen.dossier.blocks import Block, Cell, Fold, Row, Table
from huizhen.dossier.estimates import estimate_cell, methods_of
from huizhen.dossier.figures.intervals import IntervalAxis
from huizhen.dossier.labels import cohort_name, metric_short, model_name, site_name
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.wording import Text, say

BESIDE = ("sensitivity", "specificity")


def sites(record: Record, cohort: str) -> list[Block]:
    """Return the main model's AUC by site in `cohort` with the summary below, or nothing."""
    found = {
        m.parts[2]: m
        for m in record.family("auc")
        if m.parts[:2] == (record.main, cohort) and len(m.parts) == 3
    }
    single = [site for site in found if site != "all"]
    if not single:
        return []
    ordered = {site: found[site] for site in (*single, *(["all"] if "all" in found else []))}
    shown = [m for m in ordered.values() if m.evidence.estimate is not None]
    axis = IntervalAxis.over([m.evidence for m in record.family("auc") if m.parts[0] == record.main])
    rows = tuple(_row(record, cohort, site, m, axis) for site, m in ordered.items())
    head = (say("head.site"), say("head.plot_auc"), say("head.auc"), *map(metric_short, BESIDE))
    beside = [m for m in record.family(*BESIDE) if m.parts[:2] == (record.main, cohort)]
    blank: Cell = (Text.both(""),)
    return [
        Table(
            id=f"table-sites-{cohort}",
            caption=say("table.by_site", model=model_name(record.main), cohort=cohort_name(cohort)),
            head=head,
            rows=rows,
            foot=(blank, (axis.foot(),), *([blank] * 3)),
            note=methods_of([*shown, *beside]),
        )
    ]


def _row(record: Record, cohort: str, site: str, measured: Measured, axis: IntervalAxis) -> Row:
    beside = [record.one(f"{metric}/{record.main}/{cohort}/{site}") for metric in BESIDE]
    dash: Cell = (Text.both("–"),)
    plot: Cell = (
        (axis.interval(measured.evidence, strong=site == "all"),)
        if measured.evidence.estimate is not None
        else dash
    )
    return Row(
        cells=(
            (site_name(site, record.site_titles),),
            plot,
            estimate_cell(measured),
            *map(estimate_cell, beside),
        ),
        strong=site == "all",
        phantom=measured.evidence.phantom,
    )


def other_models_by_site(record: Record) -> list[Block]:
    """Return every other number of a model at a single site, folded away."""
    families = (
        "auc",
        "sensitivity",
        "specificity",
        "ppv",
        "npv",
        "calibration_slope",
        "calibration_intercept",
        "brier",
    )
    found = [m for m in record.family(*families) if len(m.parts) == 3 and m.parts[2] != "all"]
    left = [m for m in found if not (m.parts[0] == record.main and m.family in ("auc", *BESIDE))]
    keys = dict.fromkeys(m.parts for m in left)
    columns = [f for f in families if any(m.family == f for m in left)]
    if not keys:
        return []
    by = {(m.family, m.parts): m for m in left}

    def row(parts: tuple[str, ...]) -> Row:
        cells = tuple(estimate_cell(by.get((f, parts))) for f in columns)
        site = site_name(parts[2], record.site_titles)
        names: tuple[Cell, ...] = ((model_name(parts[0]),), (cohort_name(parts[1]),), (site,))
        return Row(cells=(*names, *cells), phantom=record.phantom)

    head = (say("head.model"), say("head.cohort"), say("head.site"), *map(metric_short, columns))
    rows = tuple(row(parts) for parts in keys)
    table = Table(id="table-all-sites", caption=say("table.all_sites"), head=head, rows=rows)
    return [Fold(summary=say("fold.all_sites"), blocks=(table,))]
