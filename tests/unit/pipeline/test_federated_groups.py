"""Which groups sites count together, and in which their patients are."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from huizhen.core.study_evaluation import Subgroup
from huizhen.pipeline.federated_groups import codes_of, counted_groups


def study(*subgroups: Subgroup) -> Any:
    return SimpleNamespace(subgroup=subgroups)


SEX = Subgroup(column="sex", groups={"F": ("f",), "M": ("m", "male")}, cross=("age", "ward"))
AGE = Subgroup(column="age", edges=(50,), cross=("sex", "present:MG"))
PLANNED = study(SEX, AGE, Subgroup(column="present:MG"), Subgroup(column="ward"), Subgroup(column="site"))


def test_groups_are_counted_that_the_study_names():
    counted, left = counted_groups(PLANNED)
    assert [one.column for one in counted] == ["sex", "age", "present:MG", "sex × age", "age × present:MG"]
    assert [one.division.of for one in counted] == [(), (), (), (0, 1), (1, 2)]
    assert counted[3].names == ("F · <50", "F · ≥50", "M · <50", "M · ≥50")
    assert list(left) == ["ward"]
    assert "names none of its groups" in left["ward"]


def test_more_groups_than_can_be_counted_together_are_left():
    many = Subgroup(column="many", edges=tuple(range(1, 40)), cross=("sex",))
    counted, left = counted_groups(study(many, SEX.model_copy(update={"cross": ()})))
    assert [one.column for one in counted] == ["many", "sex"]
    assert "more groups than" in left["many × sex"]
    columns = [Subgroup(column=f"c{i}", edges=tuple(range(1, 60))) for i in range(5)]
    counted, left = counted_groups(study(*columns))
    assert len(counted) == 4
    assert list(left) == ["c4"]


def test_patients_are_in_the_groups_that_their_tables_say():
    def case(sex: str, age: str, *modalities: str) -> Any:
        return SimpleNamespace(groups={"sex": sex, "age": age}, modalities=frozenset(modalities))

    cases = [case("f", "49.5", "MG"), case("male", "50"), case("", "70", "MG"), case("x", "")]
    found = codes_of(PLANNED, cases)
    np.testing.assert_array_equal(
        found, [[0, 1, -1, -1], [0, 1, 1, -1], [0, 1, 0, 1], [0, 3, -1, -1], [0, 3, 2, -1]]
    )
    assert codes_of(PLANNED, []).shape == (5, 0)
    assert codes_of(study(), cases).shape == (0, 4)
