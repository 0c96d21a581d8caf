"""AUC and DeLong against vectors worked by hand and published ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.discrimination import (
    auc,
    auc_interval,
    delong,
    paired_difference,
    unpaired_difference,
)

# Worked by hand, with ties. Events score 3, 2, 1 by a and 2, 3, 1 by b; non-events 2, 1, 0, 0 by a and
# 1, 1, 0, 2 by b. ψ of a: rows (1 1 1 1), (½ 1 1 1), (0 ½ 1 1); of b: (1 1 1 ½), (1 1 1 1), (½ ½ 1 0).
OUTCOME = np.array([True] * 3 + [False] * 4)
A = np.array([3.0, 2, 1, 2, 1, 0, 0])
B = np.array([2.0, 3, 1, 1, 1, 0, 2])
# Placements of a: 1, 7/8, 5/8 and 1/2, 5/6, 1, 1; of b: 7/8, 1, 1/2 and 5/6, 5/6, 1, 1/2.
AUC_A, AUC_B = 10 / 12, 9.5 / 12
VAR_A = (7 / 192) / 3 + (1 / 18) / 4
VAR_B = (13 / 192) / 3 + (19 / 432) / 4
COV = (1 / 24) / 3 + (-1 / 108) / 4

LOOSE = 1e-10


def test_auc_by_hand() -> None:
    assert auc(OUTCOME, A) == pytest.approx(AUC_A, abs=1e-15)
    assert auc(OUTCOME, B) == pytest.approx(AUC_B, abs=1e-15)


def test_delong_by_hand() -> None:
    found = delong(OUTCOME, np.stack([A, B]))
    assert (found.n_pos, found.n_neg) == (3, 4)
    np.testing.assert_allclose(found.aucs, [AUC_A, AUC_B], atol=1e-15)
    np.testing.assert_allclose(found.covariance, [[VAR_A, COV], [COV, VAR_B]], atol=1e-15)


def test_paired_difference_by_hand() -> None:
    found = paired_difference(OUTCOME, A, B)
    error = math.sqrt(VAR_A + VAR_B - 2 * COV)
    assert found.estimate == pytest.approx(AUC_A - AUC_B, abs=1e-15)
    assert found.z == pytest.approx((AUC_A - AUC_B) / error, abs=1e-13)
    assert found.interval.low == pytest.approx(AUC_A - AUC_B - 1.959963984540054 * error, abs=1e-13)
    assert found.p == pytest.approx(math.erfc(abs(found.z) / math.sqrt(2)), abs=1e-13)


@pytest.mark.parametrize("name", ["wfns", "ndka", "s100b"])
def test_asah_auc_and_variance(asah: Any, vectors: dict[str, Any], name: str) -> None:
    published = vectors["aSAH"]
    found = delong(asah.outcome, asah.scores[name])
    assert (found.n_pos, found.n_neg) == (published["n_pos"], published["n_neg"])
    assert found.aucs[0] == pytest.approx(published["auc"][name], abs=LOOSE)
    assert auc(asah.outcome, asah.scores[name]) == pytest.approx(published["auc"][name], abs=LOOSE)
    assert found.covariance[0, 0] == pytest.approx(published["delong_var"][name], abs=LOOSE)


def test_asah_covariances(asah: Any, vectors: dict[str, Any]) -> None:
    names = list(asah.scores)
    found = delong(asah.outcome, np.stack([asah.scores[name] for name in names]))
    for pair, published in vectors["aSAH"]["delong_cov"].items():
        row, column = (names.index(name) for name in pair.split(","))
        assert found.covariance[row, column] == pytest.approx(published, abs=LOOSE)
        assert found.covariance[column, row] == found.covariance[row, column]


def test_asah_intervals(asah: Any, vectors: dict[str, Any]) -> None:
    published = vectors["aSAH"]["ci95_delong"]
    for key in ("ndka", "s100b (derived from var)", "wfns (derived from var)"):
        found = auc_interval(asah.outcome, asah.scores[key.split()[0]])
        assert [found.interval.low, found.interval.high] == pytest.approx(published[key], abs=LOOSE)
    women = auc_interval(asah.outcome[asah.female], asah.scores["ndka"][asah.female])
    low, middle, high = published["ndka female subset"]
    assert [women.interval.low, women.value, women.interval.high] == pytest.approx(
        [low, middle, high], abs=LOOSE
    )


def test_asah_paired_tests(asah: Any, vectors: dict[str, Any]) -> None:
    for row in vectors["aSAH"]["paired_delong"]:
        found = paired_difference(asah.outcome, asah.scores[row["a"]], asah.scores[row["b"]])
        assert found.z == pytest.approx(row["Z"], abs=LOOSE)
        assert found.p == pytest.approx(row["p"], abs=LOOSE)
        assert [found.interval.low, found.interval.high] == pytest.approx(row["ci_diff"], abs=LOOSE)
        assert found.df == math.inf


def test_asah_unpaired_tests(asah: Any, vectors: dict[str, Any]) -> None:
    for row in vectors["aSAH"]["unpaired_delong"]:
        a, b = asah.scores[row["a"]], asah.scores[row["b"]]
        found = unpaired_difference(asah.outcome, a, asah.outcome, b)
        assert found.z == pytest.approx(row["D"], abs=LOOSE)
        assert found.p == pytest.approx(row["p"], abs=LOOSE)
        assert found.df < 2 * (asah.outcome.size - 1)
        assert found.interval.low < found.estimate < found.interval.high


def test_a_perfect_auc_has_a_bound_and_never_a_width_of_zero() -> None:
    outcome = np.array([True] * 20 + [False] * 30)
    for score, low, high in (
        (outcome * 1.0, 0.025 ** (1 / 20), 1.0),
        (~outcome * 1.0, 0.0, 1 - 0.025 ** (1 / 20)),
    ):
        for method in ("delong", "logit"):
            found = auc_interval(outcome, score, method=method)
            assert [found.interval.low, found.interval.high] == pytest.approx([low, high], abs=1e-15)
            assert found.interval.method == "exact bound on disjoint pairs"


def test_one_score_for_all_leaves_the_auc_open() -> None:
    found = auc_interval(np.array([True] * 5 + [False] * 5), np.full(10, 0.3))
    floor = 0.025 ** (1 / 5)
    assert found.value == 0.5
    assert [found.interval.low, found.interval.high] == pytest.approx([floor / 2, 1 - floor / 2], abs=1e-15)


def test_the_logit_interval_is_symmetric_on_its_scale_and_stays_inside() -> None:
    found = auc_interval(OUTCOME, A, method="logit").interval
    odds = AUC_A / (1 - AUC_A)
    assert 0 < found.low < found.high < 1
    assert found.low / (1 - found.low) * found.high / (1 - found.high) == pytest.approx(odds**2)


def test_identical_models_differ_by_nothing() -> None:
    found = paired_difference(OUTCOME, A, A)
    assert (found.estimate, found.z, found.p) == (0.0, 0.0, 1.0)
    assert (found.interval.low, found.interval.high) == (0.0, 0.0)


def test_two_perfect_but_different_models_are_not_called_equal() -> None:
    outcome = np.array([True] * 10 + [False] * 10)
    found = paired_difference(outcome, np.arange(20)[::-1], outcome * 1.0)
    reach = 1 - 0.0125 ** (1 / 10)
    assert (found.estimate, found.z, found.p) == (0.0, 0.0, 1.0)
    assert [found.interval.low, found.interval.high] == pytest.approx([-reach, reach], abs=1e-15)


def test_a_difference_without_variance_has_no_p() -> None:
    outcome = np.array([True] * 10 + [False] * 10)
    found = paired_difference(outcome, outcome * 1.0, np.zeros(20))
    assert found.estimate == 0.5
    assert found.interval.low < 0.5 < found.interval.high
    assert math.isnan(found.z)
    assert math.isnan(found.p)


def test_unpaired_with_one_perfect_site_joins_the_single_intervals() -> None:
    perfect = np.array([True] * 4 + [False] * 4)
    found = unpaired_difference(perfect, perfect * 1.0, OUTCOME, B)
    assert found.estimate == pytest.approx(1 - AUC_B)
    assert found.interval.method == "Bonferroni of two intervals"
    assert math.isnan(found.p)


@pytest.mark.parametrize(
    ("outcome", "score"),
    [
        (OUTCOME.astype(int), A),
        (OUTCOME, A[:-1]),
        (OUTCOME, np.where(A > 2, np.nan, A)),
        (OUTCOME, np.stack([A, B])),
        (OUTCOME[:, np.newaxis], A),
        (OUTCOME, np.array(list("abcdefg"))),
    ],
)
def test_wrong_input_is_refused(outcome: Any, score: Any) -> None:
    for measure in (auc, auc_interval):
        with pytest.raises(InvalidInputError):
            measure(outcome, score)


def test_unknown_interval_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="unknown interval"):
        auc_interval(OUTCOME, A, method="bootstrap")  # type: ignore[arg-type]  # the refusal is the point


def test_a_missing_class_is_not_estimable() -> None:
    with pytest.raises(NotEstimableError, match="0 non-events"):
        auc(np.array([True, True]), [1.0, 2.0])
    with pytest.raises(NotEstimableError, match="1 events"):
        delong(np.array([True, False, False]), [1.0, 2.0, 3.0])
    with pytest.raises(NotEstimableError, match="no case"):
        auc(np.array([], dtype=bool), [])


def test_infinite_scores_rank() -> None:
    assert auc(np.array([True, True, False]), [np.inf, -np.inf, 0.0]) == 0.5


def test_the_unpaired_interval_touches_zero_at_the_level_of_its_p_value() -> None:
    draw = np.random.default_rng(6)
    outcome = np.arange(40) < 15
    a, b = (draw.normal(size=40) + shift * outcome for shift in (2.0, 0.5))
    found = unpaired_difference(outcome, a, outcome, b)
    assert 0 < found.p < 0.5
    at_p = unpaired_difference(outcome, a, outcome, b, level=1 - found.p).interval
    assert min(abs(at_p.low), abs(at_p.high)) == pytest.approx(0, abs=1e-12)
