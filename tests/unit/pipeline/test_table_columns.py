"""Columns of tables from anywhere: encodings, separators, numbers as people write them, and refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from huizhen.core.study import Task
from huizhen.errors import DataError, UnreadableFileError
from huizhen.pipeline.table_columns import (
    Columns,
    classes_of,
    header_of,
    numbers_of,
    read_columns,
    refuse_formulas,
)

TASK = Task(outcome="x", positive=("1", "malignant", "恶性"), negative=("0", "benign", "良性"))


def columns_of_cells(*cells: str) -> Columns:
    return Columns(file="t.csv", line=range(2, 2 + len(cells)), cells={"c": cells})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_what_hospitals_save_is_read(tmp_path: Path, encoding: str, separator: str) -> None:
    path = tmp_path / "t.csv"
    lines = [
        separator.join(row) for row in (["患者", "诊断", "p"], ["甲", "恶性", "0.5"], ["乙", "良性", "0.1"])
    ]
    path.write_bytes("\n".join(lines).encode(encoding))
    found = read_columns(path, ["患者", "诊断", "p"], encoding=None)
    assert found.cells["诊断"] == ["恶性", "良性"]
    assert numbers_of(found, "p").tolist() == [0.5, 0.1]
    assert classes_of(found, "诊断", TASK, refuse_others=True).tolist() == [1, 0]


def test_parquet_is_read(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table({"id": ["a", "b"], "y": [True, False], "p": [0.25, None]})
    parquet.write_table(table, tmp_path / "t.parquet")
    found = read_columns(tmp_path / "t.parquet", ["id", "y", "p"], encoding=None)
    task = Task(outcome="y", positive=("true",), negative=("false",))
    assert classes_of(found, "y", task, refuse_others=True).tolist() == [1, 0]
    np.testing.assert_array_equal(numbers_of(found, "p"), [0.25, np.nan])


def test_bytes_that_are_no_text_are_refused_with_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("id,label\nbösartig,1\n".encode("latin-1"))
    with pytest.raises(UnreadableFileError, match="name its encoding"):
        read_columns(path, ["id"], encoding=None)
    assert read_columns(path, ["id"], encoding="latin-1").cells["id"] == ["bösartig"]


def test_an_absent_column_names_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("patient,prob\na,0.1\n")
    with pytest.raises(DataError, match="did you mean prob"):
        read_columns(path, ["probs"], encoding=None)
    path.write_text("a,a\n1,2\n")
    with pytest.raises(DataError, match="several columns a"):
        read_columns(path, ["a"], encoding=None)
    path.write_text("a,b\n")
    with pytest.raises(DataError, match="no rows"):
        read_columns(path, ["a"], encoding=None)


def test_the_header_of_a_large_table_is_found_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "1,2\n" * 400_000 + '"broken\n')
    assert header_of(path, encoding=None) == ["a", "b"]
    path.write_text("a,b\n" + "1,2\n" * 262_100 + '1,"' + "x\n" * 1000 + '"\n1,2\n')  # cut in the quotes
    assert header_of(path, encoding=None) == ["a", "b"]


def test_numbers_as_people_write_them() -> None:
    found = numbers_of(columns_of_cells("0,5", "1.25", "", "NA", "nan", "1e-3"), "c")
    np.testing.assert_array_equal(found, [0.5, 1.25, np.nan, np.nan, np.nan, 1e-3])


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (("0.1", "high"), "1 cells are no numbers, the first on line 3"),
        (("12%", "13%"), "without the sign"),
        (("0.1", "inf"), "infinite, the first on line 3"),
        (("", "NA"), "no row has a score"),
        (("=A1+1", "0.5"), "1 cells hold formulas, the first on line 2"),
    ],
)
def test_scores_that_are_none_are_refused_by_line(cells: tuple[str, ...], said: str) -> None:
    with pytest.raises(DataError, match=said):
        numbers_of(columns_of_cells(*cells), "c")


def test_classes_count_whatever_the_case_of_letters() -> None:
    found = classes_of(columns_of_cells("Malignant", "BENIGN", "1.0", "", "0"), "c", TASK, refuse_others=True)
    assert found.tolist() == [1, 0, 1, -1, 0]


def test_other_outcomes_are_refused_or_counted() -> None:
    cells = columns_of_cells("1", "0", "2", "2", "unclear-person-9")
    with pytest.raises(DataError, match="3 rows are of neither class") as refused:
        classes_of(cells, "c", TASK, refuse_others=True)
    assert "person" not in str(refused.value)
    assert "--positive" in refused.value.remedy
    assert classes_of(cells, "c", TASK, refuse_others=False).tolist() == [1, 0, -2, -2, -2]
    with pytest.raises(DataError, match="neither class"):
        classes_of(columns_of_cells("M", "B", "M", "B"), "c", TASK, refuse_others=False)


def test_formulas_are_named_by_line_and_never_shown() -> None:
    with pytest.raises(DataError, match="the first on line 3") as refused:
        refuse_formulas(columns_of_cells("north", "=cmd|' /C calc'!A0"), ["c"])
    assert "cmd" not in str(refused.value)


def test_an_empty_file_is_said_to_be_empty(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("")
    with pytest.raises(DataError, match="the table is empty"):
        read_columns(tmp_path / "t.csv", ["id"], encoding=None)
