"""Explanation: how well heatmaps meet the lesions, and cases that were decided rightly and wrongly."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from huizhen.dossier.blocks import (
    Block,
    CaseCard,
    Cell,
    Fold,
    Gallery,
    Heading,
    Link,
    Mark,
    Paragraph,
    Picture,
    Row,
    Section,
    Table,
)
from huizhen.dossier.citations import Cited, Scalar, cite, decimal, plainly
from huizhen.dossier.estimates import DASH, detail_of, estimate_cell, methods_of
from huizhen.dossier.figures.intervals import IntervalAxis
from huizhen.dossier.labels import cohort_name, metric_name, modality_name
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.sections.given import not_provided
from huizhen.dossier.wording import Text, join, say

LOCALISATION = ("pointing_game", "energy_in_lesion")
ONE_SIDED = 0.025
MOST_CASES = 16
"""Cases whose images stand on the page; all others are named in a table and lie in files/."""


def explanation(record: Record) -> Section:
    """Return the section on the heatmaps."""
    blocks = not_provided(record, "explanation")
    blocks += [] if record.given else [Paragraph(content=(say("explanation.caution"),), tone="note")]
    blocks += _localisation(record)
    blocks += _heatmaps(record)
    return Section(
        id="explanation", title=say("section.explanation"), blocks=tuple(blocks), phantom=record.phantom
    )


def _localisation(record: Record) -> list[Block]:
    found = record.family(*LOCALISATION)
    shown = [m for m in found if m.evidence.estimate is not None]
    shown.sort(key=lambda m: (LOCALISATION.index(m.family), m.parts[:1], m.parts[1:2] != ("internal",)))
    if not shown:
        return []
    axis = IntervalAxis.over([m.evidence for m in shown])
    rows = tuple(_localisation_row(record, m, axis) for m in shown)
    head = (
        say("head.measure"),
        say("head.modality"),
        say("head.cohort"),
        say("head.plot"),
        say("head.estimate"),
        say("head.chance"),
        say("head.p_chance"),
    )
    blank: Cell = (Text.both(""),)
    table = Table(
        id="table-localisation",
        caption=say("table.localisation"),
        head=head,
        rows=rows,
        foot=(blank, blank, blank, (axis.foot(),), blank, blank, blank),
        note=(say("note.localisation"), *methods_of(shown)),
    )
    return [table]


def _localisation_row(record: Record, measured: Measured, axis: IntervalAxis) -> Row:
    parts = (*measured.parts, "", "")
    return Row(
        cells=(
            (metric_name(measured.family),),
            (modality_name(record, parts[0]),),
            (cohort_name(parts[1]),),
            (axis.interval(measured.evidence),),
            (*estimate_cell(measured), *_against_chance(measured)),
            (detail_of(measured, "chance") or DASH,),
            (detail_of(measured, "p_chance", p=True) or DASH,),
        ),
        phantom=measured.evidence.phantom,
    )


def _against_chance(measured: Measured) -> tuple[Mark, ...]:
    """Return a flag unless a one-sided test finds more than chance, at the interval's level.

    Where no test was made, the interval is to lie above what chance reaches.
    """
    detail, interval = measured.evidence.detail, measured.evidence.interval
    p, chance = detail.get("p_chance"), detail.get("chance")
    if isinstance(p, int | float):
        above = p < ONE_SIDED
    else:
        above = not isinstance(chance, int | float) or interval is None or interval.low > chance
    return () if above else (Mark("warn", say("flag.chance")),)


def _heatmaps(record: Record) -> list[Block]:
    """Return the gallery, and the table of all cases when not every one is shown."""
    cases: dict[str, list[Measured]] = {}
    for m in record.family("heatmap"):
        cases.setdefault(m.parts[0] if m.parts else "", []).append(m)
    if not cases:
        return []
    chosen = _chosen(cases)
    gallery = Gallery(
        id="gallery",
        caption=say("figure.gallery"),
        cases=tuple(_card(record, cases[name]) for name in chosen),
    )
    read = Paragraph(content=(say("explanation.reading"),))
    blocks: list[Block] = [Heading(id="heatmaps", text=say("heading.heatmaps")), read, gallery]
    return [*blocks, Fold(summary=say("fold.heatmaps"), blocks=(_all(record, cases),))]


def _chosen(cases: dict[str, list[Measured]]) -> list[str]:
    """Return at most `MOST_CASES` cases, in turn of missed, false alarm, found and rightly negative."""
    groups: dict[str, list[str]] = {"fn": [], "fp": [], "tp": [], "tn": [], "": []}
    for name, found in cases.items():
        groups[_group(found[0])].append(name)
    turns = [name for turn in zip_longest(*groups.values()) for name in turn if name is not None]
    return turns[:MOST_CASES]


def _group(measured: Measured) -> str:
    """Return which of the four a case is: tp, fp, tn, fn; empty when outcome or decision isn't given."""
    outcome, decision = (_truth(measured.evidence.detail.get(f)) for f in ("outcome", "decision"))
    if outcome is None or decision is None:
        return ""
    return ("t" if outcome == decision else "f") + ("p" if decision else "n")


def _truth(value: Any) -> bool | None:
    if isinstance(value, bool | int | float):
        return bool(value)
    return {"positive": True, "negative": False}.get(value) if isinstance(value, str) else None


def _mark(measured: Measured) -> Mark:
    group = _group(measured)
    tone = {"t": "pass", "f": "fail"}.get(group[:1], "none")
    return Mark(tone, say(f"case.{group or 'unknown'}"))


def _card(record: Record, found: list[Measured]) -> CaseCard:
    first = found[0]
    title: list[Cited | Text] = [_pseudonym(first)]
    if cohort := detail_of(first, "cohort"):
        title += [Text.both(" · "), cohort]
    if risk := _risk(first):
        title += [Text.both(" · "), risk]
    return CaseCard(
        title=tuple(title),
        mark=_mark(first),
        pictures=tuple(_picture(record, m) for m in found if isinstance(m.evidence.detail.get("file"), str)),
        phantom=first.evidence.phantom,
    )


def _pseudonym(measured: Measured) -> Cited:
    name = measured.parts[0] if measured.parts else measured.evidence.key
    return cite(
        measured.entry,
        say("head.case"),
        "/key",
        show=lambda _: Text.both(name),
        phantom=measured.evidence.phantom,
    )


def _risk(measured: Measured) -> Cited | None:
    if not isinstance(measured.evidence.detail.get("risk"), int | float):
        return None
    label = join(say("head.risk"), Text.both(measured.parts[0]), by=Text(", ", "，"))

    def show(risk: Scalar) -> Text:
        return say("case.risk", risk=decimal(float(risk)) if isinstance(risk, int | float) else "–")

    return cite(measured.entry, label, "/detail/risk", show=show, phantom=measured.evidence.phantom)


def _picture(record: Record, measured: Measured) -> Picture:
    detail = measured.evidence.detail
    modality = modality_name(record, measured.parts[1]) if len(measured.parts) > 1 else Text.both("")
    view = detail.get("view")
    name = join(modality, Text.both(f" {view}" if view else ""))
    caption: list[Any] = [
        Cited(entry=measured.entry.index, label=name, text=name, values={"/key": measured.evidence.key}),
        *_place(measured, name),
    ]
    if isinstance(detail.get("dicom"), str):
        caption += [Text.both(" "), Link(f"files/{detail['dicom']}", Text.both("DICOM"))]
    alt = say("case.alt", modality=modality, case=measured.parts[0], judged=_mark(measured).text)
    return Picture(path=str(detail["file"]), alt=alt, caption=tuple(caption))


def _place(measured: Measured, name: Text) -> list[Cited | Text]:
    """Return which image of how many it is, which is the hottest, and how hot this one is; [] if not said."""
    detail = measured.evidence.detail
    wanted = ("image", "images", "hottest", "peak")
    if not all(isinstance(detail.get(field), int | float) for field in wanted):
        return []

    def told(word: str, *fields: str) -> Cited:
        def show(*values: Scalar) -> Text:
            shown = [decimal(v, 2) if isinstance(v, float) else str(v) for v in values]
            return say(f"case.{word}", **dict(zip(fields, shown, strict=True)))

        pointers = [f"/detail/{field}" for field in fields]
        return cite(measured.entry, name, *pointers, show=show, phantom=measured.evidence.phantom)

    hottest = ("hottest", "hottest_view") if detail.get("hottest_view") else ("hottest",)
    parts: list[Cited | Text] = [
        told("image", "image", "images"),
        told("hottest_view" if len(hottest) == 2 else "hottest", *hottest),
        told("peak", "peak"),
    ]
    if detail.get("dark") is True:
        parts.append(say("case.dark"))
    return [piece for part in parts for piece in (Text.both(" · "), part)]


def _all(record: Record, cases: dict[str, list[Measured]]) -> Table:
    head = (say("head.case"), say("head.risk"), say("head.judged"), say("head.images"))

    def row(found: list[Measured]) -> Row:
        files = [
            Link(f"files/{m.evidence.detail['file']}", _image_name(m))
            for m in found
            if "file" in m.evidence.detail
        ]
        spaced: list[Link | Text] = [x for link in files for x in (link, Text.both(" "))]
        risk = _risk(found[0])
        cells = ((_pseudonym(found[0]),), (risk or plainly(None),), (_mark(found[0]),), tuple(spaced[:-1]))
        return Row(cells=cells, phantom=found[0].evidence.phantom)

    rows = tuple(row(found) for found in cases.values())
    return Table(id="table-heatmaps", caption=say("table.heatmaps"), head=head, rows=rows)


def _image_name(measured: Measured) -> Text:
    return Text.both(" ".join(measured.parts[1:]) or measured.evidence.key)
