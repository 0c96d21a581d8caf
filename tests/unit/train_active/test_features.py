"""Distances with gaps, scaling and principal components."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics.pairwise import nan_euclidean_distances

from huizhen.errors import InvalidInputError
from huizhen.train.active.features import filled, principal, scaled, squared_distances


def test_distances_with_gaps_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    features = rng.standard_normal((30, 6))
    features[rng.random((30, 6)) < 0.3] = np.nan
    features[:, 0] = rng.standard_normal(30)  # one column that all have
    expected = nan_euclidean_distances(features[:10], features, squared=True)
    np.testing.assert_allclose(squared_distances(features[:10], features), expected, atol=1e-9)


def test_two_cases_without_a_common_column_are_at_the_mean_distance() -> None:
    found = squared_distances(np.array([[1.0, np.nan]]), np.array([[np.nan, 1.0]]))
    assert found.tolist() == [[4.0]]


def test_scaling_and_filling_leave_gaps_alone() -> None:
    features = np.array([[1.0, np.nan], [2.0, 1.0], [3.0, 3.0]])
    ready = scaled(features)
    assert np.isnan(ready[0, 1])
    np.testing.assert_allclose(np.nanmean(ready, axis=0), 0, atol=1e-12)
    assert filled(ready)[0, 1] == pytest.approx(0.0)


def test_principal_components_are_those_of_an_exact_decomposition() -> None:
    rng = np.random.default_rng(2)
    features = rng.standard_normal((300, 4)) @ rng.standard_normal((4, 60)) + 0.01 * rng.standard_normal(
        (300, 60)
    )
    found = principal(features, 4, seed=1)
    left, _, _ = np.linalg.svd(features - features.mean(0), full_matrices=False)
    overlap = np.linalg.svd(np.linalg.qr(found)[0].T @ left[:, :4])[1]
    np.testing.assert_allclose(overlap, 1, atol=1e-4)
    assert (found**2).sum(1).mean() == pytest.approx(4)
    assert principal(features[:, :3], 4, seed=1) is not None


def test_principal_components_of_gaps_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="missing"):
        principal(np.array([[np.nan, 1.0, 2.0]]), 1, seed=1)
