"""Two accountants agree, below the RDP bound; known values; calibration meets its target."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import optimize, stats

from huizhen.errors import InvalidInputError, PrivacyError
from huizhen.privacy import accounting
from huizhen.privacy.accounting import TOLERANCE, account, agreed, calibrate_noise
from huizhen.privacy.events import Spend, merged

DELTA = 1e-5


def spend(rate: float = 0.1, noise: float = 3.0, steps: int = 100) -> Spend:
    return Spend(sampling_rate=rate, noise_multiplier=noise, steps=steps)


def gaussian_epsilon(noise: float, steps: int, delta: float) -> float:
    """Return the exact epsilon of composed Gaussian mechanisms (Balle & Wang, ICML 2018, theorem 8)."""
    mu = np.sqrt(steps) / noise

    def excess(epsilon: float) -> float:
        above = stats.norm.cdf(mu / 2 - epsilon / mu)
        return float(above - np.exp(epsilon) * stats.norm.cdf(-mu / 2 - epsilon / mu) - delta)

    return float(optimize.brentq(excess, 0, 100))


@pytest.mark.parametrize(("noise", "steps"), [(1.5, 1), (20.0, 300)])
def test_without_sampling_it_is_the_gaussian_mechanism(noise: float, steps: int) -> None:
    found = account([spend(1.0, noise, steps)], delta=DELTA)
    exact = gaussian_epsilon(noise, steps, DELTA)
    assert found.prv == pytest.approx(exact, rel=1e-3)
    assert found.pld == pytest.approx(exact, rel=1e-3)
    assert exact * 0.999 < found.epsilon < found.rdp


@pytest.mark.parametrize(
    "spends",
    [
        [spend(0.05, 1.0, 500)],
        [spend(0.25, 4.0, 100)],
        [spend(0.1, 1.0, 20), spend(0.3, 3.0, 50), spend(1.0, 9.0, 5)],
        [spend(0.001, 20.0, 2)],
    ],
)
def test_the_accountants_agree_below_the_bound(spends: list[Spend]) -> None:
    found = account(spends, delta=DELTA)
    assert abs(found.prv - found.pld) <= max(TOLERANCE * found.epsilon, 1e-4)
    assert max(found.prv, found.pld) == found.epsilon < found.rdp


def test_order_and_division_of_spends_change_nothing() -> None:
    parts = [spend(steps=30), spend(0.3, 3.0, 10), spend(steps=70)]
    assert merged(parts) == merged(reversed(parts)) == (spend(steps=100), spend(0.3, 3.0, 10))
    whole = account([spend(steps=100), spend(0.3, 3.0, 10)], delta=DELTA).epsilon
    assert account(parts, delta=DELTA).epsilon == whole
    assert whole < account(parts[:1], delta=DELTA).epsilon + account(parts[1:], delta=DELTA).epsilon


def test_nothing_spent_costs_nothing() -> None:
    assert account([], delta=DELTA).epsilon == 0


@pytest.mark.parametrize(
    ("prv", "pld", "rdp", "why"),
    [
        (2.0, 2.03, 3.0, "disagree"),
        (2.03, 2.0, 3.0, "disagree"),
        (float("nan"), 2.0, 3.0, "no finite"),
        (2.0, float("inf"), 3.0, "no finite"),
        (-1.0, 2.0, 3.0, "no finite"),
        (2.0, 2.0, 1.5, "above its upper bound"),
    ],
)
def test_accountants_that_contradict_each_other_stop_the_run(
    prv: float, pld: float, rdp: float, why: str
) -> None:
    with pytest.raises(PrivacyError, match=why):
        agreed(prv=prv, pld=pld, rdp=rdp)


def test_an_accountant_that_is_wrong_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = accounting.pld_epsilon
    monkeypatch.setattr(accounting, "pld_epsilon", lambda *a, **k: 0.97 * right(*a, **k))
    with pytest.raises(PrivacyError, match="disagree"):
        account([spend()], delta=DELTA)


@pytest.mark.parametrize(("epsilon", "spent"), [(4.0, ()), (2.0, (spend(0.2, 4.0, 20),))])
def test_calibrated_noise_spends_the_target_and_no_more(epsilon: float, spent: tuple[Spend, ...]) -> None:
    noise = calibrate_noise(epsilon=epsilon, delta=DELTA, sampling_rate=0.1, steps=100, spent=spent)
    found = account([*spent, spend(0.1, noise, 100)], delta=DELTA).epsilon
    assert 0.97 * epsilon < found <= epsilon


def test_targets_that_no_noise_meets_are_refused() -> None:
    with pytest.raises(PrivacyError, match="no noise keeps"):
        calibrate_noise(epsilon=1.0, delta=DELTA, sampling_rate=0.1, steps=10, spent=[spend(0.5, 0.5, 5)])
    for bad in ({"epsilon": 0.0}, {"delta": 0.0}, {"delta": 1.0}, {"sampling_rate": 0.0}, {"steps": 0}):
        settings: dict[str, Any] = {"epsilon": 1.0, "delta": DELTA, "sampling_rate": 0.1, "steps": 10} | bad
        with pytest.raises(InvalidInputError):
            calibrate_noise(**settings)


@pytest.mark.parametrize(
    "bad",
    [
        {"sampling_rate": 0.0},
        {"sampling_rate": 1.1},
        {"sampling_rate": float("nan")},
        {"noise_multiplier": 0.0},
        {"noise_multiplier": float("inf")},
        {"steps": 0},
        {"steps": 1.5},
        {"steps": True},
        {"steps": "3"},
        {"noise_multiplier": "3"},
        {"more": 1},
    ],
)
def test_spends_that_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        Spend.from_json(spend().to_json() | bad)
