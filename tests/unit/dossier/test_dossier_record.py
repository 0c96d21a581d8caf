"""The record: the newest of every evidence, what it replaced, and ledgers that can't be told."""

from __future__ import annotations

from typing import Any

import pytest

from huizhen.core.digests import digest_value
from huizhen.core.evidence import Evidence, Interval
from huizhen.dossier.record import Record
from huizhen.errors import DossierError
from huizhen.ledger.records import Entry

STUDY = {"name": "s", "title": "S", "phantom": False}


def entry(index: int, kind: str, body: dict[str, Any]) -> Entry:
    """Return an entry."""
    return Entry(index=index, kind=kind, time="2026-01-02T03:04:05Z", version="0.1.0", body=body)


def study(value: dict[str, Any] = STUDY) -> dict[str, Any]:
    """Return a study entry's body."""
    return {"study": value, "digest": digest_value(value), "signed_by": "0" * 16}


def auc(value: float, key: str = "auc/cman/internal/all") -> dict[str, Any]:
    """Return an evidence entry's body."""
    interval = Interval(low=value - 0.1, high=value + 0.1, method="DeLong")
    return Evidence(
        key=key, metric="auc", stage="validate", estimate=value, interval=interval, n=9, n_events=4
    ).to_json()


def record(*bodies: tuple[str, dict[str, Any]]) -> Record:
    """Return the record of entries."""
    return Record.of([entry(k, *body) for k, body in enumerate(bodies)], ["00"] * len(bodies))


def test_newest_counts_and_the_older_is_kept() -> None:
    told = record(("study", study()), ("evidence", auc(0.6)), ("evidence", auc(0.8)))
    assert [m.evidence.estimate for m in told.measured] == [0.8]
    assert [m.evidence.estimate for m in told.superseded] == [0.6]


def test_same_result_twice_is_no_other_result() -> None:
    told = record(("study", study()), ("evidence", auc(0.6)), ("evidence", auc(0.6)))
    assert len(told.measured) == 1
    assert told.superseded == ()


def test_one_phantom_number_makes_the_dossier_a_phantoms() -> None:
    assert not record(("study", study()), ("evidence", auc(0.6))).phantom
    assert record(("study", study()), ("evidence", {**auc(0.6), "phantom": True})).phantom
    assert record(("study", study({**STUDY, "phantom": True}))).phantom


def test_ledger_without_a_study_cannot_be_told() -> None:
    with pytest.raises(DossierError, match="no study"):
        record(("evidence", auc(0.6)))


def test_study_that_is_not_the_signed_one_is_refused() -> None:
    with pytest.raises(DossierError, match="another study"):
        record(("study", {**study(), "digest": "0" * 64}))
    with pytest.raises(DossierError, match="holds no study"):
        record(("study", {"study": "x", "digest": "0" * 64}))


def test_evidence_that_is_none_names_its_entry() -> None:
    with pytest.raises(DossierError, match="entry 1"):
        record(("study", study()), ("evidence", {"key": "auc"}))
