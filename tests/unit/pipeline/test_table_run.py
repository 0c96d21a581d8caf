"""Somebody else's predictions from the table to a verified dossier, and the numbers that come of it."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from given_tables import as_csv, judged, scored, write_study

from huizhen.core.evidence import Evidence
from huizhen.dossier.verification import verify_dossier
from huizhen.errors import DataError, HuizhenError, LeakageError, StudyError, VerificationError
from huizhen.ledger.reading import read_log
from huizhen.pipeline.finish import RunResult
from huizhen.pipeline.recompute import recompute
from huizhen.validate.clusters import clustered_auc
from huizhen.validate.discrimination import auc_interval, paired_difference
from huizhen.validate.proportions import wilson

FULL = """\
compare = ["rival"]
threshold = 0.5
compare_thresholds = { rival = 3 }
site = "site"
[[endpoint]]
metric = "auc"
cohort = "external"
at_least = 0.6
[[endpoint]]
metric = "auc_difference"
comparator = "rival"
cohort = "external"
at_least = -0.2
"""


def evidence_of(run: RunResult) -> dict[str, Evidence]:
    entries = read_log(run.dossier / "ledger").entries
    return {str(e.body["key"]): Evidence.from_json(e.body) for e in entries if e.kind == "evidence"}


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A run with two scores, thresholds, sites and endpoints."""
    return judged(write_study(tmp_path_factory.mktemp("full"), scored(), FULL))


def arrays() -> tuple[Any, Any, Any]:
    rows = scored()
    label, prob, rival = (np.array([row[name] for row in rows]) for name in ("label", "prob", "rival"))
    return label == 1, prob.astype(float), rival.astype(float)


def test_the_numbers_are_those_of_the_functions_on_the_raw_table(full: RunResult) -> None:
    truth, prob, rival = arrays()
    found = evidence_of(full)
    auc = found["auc/model/external/all"]
    ours = auc_interval(truth, prob, method="logit")
    assert auc.interval is not None
    assert (auc.estimate, auc.interval.low) == pytest.approx((ours.value, ours.interval.low), abs=1e-12)
    gap = found["auc_difference/model~rival/external/all"]
    expected = paired_difference(truth, prob, rival)
    assert gap.interval is not None
    assert gap.estimate == pytest.approx(expected.estimate, abs=1e-12)
    assert gap.interval.high == pytest.approx(expected.interval.high, abs=1e-12)
    share = wilson(int((truth & (prob >= 0.5)).sum()), int(truth.sum()))
    found_share = found["sensitivity/model/external/all"].interval
    assert found_share is not None
    assert (found_share.low, found_share.high) == pytest.approx((share.low, share.high))
    other = found["specificity/rival/external/all"]
    assert other.estimate == pytest.approx(float((rival[~truth] < 3).mean()))
    assert {"auc/model/external/north", "auc/model/external/south"} <= set(found)


def test_a_rival_out_of_range_has_no_calibration_with_the_reason(full: RunResult) -> None:
    found = evidence_of(full)
    assert found["calibration_slope/model/external/all"].estimate is not None
    assert "no probabilities" in found["calibration_slope/rival/external/all"].reason


def test_endpoints_are_judged_against_the_plan(full: RunResult) -> None:
    found = evidence_of(full)
    for key in ("endpoint/1/auc/external", "endpoint/2/auc_difference/external"):
        bound, interval = found[key].bound, found[key].interval
        assert bound is not None
        assert interval is not None
        assert (found[key].verdict.value == "pass") == (interval.low >= bound.at_least)


def test_the_plan_is_signed_before_the_table_is_opened_and_no_name_leaves(full: RunResult) -> None:
    entries = read_log(full.dossier / "ledger").entries
    kinds = [entry.kind for entry in entries]
    order = [kinds.index(kind) for kind in ("study", "intake", "commit", "lock", "predictions", "unseal")]
    assert order == sorted(order)
    first_result = next(i for i, e in enumerate(entries) if str(e.body.get("key", "")).startswith("auc/"))
    assert kinds.index("unseal") < first_result
    for path in full.dossier.rglob("*"):
        if path.is_file():
            assert b"person-" not in path.read_bytes(), path
    page = (full.dossier / "index.html").read_text(encoding="utf-8")
    assert "Not provided: how the model was made" in page
    assert "CMAN" not in page
    assert full.model is None


def test_all_rules_of_the_order_are_kept(full: RunResult) -> None:
    from huizhen.dossier.record import Record
    from huizhen.dossier.sections.order import broken_rules

    log = read_log(full.dossier / "ledger")
    record = Record.of(log.entries, [leaf.hex() for leaf in log.leaves])
    assert broken_rules(record) == ()
    assert record.main == "model"


def test_the_same_command_again_makes_nothing_new(full: RunResult) -> None:
    again = judged(full.run_folder.with_name("plan.toml"))
    assert (again.dossier, again.entries) == (full.dossier, full.entries)


def test_every_number_can_be_recomputed(full: RunResult) -> None:
    found = recompute(full.dossier)
    assert found.differing == ()
    assert found.claims > 30
    assert found.values > 500
    assert found.left == ()


def test_a_number_that_does_not_follow_is_found(full: RunResult, tmp_path: Path) -> None:
    copy = tmp_path / "dossier"
    shutil.copytree(full.dossier, copy)
    table = copy / "files" / "predictions_external.csv"
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    rows[0]["outcome"] = str(1 - int(rows[0]["outcome"]))
    table.write_text(as_csv(rows), encoding="utf-8")
    found = recompute(copy)
    assert "auc/model/external/all" in {one.key for one in found.differing}
    assert {"estimate", "interval.low"} <= {
        one.field for one in found.differing if one.key == "auc/model/external/all"
    }
    with pytest.raises(VerificationError):
        verify_dossier(copy)


def test_decisions_that_no_threshold_makes_are_found(full: RunResult, tmp_path: Path) -> None:
    copy = tmp_path / "dossier"
    shutil.copytree(full.dossier, copy)
    table = copy / "files" / "predictions_external.csv"
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    best = max(range(len(rows)), key=lambda k: float(rows[k]["risk:model"]))
    rows[best]["decision:model"] = "0"
    table.write_text(as_csv(rows), encoding="utf-8")
    with pytest.raises(VerificationError, match="one threshold"):
        recompute(copy)


# --- thresholds ----------------------------------------------------------------------------------------


def test_a_threshold_is_chosen_on_the_other_table(tmp_path: Path) -> None:
    tuning = [row | {"id": f"other-{k}"} for k, row in enumerate(scored(80, seed=9))]
    rule = 'tune = "tune.csv"\n[threshold]\nrule = "sensitivity"\ntarget = 0.9\n'
    run = judged(write_study(tmp_path, scored(), rule, tune=as_csv(tuning)))
    found = evidence_of(run)
    cut = found["threshold/model/tuned"]
    events = np.sort([row["prob"] for row in tuning if row["label"] == 1])
    needed = int(np.ceil(0.9 * events.size))
    assert cut.estimate == pytest.approx(events[events.size - needed])
    assert cut.detail["attained_sensitivity"] >= 0.9
    assert "threshold_target/model/external" in found
    assert recompute(run.dossier).differing == ()
    assert (run.dossier / "files" / "tuning_predictions.csv").exists()


def test_a_threshold_is_never_chosen_on_the_tested_table(tmp_path: Path) -> None:
    rule = 'tune = "tune.csv"\n'
    plan = write_study(tmp_path, scored(), rule, tune=as_csv(scored()))
    with pytest.raises(DataError, match="is the tested table"):
        judged(plan)
    half = [row for row in scored() if row["id"] != "person-0"]
    (tmp_path / "tune.csv").write_text(as_csv(half), encoding="utf-8")
    with pytest.raises(LeakageError, match="119 patients of the tuning table") as refused:
        judged(plan)
    assert "person" not in str(refused.value)
    with pytest.raises(StudyError, match="tested table"):
        judged(write_study(tmp_path, scored(), 'tune = "table.csv"\n'))


def test_without_a_threshold_decisions_are_not_assessed(tmp_path: Path) -> None:
    found = evidence_of(judged(write_study(tmp_path, scored())))
    assert "no threshold" in found["sensitivity/model/external/all"].reason


# --- bad and odd input ---------------------------------------------------------------------------------


def test_a_refused_table_leaves_no_run_behind_so_that_the_plan_may_be_corrected(tmp_path: Path) -> None:
    rows = [row | {"label": "MB"[row["label"]]} for row in scored()]
    plan = write_study(tmp_path, rows)
    with pytest.raises(DataError, match="holds B, M"):
        judged(plan)
    assert not (tmp_path / "plan.run").exists()
    text = plan.read_text().replace('positive = ["1"]', 'positive = ["B"]')
    plan.write_text(text.replace('negative = ["0"]', 'negative = ["M"]'))
    assert judged(plan).entries > 20


def test_a_plan_changed_after_the_outcomes_were_opened_is_refused(tmp_path: Path) -> None:
    plan = write_study(tmp_path, scored(), "threshold = 0.5\n")
    judged(plan)
    plan.write_text(plan.read_text().replace("threshold = 0.5", "threshold = 0.4"))
    with pytest.raises(StudyError, match="changed after it was signed"):
        judged(plan)
    assert (tmp_path / "plan.run").exists()


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("constant scores", {"prob": 0.3}, "all risks are equal"),
        ("one class", {"label": 1}, "non-events"),
    ],
)
def test_what_cannot_be_measured_has_its_reason(
    tmp_path: Path, name: str, change: dict[str, Any], reason: str
) -> None:
    run = judged(write_study(tmp_path, [row | change for row in scored(60)], "threshold = 0.5\n"))
    found = evidence_of(run)
    reasons = [item.reason for item in found.values() if item.reason]
    assert any(reason in text for text in reasons), (name, sorted(set(reasons)))
    assert recompute(run.dossier).differing == ()


def test_tied_scores_alone_and_a_group_of_one(tmp_path: Path) -> None:
    rows = [row | {"prob": (0.2, 0.8)[row["rival"] > 2]} for row in scored(80)]
    rows[0]["sex"] = "X"
    more = 'threshold = 0.5\n[[subgroup]]\ncolumn = "sex"\n'
    run = judged(write_study(tmp_path, rows, more))
    truth = np.array([row["label"] == 1 for row in rows])
    score = np.array([row["prob"] for row in rows])
    expected = auc_interval(truth, score, method="logit").value
    assert evidence_of(run)["auc/model/external/all"].estimate == pytest.approx(expected)


def test_several_rows_a_patient_widen_the_interval(tmp_path: Path) -> None:
    rows = [row | {"id": f"person-{k // 4}", "label": int(k // 4 % 2)} for k, row in enumerate(scored())]
    run = judged(write_study(tmp_path, rows, "clustered = true\nthreshold = 0.5\n"))
    auc = evidence_of(run)["auc/model/external/all"]
    truth = np.array([row["label"] == 1 for row in rows])
    score = np.array([row["prob"] for row in rows])
    expected = clustered_auc(truth, score, [row["id"] for row in rows])
    assert auc.interval is not None
    assert auc.unit == "row"
    assert auc.detail["patients"] == 30
    assert auc.interval.low == pytest.approx(expected.interval.low)
    assert "several rows" in evidence_of(run)["calibration_curve/model/external"].reason
    assert recompute(run.dossier).differing == ()


def test_phantoms_are_marked(tmp_path: Path) -> None:
    plan = write_study(tmp_path, scored())
    plan.write_text("phantom = true\n" + plan.read_text())
    run = judged(plan)
    assert evidence_of(run)["auc/model/external/all"].phantom
    assert "PHANTOM" in (run.dossier / "index.html").read_text(encoding="utf-8")


def test_ranks_give_the_auc_and_decisions_but_no_calibration(tmp_path: Path) -> None:
    rows = [row | {"prob": 100 * row["prob"] + 7} for row in scored()]
    run = judged(write_study(tmp_path, rows, 'scale = "rank"\nthreshold = 57\n'))
    found = evidence_of(run)
    truth, prob, _ = arrays()
    assert found["auc/model/external/all"].estimate == pytest.approx(auc_interval(truth, prob).value)
    assert found["sensitivity/model/external/all"].estimate == pytest.approx(
        float((prob[truth] >= 0.5).mean())
    )
    assert "no probabilities" in found["brier/model/external/all"].reason
    assert recompute(run.dossier).differing == ()


def test_a_table_without_a_file_is_an_error_of_its_path(tmp_path: Path) -> None:
    plan = write_study(tmp_path, scored())
    (tmp_path / "table.csv").unlink()
    with pytest.raises(HuizhenError, match="no such file"):
        judged(plan)
    assert json.dumps(sorted(p.name for p in tmp_path.iterdir())) == '["home", "plan.toml"]'
