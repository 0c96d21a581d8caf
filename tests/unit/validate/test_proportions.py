"""Wilson and Clopper-Pearson against Newcombe's table, R's binom and statsmodels; decisions by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.proportions import (
    Confusion,
    clopper_pearson,
    confusion,
    npv,
    ppv,
    proportion,
    sensitivity,
    specificity,
    wilson,
    wilson_limits,
)

# Newcombe, Stat Med 17:857-872 (1998), table I, methods 3 and 5.
NEWCOMBE = [
    (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
    (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
    (0, 20, (0.0, 0.1611), (0.0, 0.1684)),
    (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
]


@pytest.mark.parametrize(("count", "n", "score", "exact"), NEWCOMBE)
def test_newcombe_1998(count: int, n: int, score: tuple[float, float], exact: tuple[float, float]) -> None:
    for interval, published in ((wilson(count, n), score), (clopper_pearson(count, n), exact)):
        assert (interval.low, interval.high) == pytest.approx(published, abs=5.1e-5)


def test_r_binom(vectors: dict[str, Any]) -> None:
    for row in vectors["binomial_ci_R_binom"] + vectors["newcombe1998"]:
        loose = 1e-13 if row["n"] in (20, 200) and row["x"] else 5.1e-8 if row["n"] == 30 else 5.1e-5
        for interval, key in (
            (wilson(row["x"], row["n"]), "wilson"),
            (clopper_pearson(row["x"], row["n"]), "clopper"),
        ):
            assert [interval.low, interval.high] == pytest.approx(row[key], abs=loose)


@pytest.mark.parametrize("n", [1, 2, 7, 38, 77, 1000])
def test_statsmodels_over_every_count(n: int) -> None:
    from statsmodels.stats.proportion import proportion_confint

    for count in range(0, n + 1, max(1, n // 50)):
        for ours, theirs in ((wilson, "wilson"), (clopper_pearson, "beta")):
            for level in (0.9, 0.95, 0.99):
                found = ours(count, n, level=level)
                low, high = proportion_confint(count, n, alpha=1 - level, method=theirs)
                assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12)
                assert 0 <= found.low <= count / n <= found.high <= 1


@pytest.mark.parametrize(("count", "n"), [(38, 38), (0, 77)])
def test_limits_do_not_leak_by_rounding(count: int, n: int) -> None:
    assert wilson(count, n).high <= 1
    assert wilson(count, n).low >= 0
    assert (wilson(38, 38).high, wilson(0, 77).low) == (1.0, 0.0)


def test_limits_of_many_counts_are_those_of_each() -> None:
    low, high = wilson_limits(np.arange(6), 5)
    assert [(wilson(k, 5).low, wilson(k, 5).high) for k in range(6)] == list(zip(low, high, strict=True))


def test_decisions_by_hand() -> None:
    outcome = np.array([True, True, True, False, False, False, False])
    table = confusion(outcome, np.array([True, True, False, True, False, False, False]))
    assert table == Confusion(true_positive=2, false_positive=1, false_negative=1, true_negative=3)
    assert table.prevalence == 3 / 7
    values = [measure(table).value for measure in (sensitivity, specificity, ppv, npv)]
    assert values == [2 / 3, 3 / 4, 2 / 3, 3 / 4]
    assert sensitivity(table).interval == wilson(2, 3)
    assert specificity(table, method="clopper_pearson").interval == clopper_pearson(3, 4)
    assert (npv(table).count, npv(table).n) == (3, 4)


def test_none_called_has_no_ppv() -> None:
    with pytest.raises(NotEstimableError):
        ppv(confusion(np.array([True, False]), np.array([False, False])))


def test_refusals() -> None:
    with pytest.raises(InvalidInputError, match="no share"):
        wilson(3, 2)
    with pytest.raises(NotEstimableError):
        clopper_pearson(0, 0)
    with pytest.raises(InvalidInputError, match="unknown interval"):
        proportion(1, 2, method="wald")  # type: ignore[arg-type]  # the refusal is the point
    with pytest.raises(InvalidInputError, match="level"):
        wilson(1, 2, level=95)
    with pytest.raises(InvalidInputError, match="decisions"):
        confusion(np.array([True, False]), np.array([True]))
    with pytest.raises(InvalidInputError, match="boolean"):
        confusion(np.array([True, False]), np.array([1, 0]))
