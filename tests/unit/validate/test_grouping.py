"""From values to groups: bands, gathered values, intersections; what is a group already stays one."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from huizhen.core.study_evaluation import Subgroup
from huizhen.validate.grouping import crossed, group_names, groups_of

AGE = Subgroup(column="age", edges=(50, 62.5, 70))
SEX = Subgroup(column="sex", groups={"women": ("F", "2"), "men": ("M", "1")})


def test_bands_hold_their_lower_edge() -> None:
    values = np.array(["49.99", "50", "62.5", "62.49", "1e2", " 70 ", "nan", "inf", "-", ""])
    assert groups_of(values, AGE).tolist() == [
        *("<50", "50–<62.5", "62.5–<70", "50–<62.5", "≥70", "≥70"),
        *("", "", "", ""),
    ]
    assert group_names(AGE) == ("<50", "50–<62.5", "62.5–<70", "≥70")


def test_values_are_gathered_and_others_left_out() -> None:
    values = np.array(["F", "2.0", "M", "1", "X", "", "women"])
    assert groups_of(values, SEX).tolist() == ["women", "women", "men", "men", "", "", "women"]
    plain = Subgroup(column="density")
    assert groups_of(np.array(["a", " b ", ""]), plain).tolist() == ["a", "b", ""]
    assert group_names(plain) == ()


@given(st.lists(st.sampled_from(["49", "F", "1", "", "80", "<50", "men", "x"]), min_size=1, max_size=20))
def test_groups_of_groups_are_the_same(values: list[str]) -> None:
    for subgroup in (AGE, SEX, Subgroup(column="any")):
        once = groups_of(np.array(values, np.str_), subgroup)
        assert groups_of(once, subgroup).tolist() == once.tolist()


def test_intersections_need_both() -> None:
    one, two = np.array(["F", "M", "", "F"]), np.array(["<50", "", "≥50", "≥50"])
    assert crossed(one, two).tolist() == ["F · <50", "", "", "F · ≥50"]
