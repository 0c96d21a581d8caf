"""What the dossier claims of thresholds, subsets and participants: no more than the ledger shows."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from huizhen.core.evidence import Evidence
from huizhen.dossier.blocks import Flow, Paragraph, Table
from huizhen.dossier.record import Record
from huizhen.dossier.sections.participants import participants
from huizhen.dossier.sections.subsets import best_shares, subsets
from huizhen.dossier.sections.summary import summary
from huizhen.ledger.reading import read_log
from huizhen.ledger.records import Entry


@pytest.fixture(scope="module")
def record(run: Any) -> Record:
    """The made-up run's record."""
    log = read_log(run.ledger)
    return Record.of(log.entries, [leaf.hex() for leaf in log.leaves])


def with_evidence(record: Record, *found: Evidence) -> Record:
    """Return the record with more evidence at its end."""
    last = record.entries[-1]
    more = [
        replace(last, index=last.index + 1 + k, kind="evidence", body=one.to_json())
        for k, one in enumerate(found)
    ]
    entries: list[Entry] = [*record.entries, *more]
    return Record.of(entries, ["00"] * len(entries))


def marks(blocks: tuple[Any, ...]) -> list[tuple[str, str]]:
    """Return tone and first mark of every paragraph that has one."""
    found = [(b.tone, b.content[0]) for b in blocks if isinstance(b, Paragraph)]
    return [(tone, first.text.en) for tone, first in found if hasattr(first, "tone")]


def test_a_target_that_the_interval_excludes_is_a_warning_in_the_summary(record: Record) -> None:
    found = marks(summary(record).blocks)
    assert ("fail", "target not kept") in found
    assert ("note", "inconclusive") in found


def test_every_subset_is_marked_with_its_own_value(record: Record) -> None:
    [table] = [b for b in subsets(record, "internal") if isinstance(b, Table)]
    plots = [next(c for c in cell if hasattr(c, "svg")).svg for row in table.rows for cell in row.cells[4:5]]
    ticks = [re.findall(r'x1="([0-9.]+)"[^>]*class="best"', str(svg)) for svg in plots]
    assert [len(found) for found in ticks] == [1] * 7
    assert len({found[0] for found in ticks}) == 7
    assert not any("reference" in str(svg) for svg in plots)


def test_only_whole_cohorts_stand_in_the_table_of_the_exact_log_odds(record: Record) -> None:
    table = best_shares(record)[1]
    assert isinstance(table, Table)
    assert len(table.rows) == 4


def described(key: str, metric: str, **detail: Any) -> Evidence:
    return Evidence(key=key, metric=metric, stage="data", descriptive=True, n=9, detail=detail)


def test_the_flow_ends_in_the_allocation_and_has_events_only_once_they_are_counted(record: Record) -> None:
    rows = [{"part": "train", "site": s, "patients": n} for s, n in (("north", 100), ("river", 12))]
    rows += [{"part": "external", "site": "mountain", "patients": 120}]
    allocated = with_evidence(record, described("data/allocation", "allocation", parts=rows, folds=1))
    counts = [{"part": "train", "patients": 112, "positive": 48}]
    opened = with_evidence(
        record,
        described("data/allocation", "allocation", parts=rows, folds=1),
        described("data/outcomes", "outcomes", parts=counts, sites=[]),
    )
    for told, texts in ((allocated, ["112"]), (opened, ["112", "48"])):
        [flow] = [b for b in participants(told).blocks if isinstance(b, Flow)]
        first = flow.parts[0]
        assert [part.name.en for part in flow.parts] == ["Training", "External test"]
        assert [c.text.en for c in first.content if hasattr(c, "values")] == texts
