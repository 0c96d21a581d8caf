"""Triage: what reading policies with and without the AI would find and cost on the tested patients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from huizhen.dossier.blocks import (
    Block,
    Cell,
    Figure,
    Figures,
    Heading,
    Inline,
    Mark,
    Paragraph,
    Phrase,
    Row,
    Series,
    Table,
    phrase,
)
from huizhen.dossier.citations import Cited, Scalar, cite, decimal, pointer, readable, size_of, span
from huizhen.dossier.estimates import DASH, estimate_of, reason_of, sample_flags
from huizhen.dossier.figures.triage import PolicyPoint, draw_policies
from huizhen.dossier.labels import cohort_name, column_name, label_of, model_name
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.wording import Text, join, say

FAMILY, LEVELS = "triage", "triage_levels"
CLAIMS = ("detection", "workload", "time_to_read", "non_inferiority")
COLOURS = 8
NAMES: Mapping[str, str] = {
    "double": "policy.double",
    "single": "policy.single",
    "ai_triage": "policy.ai_triage",
    "ai_second_reader": "policy.ai_second_reader",
    "rule_out": "policy.rule_out",
    "prioritised": "policy.prioritised",
}
TOPS: Mapping[str, str] = {
    "recall": "policy.top_recall",
    "consensus": "policy.top_consensus",
    "read": "policy.top_read",
}

Claims = Mapping[str, Measured]
"""A policy's evidence by claim."""


def triage(record: Record) -> list[Block]:
    """Return each cohort's policies: what they find, what they cost, and the levels that they rest on."""
    blocks: list[Block] = []
    for cohort in dict.fromkeys(m.parts[-1] for m in record.family(FAMILY)):
        found = _by_policy(record, cohort)
        whole = [claims for claims in found.values() if _whole(claims)]
        title = join(say("heading.triage"), cohort_name(cohort), by=Text(", ", "，"))
        blocks.append(Heading(id=f"triage-{cohort}", text=title))
        reasons = [m for claims in found.values() for m in claims.values() if m.evidence.reason]
        blocks += [Paragraph(content=(reason_of(reasons[0]),), tone="note")] if reasons else []
        if whole:
            blocks += [Paragraph(content=_terms(whole[0]), tone="table-note"), _figure(whole, cohort)]
            blocks += [_found_table(whole, cohort), _work_table(whole, cohort)]
        blocks += [_levels_table(m) for m in record.family(LEVELS) if m.parts[-1] == cohort]
    return blocks


def _by_policy(record: Record, cohort: str) -> dict[str, dict[str, Measured]]:
    """Return policy -> claim -> evidence, in the order of the study."""
    found: dict[str, dict[str, Measured]] = {}
    for measured in record.family(FAMILY):
        if len(measured.parts) == 3 and measured.parts[2] == cohort and measured.parts[1] in CLAIMS:
            found.setdefault(measured.parts[0], {})[measured.parts[1]] = measured
    return found


def _whole(claims: Claims) -> bool:
    """Tell whether a policy's evidence holds what the tables show."""
    both = [claims.get(name) for name in ("detection", "workload")]
    return all(m is not None and m.evidence.estimate is not None and m.evidence.interval for m in both)


def policy_text(policy: Mapping[str, Any]) -> Text:
    """Return a policy of the study readably, from what an entry holds of it.

    >>> policy_text({"kind": "rule_out", "level": 5}).en
    'Levels below 5 read by nobody'
    """
    key = NAMES.get(str(policy.get("kind")))
    said = Text.both(str(policy.get("kind"))) if key is None else say(key, level=str(policy.get("level", "")))
    if policy.get("kind") == "ai_triage" and (top := TOPS.get(str(policy.get("top", "recall")))):
        said = join(said, say(top), by=Text("; ", "；"))
    if policy.get("readers") == 1:
        said = join(said, say("policy.one_reader"), by=Text(", ", "，"))
    if policy.get("referral") == "discordant" and policy.get("kind") != "ai_second_reader":
        said = join(said, say("policy.discordant"), by=Text(", ", "，"))
    return join(Text.both(str(policy["name"])), said, by=Text(": ", "：")) if policy.get("name") else said


def _name(place: int, claims: Claims) -> Text:
    """Return a policy's number and name, as figure and tables have it."""
    policy = claims["detection"].evidence.detail.get("policy", {})
    return join(Text.both(f"{place + 1}"), policy_text(policy), by=Text.both(" · "))


# --- on which terms ------------------------------------------------------------------------------------


def _terms(claims: Claims) -> Cell:
    """Return the readers, the prevalence and what the figures don't cover."""
    measured = claims["detection"]
    detail = measured.evidence.detail
    cells: list[Inline] = [
        say("note.triage"),
        phrase("note.triage_prevalence", prevalence=_quoted(measured, "prevalence")),
    ]
    readers = detail.get("readers", {})
    if all(isinstance(readers.get(name), dict) for name in ("first", "second", "consensus")):
        each = {name: _reader(measured, name) for name in ("first", "second", "consensus")}
        between = _quoted(measured, "readers", "between_readers", "value")
        with_ai = _quoted(measured, "readers", "with_ai", "value")
        cells.append(phrase("note.triage_readers", **each, between=between, with_ai=with_ai))
    if isinstance(detail.get("simulated"), int | float):
        cells.append(phrase("note.triage_simulated", share=_quoted(measured, "simulated")))
    if detail.get("found_only") is True:
        cells.append(say("note.triage_found_only"))
    size = cite(
        measured.entry,
        join(label_of(measured), say("head.n"), by=Text.both(" · ")),
        "/n",
        "/n_events",
        show=lambda n, events: size_of(n, events, measured.evidence.unit) or Text.both(""),
        phantom=measured.evidence.phantom,
    )
    flags = [flag for flag in sample_flags(measured) if isinstance(flag, Mark)]
    spaced = [part for cell in (*cells, size, *flags) for part in (cell, Text.both(" "))]
    return tuple(spaced[:-1])


def _quoted(measured: Measured, *steps: str) -> Cited:
    """Return a scalar of the detail."""
    label = join(label_of(measured), column_name(steps[-1]), by=Text.both(" · "))
    path = pointer("detail", *steps)
    return cite(measured.entry, label, path, show=readable, phantom=measured.evidence.phantom)


def _reader(measured: Measured, name: str) -> Phrase:
    """Return a reader's accuracy and where it is from."""
    parts = {field: _quoted(measured, "readers", name, field) for field in ("sensitivity", "specificity")}
    return phrase("note.triage_reader", **parts, source=_quoted(measured, "readers", name, "from"))


# --- figure and tables ---------------------------------------------------------------------------------


def _figure(found: Sequence[Claims], cohort: str) -> Figures:
    named = {"cohort": cohort_name(cohort)}
    points = [
        PolicyPoint(
            number=place + 1,
            style=place % COLOURS,
            readings=_limits(claims["workload"]),
            found=_limits(claims["detection"]),
        )
        for place, claims in enumerate(found)
    ]
    figure = Figure(
        id=f"figure-triage-{cohort}",
        caption=say("figure.triage", **named),
        alt=say("figure.triage_alt", **named),
        svg=draw_policies(points),
        legend=tuple(Series(style=k % COLOURS, name=_name(k, claims)) for k, claims in enumerate(found)),
        sources=tuple(claims[name].entry.index for claims in found for name in ("detection", "workload")),
        phantom=any(claims["detection"].evidence.phantom for claims in found),
    )
    return Figures(figures=(figure,))


def _limits(measured: Measured) -> tuple[float, float, float]:
    """Return an estimate and its limits."""
    interval, estimate = measured.evidence.interval, measured.evidence.estimate
    if interval is None or estimate is None:
        return 0.0, 0.0, 0.0
    return estimate, interval.low, interval.high


def _found_table(found: Sequence[Claims], cohort: str) -> Table:
    """Return what each policy finds and recalls."""
    chosen = found[0]["detection"].evidence.detail.get("prevalence_from") == "study"
    names = (*(["detection_rate"] if chosen else []), "recall_rate", "ppv")
    heads = ("policy", "events_found", "less_than_reference", "non_inferior", *names)
    return Table(
        id=f"table-triage-{cohort}",
        caption=say("table.triage", cohort=cohort_name(cohort)),
        head=tuple(say(f"head.{name}") for name in heads),
        rows=tuple(
            _row(
                place,
                claims,
                _number(claims["detection"]),
                _number(claims.get("non_inferiority")) if place else (say("value.reference"),),
                _verdict(claims.get("non_inferiority")),
                *((_measure(claims["detection"], name),) for name in names),
            )
            for place, claims in enumerate(found)
        ),
        note=(say("note.triage_found"),),
    )


def _work_table(found: Sequence[Claims], cohort: str) -> Table:
    """Return what each policy costs readers, and how long events wait."""
    names = ("first", "second", "consensus")
    costs = ("readings_exam", "saved", "minutes", "until_read")
    heads = ("policy", *(f"{name}_readings" for name in names), *costs)
    return Table(
        id=f"table-triage-work-{cohort}",
        caption=say("table.triage_work", cohort=cohort_name(cohort)),
        head=tuple(say(f"head.{name}") for name in heads),
        rows=tuple(
            _row(
                place,
                claims,
                *((_measure(claims["detection"], name),) for name in names),
                _number(claims["workload"]),
                (_measure(claims["workload"], "readings_saved") if place else say("value.reference"),),
                (_measure(claims["workload"], "minutes"),),
                (_measure(claims["time_to_read"], "events") if "time_to_read" in claims else DASH,),
            )
            for place, claims in enumerate(found)
        ),
        note=(say("note.triage_work"),),
    )


def _row(place: int, claims: Claims, *cells: Cell) -> Row:
    phantom = claims["detection"].evidence.phantom
    return Row(cells=((_name(place, claims),), *cells), strong=place == 0, phantom=phantom)


def _number(measured: Measured | None) -> Cell:
    """Return an estimate with its interval, or why there is none, or a dash."""
    if measured is None:
        return (DASH,)
    number = estimate_of(measured, with_size=False)
    return (number or (reason_of(measured) if measured.evidence.reason else DASH),)


def _verdict(measured: Measured | None) -> Cell:
    """Return whether the margin was kept."""
    if measured is None:
        return (DASH,)
    verdict = measured.evidence.verdict.value
    tone = verdict if verdict in ("pass", "fail") else "none"
    return (Mark(tone, say(f"verdict.{verdict.replace(' ', '_')}")),)


def _measure(measured: Measured, name: str) -> Inline:
    """Return one of the measures in a detail, with its interval."""
    held = measured.evidence.detail.get("measures", {}).get(name)
    ends = ("estimate", "low", "high")
    if not isinstance(held, dict) or not all(isinstance(held.get(end), int | float) for end in ends):
        return DASH
    label = join(label_of(measured), column_name(name), by=Text.both(" · "))
    paths = [pointer("detail", "measures", name, end) for end in ends]
    show = SHOWN.get(name, _banded)
    return cite(measured.entry, label, *paths, show=show, phantom=measured.evidence.phantom)


def _banded(value: float, low: float, high: float) -> Text:
    """Return a number with its interval; what a policy fixes has none."""
    if low == value == high:
        return Text.both(decimal(value))
    return join(Text.both(f"{decimal(value)} ("), span(low, high), Text.both(")"))


def _in_minutes(value: float, low: float, high: float) -> Text:
    """Return minutes to a tenth."""
    shown = [decimal(v, 1) for v in (value, low, high)]
    return Text.both(f"{shown[0]} ({shown[1]}–{shown[2]})")


def _in_thousand(value: float, low: float, high: float) -> Text:
    """Return a share as so many in a thousand exams, to a tenth."""
    shown = [decimal(1000 * v, 1) for v in (value, low, high)]
    return Text.both(f"{shown[0]} ({shown[1]}–{shown[2]})")


SHOWN: Mapping[str, Callable[..., Text]] = {
    "detection_rate": _in_thousand,
    "minutes": _in_minutes,
    "events": _in_minutes,
}
"""Measures that aren't shown as shares."""


def _levels_table(measured: Measured) -> Table:
    """Return how many exams and events each frozen level holds among the tested patients."""
    rows = measured.evidence.detail.get("levels", [])
    phantom = measured.evidence.phantom

    def cell(place: int, *fields: str, show: Callable[..., Text]) -> Cell:
        label = join(label_of(measured), column_name(fields[0]), by=Text.both(" · "))
        paths = [pointer("detail", "levels", place, field) for field in fields]
        return (cite(measured.entry, label, *paths, show=show, phantom=phantom),)

    def plain(value: Scalar) -> Text:
        return readable(value)

    return Table(
        id=f"table-triage-levels-{measured.parts[-1]}",
        caption=say(
            "table.triage_levels", model=model_name(measured.parts[0]), cohort=cohort_name(measured.parts[-1])
        ),
        head=tuple(say(f"head.{name}") for name in ("level", "exams", "share_of_exams", "events")),
        rows=tuple(
            Row(
                cells=(
                    cell(place, "level", show=plain),
                    cell(place, "n", show=plain),
                    cell(place, "share", "low", "high", show=_banded),
                    cell(place, "events", show=plain),
                ),
                phantom=phantom,
            )
            for place in range(len(rows))
        ),
        note=(say("note.triage_levels"),),
    )
