"""Score tests against the likelihood maximised numerically, and against their own intervals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.share_differences import tango_limit
from huizhen.validate.triage.noninferiority import (
    paired_detection,
    paired_score,
    unpaired_detection,
    unpaired_score,
)

ARMS = [(56, 70, 48, 80, 0.1), (244, 39_996, 203, 40_024, 0.001), (5, 10, 1, 10, 0.05), (3, 50, 9, 60, 0.1)]


@pytest.mark.parametrize("arms", ARMS, ids=str)
def test_the_unpaired_score_restricts_as_the_likelihood_does(arms: tuple[int, int, int, int, float]) -> None:
    new, n1, old, n2, margin = arms

    def loss(q: float) -> float:
        p = q + margin
        return -float(
            new * np.log(q) + (n1 - new) * np.log1p(-q) + old * np.log(p) + (n2 - old) * np.log1p(-p)
        )

    q = minimize_scalar(loss, bounds=(1e-9, 1 - margin - 1e-9), method="bounded", options={"xatol": 1e-12}).x
    spread = q * (1 - q) / n1 + (q + margin) * (1 - q - margin) / n2
    wanted = (new / n1 - old / n2 + margin) / np.sqrt(spread)
    assert float(unpaired_score(new, n1, old, n2, margin)) == pytest.approx(wanted, rel=1e-5)


def test_scores_pass_just_where_their_intervals_do() -> None:
    draw = np.random.default_rng(1)
    for _ in range(200):
        n = int(draw.integers(20, 400))
        b, c = (int(x) for x in draw.integers(0, n // 3, size=2))
        margin = float(draw.uniform(0.01, 0.2))
        low = tango_limit(b, c, n, 1.959963984540054)
        assert (float(paired_score(b, c, n, margin)) > 1.959963984540054) == (low > -margin)
    for new, old in ((40, 44), (40, 60), (0, 3), (50, 50)):
        found = unpaired_detection((new, 100), (old, 110), margin=0.15)
        assert found.passed == (found.interval.low > -0.15)
        assert found.interval.low <= found.estimate <= found.interval.high


def test_scores_take_arrays_of_trials() -> None:
    found = paired_score(np.array([[3, 0], [5, 0]]), np.array([[5, 0], [5, 4]]), 100, 0.1)
    assert found.shape == (2, 2)
    assert found[0, 0] == pytest.approx(float(paired_score(3, 5, 100, 0.1)))
    assert float(paired_score(0, 0, 100, 0.0)) == 0.0
    assert float(unpaired_score(0, 10, 0, 10, 0.0)) == 0.0


def test_the_published_arms_of_masai() -> None:
    """244 of 39,996 against 203 of 40,024: 6.1 and 5.1 of 1,000, a difference of about 0 to 2."""
    found = unpaired_detection((244, 39_996), (203, 40_024), margin=0.0005)
    assert found.passed
    assert 1000 * found.estimate == pytest.approx(1.03, abs=0.005)
    assert 1000 * found.interval.high == pytest.approx(2.07, abs=0.01)


def test_paired_detection_counts_who_differs() -> None:
    new, reference = np.arange(200) >= 20, np.arange(200) < 190
    found = paired_detection(new, reference, margin=0.1)
    assert found.estimate == pytest.approx(-0.05)
    assert not found.passed
    assert paired_detection(reference, reference, margin=0.05).passed


def test_paired_detection_is_over_patients() -> None:
    draw = np.random.default_rng(2)
    new, reference = draw.random(100) < 0.8, draw.random(100) < 0.85
    alone = paired_detection(new, reference, margin=0.1)
    of_two = np.repeat(np.arange(100), 2)
    twice = paired_detection(np.repeat(new, 2), np.repeat(reference, 2), margin=0.1, cluster=of_two)
    assert [twice.interval.low, twice.interval.high] == pytest.approx(
        [alone.interval.low, alone.interval.high]
    )
    naive = paired_detection(np.repeat(new, 2), np.repeat(reference, 2), margin=0.1)
    assert naive.interval.low > twice.interval.low
    same = paired_detection(np.ones(200), np.ones(200), margin=0.1, cluster=of_two)
    once = paired_detection(np.ones(100), np.ones(100), margin=0.1)
    assert same.interval.low == pytest.approx(once.interval.low)


def test_shares_over_draws_count_as_one_trial_of_their_mean() -> None:
    new, reference = np.full(100, 0.88), np.full(100, 0.9)
    found = paired_detection(new, reference, margin=0.1)
    whole = paired_detection(np.arange(100) < 88, np.arange(100) < 90, margin=0.1)
    assert found.interval.low == pytest.approx(whole.interval.low)
    assert found.p == pytest.approx(whole.p)


def test_what_cannot_be_tested_is_refused() -> None:
    flags = np.array([True, False])
    for pair in ((flags, flags[:1]), (np.array([np.nan]), np.ones(1)), (np.array([1.2]), np.ones(1))):
        with pytest.raises(InvalidInputError):
            paired_detection(*pair, margin=0.1)
    for margin in (-0.1, 1.5):
        with pytest.raises(InvalidInputError):
            paired_score(1, 1, 10, margin)
    with pytest.raises(InvalidInputError):
        unpaired_detection((11, 10), (1, 10), margin=0.1)
    with pytest.raises(NotEstimableError):
        paired_detection(flags[:0], flags[:0], margin=0.1)
