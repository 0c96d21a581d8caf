"""A hospital's own name, in both languages, beside its code."""

from __future__ import annotations

from typing import Any

import pytest

from huizhen.core.digests import digest_value
from huizhen.core.evidence import Evidence, Interval
from huizhen.dossier.blocks import Row, Table
from huizhen.dossier.labels import site_name
from huizhen.dossier.record import Record
from huizhen.dossier.sections.places import sites
from huizhen.dossier.wording import Text
from huizhen.ledger.records import Entry


def entry(index: int, kind: str, body: dict[str, Any]) -> Entry:
    """Return an entry."""
    return Entry(index=index, kind=kind, time="2026-01-02T03:04:05Z", version="0.1.0", body=body)


@pytest.fixture
def record() -> Record:
    """A study with a site that has both titles, one with a Chinese one, and one without."""
    study = {
        "name": "s",
        "site": [
            {"name": "north", "title": "North Clinic", "title_zh": "北方医院"},
            {"name": "river", "title": "", "title_zh": "江滨医院"},
            {"name": "lake"},
        ],
    }
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("study", {"study": study, "digest": digest_value(study), "signed_by": "0" * 16})
    ]
    for site in ("north", "river", "lake", "all"):
        interval = Interval(low=0.6, high=0.8, method="DeLong")
        found = Evidence(
            key=f"auc/cman/internal/{site}",
            metric="auc",
            stage="validate",
            estimate=0.7,
            interval=interval,
            n=9,
        )
        bodies.append(("evidence", found.to_json()))
    return Record.of([entry(k, *body) for k, body in enumerate(bodies)], ["00"] * len(bodies))


def test_titles_are_the_study_s_and_one_stands_for_both(record: Record) -> None:
    assert record.site_titles["north"] == Text("North Clinic", "北方医院")
    assert record.site_titles["river"] == Text("江滨医院", "江滨医院")
    assert "lake" not in record.site_titles


def test_code_stands_first_so_that_rows_can_be_traced(record: Record) -> None:
    assert site_name("north", record.site_titles).zh == "north · 北方医院"
    assert site_name("lake", record.site_titles).en == "lake"


def test_results_by_site_carry_the_title(record: Record) -> None:
    (table,) = [block for block in sites(record, "internal") if isinstance(block, Table)]
    names = [cell[0].zh for row in table.rows if isinstance(row, Row) for cell in row.cells[:1]]
    assert names[:3] == ["north · 北方医院", "river · 江滨医院", "lake"]
