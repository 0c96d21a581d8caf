"""A run whose study names subgroups: read at the sites, fixed with the predictions, told in the dossier."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from given_tables import judged, scored, write_study

from huizhen.core.evidence import Evidence, Verdict
from huizhen.dossier.verification import verify_dossier
from huizhen.errors import DataError
from huizhen.ledger.reading import read_log
from huizhen.pipeline.finish import RunResult
from huizhen.pipeline.recompute import recompute

Tables = Callable[..., Path]
Start = Callable[..., RunResult]
PLAN = """
[evaluation]
resamples = 200
least_events = 2
prevalence = 0.02
at_specificity = 0.8
partial_auc = { specificity = 0.8 }
costs = { false_negative = 20, false_positive = 1 }
[[subgroup]]
column = "age"
edges = [56]
cross = ["ward"]
[[subgroup]]
column = "ward"
title = "Ward"
groups = { inside = ["a"], outside = ["b", "c"] }
[[subgroup]]
column = "present:clinic"
"""


def with_wards(study_file: Path) -> None:
    """Add a column to each hospital's table that is no input of any model."""
    for path in study_file.parent.glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        lines = [[*rows[0], "ward"], *([*row.values(), "abcd"[k % 4]] for k, row in enumerate(rows))]
        with path.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows(lines)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory, tables: Tables, start: Start) -> RunResult:
    file = tables(tmp_path_factory.mktemp("groups"))
    with_wards(file)
    file.write_text(file.read_text(encoding="utf-8") + PLAN, encoding="utf-8")
    return start(file)


def evidence(result: RunResult) -> dict[str, Evidence]:
    entries = read_log(result.dossier / "ledger").entries
    found = [Evidence.from_json(dict(e.body)) for e in entries if e.kind == "evidence"]
    return {one.key: one for one in found}


def test_groups_are_compared_by_what_the_tables_say(result: RunResult) -> None:
    found = evidence(result)
    groups = {k.split("/", 3)[3] for k in found if k.startswith("subgroup/cman/external/")}
    assert groups == {
        *("age/<56", "age/≥56", "ward/inside", "ward/outside", "present:clinic/present"),
        *(f"age × ward/{age} · {ward}" for age in ("<56", "≥56") for ward in ("inside", "outside")),
    }
    ward = found["grouping/cman/external/ward"]
    assert ward.detail["ungrouped"] == 7  # ward d stands in no group
    assert ward.n == 23
    assert "not_assessed/subgroups" not in found
    assert "grouping/cman/internal/site" in found


def test_the_published_predictions_hold_groups_and_no_values(result: RunResult) -> None:
    with (result.dossier / "files" / "predictions_external.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["group:age"] for row in rows} == {"<56", "≥56"}
    assert {row["group:ward"] for row in rows} == {"inside", "outside", ""}
    assert "ward" not in rows[0]


def test_the_dossier_tells_them_and_verifies(result: RunResult) -> None:
    verify_dossier(result.dossier, expected_key_id=result.key_id)
    page = (result.dossier / "index.html").read_text(encoding="utf-8")
    for text in ("Ward: CMAN by group", "≥56", "Widest gap", "inside"):
        assert text in page or text.replace("&", "&amp;") in page


def test_cases_keep_what_was_read_in_the_committed_file(result: RunResult) -> None:
    [folder] = (result.run_folder / "stages").glob("cohort-*")
    cases = json.loads((folder / "cases.json").read_text(encoding="utf-8"))
    assert {case["groups"]["ward"] for case in cases} == set("abcd")
    assert all("ward" not in row for case in cases for row in case["covariates"].values())


def test_a_column_that_a_site_lacks_stops_the_run_before_anything_is_fitted(
    tmp_path: Path, tables: Tables, start: Start
) -> None:
    file = tables(tmp_path)
    file.write_text(file.read_text(encoding="utf-8") + '\n[[subgroup]]\ncolumn = "ward"\n', encoding="utf-8")
    with pytest.raises(DataError, match="ward"):
        start(file)


def test_without_subgroups_the_dossier_says_so(finished: RunResult) -> None:
    found = evidence(finished)
    assert found["not_assessed/subgroups"].verdict is Verdict.NOT_ASSESSED
    assert not any(key.startswith("subgroup/") for key in found)


def test_a_given_table_s_values_stay_where_they_are_and_its_groups_are_published(tmp_path: Path) -> None:
    rows = [{**row, "age": 40 + k % 37} for k, row in enumerate(scored())]
    more = 'threshold = 0.5\n[[subgroup]]\ncolumn = "age"\nedges = [55]\n'
    run = judged(write_study(tmp_path, rows, more))
    with (run.dossier / "files" / "predictions_external.csv").open(encoding="utf-8") as stream:
        published = {row["group:age"] for row in csv.DictReader(stream)}
    assert published == {"<55", "≥55"}
    groups = [key for key in evidence(run) if key.startswith("subgroup/model/external/age/")]
    assert [key.rsplit("/", 1)[1] for key in groups] == ["<55", "≥55"]
    assert recompute(run.dossier).differing == ()
