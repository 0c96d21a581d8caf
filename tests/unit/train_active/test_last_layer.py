"""The last layer: the most likely weights, the ridge by evidence, and its draws."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.train.active.last_layer import RIDGES, fit_last_layer


def make_data(n: int, d: int, signal: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d))
    return x, rng.random(n) < 1 / (1 + np.exp(-signal * x[:, 0] - 0.3))


def test_weights_are_those_of_scikit_learn_at_the_same_ridge() -> None:
    x, y = make_data(200, 6, 1.5)
    own = fit_last_layer(x, y)
    theirs = LogisticRegression(C=1 / own.penalty, tol=1e-10, max_iter=10_000).fit(x, y)
    np.testing.assert_allclose(own.weights, theirs.coef_[0], atol=2e-3)  # its intercept is wholly free


def test_noise_gets_a_stronger_ridge_than_signal() -> None:
    assert fit_last_layer(*make_data(150, 10, 0.0)).penalty > fit_last_layer(*make_data(150, 10, 4.0)).penalty
    assert fit_last_layer(*make_data(150, 10, 4.0)).penalty in RIDGES


def test_separable_labels_and_huge_features_give_finite_weights() -> None:
    x = np.array([[-1e4, 0.0], [1e4, 1.0], [-2e4, 1.0], [3e4, 0.0]])
    layer = fit_last_layer(x, np.array([False, True, False, True]))
    assert np.isfinite(layer.weights).all()
    assert ((layer.probability(x) > 0.5) == [False, True, False, True]).all()


def test_draws_scatter_about_the_prediction() -> None:
    x, y = make_data(200, 6, 1.5)
    layer = fit_last_layer(x, y)
    drawn = layer.samples(x, draws=400, rate=0.2, seed=1)
    assert drawn.shape == (400, 200)
    assert drawn.std(0).min() > 0
    assert np.abs(drawn.mean(0) - layer.probability(x)).max() < 0.1
    np.testing.assert_array_equal(drawn, layer.samples(x, draws=400, rate=0.2, seed=1))


def test_gaps_stand_at_zero() -> None:
    layer = fit_last_layer(*make_data(100, 3, 2.0))
    assert layer.logits(np.array([[np.nan] * 3])).tolist() == [layer.intercept]


def test_one_class_is_refused_and_so_are_wrong_shapes() -> None:
    with pytest.raises(NotEstimableError, match="class"):
        fit_last_layer(np.zeros((3, 1)), np.array([True, True, True]))
    with pytest.raises(InvalidInputError):
        fit_last_layer(np.zeros((3, 1)), np.array([True, False]))
