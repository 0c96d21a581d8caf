"""Margins, differences of shares and multiplicity, against statsmodels, published examples and simulation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_chisquare

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.margins import equivalent, non_inferior, rate_ratio
from huizhen.validate.multiplicity import fixed_sequence, gatekeeping, graphical, holm
from huizhen.validate.share_differences import (
    equal_shares,
    mcnemar_mid_p,
    paired_shares,
    tango_limit,
    unpaired_shares,
)


@pytest.mark.parametrize("df", [math.inf, 12.0])
@given(estimate=st.floats(-0.2, 0.2), error=st.floats(0.001, 0.1), margin=st.floats(0.001, 0.2))
@settings(max_examples=60, deadline=None)
def test_it_passes_when_the_interval_clears_the_margin(
    df: float, estimate: float, error: float, margin: float
) -> None:
    found = non_inferior(estimate, error, margin=margin, df=df)
    if abs(found.interval.low + margin) > 1e-9:
        assert found.passed == (found.interval.low > -margin)
    flipped = non_inferior(-estimate, error, margin=margin, df=df, better="lower")
    assert flipped.p == pytest.approx(found.p)
    both = equivalent(estimate, error, margin=margin, df=df)
    gap = margin - max(abs(both.interval.low), abs(both.interval.high))
    if abs(gap) > 1e-9:
        assert both.passed == (gap > 0)


def test_type_one_error_at_the_margin_is_alpha() -> None:
    draws = np.random.default_rng(1).normal(-0.05, 0.02, 4000)
    passed = np.mean([non_inferior(float(each), 0.02, margin=0.05).passed for each in draws])
    assert passed == pytest.approx(0.025, abs=0.008)


def test_masai_like_interval_cancers() -> None:
    """1.55 against 1.76 per 1,000 in about 53,000 women each: 0.88, and an upper limit near the published
    1.18.
    """
    found = rate_ratio(82, 82 / 0.00155, 93, 93 / 0.00176, margin=1.2)
    assert found.estimate == pytest.approx(0.88, abs=0.005)
    assert [found.interval.low, found.interval.high] == pytest.approx([0.65, 1.18], abs=0.01)
    assert found.passed
    assert not rate_ratio(82, 82 / 0.00155, 93, 93 / 0.00176, margin=1.15).passed


def test_margin_refusals() -> None:
    for wrong in ({"margin": -0.1}, {"margin": 0.1, "better": "more"}, {"margin": 0.1, "alpha": 0.5}):
        with pytest.raises(InvalidInputError):
            non_inferior(0.0, 0.1, **wrong)  # type: ignore[arg-type]  # the refusal is the point
    for error in (0.0, math.nan):
        with pytest.raises(InvalidInputError):
            non_inferior(0.0, error, margin=0.1)
    with pytest.raises(InvalidInputError):
        equivalent(0.0, 0.1, margin=0.0)
    with pytest.raises(InvalidInputError):
        rate_ratio(0, 10, 5, 10, margin=1.2)


@pytest.mark.parametrize(("first", "second"), [((56, 70), (48, 80)), ((9, 10), (3, 10)), ((0, 20), (5, 30))])
def test_unpaired_as_statsmodels(first: tuple[int, int], second: tuple[int, int]) -> None:
    found, p = unpaired_shares(first, second)
    low, high = confint_proportions_2indep(*first, *second, method="newcomb", compare="diff")
    assert [found.interval.low, found.interval.high] == pytest.approx([low, high], abs=1e-10)
    chi2, expected, _ = proportions_chisquare([first[0], second[0]], [first[1], second[1]])
    assert p == pytest.approx(expected, abs=1e-12)
    together = equal_shares(np.array([first[0], second[0]]), np.array([first[1], second[1]]))
    assert together == (pytest.approx(chi2), 1, pytest.approx(expected))


def test_paired_tests_as_statsmodels() -> None:
    for b, c in ((1, 7), (12, 3), (0, 4)):
        exact = mcnemar([[5, b], [c, 9]], exact=True).pvalue
        point = math.comb(b + c, min(b, c)) / 2 ** (b + c)
        assert mcnemar_mid_p(b, c) == pytest.approx(exact - point, abs=1e-12)
    assert mcnemar_mid_p(4, 4) == 1.0


def test_tango_solves_its_equation_and_mirrors() -> None:
    for b, c, n in ((12, 2, 50), (0, 0, 20), (5, 0, 30), (1, 9, 40)):
        low, high = tango_limit(b, c, n, 1.96), tango_limit(b, c, n, -1.96)
        assert low < (b - c) / n < high or (b - c) / n in (low, high)
        assert tango_limit(c, b, n, 1.96) == pytest.approx(-high, abs=1e-12)
    zero = tango_limit(12, 2, 50, (12 - 2) / math.sqrt(12 + 2))  # at d = 0 the score is McNemar's z
    assert zero == pytest.approx(0, abs=1e-10)


def test_tango_covers() -> None:
    draw, held, trials = np.random.default_rng(3), 0, 600
    for b, c, _ in draw.multinomial(60, [0.15, 0.05, 0.8], size=trials):
        held += tango_limit(b, c, 60, 1.959964) <= 0.1 <= tango_limit(b, c, 60, -1.959964)
    print(f"Tango, n = 60: coverage {held / trials:.3f}")
    assert 0.93 < held / trials < 0.97


def test_paired_shares_by_hand() -> None:
    first = np.array([True] * 14 + [False] * 6)
    second = np.array([True] * 10 + [False] * 4 + [True] * 1 + [False] * 5)
    found = paired_shares(first, second)
    assert (found.only_first, found.only_second, found.n) == (4, 1, 20)
    assert found.estimate == pytest.approx(0.15)
    with pytest.raises(InvalidInputError):
        paired_shares(first, second[:-1])
    with pytest.raises(NotEstimableError):
        equal_shares(np.array([3, 4]), np.array([3, 4]))


P = st.lists(st.floats(0, 1), min_size=1, max_size=6)


@given(p=P)
@settings(max_examples=25, deadline=None)
def test_holm_as_statsmodels_and_as_a_graph(p: list[float]) -> None:
    expected = multipletests(p, method="holm")[1]
    np.testing.assert_allclose(holm(p), expected, atol=1e-12)
    k = len(p)
    handed = (np.ones((k, k)) - np.eye(k)) / max(1, k - 1)
    np.testing.assert_allclose(graphical(p, np.full(k, 1 / k), handed), expected, atol=1e-9)
    chain = graphical(p, np.eye(k)[0], np.eye(k, k=1))
    np.testing.assert_allclose(chain, fixed_sequence(p), atol=1e-9)


def test_gates_hold_back_the_next_family() -> None:
    first, second, third = gatekeeping([[0.01, 0.03], [0.001, 0.02], [0.0001]])
    assert first == pytest.approx([0.02, 0.03])
    assert second == pytest.approx([0.03, 0.03])
    assert third == pytest.approx([0.03])


def test_the_graph_controls_false_claims() -> None:
    """Two primary hypotheses hand to two secondary ones; all true: at least one claim in 5 % of studies."""
    draw, trials = np.random.default_rng(4), 2000
    handed = np.array([[0, 0.5, 0.5, 0], [0.5, 0, 0, 0.5], [0, 1, 0, 0], [1, 0, 0, 0]])
    common = draw.normal(size=(trials, 1))
    z = 0.5**0.5 * common + 0.5**0.5 * draw.normal(size=(trials, 4))
    p = np.array([[0.5 * math.erfc(value / 2**0.5) for value in row] for row in z])
    claimed = np.mean([graphical(row, [0.5, 0.5, 0, 0], handed).min() <= 0.05 for row in p])
    print(f"family-wise error of a gatekeeping graph: {claimed:.3f}")
    assert 0.02 < claimed < 0.065


@pytest.mark.parametrize(
    ("weights", "handed"),
    [
        ([0.6, 0.6], [[0, 1], [1, 0]]),
        ([0.5, 0.5], [[0, 1.1], [1, 0]]),
        ([0.5, 0.5], [[0.5, 0.5], [1, 0]]),
        ([1.0], [[0]]),
    ],
    ids=["too much alpha", "too much handed", "to itself", "shape"],
)
def test_wrong_graphs_are_refused(weights: Any, handed: Any) -> None:
    with pytest.raises(InvalidInputError):
        graphical([0.01, 0.02], weights, handed)


def test_wrong_p_values_are_refused() -> None:
    for wrong in ([], [1.2], [math.nan]):
        with pytest.raises(InvalidInputError):
            holm(wrong)
