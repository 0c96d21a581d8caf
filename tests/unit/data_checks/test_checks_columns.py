"""Odd values of columns: planted mix-ups are named, and ordinary columns are left alone."""

from __future__ import annotations

import numpy as np
import pytest

from huizhen.core.streams import stream
from huizhen.data.checks.columns import Odd, odd_values


def column(mean: float, sd: float, n: int = 300) -> list[float | None]:
    return [float(value) for value in stream(1, "column", str(mean)).normal(mean, sd, n)]


def whys(name: str, values: list[float | None]) -> dict[int, str]:
    return {odd.row: f"{odd.why.value} {odd.factor}".strip() for odd in odd_values(name, values)}


def test_ordinary_columns_have_none() -> None:
    assert whys("age", column(60, 10)) == {}
    assert whys("grade", [float(k % 4) for k in range(300)]) == {}
    skewed = np.exp(stream(2, "skewed").normal(1, 0.9, 300)).tolist()
    assert whys("marker", skewed) == {}
    assert whys("empty", [None, None]) == {}


@pytest.mark.parametrize(
    ("name", "mean", "sd", "factor", "called"),
    [
        ("height_cm", 170, 8, 0.01, "100"),
        ("weight", 70, 6, 2.204623, "lb_kg"),
        ("lesion_mm", 25, 2, 0.1, "10"),
        ("glucose", 5.5, 0.5, 18.016, "mg_mmol_glucose"),
        ("creatinine", 0.9, 0.1, 88.42, "umol_mg_creatinine"),
    ],
)
def test_another_unit_is_named(name: str, mean: float, sd: float, factor: float, called: str) -> None:
    values = column(mean, sd)
    values[7] = mean * factor
    assert whys(name, values) == {7: f"unit {called}"}


def test_codes_for_missing_are_found_among_ordinary_values() -> None:
    values = column(240, 40)
    values[:20] = [0.0] * 20
    assert whys("chol", values) == dict.fromkeys(range(20), "code")
    values = column(60, 10)
    values[3:9] = [-9.0] * 6
    assert whys("age", values) == dict.fromkeys(range(3, 9), "code")


def test_what_a_name_cannot_hold_is_impossible() -> None:
    values = column(60, 10)
    values[0], values[1] = 130.0, -3.0
    found = whys("age", values)
    assert found[0].startswith(("impossible", "far"))
    assert 1 in found
    assert whys("age_years", [130.0, 50.0]) == {0: "impossible"}


def test_far_values_are_far() -> None:
    values = column(0, 1)
    values[5] = 15.0
    assert whys("score", values) == {5: Odd.FAR.value}
