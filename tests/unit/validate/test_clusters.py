"""Clustered AUCs and shares: DeLong's with a cluster each, honest with repeated patients."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.clusters import (
    checked_clusters,
    cluster_covariance,
    clustered_auc,
    clustered_difference,
    clustered_share,
)
from huizhen.validate.discrimination import auc, auc_interval, delong, paired_difference
from huizhen.validate.placements import place

DRAW = np.random.default_rng(1)
OUTCOME = DRAW.random(60) < 0.4
A, B = (np.round(DRAW.normal(size=60) + shift * OUTCOME, 1) for shift in (1.0, 0.7))
ALONE = np.arange(60)


def test_a_cluster_for_each_case_is_delong() -> None:
    placed = place(OUTCOME, np.stack([A, B]), least=2)
    np.testing.assert_allclose(
        cluster_covariance(placed, OUTCOME, ALONE), delong(OUTCOME, np.stack([A, B])).covariance, atol=1e-16
    )
    plain = auc_interval(OUTCOME, A, method="logit").interval
    found = clustered_auc(OUTCOME, A, ALONE).interval
    assert [found.low, found.high] == pytest.approx([plain.low, plain.high], abs=1e-13)
    gap = clustered_difference(OUTCOME, A, B, ALONE)
    assert gap.p == pytest.approx(paired_difference(OUTCOME, A, B).p, abs=1e-12)


def test_obuchowski_by_hand() -> None:
    outcome = np.array([True, True, False, True, False, False, False])
    score = np.array([3.0, 2, 1, 2, 1, 0, 2])
    cluster = np.array(["p", "p", "p", "q", "q", "r", "r"])
    kernel = (np.sign(score[outcome][:, None] - score[~outcome]) + 1) / 2
    theta = kernel.mean()
    v10, v01 = kernel.mean(axis=1) - theta, kernel.mean(axis=0) - theta
    events = {"p": v10[0] + v10[1], "q": v10[2], "r": 0.0}
    others = {"p": v01[0], "q": v01[1], "r": v01[2] + v01[3]}
    s10 = 2 / (1 * 3) * (events["p"] ** 2 + events["q"] ** 2)
    s01 = 3 / (2 * 4) * sum(value**2 for value in others.values())
    s11 = 3 / 2 * sum(events[name] * others[name] for name in events)
    expected = s10 / 3 + s01 / 4 + 2 * s11 / (3 * 4)
    placed = place(outcome, score[None], least=2)
    group = checked_clusters(cluster, 7)
    assert cluster_covariance(placed, outcome, group)[0, 0] == pytest.approx(expected, abs=1e-15)


def test_repeating_every_patient_changes_no_interval_over_patients() -> None:
    outcome, score, patient = (np.repeat(each, 4) for each in (OUTCOME, A, ALONE))
    once, again = clustered_auc(OUTCOME, A, ALONE), clustered_auc(outcome, score, patient)
    assert again.value == pytest.approx(once.value, abs=1e-15)
    assert [again.interval.low, again.interval.high] == pytest.approx(
        [once.interval.low, once.interval.high], abs=1e-12
    )
    naive = auc_interval(outcome, score, method="logit").interval
    assert naive.high - naive.low < 0.6 * (again.interval.high - again.interval.low)
    few, many = clustered_share(OUTCOME, ALONE), clustered_share(outcome, patient)
    assert [many.interval.low, many.interval.high] == pytest.approx([few.interval.low, few.interval.high])


def test_equal_ids_group_whatever_their_type() -> None:
    names = [f"patient {number // 3}" for number in range(60)]
    numbers = np.arange(60) // 3
    found, again = (clustered_auc(OUTCOME, A, ids).interval for ids in (names, numbers))
    assert found.low == pytest.approx(again.low, abs=1e-13)


def test_a_perfect_score_is_bounded_by_its_clusters() -> None:
    outcome = np.arange(40) < 20
    found = clustered_auc(outcome, outcome * 1.0, np.arange(40) // 10)
    assert (found.value, found.interval.high) == (1.0, 1.0)
    assert found.interval.low == pytest.approx(0.025 ** (1 / 2))
    mixed = clustered_auc(outcome, outcome * 1.0, np.arange(40) % 10)
    assert mixed.interval.low == pytest.approx(0.025 ** (1 / 5))
    whole = clustered_share(np.ones(40, dtype=bool), np.arange(40) // 10)
    assert whole.interval.low == pytest.approx(0.025 ** (1 / 4))


def test_identical_scores_differ_by_nothing() -> None:
    found = clustered_difference(OUTCOME, A, A**3, ALONE)
    assert (found.estimate, found.p, found.interval.high) == (0.0, 1.0, 0.0)


@pytest.mark.parametrize("cases", [50, 200])
def test_coverage_with_alike_cases(cases: int) -> None:
    """Four cases a patient, of whom some are events; the shared part is three quarters of the variance."""
    draw, held, trials, seen = np.random.default_rng(cases), 0, 400, []
    for _ in range(trials):
        patient = np.arange(cases) // 4
        common = draw.normal(size=patient.max() + 1)[patient]
        outcome = draw.random(cases) < 0.4
        score = math.sqrt(0.75) * common + 0.5 * draw.normal(size=cases) + 1.19 * outcome
        found = clustered_auc(outcome, score, patient).interval
        held += found.low <= 0.8 <= found.high
        seen.append(auc(outcome, score))
    print(f"clustered AUC, {cases} cases: coverage {held / trials:.3f}, mean {np.mean(seen):.3f}")
    assert 0.88 < held / trials < 0.98  # thirteen patients are few for a normal interval


def test_refusals() -> None:
    missing: Any = np.array(["a", None] * 30, dtype=object)
    for wrong in (ALONE[:-1], np.where(ALONE == 3, np.nan, ALONE), missing):
        with pytest.raises(InvalidInputError):
            clustered_auc(OUTCOME, A, wrong)
    with pytest.raises(NotEstimableError, match="clusters hold events"):
        clustered_auc(OUTCOME, A, np.where(OUTCOME, 0, ALONE + 1))
    with pytest.raises(NotEstimableError, match="one cluster"):
        clustered_share(OUTCOME, np.zeros(60))
