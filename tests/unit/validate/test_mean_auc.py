"""The mean of AUCs over showings: DeLong's for one, honest for patients who are shown twice."""

from __future__ import annotations

import numpy as np
import pytest

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.discrimination import auc_interval
from huizhen.validate.mean_auc import mean_auc

RNG = np.random.default_rng(5)
TRUTH = np.repeat([True, False], (60, 140))
SCORE = RNG.normal(size=200) + TRUTH


def width(found: object) -> float:
    return found.interval.high - found.interval.low  # type: ignore[attr-defined, no-any-return]  # an estimate


def test_one_showing_is_delong_s() -> None:
    found, peer = mean_auc(TRUTH, SCORE[None]), auc_interval(TRUTH, SCORE, method="logit")
    assert found.value == pytest.approx(peer.value, abs=1e-12)
    assert found.interval.low == pytest.approx(peer.interval.low, abs=1e-12)
    assert found.interval.high == pytest.approx(peer.interval.high, abs=1e-12)


def test_a_patient_shown_twice_counts_once() -> None:
    """The same scores twice are no more patients: another interval would be half as wide or so."""
    twice = mean_auc(TRUTH, np.stack([SCORE, SCORE]))
    assert width(twice) == pytest.approx(width(mean_auc(TRUTH, SCORE[None])), rel=1e-9)


def test_the_error_is_that_of_a_bootstrap_over_patients() -> None:
    half = np.where(TRUTH, np.arange(200) % 2, -1)
    scores = np.stack([np.where((half == -1) | (half == k), SCORE, np.nan) for k in (0, 1)])
    found, drawn = mean_auc(TRUTH, scores), []
    groups = [np.flatnonzero(half == k) for k in (-1, 0, 1)]
    for _ in range(600):
        rows = np.concatenate([RNG.choice(group, len(group)) for group in groups])
        drawn.append(mean_auc(TRUTH[rows], scores[:, rows]).value)
    low, high = np.quantile(drawn, (0.025, 0.975))
    assert width(found) == pytest.approx(high - low, rel=0.15)


def test_perfect_telling_has_an_interval_that_is_no_point() -> None:
    found = mean_auc(TRUTH, np.stack([TRUTH.astype(float)] * 2))
    assert found.value == 1.0
    assert found.interval.low < 0.95


def test_wrong_shapes_and_showings_of_one_class_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="aren't of 200 patients"):
        mean_auc(TRUTH, SCORE[None, :50])
    alone = np.stack([SCORE, np.where(TRUTH, SCORE, np.nan)])
    with pytest.raises(NotEstimableError):
        mean_auc(TRUTH, alone)
