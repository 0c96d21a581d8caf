"""The linkage attack on files: who is found, and what is refused."""

from pathlib import Path

import pytest

from huizhen.data.disclosure.attack import attack_table, distances_of
from huizhen.errors import DataError, InvalidInputError

HELD = "who,age,sex\na,41,f\nb,52,m\nc,52,m\nd,63,f\n"


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_who_is_alone_in_a_table_is_found_and_twins_are_not(tmp_path: Path) -> None:
    held = written(tmp_path, "held.csv", HELD)
    known = written(tmp_path, "known.csv", "who,age,sex\na,41,f\nd,63,f\n")
    attack = attack_table(held, known, key="who")
    assert (attack.known, attack.right) == (2, 2)


def test_a_wrong_age_finds_nobody_unless_ages_may_be_near(tmp_path: Path) -> None:
    held = written(tmp_path, "held.csv", HELD)
    known = written(tmp_path, "known.csv", "who,age,sex\na,42,f\n")
    assert attack_table(held, known, key="who").right == 0
    assert attack_table(held, known, key="who", near={"age": 1.0}).right == 1


def test_tables_without_a_common_column_are_refused(tmp_path: Path) -> None:
    held = written(tmp_path, "held.csv", HELD)
    known = written(tmp_path, "known.csv", "who,height\na,170\n")
    with pytest.raises(DataError, match="no column in common"):
        attack_table(held, known, key="who")


def test_the_key_has_to_be_there_and_to_name_each_row_once(tmp_path: Path) -> None:
    held = written(tmp_path, "held.csv", HELD + "a,41,m\n")
    with pytest.raises(DataError, match="no column name"):
        attack_table(held, held, key="name")
    with pytest.raises(DataError, match="several rows"):
        attack_table(held, held, key="who")


@pytest.mark.parametrize("text", ["age", "=2", "age=far", "age=-1"])
def test_a_distance_is_a_column_and_a_number(text: str) -> None:
    with pytest.raises(InvalidInputError, match="names no column"):
        distances_of([text])


def test_a_distance_in_a_column_that_nobody_compares_is_refused(tmp_path: Path) -> None:
    held = written(tmp_path, "held.csv", HELD)
    with pytest.raises(InvalidInputError, match="agee is no column of both tables") as told:
        attack_table(held, held, key="who", near={"agee": 2.0})
    assert told.value.remedy == "name one of: age, sex"
