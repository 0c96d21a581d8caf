"""Tables as text: every form that hospitals write gives the same cells."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from huizhen.core.table_text import cell_equals, columns_of, rows_of
from huizhen.errors import DataError, UnreadableFileError

ROWS = [{"patient": "007", "结局": "恶性"}, {"patient": "8", "结局": ""}]


@pytest.mark.parametrize(
    "data",
    [
        "patient,结局,x\n007,恶性,1\n8,,2\n".encode(),
        "patient,结局,x\n007,恶性,1\n8,,2\n".encode("utf-8-sig"),
        "patient;结局;x\r\n007; 恶性 ;1\r\n\r\n8;;2\r\n".encode(),
        "patient\t结局\tx\n007\t恶性\t1\n8\t\t2\n".encode("gb18030"),
        "patient,结局,x\n007,恶性,1\n8\n".encode("utf-16"),
        gzip.compress("patient,结局,x\n007,恶性,1\n8,,2\n".encode()),
    ],
    ids=["utf-8", "bom", "semicolons", "gb18030", "utf-16", "gzip"],
)
def test_every_form_gives_the_same_cells(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "t.csv").write_bytes(data)
    assert columns_of(tmp_path / "t.csv") == ["patient", "结局", "x"]
    assert list(rows_of(tmp_path / "t.csv", ["patient", "结局"])) == ROWS


def test_parquet_gives_the_same_cells(tmp_path: Path) -> None:
    table = pa.table({"patient": ["007", "8"], "结局": ["恶性", None], "x": [1, 2]})
    parquet.write_table(table, tmp_path / "t.parquet")
    assert columns_of(tmp_path / "t.parquet") == ["patient", "结局", "x"]
    assert list(rows_of(tmp_path / "t.parquet", ["patient", "结局"])) == ROWS


def test_an_absent_column_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="no column c"):
        list(rows_of(tmp_path / "t.csv", ["a", "c"]))


@pytest.mark.parametrize(
    "data", [b"a,b\n\x00\x01", b"PAR1 and no more", b"\x1f\x8b broken", b"a\n\xff\xff\xff"]
)
def test_a_broken_table_is_unreadable(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(UnreadableFileError):
        columns_of(tmp_path / "t.csv")
    with pytest.raises(UnreadableFileError):
        columns_of(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("cell", "value", "same"), [("3.0", 3, True), ("GE ", "GE", True), ("", 0, False), ("x", 1.5, False)]
)
def test_cells_are_compared_as_text_or_as_numbers(cell: str, value: object, same: bool) -> None:
    assert cell_equals(cell, value) is same


def test_a_table_that_is_not_there_is_said_to_be_absent(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="No such file") as caught:
        columns_of(tmp_path / "nope.csv")
    assert "exists" in caught.value.remedy


def test_a_column_that_stands_twice_is_refused_where_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,age,age\n1,50,1\n", encoding="utf-8")
    assert list(rows_of(tmp_path / "t.csv", ["id"])) == [{"id": "1"}]
    with pytest.raises(DataError, match="two columns are called age"):
        list(rows_of(tmp_path / "t.csv", ["id", "age"]))
