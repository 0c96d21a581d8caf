"""Tables of predictions: what is left out, what is refused, and how scales become risks or ranks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from given_tables import as_csv, scored, write_study

from huizhen.core.study_file import load_study
from huizhen.errors import DataError, StageError
from huizhen.pipeline.prediction_table import Score, given_of, pseudonyms, read_predictions_of

SECRET = b"secret"


def read(folder: Path, rows: list[dict[str, Any]], more: str = "") -> Any:
    study = load_study(write_study(folder, rows, more))
    return read_predictions_of(study, folder / "table.csv", secret=SECRET)


def test_rows_become_patients_with_pseudonyms(tmp_path: Path) -> None:
    found = read(tmp_path, scored(40), 'site = "site"\n[[subgroup]]\ncolumn = "sex"')
    assert found.patient.size == found.rows == 40
    assert all(name.startswith("P-") and len(name) == 18 for name in found.patient.tolist())
    assert set(found.site.tolist()) == {"north", "south"}
    assert found.groups["sex"].tolist()[:2] == ["F", "M"]
    assert found.outcome.tolist() == [bool(row["label"]) for row in scored(40)]
    assert "person" not in repr(found)


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    rows = scored(20)
    rows[0]["id"], rows[1]["label"], rows[2]["label"], rows[3]["prob"] = "", "", "2", ""
    found = read(tmp_path, rows, 'other_outcomes = "exclude"')
    assert found.left_out == {"missing_patient": 1, "missing_label": 1, "other_class": 1}
    assert found.patient.size == 17
    assert np.isnan(found.scores[0].raw).sum() == 1  # unanswered, but not left out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prob": 1.5}, "1 scores are outside"),
        ({"prob": -3.2}, "--scale logit"),
        ({"prob": 97}, "divide percentages by 100"),
        ({"id": "person-5"}, "20 rows are of 19 patients: lines 7 and 9"),
        ({"label": "maybe"}, "1 rows are of neither class"),
        ({"prob": "=1+1"}, "formulas"),
    ],
)
def test_what_would_make_numbers_wrong_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    rows = scored(20)
    rows[7] |= change
    with pytest.raises(DataError) as refused:
        read(tmp_path, rows)
    assert said in str(refused.value)
    assert "person" not in str(refused.value)


def test_repeated_patients_are_told_of_the_remedy_and_counted_over_patients_then(tmp_path: Path) -> None:
    rows = scored(20)
    rows[7]["id"] = "person-5"
    with pytest.raises(DataError, match="--cluster"):
        read(tmp_path, rows)
    found = read(tmp_path, rows, "clustered = true")
    assert found.cluster is not None
    assert found.cluster[5] == found.cluster[7]
    assert found.patient[5] == f"{found.cluster[5]}.1"
    assert found.patient[7] == f"{found.cluster[5]}.2"


def test_log_odds_and_ranks(tmp_path: Path) -> None:
    rows = [row | {"prob": float(np.log(row["prob"] / (1 - row["prob"])))} for row in scored(30)]
    logit = read(tmp_path, rows, 'scale = "logit"').scores[0]
    np.testing.assert_allclose(logit.risk, [row["prob"] for row in scored(30)], atol=1e-12)
    rank = read(tmp_path, rows, 'scale = "rank"').scores[0]
    assert np.argsort(rank.risk, kind="stable").tolist() == np.argsort(logit.raw, kind="stable").tolist()


def test_ranks_keep_ties_and_gaps() -> None:
    risk = Score(name="m", raw=np.array([5.0, np.nan, 5.0, 9.0]), scale="rank").risk
    np.testing.assert_allclose(risk, [1 / 3, np.nan, 1 / 3, 2.5 / 3])


def test_another_score_outside_unit_range_is_ranked(tmp_path: Path) -> None:
    found = read(tmp_path, scored(30), 'compare = ["rival"]')
    assert [one.scale for one in found.scores] == ["probability", "rank"]


def test_without_a_patient_column_rows_are_patients(tmp_path: Path) -> None:
    plan = write_study(tmp_path, [{k: v for k, v in row.items() if k != "id"} for row in scored(12)])
    plan.write_text(plan.read_text().replace('patient = "id"\n', ""))
    found = read_predictions_of(load_study(plan), tmp_path / "table.csv", secret=SECRET)
    assert len(set(found.patient.tolist())) == 12


def test_too_many_sites_are_no_sites(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="different sites"):
        read(tmp_path, scored(300), 'site = "id"\npatient = "id"'.replace('patient = "id"', ""))


def test_pseudonyms_differ_by_secret_and_are_stable() -> None:
    assert pseudonyms(["a", "b", "a"], SECRET) == pseudonyms(["a", "b", "a"], SECRET)
    assert pseudonyms(["a"], SECRET) != pseudonyms(["a"], b"other")
    with pytest.raises(StageError):
        pseudonyms(["a"], b"")


def test_a_study_without_a_table_has_none(tmp_path: Path) -> None:
    study = load_study(write_study(tmp_path, scored(5)))
    assert given_of(study).score == "prob"
    with pytest.raises(StageError):
        given_of(study.model_copy(update={"predictions": None}))
    assert as_csv(scored(1)).startswith("id,label,prob")


def test_the_table_holds_bands_and_not_the_ages_that_were_read(tmp_path: Path) -> None:
    rows = [row | {"age": 31 + number} for number, row in enumerate(scored(40))]
    found = read(tmp_path, rows, '[[subgroup]]\ncolumn = "age"\nedges = [50, 65]')
    assert set(found.groups["age"].tolist()) == {"<50", "50–<65", "≥65"}
