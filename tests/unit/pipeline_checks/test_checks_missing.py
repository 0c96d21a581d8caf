"""Missingness by hand: patterns, differences, and what is too rare to test."""

from __future__ import annotations

import numpy as np
import pytest

from huizhen.core.cohort import Case
from huizhen.pipeline.checks.missing import Missing, missing_by_outcome, missing_by_site, patterns_of


def made(absent: np.ndarray, *, sites: list[str] | None = None) -> Missing:
    cases = tuple(
        Case(pseudonym=f"P{k}", patient_id=str(k), site=(sites or ["a"] * len(absent))[k], outcome=None)
        for k in range(len(absent))
    )
    return Missing(cases=cases, variables=tuple(f"v{k}" for k in range(absent.shape[1])), absent=absent)


def test_differences_are_newcombes_and_only_of_those_given() -> None:
    absent = np.zeros((150, 2), bool)
    absent[:56, 0] = True
    absent[70:118, 0] = True
    found = missing_by_outcome(made(absent), {f"P{k}": int(k < 70) for k in range(150)})
    (row,) = found
    assert (row["low"], row["high"], row["p"]) == pytest.approx((0.0524, 0.3339, 0.008), abs=0.0006)
    assert row["holm"] == row["p"]
    fewer = missing_by_outcome(made(absent), {f"P{k}": int(k < 70) for k in range(140)})
    assert fewer[0]["n"] == 140


def test_what_is_rare_or_of_one_class_is_not_tested() -> None:
    absent = np.zeros((50, 1), bool)
    absent[:4] = True
    assert missing_by_outcome(made(absent), {f"P{k}": k % 2 for k in range(50)}) == []
    absent[:20] = True
    assert missing_by_outcome(made(absent), {f"P{k}": 1 for k in range(50)}) == []


def test_sites_and_patterns() -> None:
    absent = np.zeros((60, 2), bool)
    absent[:25] = True
    found = made(absent, sites=["a"] * 30 + ["b"] * 30)
    rows = missing_by_site(found)
    assert [(row["most"], row["least"]) for row in rows] == [("a", "b")] * 2
    assert rows[0]["holm"] == pytest.approx(min(1, 2 * rows[0]["p"]))
    assert patterns_of(found) == [((), 35), (("v0", "v1"), 25)]
    assert missing_by_site(made(absent)) == []
