"""Tables to be audited: columns found by name, and everything wrong refused with its remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from huizhen.errors import DataError, HuizhenError, InvalidInputError, UnreadableFileError
from huizhen.pipeline.labels.table import AuditColumns, AuditInput, read_audit_table

ROWS = [
    "a,benign,0.9,0.1,benign,malignant",
    "b,malignant,0.2,0.8,malignant,",
    "c,benign,0.4,0.6,malignant,malignant",
]
HEAD = "id,label,p_benign,p_malignant,r1,r2"


def read(folder: Path, rows: list[str], head: str = HEAD, **columns: object) -> AuditInput:
    path = folder / "labels.csv"
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return read_audit_table(path, AuditColumns(**columns))  # type: ignore[arg-type]  # by name


def test_columns_are_found_by_the_classes(tmp_path: Path) -> None:
    found = read(tmp_path, ROWS, readers=("r1", "r2"))
    assert found.classes == ("benign", "malignant")
    assert found.case == ("a", "b", "c")
    assert found.label.tolist() == [0, 1, 0]
    assert found.probability is not None
    assert found.probability.tolist() == [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]]
    assert found.read is not None
    assert found.read.tolist() == [[0, 1], [1, -1], [1, 1]]


def test_one_column_is_enough_for_two_classes(tmp_path: Path) -> None:
    rows = ["a,0,0.25", "b,1,0.75"]
    found = read(tmp_path, rows, "id,label,risk", probability={"1": "risk"})
    assert found.probability is not None
    assert found.probability.tolist() == [[0.75, 0.25], [0.25, 0.75]]


def test_rows_without_label_or_probability_are_counted(tmp_path: Path) -> None:
    found = read(tmp_path, [*ROWS, "d,,0.5,0.5,,", "e,benign,,,,", "NA,benign,0.5,0.5,,"])
    assert found.left_out == {"missing_case": 1, "missing_label": 1, "no_probability": 1}
    assert len(found.case) == 3


def test_a_line_stands_in_for_a_name(tmp_path: Path) -> None:
    found = read(tmp_path, ["benign,0.9,0.1", "malignant,0.1,0.9"], "label,p_benign,p_malignant")
    assert found.case == ("2", "3")


@pytest.mark.parametrize(
    ("rows", "columns", "says"),
    [
        ([*ROWS, "a,benign,0.9,0.1,,"], {}, "1 cases stand in several rows"),
        (ROWS, {"label": "diagnosis"}, "no column diagnosis"),
        (
            [*ROWS, "d,benign,0.9,0.1,cancer,"],
            {"readers": ("r1",)},
            "1 cells are no class, the first on line 5",
        ),
        ([row.replace("malignant", "benign") for row in ROWS], {}, "1 different labels"),
        (ROWS, {"probability": {"benign": "p_benign", "cancer": "p_malignant"}}, "have no probability"),
        (ROWS, {"probability": {"cancer": "p_malignant"}}, "no column of probabilities"),
        ([*ROWS, "d,benign,high,0.1,,"], {}, "1 cells are no numbers, the first on line 5"),
        (["d,,0.5,0.5,,", "e,benign,,,,", "f,malignant,,,,"], {}, "no row has"),
        (['a,"=1+1",0.9,0.1,,', *ROWS[1:]], {}, "hold formulas"),
    ],
)
def test_what_is_wrong_is_said_without_a_case(
    tmp_path: Path, rows: list[str], columns: dict[str, object], says: str
) -> None:
    with pytest.raises(HuizhenError) as caught:
        read(tmp_path, rows, **columns)
    assert says in caught.value.message
    assert isinstance(caught.value, DataError | InvalidInputError)
    assert caught.value.remedy


def test_neither_probabilities_nor_readers(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no readers are named"):
        read(tmp_path, ["a,x", "b,y"], "id,label")


def test_too_many_classes_and_a_broken_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="60 different labels"):
        read(tmp_path, [f"{k},class {k}" for k in range(60)], "id,label", readers=("label",))
    (tmp_path / "x.csv").write_bytes(b"PK\x03\x04")
    with pytest.raises(UnreadableFileError):
        read_audit_table(tmp_path / "x.csv", AuditColumns())
