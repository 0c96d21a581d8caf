"""Patients without an answer, judged wrongly: the least that any answers could give."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from huizhen.core.cohort import Part
from huizhen.core.predictions import Predictions
from huizhen.core.study import Study
from huizhen.validate.assess import assess
from huizhen.validate.discrimination import auc

MISSING = (3, 20, 33)


@pytest.fixture
def study() -> Study:
    table = {"table": "p.csv", "outcome": "y", "score": "s", "threshold": 0.5}
    task = {"outcome": "y", "positive": ["1"], "negative": ["0"]}
    text: dict[str, Any] = {"name": "n", "title": "t", "question": "q", "seed": 1, "task": task}
    return Study.model_validate({**text, "predictions": table})


@pytest.fixture
def answered() -> Predictions:
    rng = np.random.default_rng(5)
    outcome = np.arange(40) % 2 == 0
    risk = np.clip(0.3 + 0.3 * outcome + rng.normal(0, 0.2, 40), 0.01, 0.99)
    return Predictions(
        patient=np.array([f"p{k}" for k in range(40)]),
        site=np.full(40, "here"),
        part=Part.EXTERNAL,
        outcome=outcome,
        risk={"model": risk},
        decision={"model": risk >= 0.5},
    )


def without(answered: Predictions) -> Predictions:
    """Return the predictions with the answers to `MISSING` taken away."""
    risk = answered.risk["model"].copy()
    risk[list(MISSING)] = np.nan
    called = answered.decision["model"].copy()
    called[list(MISSING)] = False
    return replace(answered, risk={"model": risk}, decision={"model": called})


def test_no_answers_would_do_worse(study: Study, answered: Predictions) -> None:
    given = without(answered)
    found = {e.key: e for e in assess(given, study, phantom=False) if e.metric == "unanswered"}
    tried = []
    for filled in itertools.product((0.0, 0.5, 1.0), repeat=len(MISSING)):
        risk = given.risk["model"].copy()
        risk[list(MISSING)] = filled
        tried.append(auc(given.outcome, risk))
    worst = found["unanswered/auc/external"]
    assert worst.estimate == pytest.approx(min(tried), abs=1e-12)
    assert worst.n == 40
    assert dict(worst.detail)["events"] == 1
    assert dict(worst.detail)["others"] == 2


def test_shares_count_the_unanswered_as_errors(study: Study, answered: Predictions) -> None:
    given = without(answered)
    found = {e.key: e for e in assess(given, study, phantom=False) if e.metric == "unanswered"}
    right = given.decision["model"] == given.outcome
    right[list(MISSING)] = False
    for metric, of in (("sensitivity", given.outcome), ("specificity", ~given.outcome)):
        assert found[f"unanswered/{metric}/external"].estimate == pytest.approx(right[of].mean(), abs=1e-12)


def test_nothing_is_said_where_all_are_answered(study: Study, answered: Predictions) -> None:
    assert not [e for e in assess(answered, study, phantom=False) if e.metric == "unanswered"]
