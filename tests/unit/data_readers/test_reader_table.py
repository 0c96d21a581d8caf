"""The table reader: numbers, categories, missing codes, duplicates."""

from __future__ import annotations

import pyarrow as pa
import pytest
from pyarrow import parquet

from huizhen.core.study import Source, TableModality
from huizhen.data.readers.open import open_source
from huizhen.errors import DataError, InvalidInputError

MODALITY = TableModality(
    name="clinic",
    kind="table",
    numeric=("age", "size"),
    categorical=("side",),
    missing_codes=("", "NP", "-9"),
)


@pytest.fixture
def reader(tmp_path):
    """A function that writes t.csv and opens it."""

    def open_table(text, *, name="t.csv", modality=MODALITY, columns=None, **source):
        if text is not None:
            (tmp_path / name).write_text(text)
        given = {"patient": "pid", "outcome": "y"} if columns is None else columns
        return open_source(
            Source.model_validate(
                {"reader": "table", "modality": "clinic", "path": name, "columns": given, **source}
            ),
            roots=[tmp_path],
            site="north",
            index=2,
            modality=modality,
        )

    return open_table


def reasons(scan):
    return [(one.unit, one.reason, one.subject) for one in scan.exclusions]


def test_rows_outcomes_and_missing_values(reader):
    scan = reader("pid,age,size,side,y\np2,41.5,-9.0,left,1.0\np1, NP ,1e1,NP,0\n").scan()
    assert scan.rows == {
        "p1": {"age": None, "size": 10.0, "side": None},
        "p2": {"age": 41.5, "size": None, "side": "left"},
    }
    assert list(scan.rows) == ["p1", "p2"]
    assert scan.outcomes == {"p2": ("1",), "p1": ("0",)}
    assert scan.exclusions == ()
    assert scan.images == ()


@pytest.mark.parametrize("cell", ["inf", "-Infinity", "nan", "1e999", "fifty", '"41,5"', "1_000", "0x10"])
def test_what_is_no_finite_number_is_counted_and_missing(reader, cell):
    scan = reader(f"pid,age,size,side,y\np1,{cell},2,left,1\n").scan()
    assert scan.rows == {"p1": {"age": None, "size": 2.0, "side": "left"}}
    assert reasons(scan) == [("cell", "non_finite", "t.csv:2:age")]


def test_duplicate_rows(reader):
    text = "pid,age,size,side,y\na,1,2,left,1\na,1.0,2,left,1\nb,1,2,left,0\nb,1,3,left,0\nc,5,5,,0\n"
    scan = reader(text).scan()
    assert list(scan.rows) == ["a", "c"]  # equal rows are one; nobody knows which of b's holds
    assert reasons(scan) == [("patient", "duplicate_id", "t.csv:5")]
    assert scan.outcomes["b"] == ("0",)


def test_conflicting_outcomes_are_all_given(reader):
    scan = reader("pid,age,size,side,y\na,1,2,left,1\na,1,2,left,0\n").scan()
    assert scan.outcomes == {"a": ("1", "0")}
    assert scan.exclusions == ()


@pytest.mark.parametrize("cell", ["", "NaN", "nan", "NA", " "])
def test_missing_outcomes_are_counted_by_patient(reader, cell):
    scan = reader(f"pid,age,size,side,y\na,1,2,left,{cell}\nb,1,2,left,{cell}\nb,1,2,left,1\n").scan()
    assert scan.outcomes == {"b": ("1",)}
    assert set(scan.rows) == {"a", "b"}
    assert reasons(scan) == [("patient", "missing_label", "t.csv:2")]


def test_a_table_that_gives_no_outcome_misses_none(reader):
    scan = reader("pid,age,size,side\na,1,2,left\n", columns={"patient": "pid"}).scan()
    assert scan.outcomes == {}
    assert scan.exclusions == ()


def test_rows_without_a_patient_are_counted(reader):
    scan = reader("pid,age,size,side,y\n,1,2,left,1\na,1,2,left,1\n").scan()
    assert list(scan.rows) == ["a"]
    assert reasons(scan) == [("patient", "missing_patient", "t.csv:2")]


def test_where(reader):
    scan = reader("pid,age,size,side,y\na,1,2,left,1\nb,1,2,right,1\n", where={"side": "right"}).scan()
    assert list(scan.rows) == ["b"]
    with pytest.raises(DataError, match="no row is left"):
        reader(None, where={"side": "both"}).scan()


def test_a_table_whose_rows_name_nobody_is_refused_by_column(reader):
    with pytest.raises(DataError, match="no row names a patient") as caught:
        reader("pid,age,size,side,y\n,1,2,left,1\n,1,2,right,0\n").scan()
    assert (caught.value.field, caught.value.file) == ("site.source.columns", "t.csv")


def test_absent_columns_name_the_nearest(reader):
    with pytest.raises(DataError, match=r"no column age.*did you mean Age\?"):
        reader("pid,Age,size,side,y\na,1,2,left,1\n").scan()
    with pytest.raises(DataError, match="no column y"):
        reader("pid,age,size,side,outcome\na,1,2,left,1\n").scan()


def test_parquet_gives_the_same_as_csv(reader, tmp_path):
    csv = reader("pid,age,size,side,y\n1,41.0,,left,1\n2,3.5,2,,0\n").scan()
    columns = {"pid": [1, 2], "age": [41.0, 3.5], "size": [None, 2], "side": ["left", None], "y": [1.0, 0.0]}
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    assert reader(None, name="t.parquet").scan() == csv


def test_a_table_has_no_images(reader):
    table = reader("pid,age,size,side,y\na,1,2,left,1\n")
    assert (table.mask(None), table.spacing_mm(None), table.dataset_path(None)) == (None, None, None)
    with pytest.raises(InvalidInputError, match="rows, not images"):
        table.pixels(None)
