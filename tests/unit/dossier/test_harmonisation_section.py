"""The dossier's tables of harmonisation, in both languages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from huizhen.core.digests import digest_value
from huizhen.core.evidence import Evidence, Interval
from huizhen.dossier.blocks import Paragraph, Table
from huizhen.dossier.citations import Cited
from huizhen.dossier.record import Record
from huizhen.dossier.sections.harmonisation import harmonisation
from huizhen.ledger.records import Entry

STUDY = {"name": "s", "modality": [{"name": "US", "title": "Ultrasound"}], "site": [{"name": "east"}]}


def record(*found: Evidence) -> Record:
    bodies: list[tuple[str, dict[str, Any]]] = [("study", {"study": STUDY, "digest": digest_value(STUDY)})]
    bodies += [("evidence", one.to_json()) for one in found]
    entries = [
        Entry(index=k, kind=kind, time="2026-01-02T03:04:05Z", version="0.1.0", body=body)
        for k, (kind, body) in enumerate(bodies)
    ]
    return Record.of(entries, ["00"] * len(entries))


def told(when: str, how: str, value: float) -> Evidence:
    return Evidence(
        key=f"harmonisation/US/east/{when}/{how}",
        metric="site_auc",
        stage="harmonise",
        estimate=value,
        interval=Interval(low=value - 0.05, high=value + 0.04, method="DeLong"),
        n=120,
        n_events=40,
    )


def fitted() -> Evidence:
    detail = {
        "features": 1280,
        "constant": 13,
        "keep": ["outcome"],
        "shifted_only": ["east"],
        "prior": "none",
    }
    return Evidence(
        key="harmonisation/US/fitted",
        metric="harmonisation",
        stage="harmonise",
        n=638,
        descriptive=True,
        detail=detail,
    )


def test_before_and_after_stand_side_by_side() -> None:
    found = [told(w, h, v) for w, v in (("before", 0.9), ("after", 0.6)) for h in ("linear", "neighbours")]
    first, second = [b for b in harmonisation(record(fitted(), *found)) if isinstance(b, Table)]
    assert len(first.rows) == 1
    assert any("east" in getattr(c, "en", "") for cell in first.rows[0].cells for c in cell)
    assert len(second.rows) == 2
    shown = [cell.text.en for cell in sum(second.rows[0].cells, ()) if isinstance(cell, Cited)]
    assert "0.900" in shown[0]
    assert "0.600" in shown[1]
    assert all(len(row.cells) == len(t.head) for t in (first, second) for row in t.rows)
    assert {head.zh for head in second.head} >= {"协调前 AUC", "协调后 AUC"}


def test_components_are_told_and_a_dash_where_there_are_none() -> None:
    few = replace(fitted(), detail={**fitted().detail, "components": 3})
    for one, shown in ((few, "3"), (fitted(), "–")):
        [table] = [b for b in harmonisation(record(one)) if isinstance(b, Table)]
        place = [head.en for head in table.head].index("Components")
        assert shown in str(table.rows[0].cells[place])
        assert len(table.rows[0].cells) == len(table.head)


def test_why_nothing_was_measured_is_said() -> None:
    away = Evidence.not_assessed(
        key="harmonisation/US/sites", metric="site_auc", stage="harmonise", reason="features stay"
    )
    blocks = harmonisation(record(fitted(), away))
    assert any(isinstance(b, Paragraph) for b in blocks)


def test_a_study_without_it_has_no_heading() -> None:
    assert harmonisation(record()) == []
