"""Table encodings: learned from training rows, honest about what is missing or new."""

from __future__ import annotations

import json

import numpy as np
import pytest

from huizhen.core.study import TableModality
from huizhen.data.tables import ColumnKind, TableEncoding
from huizhen.errors import DataError, InvalidInputError

CLINIC = TableModality(name="clinic", kind="table", numeric=("age", "size"), categorical=("er", "grade"))
ROWS = [
    {"age": 40.0, "size": "2.5", "er": "pos", "grade": 1.0},
    {"age": 50.0, "size": None, "er": "neg", "grade": "2"},
    {"age": 60.0, "size": "NA", "er": " pos ", "grade": "1.0"},
    {"age": float("nan"), "size": 3.5, "er": "NC"},
]


def test_training_rows_come_out_standardised():
    encoding = TableEncoding.fit(ROWS, CLINIC)
    values, present = encoding.apply_all(ROWS)
    assert values.dtype == np.float32
    assert present.tolist() == [
        [True, True, True, True],
        [True, False, True, True],
        [True, False, True, True],
        [False, True, False, False],
    ]
    np.testing.assert_allclose(values[:, 0], np.array([-1, 0, 1, 0]) * np.sqrt(1.5), rtol=1e-6)
    np.testing.assert_allclose(values[[0, 3], 1], [-1, 1])
    assert (values[[1, 2], 1] == 0).all()
    er = encoding.columns[2]
    assert (er.name, er.kind, er.levels, er.n) == ("er", ColumnKind.CATEGORICAL, ("neg", "pos"), 3)
    assert values[:, er.start : er.stop].tolist() == [[0, 1], [1, 0], [0, 1], [0, 0]]
    assert encoding.columns[3].levels == ("1", "2")
    assert encoding.n_features == 6


def test_slices_of_columns_cover_the_features_in_order():
    columns = TableEncoding.fit(ROWS, CLINIC).columns
    assert [c.start for c in columns[1:]] == [c.stop for c in columns[:-1]]
    assert [c.stop - c.start for c in columns] == [1, 1, 2, 2]


def test_a_new_level_is_present_but_unlike_any_known():
    values, present = TableEncoding.fit(ROWS, CLINIC).apply({"er": "unclear", "grade": 2})
    assert present.tolist() == [False, False, True, True]
    assert values.tolist() == [0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("ages", [[], [50.0, 50.0], [1e9, 1e9]])
def test_a_column_without_spread_does_not_blow_up(ages):
    encoding = TableEncoding.fit([{"age": age} for age in ages], CLINIC)
    assert encoding.columns[0].sd == 1
    values, _ = encoding.apply({"age": encoding.columns[0].mean + 2})
    assert values[0] == 2


def test_nothing_of_a_new_patient_changes_the_encoding():
    encoding = TableEncoding.fit(ROWS, CLINIC)
    before = encoding.to_json()
    encoding.apply({"age": 1e6, "er": "new"})
    assert encoding.to_json() == before


def test_the_card_brings_the_encoding_back():
    encoding = TableEncoding.fit(ROWS, CLINIC)
    again = TableEncoding.from_json(json.loads(json.dumps(encoding.to_json())))
    assert again == encoding
    for row in ROWS:
        np.testing.assert_array_equal(again.apply(row)[0], encoding.apply(row)[0])


@pytest.mark.parametrize("record", [{}, {"columns": [{}]}, {"columns": 3}, {"columns": [], "modality": "x"}])
def test_a_broken_card_is_refused(record):
    with pytest.raises(InvalidInputError, match="not a table encoding"):
        TableEncoding.from_json(record)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("start", 10**12),
        ("stop", -3),
        ("stop", 10**12),
        ("sd", 0.0),
        ("mean", "x"),
        ("name", 5),
        ("levels", [5]),
    ],
)
def test_an_encoding_whose_columns_do_not_fit_together_is_refused(key, value):
    record = TableEncoding.fit(ROWS, CLINIC).to_json()
    record["columns"][0][key] = value
    with pytest.raises(InvalidInputError, match="not a table encoding"):
        TableEncoding.from_json(record)


@pytest.mark.parametrize(("value", "why"), [("about 40", "is text"), (float("inf"), "not finite")])
def test_numbers_that_are_none_are_refused_without_being_shown(value, why):
    encoding = TableEncoding.fit(ROWS, CLINIC)
    with pytest.raises(DataError, match=why) as caught:
        encoding.apply({"age": value})
    assert caught.value.field == "age"
    assert str(value) not in str(caught.value)
    with pytest.raises(DataError, match=why):
        TableEncoding.fit([{"age": value}], CLINIC)
