"""The site from features: nothing is told where nothing is there, what is there is told; changes of score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from huizhen.core.cohort import Part
from huizhen.core.evidence import Verdict
from huizhen.core.predictions import Predictions
from huizhen.core.study import Study
from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.assessments.interface import Evaluation
from huizhen.validate.assessments.shortcuts import lesions, site_told
from huizhen.validate.discrimination import auc
from huizhen.validate.shortcuts import mean_change, told_from_features


def test_features_without_the_site_tell_nothing_though_there_are_more_of_them_than_patients() -> None:
    rng = np.random.default_rng(4)
    found = []
    for seed in range(12):
        belongs = rng.random(60) < 0.4
        found.append(auc(belongs, told_from_features(rng.normal(size=(60, 96)), belongs, seed=seed)))
    assert np.mean(found) == pytest.approx(0.5, abs=0.06)


def test_one_column_that_knows_the_site_is_found_among_many() -> None:
    rng = np.random.default_rng(4)
    belongs = np.arange(120) % 3 == 0
    features = rng.normal(size=(120, 40))
    features[:, 7] += 3 * belongs
    assert auc(belongs, told_from_features(features, belongs, seed=1)) > 0.9


def test_a_constant_column_is_no_trouble() -> None:
    belongs = np.arange(40) % 2 == 0
    features = np.stack([np.ones(40), belongs + 0.0], 1)
    assert auc(belongs, told_from_features(features, belongs, seed=1)) == 1.0


def test_a_fold_needs_two_patients_of_each_side() -> None:
    belongs = np.arange(40) < 9
    with pytest.raises(NotEstimableError, match="fewer than 10"):
        told_from_features(np.zeros((40, 2)), belongs, seed=1)


@pytest.mark.parametrize("features", [np.zeros((39, 2)), np.zeros(40), np.full((40, 2), np.nan)])
def test_features_must_be_one_row_a_patient(features: np.ndarray) -> None:
    with pytest.raises(InvalidInputError):
        told_from_features(features, np.arange(40) % 2 == 0, seed=1)


def test_the_mean_change_is_paired() -> None:
    before = np.array([0.0, 5.0, 10.0])
    found = mean_change(before, before + 2)
    assert (found.value, found.interval.low, found.interval.high) == (2.0, 2.0, 2.0)
    with pytest.raises(NotEstimableError):
        mean_change(np.array([1.0]), np.array([2.0]))


def evaluation(site: np.ndarray, outcome: np.ndarray) -> Evaluation:
    table = Predictions(
        patient=np.array([f"P-{k}" for k in range(len(site))]),
        site=site,
        part=Part.TEST,
        outcome=outcome,
        risk={"cman": np.full(len(site), 0.5)},
    )
    source = {"reader": "images", "modality": "US", "path": "x", "columns": {"patient": "p", "outcome": "y"}}
    study = Study.model_validate(
        {
            "name": "s",
            "title": "S",
            "question": "Is it?",
            "seed": 1,
            "task": {"outcome": "y", "positive": ["1"], "negative": ["0"]},
            "modality": [{"name": "US"}],
            "site": [{"name": "a", "source": [source]}],
        }
    )
    return Evaluation(predictions=table, study=study, phantom=True)


def test_each_of_several_sites_is_told_from_the_rest_and_of_two_one() -> None:
    rng = np.random.default_rng(5)
    site = np.array(["a", "b", "c"])[np.arange(150) % 3]
    outcome = rng.random(150) < np.where(site == "a", 0.9, 0.2)
    features = rng.normal(size=(150, 8))
    features[site == "b", 0] += 3
    everyone = np.ones(150, bool)
    found = {e.key: e for e in site_told(evaluation(site, outcome), {"US": (everyone, features)}, seed=1)}
    assert set(found) == {f"shortcut/site/US/{name}" for name in "abc"}
    told, blind = found["shortcut/site/US/b"], found["shortcut/site/US/a"]
    assert told.interval is not None
    assert told.interval.low > 0.8
    assert blind.estimate is not None
    assert blind.detail["by_outcome"] == pytest.approx(auc(site == "a", outcome.astype(float)))
    assert blind.detail["by_outcome"] > 0.75
    pair = site != "c"
    two = site_told(evaluation(site[pair], outcome[pair]), {"US": (everyone[pair], features[pair])}, seed=1)
    assert [e.key for e in two] == ["shortcut/site/US/a"]


def test_a_modality_that_one_site_has_tells_nothing() -> None:
    site = np.array(["a", "b"])[np.arange(60) % 2]
    there = site == "a"
    outcome = np.arange(60) % 4 < 2
    [found] = site_told(evaluation(site, outcome), {"US": (there, np.zeros((30, 2)))}, seed=1)
    assert found.verdict is Verdict.NOT_ASSESSED
    assert found.phantom


def test_lesions_are_compared_on_the_same_patients() -> None:
    rng = np.random.default_rng(6)
    outcome = np.arange(80) % 2 == 0
    risk = 1 / (1 + np.exp(-(rng.normal(size=80) + 2 * outcome)))
    base = evaluation(np.array(["a"] * 80), outcome)
    base = replace(base, predictions=replace(base.predictions, risk={"cman": risk}))
    lower = 1 / (1 + (1 - risk) / risk * np.e)
    found = {e.key: e for e in lesions(base, {"lesion_blanked": rng.random(80), "lesion_only": lower})}
    assert found["shortcut/lesion_only/internal/auc_difference"].estimate == 0
    change = found["shortcut/lesion_only/internal/score_change"]
    assert change.estimate == pytest.approx(-1)
    assert change.detail["of_events"] == pytest.approx(-1)
    blank = found["shortcut/lesion_blanked/internal/auc_difference"]
    assert blank.interval is not None
    assert blank.interval.high < 0
