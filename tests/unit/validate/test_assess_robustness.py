"""Claims of robustness: what a step costs is paired, and the bound breaks where the study says."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from huizhen.core.cohort import Part
from huizhen.core.evidence import Evidence, Verdict
from huizhen.core.predictions import Predictions
from huizhen.core.study import Study
from huizhen.validate.assessments.interface import Evaluation
from huizhen.validate.assessments.robustness import Tried, disturbed, undisturbed
from huizhen.validate.discrimination import auc_interval, paired_difference

N = 160
OUTCOME = np.arange(N) % 2 == 0


def study(*endpoints: dict[str, object]) -> Study:
    return Study.model_validate(
        {
            "name": "s",
            "title": "S",
            "question": "Is it?",
            "seed": 1,
            "task": {"outcome": "y", "positive": ["1"], "negative": ["0"]},
            "modality": [{"name": "US"}],
            "site": [
                {
                    "name": "a",
                    "source": [
                        {
                            "reader": "images",
                            "modality": "US",
                            "path": "x",
                            "columns": {"patient": "p", "outcome": "y"},
                        }
                    ],
                }
            ],
            "endpoint": list(endpoints),
        }
    )


def risk(strength: float, seed: int = 1) -> NDArray[np.float64]:
    noise = np.random.default_rng(seed).normal(size=N)
    return np.asarray(1 / (1 + np.exp(-(noise + strength * OUTCOME))))


def evaluation(start: NDArray[np.float64], *endpoints: dict[str, object]) -> Evaluation:
    table = Predictions(
        patient=np.array([f"P-{k}" for k in range(N)]),
        site=np.array(["a"] * N),
        part=Part.TEST,
        outcome=OUTCOME,
        risk={"cman": start},
    )
    return Evaluation(predictions=table, study=study(*endpoints), phantom=False)


def tried(*strengths: float) -> Tried:
    risks = {k + 1: risk(strength) for k, strength in enumerate(strengths)}
    return Tried(kind="blur", parameter="blur_sd", values={k: k / 100 for k in risks}, risks=risks, notes={})


def found(evidence: list[Evidence]) -> dict[str, Evidence]:
    return {item.key: item for item in evidence}


def test_a_step_is_measured_as_any_model_is_and_against_the_same_patients_undisturbed() -> None:
    told = found(disturbed(evaluation(risk(2.0)), tried(1.9, 0.4)))
    step = told["robustness/blur/2/auc"]
    own = auc_interval(OUTCOME, risk(0.4), method="logit")
    assert (step.estimate, step.interval) == (own.value, own.interval)
    gap = told["robustness/blur/2/auc_difference"]
    pair = paired_difference(OUTCOME, risk(0.4), risk(2.0))
    assert (gap.estimate, gap.interval) == (pair.estimate, pair.interval)
    assert gap.detail["value"] == 0.02
    assert {e.stage for e in told.values()} == {"robustness"}
    assert all(e.verdict is Verdict.REPORTED for e in told.values()), "a disturbance judges no endpoint"


def test_the_first_step_that_breaks_the_bound_is_by_the_studys_own_rule() -> None:
    bound = {"metric": "auc", "at_least": 0.75}
    lower = disturbed(evaluation(risk(2.0), bound), tried(2.0, 1.1, 0.3))[-1]
    estimate = disturbed(evaluation(risk(2.0), {**bound, "on": "estimate"}), tried(2.0, 1.1, 0.3))[-1]
    assert lower.key == "robustness/blur/break"
    assert (lower.estimate, estimate.estimate) == (2, 3)
    assert lower.detail["first_below"] == 3
    assert lower.detail["first_loss"] == 2
    assert lower.detail["reached_undisturbed"] is True


def test_without_a_break_there_is_no_step() -> None:
    whole = disturbed(evaluation(risk(2.0), {"metric": "auc", "at_least": 0.7}), tried(2.0, 2.0))[-1]
    assert whole.estimate is None
    assert not {"first_broken", "first_below", "first_loss"} & set(whole.detail)


def test_a_sample_that_misses_the_bound_undisturbed_tells_only_of_its_estimate() -> None:
    found = disturbed(evaluation(risk(1.0), {"metric": "auc", "at_least": 0.72}), tried(0.9, 0.2))[-1]
    assert found.detail["reached_undisturbed"] is False
    assert found.estimate is None
    assert found.detail["first_below"] == 2


@pytest.mark.parametrize(
    "endpoint",
    [
        {"metric": "sensitivity", "at_least": 0.9},
        {"metric": "auc", "at_least": 0.9, "cohort": "external"},
        {"metric": "auc", "at_least": 0.9, "model": "table_lr"},
    ],
)
def test_other_endpoints_are_no_bound_here(endpoint: dict[str, object]) -> None:
    told = disturbed(evaluation(risk(2.0), endpoint), tried(0.1))[-1]
    assert "at_least" not in told.detail
    assert told.detail["first_loss"] == 1


def test_one_class_alone_is_not_assessed() -> None:
    table = evaluation(risk(2.0)).predictions
    one = Predictions(
        patient=table.patient[OUTCOME],
        site=table.site[OUTCOME],
        part=Part.TEST,
        outcome=OUTCOME[OUTCOME],
        risk={"cman": risk(2.0)[OUTCOME]},
    )
    alone = Evaluation(predictions=one, study=study({"metric": "auc", "at_least": 0.7}), phantom=False)
    step = Tried(kind="blur", parameter="p", values={1: 1.0}, risks={1: risk(1.0)[OUTCOME]}, notes={})
    told = found(disturbed(alone, step))
    assert told["robustness/blur/1/auc"].verdict is Verdict.NOT_ASSESSED
    assert told["robustness/blur/break"].detail["reached_undisturbed"] is False


def test_the_base_says_how_far_it_is_from_the_locked_risks() -> None:
    start = risk(2.0)
    base = undisturbed(evaluation(start), "images", sampled_from=900, locked=start + 0.001)
    assert base.key == "robustness/undisturbed/images/auc"
    assert base.detail["apart"] == pytest.approx(0.001)
    assert base.detail["sampled_from"] == 900
