"""The covariates that harmonisation keeps, as numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from huizhen.core.study import Study, TableModality
from huizhen.data.tables import TableEncoding
from huizhen.pipeline.covariates import covariates_of
from huizhen.train.arrays import CaseData, TableColumn

ROWS = [{"age": 40.0, "er": "pos"}, {"age": 60.0, "er": "neg"}, {"age": None, "er": "unsure"}]
IMAGE = {"name": "US"}
TABLE = {"name": "clinic", "kind": "table", "numeric": ["age"], "categorical": ["er"]}


def found(make_study: Callable[..., Study], *keep: str):
    study = make_study(IMAGE, TABLE, harmonisation={"keep": list(keep)})
    encoding = TableEncoding.fit(ROWS, TableModality.model_validate(TABLE))
    values, there = encoding.apply_all(ROWS)
    data = CaseData(
        names=("US", "clinic"),
        images={},
        tables={"clinic": TableColumn(values=values, there=there)},
        present=np.ones((3, 2), bool),
        outcome=np.array([1, 0, np.nan], np.float32),
    )
    return covariates_of(study, data, {"clinic": encoding})


def test_a_number_is_standardised_and_a_missing_one_at_the_mean(make_study: Callable[..., Study]) -> None:
    kept = found(make_study, "clinic.age")
    assert kept.names == ("clinic.age",)
    assert kept.values.ravel().tolist() == [-1.0, 1.0, 0.0]
    assert not kept.unknown.any()


def test_a_category_has_a_covariate_for_each_level_but_the_first(make_study: Callable[..., Study]) -> None:
    kept = found(make_study, "clinic.er")
    assert kept.names == ("clinic.er (1)", "clinic.er (2)")
    assert kept.values.tolist() == [[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]


def test_the_outcome_is_not_known_at_use(make_study: Callable[..., Study]) -> None:
    kept = found(make_study, "outcome", "clinic.age")
    assert kept.unknown.tolist() == [True, False]
    assert kept.values[:2, 0].tolist() == [1.0, 0.0]
    assert np.isnan(kept.values[2, 0])


def test_nothing_kept_is_no_column(make_study: Callable[..., Study]) -> None:
    assert found(make_study).values.shape == (3, 0)
