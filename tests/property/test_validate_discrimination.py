"""Laws of the AUC and DeLong's covariance, and the slow oracle of pairs, over any scores with ties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from huizhen.validate.discrimination import (
    auc,
    auc_interval,
    delong,
    paired_difference,
    unpaired_difference,
)
from huizhen.validate.roc import roc_band, roc_curve
from huizhen.validate.thresholds import sensitivity_threshold, specificity_threshold

Sample = tuple[NDArray[np.bool_], NDArray[np.float64]]


@st.composite
def samples(draw: st.DrawFn, rows: int = 2) -> Sample:
    """Outcomes (n,) with at least two of each class, and scores (rows, n), often tied."""
    n = draw(st.integers(4, 40))
    outcome = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    assume(2 <= outcome.sum() <= n - 2)
    kind = draw(
        st.sampled_from([st.integers(0, 3), st.integers(0, 50), st.floats(-1e6, 1e6, allow_subnormal=False)])
    )
    scores = [draw(st.lists(kind, min_size=n, max_size=n)) for _ in range(rows)]
    return outcome, np.array(scores, dtype=np.float64)


def slow_delong(
    outcome: NDArray[np.bool_], scores: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The definition: ψ over every pair, sample covariances of its row and column means."""
    kernel = []
    for score in scores:
        gap = score[outcome][:, np.newaxis] - score[~outcome][np.newaxis, :]
        kernel.append(np.where(gap > 0, 1.0, np.where(gap == 0, 0.5, 0.0)))
    psi = np.array(kernel)  # (k, m, n)
    m, n = psi.shape[1:]
    covariance = np.atleast_2d(np.cov(psi.mean(axis=2))) / m + np.atleast_2d(np.cov(psi.mean(axis=1))) / n
    return psi.mean(axis=(1, 2)), covariance


@given(samples(rows=3))
@settings(max_examples=150, deadline=None)
def test_delong_is_the_slow_definition(sample: Sample) -> None:
    outcome, scores = sample
    aucs, covariance = slow_delong(outcome, scores)
    found = delong(outcome, scores)
    np.testing.assert_allclose(found.aucs, aucs, atol=1e-12)
    np.testing.assert_allclose(found.covariance, covariance, atol=1e-12)


@given(samples())
@settings(max_examples=60, deadline=None)
def test_a_paired_difference_is_that_of_the_covariance(sample: Sample) -> None:
    outcome, scores = sample
    found, joint = paired_difference(outcome, *scores), delong(outcome, scores)
    variance = joint.covariance[0, 0] + joint.covariance[1, 1] - 2 * joint.covariance[0, 1]
    assert found.estimate == pytest.approx(joint.aucs[0] - joint.aucs[1], abs=1e-12)
    if found.interval.method == "DeLong, paired":
        assert found.z * np.sqrt(max(variance, 0)) == pytest.approx(found.estimate, abs=1e-7)
    else:
        assert variance == pytest.approx(0, abs=1e-12)


@given(samples(), st.sampled_from([lambda s: 3 * s + 1, lambda s: s**3, np.arctan]))
@settings(max_examples=60, deadline=None)
def test_monotone_transforms_change_nothing(sample: Sample, transform: np.ufunc) -> None:
    outcome, scores = sample
    scores = scores.round(3)
    moved = np.asarray(transform(scores))
    for before, after in zip(scores, moved, strict=True):
        assume(np.unique(before).size == np.unique(after).size)
    assert auc(outcome, moved[0]) == auc(outcome, scores[0])
    assert auc_interval(outcome, moved[0]) == auc_interval(outcome, scores[0])
    one, other = paired_difference(outcome, *scores), paired_difference(outcome, *moved)
    assert (one.estimate, one.interval) == (other.estimate, other.interval)
    assert np.array_equal([one.p], [other.p], equal_nan=True)


@given(samples(rows=1))
@settings(max_examples=60, deadline=None)
def test_flipped_labels_and_scores_mirror_the_auc(sample: Sample) -> None:
    outcome, (score,) = sample
    value = auc(outcome, score)
    assert auc(~outcome, score) == pytest.approx(1 - value, abs=1e-14)
    assert auc(outcome, -score) == pytest.approx(1 - value, abs=1e-14)
    assert auc(~outcome, -score) == value
    np.testing.assert_allclose(
        delong(~outcome, score).covariance, delong(outcome, score).covariance, atol=1e-14
    )


@given(samples(rows=1))
@settings(max_examples=60, deadline=None)
def test_identical_models_do_not_differ(sample: Sample) -> None:
    outcome, (score,) = sample
    found = paired_difference(outcome, score, score)
    assert (found.estimate, found.z, found.p) == (0.0, 0.0, 1.0)
    assert unpaired_difference(outcome, score, outcome, score).p == 1.0


@given(samples(), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
@settings(max_examples=60, deadline=None)
def test_intervals_hold_their_estimate_and_have_a_width(sample: Sample, level: float) -> None:
    outcome, scores = sample
    for method in ("delong", "logit"):
        found = auc_interval(outcome, scores[0], level=level, method=method)
        assert 0 <= found.interval.low <= found.value <= found.interval.high <= 1
        assert found.interval.low < found.interval.high
    gap = paired_difference(outcome, *scores, level=level)
    assert -1 <= gap.interval.low <= gap.estimate <= gap.interval.high <= 1


@given(samples())
@settings(max_examples=60, deadline=None)
def test_swapped_models_negate_the_difference(sample: Sample) -> None:
    outcome, (a, b) = sample
    one, other = paired_difference(outcome, a, b), paired_difference(outcome, b, a)
    assert one.estimate == -other.estimate
    assert one.interval.low == pytest.approx(-other.interval.high, abs=1e-14)
    assert np.array_equal([one.p], [other.p], equal_nan=True)


@given(samples(rows=1), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_the_order_of_patients_does_not_matter(sample: Sample, seed: int) -> None:
    outcome, (score,) = sample
    order = np.random.default_rng(seed).permutation(outcome.size)
    assert auc(outcome[order], score[order]) == auc(outcome, score)
    curve, turned = roc_curve(outcome, score), roc_curve(outcome[order], score[order])
    assert (curve.fpr.tolist(), curve.tpr.tolist()) == (turned.fpr.tolist(), turned.tpr.tolist())


@given(samples(rows=1))
@example((np.arange(12) >= 6, np.zeros((1, 12))))
@settings(max_examples=60, deadline=None)
def test_the_curve_is_monotone_encloses_the_auc_and_lies_in_its_band(sample: Sample) -> None:
    outcome, (score,) = sample
    curve, band = roc_curve(outcome, score), roc_band(outcome, score, points=11)
    assert (np.diff(curve.fpr) >= 0).all()
    assert (np.diff(curve.tpr) >= 0).all()
    assert (np.diff(curve.threshold) < 0).all()
    assert np.trapezoid(curve.tpr, curve.fpr) == pytest.approx(auc(outcome, score), abs=1e-12)
    assert (band.low <= band.high).all()
    assert (np.diff(band.low) >= 0).all()
    assert (np.diff(band.high) >= 0).all()


@given(samples(rows=1), st.floats(0.01, 0.99))
@settings(max_examples=60, deadline=None)
def test_thresholds_reach_their_target_and_none_beyond_does(sample: Sample, target: float) -> None:
    outcome, (score,) = sample
    risk = np.argsort(np.argsort(score)) // 2 / outcome.size
    chosen = sensitivity_threshold(outcome, risk, target=target)
    events, others = risk[outcome], risk[~outcome]
    assert np.mean(events >= chosen) >= target > np.mean(events > chosen)
    chosen = specificity_threshold(outcome, risk, target=target)
    assert np.mean(others < chosen) >= target > np.mean(others < np.nextafter(chosen, -1))
