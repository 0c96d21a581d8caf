"""Components of features that go with the outcome: partial least squares, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cross_decomposition import PLSRegression

from huizhen.data.harmonise.components import (
    FEWEST_EACH,
    Reduction,
    both_outcomes,
    fitted_reduction,
    next_direction,
)
from huizhen.data.harmonise.pooled import Pooled, pooled_of, squares_of, sums_of
from huizhen.errors import DataError, InvalidInputError, NotEstimableError

RNG = np.random.default_rng(3)
N, P = 120, 15
Y = (RNG.random(N) < 0.4).astype(float)
X = RNG.normal(size=(N, P)) * np.linspace(0.2, 5, P) + 40 + Y[:, None] * np.linspace(-1, 1, P)


def pooled(x: np.ndarray) -> Pooled:
    none = np.zeros((0, x.shape[1]))
    return pooled_of(sums_of(x), none, *squares_of(x, None, none))


@pytest.mark.parametrize("count", [1, 3, 5])
def test_components_are_those_of_partial_least_squares(count: int) -> None:
    found = fitted_reduction(X, Y, pooled(X), count).of(X)
    scaled = (X - X.mean(0)) / X.std(0)
    peer = PLSRegression(count, scale=False).fit(scaled, Y).transform(scaled)
    for own, other in zip(found.T, peer.T, strict=True):
        assert abs(np.corrcoef(own, other)[0, 1]) == pytest.approx(1, abs=1e-9)
    assert np.allclose(np.cov(found.T, bias=True), np.eye(count), atol=1e-9)
    assert np.allclose(found.mean(0), 0, atol=1e-9)


def test_a_feature_in_other_units_changes_nothing() -> None:
    other = X * np.geomspace(1e-3, 1e3, P) + 7
    one, two = (fitted_reduction(x, Y, pooled(x), 2).of(x) for x in (X, other))
    assert np.allclose(one, two, atol=1e-7)


def test_a_constant_feature_has_no_weight() -> None:
    wider = np.column_stack([X, np.full(N, 3.0)])
    found = fitted_reduction(wider, Y, pooled(wider), 2)
    assert (found.axes[-1] == 0).all()
    assert np.allclose(found.of(wider), fitted_reduction(X, Y, pooled(X), 2).of(X), atol=1e-9)


def test_more_components_than_features_hold_are_refused() -> None:
    flat = np.column_stack([X[:, 0], 2 * X[:, 0] + 1])
    with pytest.raises(NotEstimableError, match="fewer components"):
        fitted_reduction(flat, Y, pooled(flat), 2)
    with pytest.raises(NotEstimableError, match="fewer components"):
        next_direction([np.array([1.0, 0.0])], np.array([5.0, 0.0]))


@pytest.mark.parametrize("events", [0, FEWEST_EACH - 1, N - FEWEST_EACH + 1, N])
def test_too_few_with_either_outcome_are_refused(events: int) -> None:
    outcome = (np.arange(N) < events).astype(float)
    with pytest.raises(NotEstimableError, match=f"need {FEWEST_EACH} training patients"):
        fitted_reduction(X, outcome, pooled(X), 1)


@pytest.mark.parametrize("outcome", [[0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, np.nan]])
def test_a_site_of_one_outcome_is_refused(outcome: list[float]) -> None:
    with pytest.raises(DataError, match="at north don't have both outcomes"):
        both_outcomes(np.array(outcome), "north")


def test_a_site_of_both_outcomes_or_of_nobody_is_not() -> None:
    both_outcomes(np.array([0.0, 1.0]), "north")
    both_outcomes(np.zeros(0), "north")


@pytest.mark.parametrize(
    ("axes", "constant"),
    [
        (np.zeros((3, 2)), np.zeros(3)),
        (np.zeros((3, 0)), np.zeros(0)),
        (np.full((3, 1), np.nan), np.zeros(1)),
    ],
)
def test_parts_that_do_not_fit_are_refused(axes: np.ndarray, constant: np.ndarray) -> None:
    with pytest.raises(InvalidInputError, match="components"):
        Reduction(axes=axes, constant=constant)
