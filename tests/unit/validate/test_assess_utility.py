"""Evidence of utility: the decision curve of the study's range, recomputed, and why there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from huizhen.core.cohort import Part
from huizhen.core.evidence import Evidence, Verdict
from huizhen.core.predictions import Predictions
from huizhen.core.study import Study
from huizhen.validate.assess import assess
from huizhen.validate.assessments.utility import thresholds_between

DRAW = np.random.default_rng(3)
RISK = np.round(DRAW.random(160), 3)
OUTCOME = DRAW.random(160) < RISK


def a_study(**more: Any) -> Study:
    source = {"reader": "images", "modality": "MG", "path": "mg", "labels": "l.csv"}
    columns = {"columns": {"patient": "id", "outcome": "y"}}
    return Study.model_validate(
        {
            "name": "small",
            "title": "t",
            "question": "q",
            "seed": 1,
            "task": {"outcome": "y", "positive": ("1",), "negative": ("0",)},
            "modality": [{"name": "MG", "kind": "image"}],
            "site": [{"name": "north", "source": [{**source, **columns}]}],
            **more,
        }
    )


def curve(outcome: Any = OUTCOME, **more: Any) -> Evidence:
    predictions = Predictions(
        patient=np.arange(RISK.size).astype(str),
        site=np.full(RISK.size, "north"),
        part=Part.EXTERNAL,
        outcome=outcome,
        risk={"cman": RISK},
    )
    found = assess(predictions, a_study(**more), phantom=True)
    return next(e for e in found if e.key == "decision_curve/cman/external")


def test_net_benefit_is_that_of_its_definition() -> None:
    found = curve().detail
    for k, at in enumerate(found["threshold"]):
        called, odds = at <= RISK, at / (1 - at)
        true, false = np.mean(called & OUTCOME), np.mean(called & ~OUTCOME)
        assert found["net_benefit"][k] == pytest.approx(true - false * odds)
        everyone = OUTCOME.mean() - (1 - OUTCOME.mean()) * odds
        assert found["treat_all"][k] == pytest.approx(everyone)
        assert found["gain"][k] == pytest.approx(true - false * odds - max(everyone, 0))
        assert found["avoided"][k] == pytest.approx((true - false * odds - everyone) / odds)
        for name in ("net_benefit", "treat_all", "gain", "avoided"):
            assert found[f"{name}_low"][k] <= found[name][k] <= found[f"{name}_high"][k]


def test_the_range_and_the_resamples_are_the_study_s() -> None:
    default = curve()
    assert (default.detail["threshold"][0], default.detail["threshold"][-1]) == (0.05, 0.5)
    assert (default.n, default.n_events, default.phantom) == (160, OUTCOME.sum(), True)
    other = curve(evaluation={"net_benefit_range": (0.2, 0.3), "resamples": 200}).detail
    assert (other["threshold"][0], other["threshold"][-1], other["resamples"]) == (0.2, 0.3, 200)


def test_one_class_has_no_curve() -> None:
    found = curve(outcome=np.ones(160, bool))
    assert found.verdict is Verdict.NOT_ASSESSED
    assert "0 non-events" in found.reason


@given(st.tuples(st.floats(1e-4, 0.9999), st.floats(1e-4, 0.9999)).map(sorted))
def test_thresholds_rise_from_end_to_end(ends: list[float]) -> None:
    low, high = ends
    if high - low < 1e-4:
        return
    at = thresholds_between(low, high)
    assert (at[0], at[-1]) == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))
    assert (np.diff(at) > 0).all()
    assert 20 <= at.size <= 110
