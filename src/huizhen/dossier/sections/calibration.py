"""Calibration: risks against observed shares, in bins and without; the usual measures; how far it is off."""

from __future__ import annotations

from collections.abc import Sequence

from huizhen.dossier.blocks import Block, Figure, Figures, Fold, Heading, Paragraph, Row, Table
from huizhen.dossier.citations import Scalar, cite, decimal, plainly, pointer, span
from huizhen.dossier.estimates import DASH, detail_of, estimate_cell, methods_of
from huizhen.dossier.figures.calibration import draw_calibration
from huizhen.dossier.labels import cohort_name, model_name
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.sections.decisions import measures_table
from huizhen.dossier.sections.discrimination import of_models
from huizhen.dossier.wording import Text, join, say

MEASURES = (
    "calibration_slope",
    "calibration_intercept",
    "observed_expected",
    "calibration_in_the_large",
    "brier",
    "scaled_brier",
)
DISTANCES = ("calibration_distance", "expected_calibration_error")
CURVE = ("predicted", "observed", "low", "high")


def calibration(record: Record, cohorts: Sequence[str]) -> list[Block]:
    """Return figures of the main model, tables of all, other models' figures folded away."""
    tables = [t for c in cohorts if (t := measures_table(record, MEASURES, c, "calibration", narrow=True))]
    tables += [t for c in cohorts if (t := _distances(record, c))]
    curves = [
        (name, c, m)
        for c in cohorts
        for name, m in of_models(record, "calibration_curve", c).items()
        if _whole(m)
    ]
    shown = [_figure(*curve) for curve in curves if curve[0] == record.main]
    others = [_figure(*curve) for curve in curves if curve[0] != record.main]
    groups = [_groups(*curve) for curve in curves if curve[0] == record.main]
    blocks: list[Block] = [Figures(figures=tuple(shown))] if shown else []
    blocks += [Paragraph(content=(say("note.calibration_figure"),), tone="table-note")] if shown else []
    blocks += [Fold(summary=say("fold.groups"), blocks=tuple(groups))] if groups else []
    blocks += tables
    blocks += (
        [Fold(summary=say("fold.other_calibration"), blocks=(Figures(figures=tuple(others)),))]
        if others
        else []
    )
    return [Heading(id="calibration", text=say("heading.calibration")), *blocks] if blocks else []


def _distances(record: Record, cohort: str) -> Table | None:
    """Return how far the main model is from perfect calibration, beside what chance would show."""
    found = [m for m in record.family(*DISTANCES) if m.parts[1:2] == (cohort,) and len(m.parts) == 3]
    if not found:
        return None
    rows = tuple(
        Row(
            cells=(
                (say(f"distance.{m.parts[2]}"),),
                (detail_of(m, "bins") or DASH,),
                estimate_cell(m),
                (detail_of(m, "by_chance") or DASH,),
            ),
            phantom=m.evidence.phantom,
        )
        for m in found
    )
    return Table(
        id=f"table-distances-{cohort}",
        caption=say("table.distances", model=model_name(found[0].parts[0]), cohort=cohort_name(cohort)),
        head=(say("head.distance"), say("head.bins"), say("head.estimate"), say("head.by_chance")),
        rows=rows,
        note=(say("note.distances"), *methods_of(found[:1])),
    )


def _whole(measured: Measured) -> bool:
    lists = [measured.evidence.detail.get(name) for name in CURVE]
    return all(isinstance(x, list) and x and len(x) == len(lists[0] or []) for x in lists)


def _figure(model: str, cohort: str, measured: Measured) -> Figure:
    slug = "".join(c if c.isalnum() else "-" for c in model)
    return Figure(
        id=f"figure-calibration-{slug}-{cohort}",
        caption=say("figure.calibration", model=model_name(model), cohort=cohort_name(cohort)),
        alt=say("figure.calibration_alt", model=model_name(model), cohort=cohort_name(cohort)),
        svg=draw_calibration(measured.evidence.detail),
        sources=(measured.entry.index,),
        phantom=measured.evidence.phantom,
    )


def _groups(model: str, cohort: str, measured: Measured) -> Table:
    """Return the numbers behind the figure."""
    detail, phantom = measured.evidence.detail, measured.evidence.phantom

    def row(k: int) -> Row:
        label = say("label.group", group=k + 1)
        paths = [pointer("detail", f, k) for f in CURVE[1:]]
        n = isinstance(detail.get("n"), list) and len(detail["n"]) > k
        cells = (
            (label,),
            (cite(measured.entry, label, pointer("detail", "predicted", k), phantom=phantom),),
            (cite(measured.entry, label, *paths, show=_share, phantom=phantom),),
            (
                cite(measured.entry, label, pointer("detail", "n", k), phantom=phantom)
                if n
                else Text.both("–"),
            ),
        )
        return Row(cells=cells, phantom=phantom)

    return Table(
        id=f"table-groups-{cohort}",
        caption=say("table.groups", model=model_name(model), cohort=cohort_name(cohort)),
        head=(say("head.group"), say("head.predicted"), say("head.observed"), say("head.n")),
        rows=tuple(row(k) for k in range(len(detail["predicted"]))),
    )


def _share(observed: Scalar, low: Scalar, high: Scalar) -> Text:
    numbers = [float(v) for v in (observed, low, high) if isinstance(v, int | float)]
    if len(numbers) < 3:
        return plainly(observed)
    return join(Text.both(f"{decimal(numbers[0])} ("), span(numbers[1], numbers[2]), Text.both(")"))
