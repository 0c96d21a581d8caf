"""Reader studies from a table: names stay out, the analysis is Obuchowski and Rockette's, and bad reads."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from given_tables import as_csv, judged

from huizhen.core.evidence import Evidence, Verdict
from huizhen.errors import DataError
from huizhen.ledger.reading import read_log
from huizhen.pipeline.recompute import recompute
from huizhen.validate.readers.merit import AUC
from huizhen.validate.readers.obuchowski_rockette import compare
from huizhen.validate.readers.roe_metz import RoeMetz, simulate_readers

PLAN = """\
name = "reads"
title = "Reads"
question = "Does AI help readers?"
seed = 7
[task]
outcome = "truth"
positive = ["1"]
negative = ["0"]
[reads]
table = "reads.csv"
patient = "case"
outcome = "truth"
reader = "reader"
rating = "rating"
{more}
"""
ARMS = ("with AI", "without AI")


def reads(*, readers: int = 4) -> tuple[Any, list[dict[str, Any]]]:
    """Return a simulated study and its table."""
    study = simulate_readers(
        np.random.default_rng(2),
        RoeMetz(),
        aucs=[0.85, 0.75],
        readers=readers,
        diseased=25,
        others=35,
        levels=5,
    )
    rows = [
        {
            "reader": f"Dr Name-{r}",
            "arm": ARMS[t],
            "case": f"person-{k}",
            "truth": int(study.truth[k]),
            "rating": study.ratings[t, r, k],
        }
        for t in range(2)
        for r in range(readers)
        for k in range(study.truth.size)
    ]
    return study, rows


def run_of(folder: Path, rows: list[dict[str, Any]], more: str = 'arm = "arm"\n') -> Any:
    (folder / "reads.csv").write_text(as_csv(rows), encoding="utf-8")
    (folder / "plan.toml").write_text(PLAN.format(more=more), encoding="utf-8")
    return judged(folder / "plan.toml")


def evidence_of(run: Any) -> dict[str, Evidence]:
    entries = read_log(run.dossier / "ledger").entries
    return {str(e.body["key"]): Evidence.from_json(e.body) for e in entries if e.kind == "evidence"}


def test_arms_are_compared_over_readers_and_cases(tmp_path: Path) -> None:
    study, rows = reads()
    run = run_of(tmp_path, rows, 'arm = "arm"\nreference = "without AI"\nmargin = 0.05\nthreshold = 3\n')
    found = evidence_of(run)
    gap = found["reader_auc_difference/with AI~without AI"]
    expected = compare(study, AUC).differences[study.modalities[0], study.modalities[1]]
    assert gap.interval is not None
    assert gap.estimate == pytest.approx(expected.estimate)
    assert (gap.interval.low, gap.detail["p"]) == pytest.approx((expected.interval.low, expected.p))
    endpoint = found["endpoint/1/reader_auc_difference/reads"]
    assert endpoint.verdict is (Verdict.PASS if expected.interval.low >= -0.05 else Verdict.FAIL)
    assert {"reader_auc/with AI/R1", "reader_sensitivity/with AI/all"} <= set(found)
    assert recompute(run.dossier).differing == ()


def test_no_reader_and_no_patient_is_named(tmp_path: Path) -> None:
    run = run_of(tmp_path, reads()[1])
    for path in run.dossier.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert b"Name-" not in data, path
            assert b"person-" not in data, path
    with (run.dossier / "files" / "reads.csv").open(encoding="utf-8") as stream:
        assert {row["reader"] for row in csv.DictReader(stream)} == {"R1", "R2", "R3", "R4"}
    page = (run.dossier / "index.html").read_text(encoding="utf-8")
    assert "Differences between arms" in page
    assert "The plan was signed before the table of reads was opened" in page


def test_missing_reads_are_gaps_and_counted(tmp_path: Path) -> None:
    rows = reads()[1]
    rows[0]["rating"], rows[5]["case"] = "", ""
    found = evidence_of(run_of(tmp_path, rows))
    exclusions = found["data/flow"].detail["exclusions"]
    assert {(row["reason"], row["count"]) for row in exclusions} == {
        ("missing_patient", 1),
        ("non_finite", 1),
    }
    assert found["reader_auc_difference/with AI~without AI"].estimate is not None


def test_readers_of_one_arm_each_are_compared_by_u_statistics(tmp_path: Path) -> None:
    rows = [row for row in reads(readers=6)[1] if (row["reader"] < "Dr Name-3") == (row["arm"] == ARMS[0])]
    gap = evidence_of(run_of(tmp_path, rows))["reader_auc_difference/with AI~without AI"]
    assert gap.interval is not None
    assert "U-statistic" in gap.interval.method or "Gallas" in gap.interval.method
    assert gap.detail["crossed"] is False


def test_two_readers_cannot_speak_for_readers(tmp_path: Path) -> None:
    found = evidence_of(run_of(tmp_path, reads(readers=2)[1]))
    assert "can't speak for readers" in found["reader_auc_difference/with AI~without AI"].reason
    fixed = tmp_path / "fixed"
    fixed.mkdir()
    found = evidence_of(run_of(fixed, reads(readers=2)[1], 'arm = "arm"\ngeneralise = "cases"\n'))
    assert found["reader_auc_difference/with AI~without AI"].estimate is not None


@pytest.mark.parametrize(
    ("change", "more", "said"),
    [
        ({}, "", "twice in one arm: lines 2 and 242"),
        ({"truth": 9}, 'arm = "arm"\n', "two truths"),
        ({}, 'arm = "arm"\nreference = "none"\n', "no read is of the arm"),
    ],
)
def test_reads_that_no_study_can_hold_are_refused(
    tmp_path: Path, change: dict[str, Any], more: str, said: str
) -> None:
    rows = reads()[1]
    if change:
        rows[0]["truth"] = 1 - rows[0]["truth"]
    with pytest.raises(DataError, match=said) as refused:
        run_of(tmp_path, rows, more)
    assert "person" not in str(refused.value)
    assert not (tmp_path / "plan.run").exists()
