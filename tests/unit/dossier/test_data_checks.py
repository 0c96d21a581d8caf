"""The dossier tells what was found in the data before a run; nothing where none was given."""

from __future__ import annotations

from typing import Any

from huizhen.core.digests import digest_value
from huizhen.core.evidence import Evidence, Interval
from huizhen.dossier.blocks import Heading, Table
from huizhen.dossier.citations import Cited
from huizhen.dossier.content import cited_entries
from huizhen.dossier.record import Record
from huizhen.dossier.sections.data_checks import data_checks, label_audit
from huizhen.dossier.sections.model import model
from huizhen.dossier.sections.participants import participants
from huizhen.ledger.records import Entry

STUDY = {"name": "s", "modality": [{"name": "US"}], "site": [{"name": "east"}]}


def record(*found: Evidence) -> Record:
    bodies: list[tuple[str, dict[str, Any]]] = [("study", {"study": STUDY, "digest": digest_value(STUDY)})]
    bodies += [("evidence", one.to_json()) for one in found]
    entries = [
        Entry(index=k, kind=kind, time="2026-01-02T03:04:05Z", version="0.1.0", body=body)
        for k, (kind, body) in enumerate(bodies)
    ]
    return Record.of(entries, ["00"] * len(entries))


def shown(key: str, metric: str, **detail: Any) -> Evidence:
    return Evidence(key=key, metric=metric, stage="check", n=90, descriptive=True, detail=detail)


CHECKED = (
    shown(
        "missing/missing_values",
        "missing_values",
        rows=[{"site": "east", "variable": "age", "patients": 90, "missing": 12, "share": 0.1333}],
    ),
    shown(
        "missing/missing_by_outcome",
        "missing_by_outcome",
        rows=[{"variable": "age", "difference": 0.2, "low": 0.1, "high": 0.3, "p": 0.01, "holm": 0.02}],
    ),
    shown("acquisition/east/US", "acquisition", rows=[{"item": "kvp", "value": "120", "images": 80}]),
    shown("quality/east/US", "image_outliers", flagged=7, why=[{"why": "saturated", "images": 7}]),
    shown("quality/odd_values", "odd_values", rows=[{"site": "east", "column": "chol", "why": "code"}]),
)


def audited() -> tuple[Evidence, ...]:
    told = shown(
        "label_audit/chest/label_suspects",
        "label_suspects",
        rule="class",
        suspects=29,
        classes=[{"class": "benign", "count": 282, "suspects": None}],
    )
    wrong = Evidence(
        key="label_audit/chest/label_wrong",
        metric="label_wrong",
        stage="label_audit",
        estimate=0.072,
        interval=Interval(low=0.05, high=0.144, method="stratified"),
        n=600,
        detail={"strata": [{"stratum": "listed", "count": 29, "read": 29, "wrong": 24}]},
    )
    return told, wrong


def test_each_evidence_is_cited_in_its_section() -> None:
    found = record(*CHECKED, *audited())
    entries = cited_entries(participants(found)) | cited_entries(model(found))
    assert entries >= set(range(1, len(CHECKED) + 3))


def test_tables_are_named_and_whole_in_both_languages() -> None:
    tables = [block for block in data_checks(record(*CHECKED)) if isinstance(block, Table)]
    assert len(tables) == len(CHECKED)
    assert all(len(row.cells) == len(table.head) for table in tables for row in table.rows)
    assert len({table.id for table in tables}) == len(tables)
    assert "影像如何" in tables[2].caption.zh or "采集方式" in tables[2].caption.zh
    cells = [
        cell.text.zh for row in tables[3].rows for c in row.cells for cell in c if isinstance(cell, Cited)
    ]
    assert cells


def test_the_audit_says_what_it_is_not() -> None:
    blocks = label_audit(record(*audited()))
    assert isinstance(blocks[0], Heading)
    tables = [block for block in blocks if isinstance(block, Table)]
    assert tables[0].id == "table-label-audit"
    assert any("strata" in table.id for table in tables)
    shown_cells = [
        c.text.en for t in tables for r in t.rows for cell in r.cells for c in cell if isinstance(c, Cited)
    ]
    assert any("0.072" in text for text in shown_cells)


def test_a_run_that_was_given_none_has_no_heading() -> None:
    assert data_checks(record()) == []
    assert label_audit(record()) == []
