"""Risk levels from the lock to the dossier: fixed on tuning patients, locked, the same when recomputed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from given_tables import as_csv, judged, scored, write_study

from huizhen.core.cohort import Part
from huizhen.core.evidence import Evidence, Verdict
from huizhen.core.predictions import Predictions
from huizhen.core.study import Study
from huizhen.ledger.reading import read_log
from huizhen.pipeline.decisions import Decision, decide
from huizhen.pipeline.finish import RunResult
from huizhen.pipeline.predictions_file import read_predictions, write_predictions
from huizhen.pipeline.recompute import recompute
from huizhen.pipeline.risk_levels import fixed_levels, level_column, level_over_folds, levels_evidence
from huizhen.pipeline.tuned import decided
from huizhen.pipeline.tuning_file import Tuned
from huizhen.validate.triage.levels import RiskLevels, fix_levels

CLINIC = {"name": "clinic", "kind": "table", "numeric": ["age"]}
PLAN = {
    "policy": [{"kind": "double"}, {"kind": "ai_triage"}],
    "readers": {"first": {"sensitivity": 0.8, "specificity": 0.9}},
}
FEW = "[evaluation]\nresamples = 200\n"
TRIAGE = """\
[triage]
margin = 0.1
{cuts}
[[triage.policy]]
kind = "double"
[[triage.policy]]
kind = "ai_triage"
from_level = 4
[triage.readers]
columns = {{ first = "reader" }}
"""


def read(n: int, seed: int) -> list[dict[str, object]]:
    """Return rows with a reader's calls, which go with the class."""
    draw = np.random.default_rng(seed)
    rows = scored(n, seed=seed)
    return [{**row, "reader": int(draw.random() < (0.8 if row["label"] else 0.2))} for row in rows]


def evidence_of(run: RunResult) -> dict[str, Evidence]:
    entries = read_log(run.dossier / "ledger").entries
    return {str(e.body["key"]): Evidence.from_json(e.body) for e in entries if e.kind == "evidence"}


def locked_of(run: RunResult) -> dict[str, object]:
    return [dict(e.body) for e in read_log(run.dossier / "ledger").entries if e.kind == "lock"][-1]


@pytest.fixture(scope="module")
def tuned_run(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A table judged with levels from another table of other patients."""
    others = [{**row, "id": f"other-{k}"} for k, row in enumerate(read(150, 5))]
    text = TRIAGE.format(cuts="levels = 5\ntop_share = 0.05")
    plan = write_study(
        tmp_path_factory.mktemp("tuned"), read(120, 3), f'tune = "tuning.csv"\n{text}', tuning=as_csv(others)
    )
    return judged(plan)


def test_levels_of_the_tuning_table_are_locked_and_used(tuned_run: RunResult) -> None:
    others = np.array([float(str(row["prob"])) for row in read(150, 5)])
    levels = fix_levels(others, levels=5, top_share=0.05)
    lock = locked_of(tuned_run)["risk_levels"]
    assert isinstance(lock, dict)
    assert RiskLevels.from_json(lock) == levels
    evidence = evidence_of(tuned_run)
    assert evidence["risk_levels/model/tuned"].n == 150
    table = read_predictions(tuned_run.dossier / "files" / "predictions_external.csv", Part.EXTERNAL)
    assert table.level["model"].tolist() == level_column(levels, table.risk["model"]).tolist()
    found = evidence["triage/ai_triage/detection/external"]
    assert found.detail["readers"]["first"]["from"] == "reads"
    assert 0 < found.detail["simulated"] < 1
    assert evidence["triage/ai_triage/non_inferiority/external"].verdict in (Verdict.PASS, Verdict.FAIL)
    counts = [row["n"] for row in evidence["triage_levels/model/external"].detail["levels"]]
    assert counts == [int(np.sum(np.minimum(table.level["model"], 5) == k)) for k in range(1, 6)]


def test_reads_are_published_as_recall_or_not_and_nothing_else(tmp_path: Path) -> None:
    rows = read(60, 3)
    words = {0: "no", 1: "YES please", 2: "see the letter of 3 May"}
    told = [
        {**row, "reader": words[2 if k % 7 == 0 else int(str(row["reader"]))]} for k, row in enumerate(rows)
    ]
    text = TRIAGE.format(cuts="cuts = [0.2, 0.5, 0.8]").replace(
        'first = "reader"', 'first = "reader", recall = ["recall", "YES please"], no_recall = ["no"]'
    )
    run = judged(write_study(tmp_path, told, text))
    table = read_predictions(run.dossier / "files" / "predictions_external.csv", Part.EXTERNAL)
    assert set(table.groups["reader"].tolist()) == {"recall", "no", ""}
    detail = evidence_of(run)["triage/double/detection/external"].detail
    assert detail["readers"]["first"]["from"] == "reads"


def test_every_number_is_recomputed_from_the_dossier(tuned_run: RunResult) -> None:
    found = recompute(tuned_run.dossier)
    assert found.differing == ()
    assert not [key for key in found.left if key.startswith("triage")]


def test_cut_points_of_the_study_are_taken_as_they_are(tmp_path: Path) -> None:
    text = TRIAGE.format(cuts="cuts = [0.2, 0.5, 0.8]\ntop_cut = 0.9")
    run = judged(write_study(tmp_path, read(120, 3), text))
    evidence = evidence_of(run)
    assert evidence["risk_levels/model/fixed"].detail["source"] == "study"
    table = read_predictions(run.dossier / "files" / "predictions_external.csv", Part.EXTERNAL)
    risk = table.risk["model"]
    wanted = 1 + sum((risk >= cut).astype(int) for cut in (0.2, 0.5, 0.8, 0.9))
    assert table.level["model"].tolist() == wanted.tolist()
    assert recompute(run.dossier).differing == ()


def test_a_run_that_makes_its_model_simulates_policies(
    tmp_path: Path, tables: Callable[..., Path], start: Callable[..., RunResult]
) -> None:
    file = tables(tmp_path)
    text = TRIAGE.format(cuts="levels = 4\ntop_share = 0.1")
    text = text.replace('columns = { first = "reader" }', "first = { sensitivity = 0.8, specificity = 0.9 }")
    file.write_text(file.read_text(encoding="utf-8") + FEW + text, encoding="utf-8")
    run = start(file)
    evidence = evidence_of(run)
    assert "decisions" in locked_of(run)
    for cohort, part in (("internal", Part.TEST), ("external", Part.EXTERNAL)):
        table = read_predictions(run.dossier / "files" / f"predictions_{part.value}.csv", part)
        assert set(table.level) == {"cman"}
        counts = [row["n"] for row in evidence[f"triage_levels/cman/{cohort}"].detail["levels"]]
        assert sum(counts) == int(np.count_nonzero(table.level["cman"]))
        assert evidence[f"triage/double/detection/{cohort}"].detail["simulated"] == 1
    assert recompute(run.dossier).differing == ()


def test_a_model_of_the_study_has_levels_beside_its_threshold(make_study: Callable[..., Study]) -> None:
    truth = np.arange(200) % 2 == 1
    logits = np.random.default_rng(0).normal(truth * 2.0)
    study = make_study(CLINIC, triage=PLAN)
    found = decide(study, logits, truth)
    assert found.levels is not None
    assert found.levels.count == 10
    assert Decision.from_json(found.to_json()) == found
    plain = decide(make_study(CLINIC), logits, truth)
    assert plain.levels is None
    assert "levels" not in plain.to_json()
    tuned = Tuned(model="cman", fold=0, patient=[str(k) for k in range(200)], outcome=truth, log_odds=logits)
    evidence = {e.key: e for e in decided(study, [tuned])[1]}
    assert evidence["risk_levels/cman/fold0"].detail["cuts"] == list(found.levels.cuts)
    weighted = make_study(CLINIC, triage={**PLAN, "prevalence": 0.01})
    assert decide(weighted, logits, truth).levels != found.levels


def test_too_few_tuning_patients_give_no_levels_and_a_reason(make_study: Callable[..., Study]) -> None:
    study = make_study(CLINIC, triage=PLAN)
    assert fixed_levels(study, np.arange(5.0), np.arange(5) > 2) is None
    found = levels_evidence(study, "risk_levels/cman/fold0", None, 5)
    assert found.verdict is Verdict.NOT_ASSESSED
    assert found.reason


def test_over_folds_cut_points_are_averaged_as_thresholds_are() -> None:
    levels = [RiskLevels(cuts=(0.2, 0.6), top=0.9), RiskLevels(cuts=(0.3, 0.5), top=0.8)]
    odds = np.array([-2.0, 0.0, 0.3, 3.0, np.nan])
    tested = np.array([[True, True, False, True, True], [False, True, True, True, True]])
    cut = np.log(
        np.array([[0.2, 0.6, 0.9], [0.3, 0.5, 0.8]]) / (1 - np.array([[0.2, 0.6, 0.9], [0.3, 0.5, 0.8]]))
    )
    wanted = []
    for k, value in enumerate(odds):
        own = cut[tested[:, k]].mean(axis=0)
        wanted.append(0 if np.isnan(value) else 1 + int(np.sum(value >= own)))
    assert level_over_folds(odds, levels, tested).tolist() == wanted
    single = level_over_folds(np.array([0.0]), levels[:1], np.array([[True]]))
    assert single.tolist() == level_column(levels[0], np.array([0.5])).tolist()


def test_levels_go_through_the_table(tmp_path: Path) -> None:
    table = Predictions(
        patient=np.array(["a", "b"]),
        site=np.array(["n", "n"]),
        part=Part.TEST,
        outcome=np.array([True, False]),
        risk={"cman": np.array([0.5, np.nan])},
        level={"cman": np.array([11, 0])},
    )
    write_predictions(tmp_path / "t.csv", table)
    assert read_predictions(tmp_path / "t.csv", Part.TEST).level["cman"].tolist() == [11, 0]
