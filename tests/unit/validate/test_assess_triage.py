"""Evidence of triage: what each policy of the study finds and costs, by plain counts, or why not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from huizhen.core.cohort import Part
from huizhen.core.evidence import Evidence, Verdict
from huizhen.core.predictions import Predictions
from huizhen.core.study import Study
from huizhen.core.study_triage import ReadColumns, ReadingPolicy, TriageReaders
from huizhen.validate.assess import assess
from huizhen.validate.assessments.triage import policy_of
from huizhen.validate.assessments.triage_readers import panel_of, seen_reads
from huizhen.validate.triage.levels import fix_levels
from huizhen.validate.triage.panel import normal_scores
from huizhen.validate.triage.policies import (
    AISecondReader,
    AITriage,
    DoubleReading,
    Prioritised,
    SingleReading,
)

N = 400
DRAW = np.random.default_rng(3)
OUTCOME = np.arange(N) < 120
SCORE = DRAW.normal(size=N) + 1.5 * OUTCOME
RISK = 1 / (1 + np.exp(-SCORE))
LEVELS = fix_levels(RISK)
LEVEL = LEVELS.of(RISK) + LEVELS.in_top(RISK)
HARD = DRAW.normal(size=N)
ONE = DRAW.normal(size=N) + HARD < np.where(OUTCOME, 1.0, -1.5)
TWO = DRAW.normal(size=N) + HARD < np.where(OUTCOME, 0.8, -1.8)
MEET = DRAW.normal(size=N) + HARD < np.where(OUTCOME, 1.5, -1.5)

ACCURACY = {"sensitivity": 0.8, "specificity": 0.9}
POLICIES = [
    {"kind": "double"},
    {"kind": "ai_triage", "top": "read"},
    {"kind": "rule_out", "from_level": 4},
    {"kind": "prioritised"},
]
COLUMNS = {"first": "r1", "second": "r2", "consensus": "c"}


def a_study(**triage: Any) -> Study:
    plan = {"policy": POLICIES, "readers": {"first": ACCURACY}, "cuts": (0.5,) * 9, **triage}
    return Study.model_validate(
        {
            "name": "small",
            "title": "t",
            "question": "q",
            "seed": 1,
            "task": {"outcome": "y", "positive": ("1",), "negative": ("0",)},
            "predictions": {"table": "t.csv", "outcome": "y", "score": "s"},
            "evaluation": {"resamples": 200},
            "triage": plan,
        }
    )


def texts(flags: Any, seen: Any = True) -> Any:
    return np.where(seen, np.where(flags, "1", "0"), "")


def predicted(**more: Any) -> Predictions:
    given: dict[str, Any] = {
        "patient": np.arange(N).astype(str),
        "site": np.full(N, "all"),
        "part": Part.EXTERNAL,
        "outcome": OUTCOME,
        "risk": {"model": RISK},
        "level": {"model": LEVEL},
        "groups": {"r1": texts(ONE), "r2": texts(TWO), "c": texts(MEET)},
    }
    return Predictions(**given | more)


def found(study: Study, predictions: Predictions | None = None) -> dict[str, Evidence]:
    evidence = assess(predictions or predicted(), study, phantom=True)
    return {e.key: e for e in evidence if e.key.startswith("triage")}


def test_observed_reads_give_plain_counts() -> None:
    evidence = found(a_study(readers={"columns": COLUMNS}, margin=0.1, follow_up_months=24))
    double, triaged = (evidence[f"triage/{name}/detection/external"] for name in ("double", "ai_triage"))
    recalled = (ONE | TWO) & MEET
    assert double.estimate == pytest.approx(recalled[OUTCOME].mean())
    assert (double.n, double.n_events) == (N, 120)
    two = TWO & (LEVEL >= 10)
    met = (ONE | two) & MEET
    measures = triaged.detail["measures"]
    assert triaged.estimate == pytest.approx(met[OUTCOME].mean())
    assert measures["recall_rate"]["estimate"] == pytest.approx(met.mean())
    assert measures["ppv"]["estimate"] == pytest.approx(OUTCOME[met].mean())
    assert measures["missed_rate"]["estimate"] == pytest.approx((~met & OUTCOME).mean())
    work = evidence["triage/ai_triage/workload/external"]
    assert work.estimate == pytest.approx(1 + (LEVEL >= 10).mean() + (ONE | two).mean())
    gap = triaged.detail["differences"]["sensitivity"]["estimate"]
    test = evidence["triage/ai_triage/non_inferiority/external"]
    assert test.estimate == pytest.approx(gap)
    assert test.interval is not None
    assert test.verdict is (Verdict.PASS if test.interval.low >= -0.1 else Verdict.FAIL)
    assert test.n == 120
    assert triaged.detail["simulated"] == 0
    assert triaged.detail["readers"]["draws"] == 1
    assert "triage/double/non_inferiority/external" not in evidence


def test_reads_that_were_not_seen_are_drawn_and_said_so() -> None:
    seen = ONE | TWO
    groups = {"r1": texts(ONE), "r2": texts(TWO, DRAW.random(N) < 0.5), "c": texts(MEET, seen)}
    evidence = found(a_study(readers={"columns": COLUMNS}), predicted(groups=groups))
    detail = evidence["triage/double/detection/external"].detail
    assert 0 < detail["simulated"] < 0.5
    assert detail["readers"]["draws"] == 20
    assert detail["readers"]["first"]["from"] == "reads"
    assert detail["readers"]["between_readers"]["from"] == "reads"
    assert detail["readers"]["consensus"]["from"] == "first reader"
    assert detail["found_only"] is True
    assert "missed_rate" not in detail["measures"]


def test_simulated_readers_have_the_stated_accuracy() -> None:
    evidence = found(a_study(policy=[{"kind": "single", "referral": "discordant"}], draws=100))
    detail = evidence["triage/single/detection/external"].detail
    assert detail["measures"]["sensitivity"]["estimate"] == pytest.approx(0.8, abs=0.03)
    assert detail["measures"]["specificity"]["estimate"] == pytest.approx(0.9, abs=0.03)
    assert detail["simulated"] == 1
    assert detail["readers"]["with_ai"] == {"value": 0.4, "from": "assumed"}


def test_rates_are_for_the_prevalence_of_the_study() -> None:
    evidence = found(a_study(prevalence=0.01, readers={"columns": COLUMNS}))
    detail = evidence["triage/double/detection/external"].detail
    rate = detail["measures"]["detection_rate"]["estimate"]
    assert rate == pytest.approx(0.01 * detail["measures"]["sensitivity"]["estimate"])
    assert (detail["prevalence"], detail["prevalence_from"]) == (0.01, "study")


def test_sorted_lists_bring_events_forward_and_change_no_decision() -> None:
    evidence = found(a_study(readers={"columns": COLUMNS}, margin=0.05))
    plain = evidence["triage/double/time_to_read/external"]
    ranked = evidence["triage/prioritised/time_to_read/external"]
    assert plain.estimate is not None
    assert ranked.estimate is not None
    assert ranked.estimate < 0.8 * plain.estimate
    assert evidence["triage/prioritised/non_inferiority/external"].estimate == 0
    assert evidence["triage/prioritised/non_inferiority/external"].verdict is Verdict.PASS
    assert evidence["triage/rule_out/time_to_read/external"].detail["unread_events"] > 0


def test_levels_are_counted() -> None:
    detail = found(a_study())["triage_levels/model/external"].detail
    assert [row["n"] for row in detail["levels"]] == [40] * 10
    assert sum(row["events"] for row in detail["levels"]) == 120
    assert detail["top"] == 4


def test_patients_with_several_rows_are_clusters() -> None:
    cluster = (np.arange(N) // 4).astype(str)
    study = a_study(readers={"columns": COLUMNS}, margin=0.1)
    rows, patients = found(study), found(study, predicted(cluster=cluster))
    key = "triage/ai_triage/detection/external"
    assert rows[key].estimate == patients[key].estimate
    assert patients[key].unit == "row"
    assert rows[key].interval != patients[key].interval
    assert "patients" in patients["triage/ai_triage/non_inferiority/external"].interval.method  # type: ignore[union-attr]  # asserted by the text


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"level": {}}, "no risk levels"),
        ({"outcome": np.arange(N) < 0}, "events"),
        ({"groups": {}}, "no column r1"),
        ({"groups": {name: np.full(N, "maybe") for name in ("r1", "r2", "c")}}, "holds no read"),
    ],
    ids=["unlocked", "one class", "no column", "no read"],
)
def test_what_cannot_be_simulated_says_why(more: dict[str, Any], reason: str) -> None:
    evidence = found(a_study(readers={"columns": COLUMNS}), predicted(**more))
    assert {e.verdict for e in evidence.values()} == {Verdict.NOT_ASSESSED}
    assert len(evidence) == len(POLICIES)
    assert all(reason in e.reason for e in evidence.values())


def test_without_the_section_there_is_nothing() -> None:
    study = a_study()
    silent = study.model_copy(update={"triage": None})
    assert found(silent) == {}


def test_policies_of_the_study_are_those_of_the_simulation() -> None:
    named = {
        "double": DoubleReading(),
        "single": SingleReading(),
        "ai_triage": AITriage(),
        "ai_second_reader": AISecondReader(),
        "prioritised": Prioritised(),
    }
    for kind, policy in named.items():
        assert policy_of(ReadingPolicy.model_validate({"kind": kind})) == policy


def test_panels_come_from_the_study_or_the_reads() -> None:
    seen = seen_reads(ReadColumns(first="r1", second="r2"), dict(predicted().groups), N)
    ai = normal_scores(RISK, OUTCOME)
    panel, told = panel_of(TriageReaders.model_validate({"columns": COLUMNS}), seen, ai, OUTCOME)
    assert panel.first.sensitivity == pytest.approx(ONE[OUTCOME].mean(), abs=0.01)
    assert 0.2 < panel.between_readers < 0.8
    stated = TriageReaders.model_validate(
        {"first": ACCURACY, "columns": COLUMNS, "between_readers": 0.6, "with_ai": 0.5, "follow": 0.1}
    )
    other, said = panel_of(stated, seen, ai, OUTCOME)
    assert (other.first.sensitivity, other.between_readers, other.follow) == (0.8, 0.6, 0.1)
    assert told["with_ai"]["from"] == "reads"
    assert said["with_ai"] == {"value": 0.5, "from": "study"}
