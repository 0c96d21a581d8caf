"""Conformal sets cover each class as promised, whatever the model; too few patients promise nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from huizhen.errors import InvalidInputError
from huizhen.validate.conformal import Cuts, fit_cuts, fits_alone, mean_cuts, prediction_sets


@pytest.mark.parametrize("level", [0.8, 0.9])
@pytest.mark.parametrize(("n_pos", "n_neg"), [(9, 40), (25, 100)])
def test_each_class_is_covered_at_its_level_over_calibration_samples(
    level: float, n_pos: int, n_neg: int
) -> None:
    rng, held = np.random.default_rng(3), []
    outcome = np.repeat([True, False], [n_pos, n_neg])
    for _ in range(800):
        score = rng.normal(size=n_pos + n_neg) + 0.7 * outcome
        cuts = fit_cuts(outcome, score, level)
        new = rng.normal(size=200) + np.repeat([0.7, 0.0], 100)
        sets = prediction_sets(new, cuts)
        held.append((sets.event[:100].mean(), sets.other[100:].mean()))
    exact = [math.ceil((n + 1) * level - 1e-9) / (n + 1) for n in (n_pos, n_neg)]
    assert np.mean(held, axis=0) == pytest.approx(exact, abs=0.012)
    assert min(exact) >= level


def test_any_rising_scale_gives_the_same_sets() -> None:
    rng = np.random.default_rng(1)
    outcome, score, new = rng.random(60) < 0.4, rng.normal(size=60), rng.normal(size=40)
    plain, curved = fit_cuts(outcome, score, 0.8), fit_cuts(outcome, np.exp(3 * score), 0.8)
    one, other = prediction_sets(new, plain), prediction_sets(np.exp(3 * new), curved)
    assert np.array_equal(one.event, other.event)
    assert np.array_equal(one.other, other.other)


def test_a_class_with_too_few_patients_is_in_every_set() -> None:
    outcome = np.repeat([True, False], [8, 30])
    cuts = fit_cuts(outcome, np.arange(38.0), 0.9)
    assert cuts.event_from is None
    assert cuts.other_to is not None
    assert (cuts.n_pos, cuts.n_neg) == (8, 30)
    assert prediction_sets(np.array([-1e9, 1e9]), cuts).event.tolist() == [True, True]
    assert not fits_alone(8, 30, 0.9)
    assert fits_alone(8, 30, 0.8)


def test_a_higher_level_never_takes_a_class_out() -> None:
    rng = np.random.default_rng(2)
    outcome, score, new = rng.random(80) < 0.5, rng.normal(size=80), rng.normal(size=50)
    low, high = (prediction_sets(new, fit_cuts(outcome, score, level)) for level in (0.6, 0.95))
    assert np.all(high.event >= low.event)
    assert np.all(high.other >= low.other)


def test_cuts_go_through_plain_values_and_are_averaged() -> None:
    one = Cuts(event_from=0.25, other_to=None, n_pos=9, n_neg=3)
    assert Cuts.from_json(one.to_json()) == one
    assert mean_cuts([one]) == one


@pytest.mark.parametrize("level", [0.0, 1.0, 1.5])
def test_a_level_is_inside_0_and_1(level: float) -> None:
    with pytest.raises(InvalidInputError, match="outside"):
        fit_cuts(np.array([True, False]), np.array([0.1, 0.2]), level)
