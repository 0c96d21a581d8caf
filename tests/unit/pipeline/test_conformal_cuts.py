"""Cuts are fixed by fold and site on calibrated log-odds; sites with too few patients take pooled ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from huizhen.core.cohort import Case
from huizhen.core.study import Study
from huizhen.pipeline.conformal_cuts import POOLED, conformal_cuts
from huizhen.pipeline.decisions import Decision
from huizhen.pipeline.tuning_file import Tuned
from huizhen.validate.calibration import Platt
from huizhen.validate.conformal import Cuts, fit_cuts

LARGE, SMALL = 60, 10
DECISION = Decision(platt=Platt(intercept=-0.5, slope=2.0), threshold=0.4)


@pytest.fixture
def study(make_study: Callable[..., Study]) -> Study:
    return make_study({"name": "clinic", "kind": "table", "numeric": ["age"]}, conformal={"level": 0.9})


def tuned(model: str = "cman", fold: int = 0) -> tuple[list[Case], Tuned]:
    rng = np.random.default_rng(fold)
    sites = ["large"] * LARGE + ["small"] * SMALL
    cases = [
        Case(pseudonym=f"P-{k}", patient_id=str(k), site=site, outcome=k % 2) for k, site in enumerate(sites)
    ]
    outcome = np.arange(len(sites)) % 2 == 1
    odds = rng.normal(size=len(sites)) + outcome
    return cases, Tuned(
        model=model, fold=fold, patient=[c.pseudonym for c in cases], outcome=outcome, log_odds=odds
    )


def test_a_large_site_has_its_own_cuts_and_a_small_one_the_pooled(study: Study) -> None:
    cases, one = tuned()
    found = conformal_cuts(study, cases, [one], {"cman": {0: DECISION}})
    assert set(found["0"]) == {POOLED, "large"}
    odds = -0.5 + 2.0 * one.log_odds
    assert Cuts.from_json(found["0"][POOLED]) == fit_cuts(one.outcome, odds, 0.9)
    assert Cuts.from_json(found["0"]["large"]) == fit_cuts(one.outcome[:LARGE], odds[:LARGE], 0.9)


def test_only_the_model_has_sets_in_each_fold_that_was_locked(study: Study) -> None:
    cases, one = tuned()
    others = [one, tuned(fold=1)[1], tuned("table_lr")[1]]
    assert set(conformal_cuts(study, cases, others, {"cman": {0: DECISION, 1: DECISION}})) == {"0", "1"}
    assert set(conformal_cuts(study, cases, others, {"cman": {1: DECISION}})) == {"1"}
    assert conformal_cuts(study, cases, others, {"table_lr": {0: DECISION}}) == {}


def test_a_study_that_asks_for_none_has_none(make_study: Callable[..., Study]) -> None:
    cases, one = tuned()
    plain = make_study({"name": "clinic", "kind": "table", "numeric": ["age"]})
    assert conformal_cuts(plain, cases, [one], {"cman": {0: DECISION}}) == {}
