"""Strategies at the lead against the published algorithms, written slowly."""

from __future__ import annotations

import math

import numpy as np
import pytest

from huizhen.core.study_federation import Federation, StrategyKind
from huizhen.federate.strategies.choose import strategy_of
from huizhen.federate.strategies.fedavg import FedAvg
from huizhen.federate.strategies.fedopt import FedOpt
from huizhen.federate.strategies.interface import moved_by
from huizhen.federate.strategies.scaffold import CONTROL, Scaffold


def slow_fedopt(changes: list[float], rate: float, *, yogi: bool) -> float:
    """Return one weight after FedAdam or FedYogi (Reddi et al., algorithm 2), number by number."""
    weight, first, second = 0.0, 0.0, 1e-6
    for delta in changes:
        first = 0.9 * first + 0.1 * delta
        if yogi:
            second = second - 0.01 * delta**2 * math.copysign(1.0, second - delta**2)
        else:
            second = 0.99 * second + 0.01 * delta**2
        weight += rate * first / (math.sqrt(second) + 1e-3)
    return weight


@pytest.mark.parametrize("yogi", [False, True])
def test_adaptive_steps_are_the_published_ones(yogi):
    changes = np.random.default_rng(0).normal(size=(8, 3))
    strategy = FedOpt(rate=0.1, yogi=yogi)
    weights, state = {"w": np.zeros(3, np.float32)}, {}
    for change in changes:
        step = strategy.step(weights, {"w": change.astype(np.float32)}, state, share=1.0)
        weights, state = step.weights, step.state
    slow = [slow_fedopt(list(changes[:, i]), 0.1, yogi=yogi) for i in range(3)]
    np.testing.assert_allclose(weights["w"], slow, atol=1e-5)


def test_averaging_moves_by_the_change():
    weights = {"w": np.float32([1, 2])}
    step = FedAvg(rate=0.5).step(weights, {"w": np.float32([4, -2])}, {}, share=0.5)
    np.testing.assert_array_equal(step.weights["w"], np.float32([3, 1]))
    assert FedAvg().broadcast({}, weights) == {}


def site_round(x, own, lead, target, curvature, rate, steps):
    """Return SCAFFOLD's local steps on 0.5 a (x - t)^2 (Karimireddy et al., algorithm 1, option II)."""
    y = x
    for _ in range(steps):
        y = y - rate * (curvature * (y - target) - own + lead)
    return y - x, own - lead + (x - y) / (steps * rate)


def test_scaffold_reaches_the_pooled_optimum_where_averaging_drifts():
    """Sites of unlike curvature pull a mean of many local steps away from the pooled optimum."""
    targets, curvatures = np.array([0.0, 4.0, 10.0]), np.array([1.0, 0.2, 0.05])
    best = (curvatures * targets).sum() / curvatures.sum()
    strategy = Scaffold()
    weights, state, own = {"w": np.zeros(1, np.float32)}, {}, np.zeros(3)
    averaged = 0.0
    for _ in range(300):
        lead = float(strategy.broadcast(state, weights)[CONTROL + "w"][0])
        x = float(weights["w"][0])
        rounds = [site_round(x, own[i], lead, targets[i], curvatures[i], 0.5, 20) for i in range(3)]
        new = np.array([control for _, control in rounds])
        change = {
            "w": np.float32([np.mean([moved for moved, _ in rounds])]),
            CONTROL + "w": np.float32([np.mean(new - own)]),
        }
        step = strategy.step(weights, change, state, share=1.0)
        weights, state, own = step.weights, step.state, new
        assert state["w"][0] == pytest.approx(own.mean(), abs=1e-4)  # the lead's is the sites' mean
        drift = [site_round(averaged, 0, 0, targets[i], curvatures[i], 0.5, 20)[0] for i in range(3)]
        averaged += np.mean(drift)
    assert float(weights["w"][0]) == pytest.approx(best, abs=1e-2)
    assert abs(averaged - best) > 0.5


def test_scaffold_weighs_the_control_by_the_share_that_answered():
    weights = {"w": np.zeros(2, np.float32)}
    change = {"w": np.zeros(2, np.float32), CONTROL + "w": np.float32([1, -1])}
    step = Scaffold().step(weights, change, {"w": np.array([1.0, 1.0])}, share=0.5)
    np.testing.assert_allclose(step.state["w"], [1.5, 0.5])


@pytest.mark.parametrize("kind", list(StrategyKind))
def test_every_strategy_runs_and_keeps_names_and_types(kind):
    strategy = strategy_of(Federation(strategy=kind, server_rate=0.1))
    weights = {"a": np.ones((2, 2), np.float32), "b": np.zeros(1, np.float32)}
    state: dict = {}
    for _ in range(3):
        sent = strategy.broadcast(state, weights)
        change = {name: np.full_like(w, 0.1) for name, w in {**weights, **sent}.items()}
        step = strategy.step(weights, change, state, share=1.0)
        assert set(step.weights) == set(weights)
        assert all(w.dtype == np.float32 for w in step.weights.values())
        assert all(s.dtype == np.float64 for s in step.state.values())
        weights, state = step.weights, step.state
    assert (weights["a"] > 1).all()


def test_moving_reckons_in_double_precision():
    moved = moved_by({"a": np.float32([1.0])}, {"a": np.float32([1e-9])}, 1e9)
    assert moved["a"][0] == pytest.approx(2.0)
