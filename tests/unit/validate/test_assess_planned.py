"""Evidence that the study's [evaluation] asks for: recomputed, and nothing of what it doesn't ask."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from huizhen.core.cohort import Part
from huizhen.core.evidence import Evidence
from huizhen.core.predictions import Predictions
from huizhen.core.study import Study
from huizhen.validate.assess import assess
from huizhen.validate.error_costs import Costs, expected_cost
from huizhen.validate.operating_points import sensitivity_at_specificity
from huizhen.validate.partial_auc import partial_auc
from huizhen.validate.prevalence import predictive_values
from huizhen.validate.proportions import confusion

N = 240
DRAW = np.random.default_rng(5)
OUTCOME = DRAW.random(N) < 0.4
RISK = {
    name: 1 / (1 + np.exp(-(DRAW.normal(size=N) + gain * (OUTCOME - 0.5))))
    for name, gain in (("cman", 1.8), ("late_average", 1.2))
}
RISK["late_average"][:9] = np.nan
ASKED: dict[str, Any] = {
    "prevalence": 0.02,
    "at_specificity": 0.9,
    "partial_auc": {"sensitivity": 0.8},
    "costs": {"false_negative": 20.0, "false_positive": 1.0, "test": 0.1},
    "resamples": 300,
}


def found(evaluation: dict[str, Any], **changed: Any) -> dict[str, Evidence]:
    source = {"reader": "images", "modality": "MG", "path": "mg", "labels": "l.csv"}
    columns = {"columns": {"patient": "id", "outcome": "y"}}
    study = Study.model_validate(
        {
            "name": "small",
            "title": "t",
            "question": "q",
            "seed": 3,
            "task": {"outcome": "y", "positive": ("1",), "negative": ("0",)},
            "modality": [{"name": "MG", "kind": "image"}],
            "site": [{"name": "north", "source": [{**source, **columns}]}],
            "evaluation": evaluation,
        }
    )
    given: dict[str, Any] = {
        "patient": np.arange(N).astype(str),
        "site": np.full(N, "north"),
        "part": Part.TEST,
        "outcome": OUTCOME,
        "risk": RISK,
        "decision": {name: np.nan_to_num(risk) >= 0.4 for name, risk in RISK.items()},
    }
    return {e.key: e for e in assess(Predictions(**{**given, **changed}), study, phantom=False)}


@pytest.fixture(scope="module")
def lines() -> dict[str, Evidence]:
    return found(ASKED)


def test_each_is_that_of_its_own_function(lines: dict[str, Evidence]) -> None:
    table = confusion(OUTCOME, RISK["cman"] >= 0.4)
    values = predictive_values(table, prevalence=0.02)
    costs = Costs(**ASKED["costs"])
    point = sensitivity_at_specificity(OUTCOME, RISK["cman"], specificity=0.9, resamples=300, seed=3)
    area = partial_auc(OUTCOME, RISK["cman"], least=0.8, of="sensitivity", resamples=300, seed=3)
    expected = {
        "ppv_at_prevalence": values.ppv,
        "npv_at_prevalence": values.npv,
        "sensitivity_at_specificity": point,
        "partial_auc": area,
        "expected_cost": expected_cost(table, costs),
        "expected_cost_at_prevalence": expected_cost(table, costs, prevalence=0.02),
    }
    for family, wanted in expected.items():
        evidence = lines[f"{family}/cman/internal/all"]
        assert (evidence.estimate, evidence.interval) == (wanted.value, wanted.interval), family
        assert f"{family}/late_average/internal/all" in lines
    assert lines["partial_auc/late_average/internal/all"].detail["unanswered"] == 9


def test_costs_stand_beside_those_of_acting_on_all_and_none(lines: dict[str, Evidence]) -> None:
    detail = lines["expected_cost_at_prevalence/cman/internal/all"].detail
    assert (detail["act_on_all"], detail["act_on_none"]) == (pytest.approx(0.98), pytest.approx(0.4))
    own = lines["expected_cost/cman/internal/all"].detail
    assert own["at_prevalence"] == pytest.approx(OUTCOME.mean())


def test_nothing_is_reported_that_was_not_asked() -> None:
    families = {key.split("/")[0] for key in found({})}
    assert not families & {"partial_auc", "expected_cost", "ppv_at_prevalence", "sensitivity_at_specificity"}
    assert "expected_cost_at_prevalence" not in {k.split("/")[0] for k in found({"costs": ASKED["costs"]})}


def test_what_needs_a_threshold_says_so_and_the_rest_is_there() -> None:
    lines = found(ASKED, decision={})
    assert lines["ppv_at_prevalence/cman/internal/all"].reason == "no threshold was fixed"
    assert lines["expected_cost/cman/internal/all"].reason == "no threshold was fixed"
    assert lines["partial_auc/cman/internal/all"].estimate is not None


def test_a_hundred_thousand_scores_are_drawn_in_runs() -> None:
    draw = np.random.default_rng(1)
    outcome = draw.random(100_000) < 0.3
    score = draw.normal(size=outcome.size) + outcome
    whole = partial_auc(outcome, score, least=0.8, resamples=200)
    half = (whole.interval.high - whole.interval.low) / 2
    assert half == pytest.approx(0.0035, rel=0.35)
    assert whole.interval.low < whole.value < whole.interval.high
