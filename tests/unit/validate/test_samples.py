"""The checks of inputs, and that their messages hold no value of a patient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.samples import checked_outcome, checked_risk, checked_rows, checked_scores, class_counts


@pytest.mark.parametrize("outcome", [np.array([0, 1]), np.array([[True]]), np.array(["yes"]), np.array(True)])
def test_outcomes_are_one_dimensional_booleans(outcome: Any) -> None:
    with pytest.raises(InvalidInputError, match="boolean"):
        checked_outcome(outcome)


@pytest.mark.parametrize(
    "scores", [[1.0], ["a", "b"], [1j, 0], [[[1.0, 2.0]]], [np.nan, 1.0], [[1.0, 2.0], [3.0]]]
)
def test_scores_are_real_one_a_case_and_not_nan(scores: Any) -> None:
    with pytest.raises(InvalidInputError):
        checked_rows(scores, 2)


@pytest.mark.parametrize("kind", [np.float32, np.int64, np.bool_, np.float64])
def test_real_kinds_become_float64(kind: Any) -> None:
    found = checked_scores(np.array([0, 1], dtype=kind), 2)
    assert found.dtype == np.float64
    assert found.tolist() == [0.0, 1.0]


def test_rows_are_not_a_single_score() -> None:
    with pytest.raises(InvalidInputError, match="dimensions"):
        checked_scores([[1.0, 2.0]], 2)


def test_messages_hold_no_value() -> None:
    with pytest.raises(InvalidInputError) as refused:
        checked_risk([0.5, 7.25], 2)
    assert "7.25" not in str(refused.value)


def test_class_counts() -> None:
    assert class_counts(np.array([True, False, False])) == (1, 2)
    with pytest.raises(NotEstimableError, match="1 events and 2 non-events"):
        class_counts(np.array([True, False, False]), least=2)
