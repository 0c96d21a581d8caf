"""The clinical regression: missing values flagged, a separable problem learned, too few patients refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from huizhen.errors import DataError
from huizhen.train.arrays import CaseData, TableColumn
from huizhen.train.table_regression import TableRegression, fit_table_regression, table_features

DataMaker = Callable[..., CaseData]


def test_the_design_holds_values_and_what_is_missing(make_data: DataMaker) -> None:
    data = make_data(4)
    there = np.array([[True, True], [False, True], [True, False], [False, False]])
    column = TableColumn(values=data.tables["clinic"].values, there=there)
    data = CaseData(
        names=data.names,
        images=data.images,
        tables={"clinic": column},
        present=data.present,
        outcome=data.outcome,
    )
    design = table_features(data, np.array([3, 1]))
    assert design.shape == (2, 5)
    assert design[:, :3] == pytest.approx(column.values[[3, 1]])
    assert design[:, 3:].tolist() == [[1, 1], [1, 0]]


def test_logits_are_the_linear_form() -> None:
    regression = TableRegression(weights=np.array([2.0, -1.0]), intercept=0.5)
    assert regression.logits(np.array([[1.0, 1.0], [0.0, 3.0]])).tolist() == [1.5, -2.5]


def test_a_separable_problem_is_learned_and_generalises(make_data: DataMaker) -> None:
    data, unseen = make_data(120), make_data(200, seed=9)
    regression = fit_table_regression(data, np.arange(120), seed=1)
    logits = regression.logits(table_features(unseen, np.arange(200)))
    assert roc_auc_score(unseen.outcome, logits) > 0.95
    assert abs(regression.weights[0]) > 3 * abs(regression.weights[1:]).max()


def test_the_same_seed_gives_the_same_numbers(make_data: DataMaker) -> None:
    data = make_data(60, signal=0.5)
    first, again = (fit_table_regression(data, np.arange(60), seed=2**62 + 1) for _ in range(2))
    assert first.weights.tolist() == again.weights.tolist()
    assert first.intercept == again.intercept


@pytest.mark.parametrize("outcome", [0, 1])
def test_too_few_patients_of_a_class_are_refused(make_data: DataMaker, outcome: int) -> None:
    data = make_data(60)
    few = np.concatenate(
        [np.flatnonzero(data.outcome == outcome)[:4], np.flatnonzero(data.outcome != outcome)[:20]]
    )
    with pytest.raises(DataError, match="fewer than 5") as caught:
        fit_table_regression(data, few, seed=1)
    assert caught.value.field == "network.variants"
