"""Groups of patients: exact where it is known, as the libraries' own where they can tell, never too low."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from scipy import optimize, stats

from huizhen.errors import InvalidInputError, PrivacyError
from huizhen.privacy import groups
from huizhen.privacy.accounting import account
from huizhen.privacy.events import Spend
from huizhen.privacy.groups import GroupSpend, group_account

DELTA = 1e-5


def group(members: int, rate: float = 0.1, noise: float = 3.0, steps: int = 60) -> GroupSpend:
    spend = Spend(sampling_rate=rate, noise_multiplier=noise, steps=steps)
    return GroupSpend(members=members, spend=spend)


def gaussian_epsilon(mu: float, delta: float) -> float:
    """Return the exact epsilon of a Gaussian mechanism (Balle & Wang, ICML 2018, theorem 8)."""

    def excess(epsilon: float) -> float:
        above = stats.norm.cdf(mu / 2 - epsilon / mu)
        return float(above - np.exp(epsilon) * stats.norm.cdf(-mu / 2 - epsilon / mu) - delta)

    return float(optimize.brentq(excess, 0, 200))


@pytest.mark.parametrize("members", [1, 2, 5])
def test_without_sampling_a_group_is_a_gaussian_of_so_many_clips(members: int) -> None:
    found = group_account([group(members, 1.0, 20.0, 9)], delta=DELTA)
    assert found.epsilon == pytest.approx(gaussian_epsilon(members * 3 / 20, DELTA), rel=2e-3)


def test_one_patient_costs_what_the_other_accountants_say() -> None:
    one = group(1)
    both = [one, group(1, 0.3, 4.0, 20)]
    found, known = group_account(both, delta=DELTA), account([o.spend for o in both], delta=DELTA)
    assert found.epsilon == pytest.approx(known.epsilon, rel=0.005)
    assert found.epsilon >= known.epsilon


def test_a_step_is_the_mixture_that_was_meant() -> None:
    """The delta of one step by integrating densities, for a group of three."""
    one = group(3, 0.3, 1.1, 1)
    x = np.linspace(-15, 20, 400_001)
    weight = stats.binom.pmf(np.arange(4), 3, 0.3)
    mixture = sum(w * stats.norm.pdf(x, j, 1.1) for j, w in enumerate(weight))
    alone = stats.norm.pdf(x, 0, 1.1)
    for epsilon in (0.5, 2.0):
        wanted = max(
            np.trapezoid(np.maximum(p - math.exp(epsilon) * q, 0), x)
            for p, q in ((mixture, alone), (alone, mixture))
        )
        assert group_account([one], delta=float(wanted)).epsilon == pytest.approx(epsilon, abs=2e-3)


def test_more_patients_and_more_rounds_cost_more_and_never_above_the_bound() -> None:
    costs = [group_account([group(k)], delta=DELTA) for k in (1, 2, 4)]
    found = [one.epsilon for one in costs]
    assert found == sorted(found)
    assert found[1] > 2 * found[0] * 0.9, "groups cost at least about in proportion"
    assert all(one.epsilon <= one.upper_bound for one in costs)
    some = group_account([group(2, steps=30), group(1, steps=30)], delta=DELTA).epsilon
    assert found[0] < some < found[1], "one of two was in half of the rounds"


def test_it_is_below_the_textbook_bound_for_groups() -> None:
    """k epsilon at k exp((k-1) epsilon) delta (Dwork & Roth, theorem 2.2 and its lemma for delta)."""
    k, one = 3, account([group(1).spend], delta=1e-9).epsilon
    textbook = k * one, k * math.exp((k - 1) * one) * 1e-9
    assert group_account([group(k)], delta=textbook[1]).epsilon < textbook[0]


def test_order_and_division_change_nothing_and_nobody_costs_nothing() -> None:
    parts = [group(2, steps=10), group(1, steps=5), group(2, steps=20)]
    whole = [group(1, steps=5), group(2, steps=30)]
    assert group_account(parts, delta=DELTA) == group_account(whole, delta=DELTA)
    assert group_account([], delta=DELTA).epsilon == 0
    tiny = group_account([group(1, 0.001, 20.0, 2)], delta=DELTA)
    assert 0 < tiny.epsilon < 2e-3, "rounded up to the grid"


def test_an_epsilon_above_its_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "_pld_epsilon", lambda *_: 99.0)
    with pytest.raises(PrivacyError, match="upper bound"):
        group_account([group(2, steps=7)], delta=DELTA)
    monkeypatch.setattr(groups, "_pld_epsilon", lambda *_: 0.5)
    with pytest.raises(PrivacyError, match="disagree on one patient"):
        group_account([group(1, steps=77)], delta=DELTA)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        group(0)
    with pytest.raises(InvalidInputError):
        group_account([group(1)], delta=1.0)
    assert GroupSpend.from_json(group(2).to_json()) == group(2)
    for odd in ({}, {**group(2).to_json(), "members": "2"}, {**group(2).to_json(), "more": 1}):
        with pytest.raises(InvalidInputError):
            GroupSpend.from_json(odd)


@pytest.mark.parametrize("members", [1, 3])
def test_simulated_training_leaks_as_much_as_is_said_and_no_more(members: int) -> None:
    """The delta of eight steps by drawing what a step shows of the group at worst: E[(1 - exp(e - L))+]."""
    rate, noise, steps, draws = 0.25, 1.5, 8, 200_000
    rng = np.random.default_rng(members)
    weight = stats.binom.pmf(np.arange(members + 1), members, rate)
    total = np.zeros(draws)
    for _ in range(steps):
        x = rng.binomial(members, rate, draws) + noise * rng.standard_normal(draws)
        clips = np.arange(members + 1)
        total += np.log(np.exp((2 * np.outer(x, clips) - clips**2) / (2 * noise**2)) @ weight)
    epsilon = group_account([group(members, rate, noise, steps)], delta=0.02).epsilon
    seen = np.maximum(0, -np.expm1(epsilon - total))
    error = seen.std() / np.sqrt(draws)
    assert abs(seen.mean() - 0.02) < 4 * error + 2e-4


def test_large_groups_are_reckoned_in_time_and_memory_or_refused() -> None:
    started = time.process_time()
    many = group_account([group(60, 0.05, 8.0, 20)], delta=1e-5)
    assert 0 < many.epsilon <= many.upper_bound < math.inf
    with pytest.raises(PrivacyError, match="can't be reckoned"):
        group_account([group(500, 0.05, 1.0, 20)], delta=1e-5)
    assert time.process_time() - started < 30
