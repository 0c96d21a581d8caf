"""Cases and folds through JSON and back."""

from __future__ import annotations

import json

import pytest

from huizhen.core.cohort import Case, ImageRecord, Part
from huizhen.core.digests import digest_bytes
from huizhen.data.splits import Fold
from huizhen.pipeline.casefile import case_from_json, case_to_json, folds_from_json, folds_to_json

RECORD = ImageRecord(
    patient_id="17",
    modality="MG",
    source=2,
    key="a/b.dcm#3",
    digest=digest_bytes(b"x"),
    view="L-CC",
    study_id="1.2.3",
    scanner="A",
    has_mask=True,
    phantom=True,
    duplicate_group="g",
)
CASE = Case(
    pseudonym="P-0",
    patient_id="17",
    site="north",
    outcome=1,
    images={"MG": (RECORD, RECORD), "US": (RECORD,)},
    covariates={"clinic": {"age": 0.1 + 0.2, "er": "pos", "her2": None}},
)


def test_a_case_comes_back_as_it_was() -> None:
    assert case_from_json(json.loads(json.dumps(case_to_json(CASE, outcome=True))), {}) == CASE


@pytest.mark.parametrize("outcome", [0, 1])
def test_a_sealed_case_has_its_outcome_elsewhere(outcome: int) -> None:
    record = json.loads(json.dumps(case_to_json(CASE, outcome=False)))
    assert record["outcome"] is None
    assert case_from_json(record, {}).outcome is None
    assert case_from_json(record, {"P-0": outcome}).outcome == outcome
    assert case_from_json(record, {"P-1": outcome}).outcome is None


def test_an_open_outcome_is_not_overruled() -> None:
    assert case_from_json(case_to_json(CASE, outcome=True), {"P-0": 0}).outcome == 1


def test_a_case_of_nothing_but_a_row() -> None:
    case = Case(pseudonym="P-1", patient_id="x", site="s", outcome=0, covariates={"clinic": {}})
    assert case_from_json(json.loads(json.dumps(case_to_json(case, outcome=True))), {}) == case


def test_folds_come_back_as_they_were() -> None:
    folds = (
        Fold(index=0, parts={"P-0": Part.TRAIN, "P-1": Part.EXTERNAL}),
        Fold(index=1, parts={"P-0": Part.TEST, "P-1": Part.TUNE}),
    )
    assert folds_from_json(json.loads(json.dumps(folds_to_json(folds)))) == folds
