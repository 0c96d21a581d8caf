"""Concordance and time-dependent AUC, against lifelines and the definitions over every pair."""

from __future__ import annotations

import numpy as np
import pytest
from lifelines import KaplanMeierFitter
from lifelines.utils import concordance_index
from numpy.typing import NDArray

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.concordance import checked_survival, harrell_c, uncensored_chance, uno_c
from huizhen.validate.discrimination import auc, auc_interval
from huizhen.validate.pair_counts import sums_below
from huizhen.validate.time_dependent import auc_at_time, weighted_auc

Floats = NDArray[np.float64]


def drawn(seed: int, n: int, *, ties: bool) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """Times, events and risks with censoring; with ties, of few distinct values."""
    draw = np.random.default_rng(seed)
    risk = draw.normal(size=n)
    own, censored = draw.exponential(np.exp(-risk)), draw.exponential(1.5, size=n)
    time, event = np.minimum(own, censored), own <= censored
    if ties:
        time, risk = np.ceil(time * 3), np.round(risk)
    return time, event, risk


@pytest.mark.parametrize("n", [1, 2, 3, 7, 33, 64, 100])
def test_sums_below_by_brute_force(n: int) -> None:
    draw = np.random.default_rng(n)
    for top in (3, 1000):
        x, y = draw.integers(0, top, (2, n)).astype(float)
        weights = draw.random(n)
        slow = ((x[:, None] > x) & (y[:, None] > y)) @ weights
        np.testing.assert_allclose(sums_below(x, y, weights), slow, atol=1e-12)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_harrell_as_lifelines(seed: int, ties: bool) -> None:
    time, event, risk = drawn(seed, 5 + 40 * seed, ties=ties)
    assert harrell_c(time, event, risk).value == pytest.approx(
        concordance_index(time, -risk, event), abs=1e-13
    )


@pytest.mark.parametrize("ties", [False, True])
def test_uno_over_every_pair(ties: bool) -> None:
    time, event, risk = drawn(8, 60, ties=ties)
    until = float(np.quantile(time, 0.8))
    data = checked_survival(time, event)
    chance = uncensored_chance(data, time)
    right = total = 0.0
    for i in np.flatnonzero(event & (time < until)):
        for j in range(60):
            if time[j] > time[i] or (time[j] == time[i] and not event[j]):
                total += chance[i] ** -2
                right += chance[i] ** -2 * (np.sign(risk[i] - risk[j]) + 1) / 2
    assert uno_c(time, event, risk, until=until).value == pytest.approx(right / total, abs=1e-12)


def test_the_chance_of_being_uncensored_is_kaplan_meiers() -> None:
    time, event, _ = drawn(9, 80, ties=False)
    fitted = KaplanMeierFitter().fit(time, ~event)
    at = np.sort(time)[[3, 20, 50, 70]]
    found = uncensored_chance(checked_survival(time, event), at)
    np.testing.assert_allclose(found, fitted.survival_function_at_times(at - 1e-9), atol=1e-12)


def test_without_censoring_all_agree() -> None:
    draw = np.random.default_rng(10)
    time, risk = draw.permutation(40).astype(float), draw.normal(size=40)
    event = np.ones(40, dtype=bool)
    plain = harrell_c(time, event, risk)
    assert uno_c(time, event, risk, until=39.0).value == pytest.approx(plain.value, abs=1e-12)
    assert harrell_c(time, event, -risk).value == pytest.approx(1 - plain.value, abs=1e-12)
    early = time <= 15
    found, expected = auc_at_time(time, event, risk, by=15), auc_interval(early, risk, method="logit")
    assert found.value == pytest.approx(auc(early, risk), abs=1e-13)
    assert found.interval.low == pytest.approx(expected.interval.low, abs=1e-12)


def test_weighted_auc_counts_a_case_as_often_as_it_weighs() -> None:
    draw = np.random.default_rng(11)
    cases, controls = np.round(draw.normal(1, 1, 12), 1), np.round(draw.normal(size=15), 1)
    weights = draw.integers(1, 4, 12)
    found, _ = weighted_auc(cases, weights.astype(float), controls)
    outcome = np.concatenate([np.ones(weights.sum(), dtype=bool), np.zeros(15, dtype=bool)])
    assert found == pytest.approx(auc(outcome, np.concatenate([cases.repeat(weights), controls])), abs=1e-13)


@pytest.mark.parametrize("n", [50, 200])
def test_intervals_cover(n: int) -> None:
    """Exponential times with hazard exp(risk): the truth by a large sample without censoring."""
    draw, trials = np.random.default_rng(n), 200
    risk = draw.normal(size=20_000)
    own = draw.exponential(np.exp(-risk))
    everyone = np.ones(own.size, dtype=bool)
    goals = (harrell_c(own, everyone, risk).value, auc(own <= 0.7, risk))
    held = np.zeros(2)
    for _ in range(trials):
        risk = draw.normal(size=n)
        own, censored = draw.exponential(np.exp(-risk)), draw.uniform(0.5, 60, size=n)
        time, event = np.minimum(own, censored), own <= censored
        found = (
            uno_c(time, event, risk, until=float(time.max())),
            auc_at_time(time, event, risk, by=0.7),
        )
        for place, (each, goal) in enumerate(zip(found, goals, strict=True)):
            held[place] += each.interval.low <= goal <= each.interval.high
    print(f"n = {n}: coverage of Uno's C {held[0] / trials:.3f}, of the AUC at a time {held[1] / trials:.3f}")
    assert (held / trials > 0.90).all()
    assert held[1] / trials < 0.99


def test_a_perfect_risk_has_a_bound() -> None:
    time, event = np.arange(1.0, 21), np.ones(20, dtype=bool)
    for found in (harrell_c(time, event, -time), auc_at_time(time, event, -time, by=8)):
        assert (found.value, found.interval.high) == (1.0, 1.0)
        assert 0.5 < found.interval.low < 0.9


def test_refusals() -> None:
    event = np.array([True, False, True])
    with pytest.raises(InvalidInputError, match="negative"):
        harrell_c([-1.0, 2, 3], event, [1.0, 2, 3])
    with pytest.raises(InvalidInputError):
        harrell_c([1.0, 2, 3], event, [1.0, np.nan, 3])
    with pytest.raises(NotEstimableError, match="no event"):
        harrell_c([1.0, 2, 3], ~np.ones(3, dtype=bool), [1.0, 2, 3])
    with pytest.raises(NotEstimableError, match="comparable"):
        harrell_c([1.0, 1, 1], np.ones(3, dtype=bool), [1.0, 2, 3])
    with pytest.raises(NotEstimableError):
        uno_c([1.0, 2, 3], event, [1.0, 2, 3], until=9)
    with pytest.raises(NotEstimableError, match="cases or controls"):
        auc_at_time([1.0, 2, 3], event, [1.0, 2, 3], by=2)
