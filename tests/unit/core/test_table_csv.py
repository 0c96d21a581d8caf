"""CSV is read strictly, its encoding is not guessed against the odds, and why it can't be read is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from huizhen.core.table_csv import is_common_chinese, parse_csv
from huizhen.core.table_text import columns_of, encoding_of, numbered_rows
from huizhen.data.readers.tables import read_table
from huizhen.errors import UnreadableFileError

CHINESE = "患者编号,病理,医院\n001,良性,北京协和\n002,恶性,上海\n"


@pytest.mark.parametrize(
    ("encoding", "named"), [("utf-8", "UTF-8"), ("gb18030", "GB 18030"), ("utf-16", "UTF-16")]
)
def test_the_encoding_is_found_and_named(tmp_path: Path, encoding: str, named: str) -> None:
    (tmp_path / "t.csv").write_bytes(CHINESE.encode(encoding))
    assert encoding_of(tmp_path / "t.csv") == named
    assert columns_of(tmp_path / "t.csv") == ["患者编号", "病理", "医院"]


@pytest.mark.parametrize(
    ("text", "encoding", "given"),
    [
        ("patient,outcome,site\n1,gutartig,Köln\n2,bösartig,Köln\n", "latin-1", "cp1252"),
        ("患者編號,檔名,病理,醫院\n1,a.png,良性,臺大\n2,b.png,惡性,臺大\n", "big5", "big5"),
    ],
)
def test_other_encodings_are_refused_until_they_are_named(
    tmp_path: Path, text: str, encoding: str, given: str
) -> None:
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    with pytest.raises(UnreadableFileError, match="neither UTF-8 nor GB 18030"):
        columns_of(tmp_path / "t.csv")
    assert columns_of(tmp_path / "t.csv", encoding=given) == text.split("\n")[0].split(",")
    assert read_table(tmp_path / "t.csv", encoding=given).columns[0] == text.split(",")[0]
    assert not is_common_chinese(text.encode(encoding).decode("gb18030", "replace"))


def test_an_encoding_that_is_named_wrongly_is_refused() -> None:
    with pytest.raises(UnreadableFileError, match="not in the encoding"):
        parse_csv("é\n1\n".encode("latin-1"), Path("t.csv"), encoding="utf-8")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"PK\x03\x04 and more", "Excel workbook"),
        (b"\xd0\xcf\x11\xe0 and more", "Excel workbook"),
        ("患者编号，病理\n1，良性\n".encode(), "full-width commas"),
        (b"Export of 2024\npatient,outcome\n1,x\n", "line 1 is no header, but line 2"),
        (b"Export,,\n\npatient,outcome,site\n1,x,y\n", "line 1 is no header, but line 3"),
        (b"a,b\n1,2,3\n", "line 2 has 3 cells, the header 2"),
        (b'a,b\n1,"2\n', "line 2 is not CSV"),
    ],
)
def test_both_doors_refuse_the_same_with_the_reason(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(UnreadableFileError, match=says):
        columns_of(tmp_path / "t.csv")
    with pytest.raises(UnreadableFileError, match=says):
        read_table(tmp_path / "t.csv")


def test_rows_keep_their_lines(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('a,b\n"x\ny",1\n\nz\n')
    assert list(numbered_rows(tmp_path / "t.csv", ["a", "b"])) == [
        (3, {"a": "x\ny", "b": "1"}),
        (5, {"a": "z", "b": ""}),
    ]
