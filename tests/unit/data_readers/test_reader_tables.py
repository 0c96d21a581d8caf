"""Tables as text: encodings, separators, Parquet, and what is refused."""

from __future__ import annotations

import gzip

import pyarrow as pa
import pytest
from pyarrow import parquet

from huizhen.data.readers.tables import matches, plain_text, read_table
from huizhen.errors import DataError, UnreadableFileError

TEXT = "编号,结果\n001,恶性\n002,良性\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_encodings_that_hospitals_use(tmp_path, encoding):
    (tmp_path / "t.csv").write_bytes(TEXT.encode(encoding))
    table = read_table(tmp_path / "t.csv")
    assert table.columns == ("编号", "结果")
    assert [dict(row.cells) for row in table.rows] == [
        {"编号": "001", "结果": "恶性"},
        {"编号": "002", "结果": "良性"},
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators(tmp_path, separator):
    (tmp_path / "t.csv").write_text(f'id{separator}note\n1{separator}"a, b; c\nd"\n\n2{separator}\n')
    rows = read_table(tmp_path / "t.csv").rows
    assert [row.cells["note"] for row in rows] == ["a, b; c\nd", ""]
    assert [row.position for row in rows] == [0, 1]
    assert rows[1].line == 5


def test_gzipped(tmp_path):
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(TEXT.encode()))
    assert len(read_table(tmp_path / "t.csv.gz").rows) == 2


def test_parquet_cells_become_the_same_text(tmp_path):
    columns = {"id": [1, 2], "x": [1.0, None], "y": [0.5, float("nan")], "z": ["a", None], "b": [True, False]}
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    rows = read_table(tmp_path / "t.parquet").rows
    assert dict(rows[0].cells) == {"id": "1", "x": "1", "y": "0.5", "z": "a", "b": "True"}
    assert dict(rows[1].cells) == {"id": "2", "x": "", "y": "", "z": "", "b": "False"}


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", DataError),
        (b"id,label\n", DataError),
        (b"id,label\n1,2,3\n", UnreadableFileError),
        (b'id,label\n1,"2\n', UnreadableFileError),
        (b'id,label\n1,"2"3\n', UnreadableFileError),
        (b"id,label\n1,\xff\xfe\xff\xff\n", UnreadableFileError),
        (b"id,label\n1,\x00\n", UnreadableFileError),
        (b"PAR1 and no more", UnreadableFileError),
        (gzip.compress(b"id,label\n1,2\n", mtime=0)[:-6], UnreadableFileError),
    ],
)
def test_broken_tables_are_refused(tmp_path, content, error):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(error) as caught:
        read_table(tmp_path / "t.csv", field="f")
    assert caught.value.field == "f"
    assert caught.value.file == "t.csv"


def test_short_lines_and_empty_cells_past_the_end(tmp_path):
    (tmp_path / "t.csv").write_text("id,label\n1\n2,x,,\n")
    assert [row.cells["label"] for row in read_table(tmp_path / "t.csv").rows] == ["", "x"]


def test_a_column_that_stands_twice_is_refused_only_if_used(tmp_path):
    (tmp_path / "t.csv").write_text("id,x,x\n1,2,3\n")
    table = read_table(tmp_path / "t.csv")
    table.need(["id"], field="f")
    with pytest.raises(DataError, match="stands 2 times"):
        table.need(["x"], field="f")


def test_an_absent_column_names_the_nearest_or_all(tmp_path):
    (tmp_path / "t.csv").write_text("patient,Pathology\n1,2\n")
    table = read_table(tmp_path / "t.csv")
    with pytest.raises(DataError, match=r"did you mean Pathology\?"):
        table.need(["patholgy"], field="f")
    with pytest.raises(DataError, match="there are: patient, Pathology"):
        table.need(["zzz"], field="f")


def test_where_by_text_number_and_list(tmp_path):
    (tmp_path / "t.csv").write_text("id,site,year\n1,GE,2019\n2,Canon,2020.0\n3,GE,\n")
    table = read_table(tmp_path / "t.csv")

    def kept(where):
        return [row.cells["id"] for row in table.kept(where)]

    assert kept({}) == ["1", "2", "3"]
    assert kept({"site": "GE"}) == ["1", "3"]
    assert kept({"year": 2020}) == ["2"]
    assert kept({"year": [2019, 2020], "site": ["GE"]}) == ["1"]
    with pytest.raises(DataError, match="did you mean site"):
        kept({"sit": "GE"})


@pytest.mark.parametrize(
    ("cell", "wanted", "same"),
    [
        ("03", 3, True),
        ("03", "3", False),
        ("x", 3, False),
        ("", "", True),
        ("-9.0", -9, True),
        ("1e1", 10, True),
    ],
)
def test_matches(cell, wanted, same):
    assert matches(cell, wanted) is same


def test_plain_text_leaves_identifiers_alone():
    assert [plain_text(value) for value in ("1.10", "1.0.0", "-3.0", "+1.00", ".0", b"abc")] == [
        "1.10", "1.0.0", "-3", "+1", ".0", "abc",
    ]  # fmt: skip
