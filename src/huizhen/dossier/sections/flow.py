"""The flow diagram of the participants (STARD 2015, item 19): who came, who was left out, and why.

The evidence's detail holds "steps": rows of {"site", "step", counts...}, "exclusions": rows of {"site",
"unit", "reason", "count"} and perhaps "tallies": rows of {"site", "what", "count"}. Sites are added up here;
each sum cites all its terms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from huizhen.dossier.blocks import Flow, FlowStep, Fold, Row, Table
from huizhen.dossier.citations import Cited, Scalar, cite, plainly, pointer
from huizhen.dossier.details import table_of_rows
from huizhen.dossier.labels import column_name, value_name
from huizhen.dossier.record import Measured
from huizhen.dossier.wording import Text, join, listed, say, say_or

COUNTS = ("patients", "images", "rows")
LABEL_REASONS = frozenset({"missing_label", "other_class"})
LATE_REASONS = frozenset({"two_sites", "exact_duplicate", "near_duplicate", "conflicting_label"})
"""Why patients with an outcome leave: only known when the patients of all sites are compared."""


def flow_diagram(
    measured: Measured, allocation: Measured | None = None, outcomes: Measured | None = None
) -> Flow | None:
    """Return the flow diagram over all sites, or None when the detail has no steps.

    `allocation` gives the boxes below it, and `outcomes` their events: counted only after these were opened.
    """
    steps = _rows(measured, "steps")
    if not steps:
        return None
    names = list(dict.fromkeys(str(step.get("step", "")) for step in steps))
    return Flow(
        id="figure-flow",
        caption=say("figure.flow"),
        steps=tuple(_step(measured, name, names) for name in names),
        parts=_parts(allocation, outcomes) if allocation else (),
        phantom=measured.evidence.phantom,
    )


def _parts(allocation: Measured, outcomes: Measured | None) -> tuple[FlowStep, ...]:
    """Return a box for every part that patients were allocated to, with its sites and events."""
    names = dict.fromkeys(str(row.get("part", "")) for row in _rows(allocation, "parts"))
    return tuple(_part(name, allocation, outcomes) for name in names)


def _part(name: str, allocation: Measured, outcomes: Measured | None) -> FlowStep:
    content: list[Cited | Text] = []
    for unit in ("patient", "row"):
        if total := _sum(allocation, "parts", f"{unit}s", part=name):
            content += [total, Text.both(" "), _unit(unit, total)]
    if outcomes and (events := _sum(outcomes, "parts", "positive", part=name)):
        content += [Text(" (", "（"), events, Text.both(" "), say("flow.events"), Text(")", "）")]
    parts = [row for row in _rows(allocation, "parts") if row.get("part") == name]
    sites = [str(row["site"]) for row in parts if row.get("site")]
    if sites:
        content += [Text("; ", "；"), listed([Text.both(site) for site in sites])]
    return FlowStep(name=say_or(f"allocation.{name}", name), content=tuple(content))


def _rows(measured: Measured, field: str) -> Sequence[Mapping[str, Any]]:
    rows = measured.evidence.detail.get(field)
    return rows if isinstance(rows, list) and all(isinstance(r, Mapping) for r in rows) else []


def _step(measured: Measured, name: str, names: Sequence[str]) -> FlowStep:
    content: list[Cited | Text] = []
    for unit in COUNTS:
        if total := _sum(measured, "steps", unit, step=name):
            content += [total, Text.both(" "), _unit(unit[:-1], total), Text(", ", "，")]
    reasons = dict.fromkeys(
        (str(e.get("reason", "")), str(e.get("unit", ""))) for e in _rows(measured, "exclusions")
    )
    left_out = [
        (value_name(reason), (total, Text.both(" "), _unit(unit, total)))
        for reason, unit in reasons
        if _after(reason, unit, names) == name
        and (total := _sum(measured, "exclusions", "count", reason=reason, unit=unit))
    ]
    return FlowStep(name=value_name(name), content=tuple(content[:-1]), left_out=tuple(left_out))


def _unit(unit: str, total: Cited | None = None) -> Text:
    """Return the unit, in the singular for exactly one."""
    key = f"unit.{unit}" if total and total.text.en == "1" else f"unit.{unit}s"
    return say_or(key, unit)


def _after(reason: str, unit: str, names: Sequence[str]) -> str:
    """Return the step after which something left for `reason`; what is no patient left at the beginning."""
    if unit != "patient":
        return names[0]
    step = "readable" if reason in LABEL_REASONS else "labelled" if reason in LATE_REASONS else names[0]
    return step if step in names else names[0]


def _sum(measured: Measured, field: str, count: str, **where: str) -> Cited | None:
    """Return the sum of `count` over the rows whose columns equal `where`, citing every term."""
    chosen = [
        k
        for k, row in enumerate(_rows(measured, field))
        if all(str(row.get(name, "")) == value for name, value in where.items())
        and isinstance(row.get(count), int)
    ]
    if not chosen:
        return None
    label = join(*map(value_name, where.values()), column_name(count), by=Text(", ", "，"))
    paths = [pointer("detail", field, k, count) for k in chosen]
    return cite(measured.entry, label, *paths, show=_total, phantom=measured.evidence.phantom)


def _total(*terms: Scalar) -> Text:
    return plainly(sum(term for term in terms if isinstance(term, int)))


def flow_by_site(measured: Measured) -> Fold | None:
    """Return steps and exclusions of each site, folded away; None when there is but one site."""
    sites = list(dict.fromkeys(str(step.get("site", "")) for step in _rows(measured, "steps")))
    if len(sites) < 2:
        return None
    steps = dict.fromkeys(str(s.get("step", "")) for s in _rows(measured, "steps"))
    left = dict.fromkeys(
        (str(e.get("reason", "")), str(e.get("unit", ""))) for e in _rows(measured, "exclusions")
    )
    rows = [
        _site_row(measured, value_name(step), sites, "steps", "patients", step=step) for step in steps
    ] + [
        _site_row(
            measured,
            join(value_name(r), _unit(u), by=Text(", ", "，")),
            sites,
            "exclusions",
            "count",
            level=1,
            reason=r,
            unit=u,
        )
        for r, u in left
    ]
    head = (say("head.step"), *map(Text.both, sites))
    table = Table(id="table-flow-sites", caption=say("table.flow_sites"), head=head, rows=tuple(rows))
    return Fold(summary=say("fold.flow_sites"), blocks=(table,))


def _site_row(
    measured: Measured,
    name: Text,
    sites: Sequence[str],
    field: str,
    count: str,
    *,
    level: int = 0,
    **where: str,
) -> Row:
    cells = tuple((_sum(measured, field, count, site=site, **where) or Text.both("–"),) for site in sites)
    return Row(cells=((name,), *cells), level=level, phantom=measured.evidence.phantom)


def tallies(measured: Measured) -> Table | None:
    """Return what else was counted on the way, or None."""
    return table_of_rows(measured, "tallies", id="table-tallies", caption=say("table.tallies"))
