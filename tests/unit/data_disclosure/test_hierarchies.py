"""Levels join what the level below keeps apart, and say what they are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from huizhen.data.disclosure.hierarchies import hierarchy_of, kind_of
from huizhen.data.disclosure.microdata import column_of
from huizhen.data.disclosure.policy import Quasi
from huizhen.errors import PolicyError


def labels(values: list[str], **rule: object) -> list[tuple[str, ...]]:
    found = hierarchy_of(column_of("x", values), Quasi.model_validate(rule))
    for below, above in itertools.pairwise(found.levels):
        joined = {(a, b) for a, b in zip(below.codes.tolist(), above.codes.tolist(), strict=True)}
        assert len(joined) == len(set(below.codes.tolist()))
    return [level.labels for level in found.levels]


def test_ages_in_bands_with_the_oldest_joined() -> None:
    made = labels(["8", "33", "39", "90", "97", ""], kind="numeric", bands=[5, 10], top=90)
    assert made[1] == ("", "30-34", "35-39", "5-9", "90+")
    assert made[2] == ("", "0-9", "30-39", "90+")


def test_measured_values_have_open_bands() -> None:
    assert labels(["0.5", "0.7", "1.7"], kind="numeric", bands=[1])[1] == ("0-<1", "1-<2")


def test_days_become_months_quarters_years() -> None:
    made = labels(["2021-01-31", "2021-01-30", "2021-02-03", "20210701", "2022/05/05 10:00"], kind="date")
    assert made[1] == ("2021-01", "2021-02", "2021-07", "2022-05")
    assert made[2] == ("2021-Q1", "2021-Q3", "2022-Q2")
    assert made[3:] == [("2021", "2022"), ("2020-2024",)]


def test_postcodes_lose_their_ends() -> None:
    made = labels(["10115", "10117", "80331"], kind="prefix", keep=[4, 2])
    assert made[1:] == [("1011*", "8033*"), ("*",)]


def test_rare_values_become_one() -> None:
    made = labels(["a"] * 12 + ["b"] * 3 + ["c"] * 2, kind="category", rare=[10])
    assert made == [("a", "b", "c"), ("a", "other"), ("*",)]


def test_given_groups_and_rare_groups() -> None:
    groups = [{"C50.1": "C50", "C50.2": "C50"}, {"C50": "C"}]
    made = labels(["C50.1", "C50.2", "D05"], kind="category", groups=groups)
    assert made[1] == ("C50", "D05")


def test_bands_that_do_not_nest_are_refused() -> None:
    with pytest.raises(PolicyError, match="keeps apart"):
        labels([str(n) for n in range(20)], kind="numeric", bands=[4, 6])


def test_least_beyond_the_levels_is_refused() -> None:
    with pytest.raises(PolicyError, match="least asks for 9"):
        labels(["a", "b"], least=9)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([str(n) for n in range(40)], "numeric"),
        (["1", "2", "1"], "category"),
        (["2020-01-01", ""], "date"),
        (["20200101", "20210203"], "date"),
        (["f", "m"], "category"),
    ],
    ids=["many-numbers", "two-codes", "days", "dicom-days", "words"],
)
def test_kinds_are_guessed(values: list[str], kind: str) -> None:
    assert kind_of(column_of("x", values)) == kind


def test_suggested_bands_nest_for_any_range() -> None:
    rng = np.random.default_rng(5)
    for scale in (0.01, 1.0, 37.0, 1e5):
        assert len(labels([str(v) for v in (rng.normal(size=60) * scale).round(4)], kind="numeric")) > 2
