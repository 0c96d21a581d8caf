"""Robustness: what disturbed images and rows cost the locked model, and where the study's bound breaks."""

from __future__ import annotations

from markupsafe import Markup

from huizhen.dossier.blocks import Block, Cell, Figure, Figures, Fold, Heading, Paragraph, Row, Series, Table
from huizhen.dossier.citations import Cited, Scalar, cite, plainly
from huizhen.dossier.estimates import DASH, estimate_cell, methods_of
from huizhen.dossier.figures.intervals import IntervalAxis
from huizhen.dossier.figures.steps import StepPoint, draw_steps
from huizhen.dossier.labels import column_name, value_name
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.wording import Text, say, say_or

FAMILY = "robustness"
UNDISTURBED = "undisturbed"
TABLES = ("missing", "measurement_error")


def robustness(record: Record) -> list[Block]:
    """Return the figures, the summary and all steps of the disturbances that were tried."""
    found = record.family(FAMILY)
    kinds = list(dict.fromkeys(m.parts[0] for m in found if m.parts[0] != UNDISTURBED))
    if not found:
        return []
    figures = [figure for kind in kinds if (figure := _figure(record, kind))]
    blocks: list[Block] = [Heading(id="robustness", text=say("heading.robustness")), _note(record)]
    blocks += [Figures(figures=tuple(figures))] if figures else []
    blocks += [_summary(record, kinds)] if kinds else []
    steps = [m for kind in kinds for m in _steps(record, kind, "auc")]
    blocks += [Fold(summary=say("fold.robustness"), blocks=(_all(record, steps),))] if steps else []
    return blocks


def _base(record: Record, kind: str) -> Measured | None:
    domain = "tables" if kind in TABLES else "images"
    return record.one(f"{FAMILY}/{UNDISTURBED}/{domain}/auc")


def _steps(record: Record, kind: str, metric: str) -> list[Measured]:
    """Return a kind's evidence by rising step."""
    found = [
        m for m in record.family(FAMILY) if len(m.parts) == 3 and (m.parts[0], m.parts[2]) == (kind, metric)
    ]
    return sorted((m for m in found if m.parts[1].isdigit()), key=lambda m: int(m.parts[1]))


def _note(record: Record) -> Paragraph:
    """Return on whom it was tried, with the undisturbed AUC."""
    content: list[Text | Cited] = [say("note.robustness")]
    for domain in ("images", "tables"):
        if base := record.one(f"{FAMILY}/{UNDISTURBED}/{domain}/auc"):
            content += [Text.both(" "), say(f"robustness.{domain}"), Text.both(" ")]
            content += [c for c in estimate_cell(base) if isinstance(c, Cited | Text)]
            content += [Text.both(" "), _of(base)]
    return Paragraph(content=tuple(content), tone="table-note")


def _of(base: Measured) -> Cited:
    """Return how many patients the sample was drawn from."""

    def show(count: Scalar) -> Text:
        return say("robustness.sampled_from", n=plainly(count))

    return cite(
        base.entry,
        column_name("sampled_from"),
        "/detail/sampled_from",
        show=show,
        phantom=base.evidence.phantom,
    )


def _points(record: Record, kind: str) -> tuple[list[StepPoint], list[Measured]]:
    base = _base(record, kind)
    shown = [(0, base)] if base else []
    shown += [(int(m.parts[1]), m) for m in _steps(record, kind, "auc")]
    points, used = list[StepPoint](), list[Measured]()
    for step, measured in shown:
        evidence = measured.evidence
        if evidence.estimate is not None and evidence.interval is not None:
            low, high = evidence.interval.low, evidence.interval.high
            points.append(StepPoint(step=step, estimate=evidence.estimate, low=low, high=high))
            used.append(measured)
    return points, used


def _figure(record: Record, kind: str) -> Figure | None:
    points, used = _points(record, kind)
    if len(points) < 2:
        return None
    broken = record.one(f"{FAMILY}/{kind}/break")
    at_least = broken.evidence.detail.get("at_least") if broken else None
    bound = float(at_least) if isinstance(at_least, int | float) else None
    lines = [Series(style=0, name=say("legend.robustness"))]
    if broken is not None and bound is not None:
        cited = cite(broken.entry, say("legend.bound"), "/detail/at_least", phantom=broken.evidence.phantom)
        lines.append(Series(style=1, name=say("legend.bound"), content=(cited,)))
    return Figure(
        id=f"figure-robustness-{kind}",
        caption=say("figure.robustness", kind=value_name(kind)),
        alt=say("figure.robustness_alt", kind=value_name(kind)),
        svg=Markup(draw_steps(points, bound=bound)),
        legend=tuple(lines),
        sources=tuple(m.entry.index for m in (*used, *([broken] if broken else []))),
        phantom=used[0].evidence.phantom,
    )


def _summary(record: Record, kinds: list[str]) -> Table:
    """Return for each kind the grossest step, and the first steps at which something is lost or broken."""
    rows = tuple(row for kind in kinds if (row := _summary_row(record, kind)))
    names = ("disturbance", "last_step", "auc", "less_undisturbed", "first_loss", "first_broken")
    shown = [
        m for kind in kinds for metric in ("auc", "auc_difference") for m in _steps(record, kind, metric)
    ]
    return Table(
        id="table-robustness",
        caption=say("table.robustness"),
        head=tuple(say(f"head.{name}") for name in names),
        rows=rows,
        note=(say("note.robustness_break"), *methods_of(shown)),
    )


def _summary_row(record: Record, kind: str) -> Row | None:
    steps, broken = _steps(record, kind, "auc"), record.one(f"{FAMILY}/{kind}/break")
    if not steps:
        return None
    last = steps[-1]
    gap = record.one(f"{FAMILY}/{kind}/{last.parts[1]}/auc_difference")
    return Row(
        cells=(
            (value_name(kind),),
            _value(last),
            estimate_cell(last, with_size=False),
            estimate_cell(gap, with_size=False),
            _first(broken, "first_loss", "none_lost"),
            _broken(broken),
        ),
        phantom=last.evidence.phantom,
    )


def _value(measured: Measured) -> Cell:
    """Return a step with the value of its parameter."""
    detail, phantom = measured.evidence.detail, measured.evidence.phantom
    if not isinstance(detail.get("value"), int | float):
        return (Text.both(measured.parts[1]),)
    parameter = str(detail.get("parameter", ""))
    name = say_or(f"column.{parameter}", parameter)

    def show(step: Scalar, value: Scalar) -> Text:
        shown = f"{float(value):g}" if isinstance(value, int | float) else "–"
        return Text(f"{step} ({name.en} {shown})", f"{step}（{name.zh} {shown}）")

    return (cite(measured.entry, name, "/detail/step", "/detail/value", show=show, phantom=phantom),)


def _first(broken: Measured | None, field: str, otherwise: str) -> Cell:
    """Return the step that stands in `field` of a break's detail, or the word that there is none."""
    if broken is None:
        return (DASH,)
    if type(broken.evidence.detail.get(field)) is int:
        label = say(f"head.{field}") if field in ("first_loss", "first_broken") else column_name(field)
        return (cite(broken.entry, label, f"/detail/{field}", phantom=broken.evidence.phantom),)
    return (
        cite(
            broken.entry, say(f"robustness.{otherwise}"), "/n", show=lambda _: say(f"robustness.{otherwise}")
        ),
    )


def _broken(broken: Measured | None) -> Cell:
    """Return where the bound breaks; if the sample misses it undisturbed, where the estimate does."""
    if broken is None or "at_least" not in broken.evidence.detail:
        return (say("robustness.no_bound"),) if broken else (DASH,)
    if broken.evidence.detail.get("reached_undisturbed") is True:
        return _first(broken, "first_broken", "none_broken")
    cell: Cell = (say("robustness.not_reached"),)
    if type(broken.evidence.detail.get("first_below")) is int:
        below = cite(
            broken.entry, column_name("first_below"), "/detail/first_below", phantom=broken.evidence.phantom
        )
        cell += (say("robustness.first_below"), below)
    return cell


def _all(record: Record, steps: list[Measured]) -> Table:
    """Return every step of every kind."""
    axis = IntervalAxis.over([m.evidence for m in steps], also=[0.5])
    rows = tuple(_step_row(record, m, axis) for m in steps)
    names = ("disturbance", "step", "plot_auc", "auc", "less_undisturbed")
    blank: Cell = (Text.both(""),)
    return Table(
        id="table-robustness-steps",
        caption=say("table.robustness_steps"),
        head=tuple(say(f"head.{name}") for name in names),
        rows=rows,
        foot=(blank, blank, (axis.foot(),), blank, blank),
    )


def _step_row(record: Record, measured: Measured, axis: IntervalAxis) -> Row:
    kind, step = measured.parts[:2]
    drawn = measured.evidence.estimate is not None
    return Row(
        cells=(
            (value_name(kind),),
            _value(measured),
            (axis.interval(measured.evidence),) if drawn else (DASH,),
            estimate_cell(measured),
            estimate_cell(record.one(f"{FAMILY}/{kind}/{step}/auc_difference"), with_size=False),
        ),
        phantom=measured.evidence.phantom,
    )
