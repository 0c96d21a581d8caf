"""Placements by hand; the slow oracle is under tests/property."""

from __future__ import annotations

import numpy as np

from huizhen.validate.placements import place


def test_placements_of_ties_by_hand() -> None:
    outcome = np.array([True, False, True, False, False])
    placed = place(outcome, np.array([[2.0, 2.0, 1.0, 1.0, 0.0]]), least=2)
    assert placed.pos.tolist() == [[5, 3]]  # twice 1/2 + 1 + 1 and 0 + 1/2 + 1
    assert placed.neg.tolist() == [[1, 3, 4]]  # twice 1/2 + 0, 1 + 1/2, 1 + 1
    assert placed.aucs.tolist() == [8 / 12]
    assert not placed.constant


def test_the_order_of_cases_does_not_matter() -> None:
    draw = np.random.default_rng(1)
    outcome, scores = draw.random(50) < 0.4, draw.integers(0, 9, (3, 50)).astype(float)
    order = draw.permutation(50)
    one, other = place(outcome, scores, least=2), place(outcome[order], scores[:, order], least=2)
    assert one.aucs.tolist() == other.aucs.tolist()
    np.testing.assert_allclose(one.covariance, other.covariance, atol=1e-16)


def test_one_score_for_all_is_constant() -> None:
    assert place(np.array([True, True, False, False]), np.zeros((1, 4)), least=2).constant
