"""Risks from the sizes of classes."""

from __future__ import annotations

import numpy as np
import pytest

from huizhen.data.disclosure.risk import journalist, marketer, prosecutor
from huizhen.errors import InvalidInputError


def test_a_risk_at_the_threshold_is_not_above_it() -> None:
    found = prosecutor(np.array([5, 5]), above=0.2)
    assert (found.most, found.average, found.share_above) == (0.2, 0.2, 0.0)


def test_the_mean_risk_is_classes_over_patients() -> None:
    sizes = np.random.default_rng(1).integers(1, 9, 50)
    assert prosecutor(sizes, above=0.5).average == pytest.approx(50 / sizes.sum())
    assert marketer(sizes) == pytest.approx(50 / sizes.sum())


def test_the_journalists_risk_is_of_the_population() -> None:
    found = journalist(np.array([1, 3]), np.array([4, 30]), above=0.1)
    assert found.most == 0.25
    assert found.average == pytest.approx((0.25 + 3 / 30) / 4)
    assert found.share_above == 0.25
    assert marketer(np.array([1, 3]), np.array([4, 30])) == pytest.approx((1 / 4 + 3 / 30) / 4)


def test_a_population_smaller_than_the_table_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="more patients"):
        journalist(np.array([2]), np.array([1]), above=0.1)


def test_nobody_is_at_no_risk() -> None:
    assert prosecutor(np.zeros(0, np.int64), above=0.2).most == 0.0
    assert marketer(np.zeros(0, np.int64)) == 0.0
