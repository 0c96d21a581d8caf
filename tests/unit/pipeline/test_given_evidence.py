"""Evidence from before a run: taken as it was written, refused where it could stand in for a result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from huizhen.core.evidence import Evidence
from huizhen.errors import StudyError
from huizhen.ledger.log import Log
from huizhen.ledger.signing import SigningKey
from huizhen.pipeline.given_evidence import MOST_BYTES, given_evidence
from huizhen.pipeline.reporting import enter_added


def told(key: str = "missing/missing_values", n: int = 90) -> dict[str, Any]:
    one = Evidence(
        key=key, metric="missing_values", stage="check", n=n, descriptive=True, detail={"rows": []}
    )
    return one.to_json()


def write(folder: Path, value: Any) -> Path:
    path = folder / "evidence.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def test_it_is_taken_as_written(tmp_path: Path) -> None:
    assert given_evidence(write(tmp_path, [told(), told("label_audit/a/label_wrong")])) == [
        told(),
        told("label_audit/a/label_wrong"),
    ]


@pytest.mark.parametrize("key", ["auc/cman/internal/all", "endpoint/1", "missing", "privacy/x", "data/flow"])
def test_nothing_stands_in_for_a_result(tmp_path: Path, key: str) -> None:
    with pytest.raises(StudyError, match="only a run may measure"):
        given_evidence(write(tmp_path, [told(), told(key)]))


@pytest.mark.parametrize("value", [[], {}, ["a"], [{"key": "missing/x"}], [{**told(), "more": 1}], 3])
def test_what_is_no_evidence_is_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises(StudyError, match="holds no evidence"):
        given_evidence(write(tmp_path, value))


def test_absent_broken_and_huge_files(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="holds no evidence"):
        given_evidence(tmp_path / "absent.json")
    (tmp_path / "deep.json").write_text("[" * 200_000)
    with pytest.raises(StudyError, match="holds no evidence"):
        given_evidence(tmp_path / "deep.json")
    (tmp_path / "huge.json").write_bytes(b" " * (MOST_BYTES + 2))
    with pytest.raises(StudyError, match="holds no evidence"):
        given_evidence(tmp_path / "huge.json")


def test_the_same_is_entered_once_and_a_newer_one_again(tmp_path: Path) -> None:
    with Log.open(tmp_path / "ledger", SigningKey.generate()) as log:
        enter_added(log, [("evidence", told())])
        size = log.size
        enter_added(log, [("evidence", told())])
        assert log.size == size
        enter_added(log, [("evidence", told(n=91))])
        assert log.size > size
