"""Reads, figures of merit and their covariances, against definitions worked by hand or by brute force."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.discrimination import auc, delong
from huizhen.validate.readers.figures import disjoint, figures
from huizhen.validate.readers.merit import (
    AUC,
    Kind,
    Merit,
    parts,
    rows_of,
    sensitivity_at,
    specificity_at,
)
from huizhen.validate.readers.study import ReaderStudy, from_reads

MERITS = {"auc": AUC, "sensitivity": sensitivity_at(2), "specificity": specificity_at(2)}


def made(seed: int, *, gaps: float, levels: int = 4, shape: tuple[int, int, int] = (2, 3, 17)) -> ReaderStudy:
    """A study with ties and reads missing at random."""
    draw = np.random.default_rng(seed)
    truth = np.arange(shape[2]) < 8
    ratings = draw.integers(0, levels, size=shape).astype(float) + (draw.random(shape) < 0.6) * truth
    ratings[draw.random(shape) < gaps] = np.nan
    names = tuple("abcdef")
    return ReaderStudy(truth=truth, ratings=ratings, modalities=names[: shape[0]], readers=names[: shape[1]])


def merit_of(merit: Merit, truth: NDArray[np.bool_], row: NDArray[np.float64]) -> float:
    """The definition, on the cases that were read."""
    there = ~np.isnan(row)
    truth, row = truth[there], row[there]
    if merit.kind is Kind.AUC:
        return auc(truth, row)
    assert merit.threshold is not None
    called = row >= merit.threshold
    return float(called[truth].mean() if merit.kind is Kind.SENSITIVITY else (~called)[~truth].mean())


@pytest.mark.parametrize("name", list(MERITS))
def test_values_are_the_definition_with_gaps(name: str) -> None:
    study = made(1, gaps=0.2)
    found = figures(study, MERITS[name]).values
    for i, j in np.ndindex(found.shape):
        assert found[i, j] == pytest.approx(
            merit_of(MERITS[name], study.truth, study.ratings[i, j]), abs=1e-14
        )


@pytest.mark.parametrize("gaps", [0.0, 0.2])
@pytest.mark.parametrize("name", list(MERITS))
def test_jackknife_leaves_each_case_out(name: str, gaps: float) -> None:
    study, merit = made(2, gaps=gaps), MERITS[name]
    rows, _ = rows_of(study)
    counted = [
        i for i in range(study.truth.size) if name == "auc" or study.truth[i] == (name == "sensitivity")
    ]
    left = []
    for case in counted:
        without = rows.copy()
        without[:, case] = np.nan
        left.append([merit_of(merit, study.truth, row) for row in without])
    deviations = np.array(left) - [merit_of(merit, study.truth, row) for row in rows]
    n = len(counted)
    slow = (n - 1) / n * deviations.T @ deviations
    fast = figures(study, merit, covariance="jackknife").covariance.reshape(slow.shape)
    np.testing.assert_allclose(fast, slow, atol=1e-14)


def test_delong_is_that_of_one_reader() -> None:
    study = made(3, gaps=0)
    rows, _ = rows_of(study)
    np.testing.assert_allclose(
        figures(study, AUC, covariance="delong").covariance.reshape(6, 6),
        delong(study.truth, rows).covariance,
        atol=1e-15,
    )


@pytest.mark.parametrize("gaps", [0.0, 0.25])
@pytest.mark.parametrize("name", list(MERITS))
def test_disjoint_products_by_brute_force(name: str, gaps: float) -> None:
    study, merit = made(4, gaps=gaps, shape=(1, 3, 13)), MERITS[name]
    rows, _ = rows_of(study)
    fast = disjoint(parts(merit, study.truth, rows), study.truth, rows, merit)
    for a, b in itertools.product(range(len(rows)), repeat=2):
        assert fast[a, b] == pytest.approx(slow_disjoint(merit, study.truth, rows[a], rows[b]), abs=1e-13)


def slow_disjoint(
    merit: Merit, truth: NDArray[np.bool_], a: NDArray[np.float64], b: NDArray[np.float64]
) -> float:
    """The mean of ψa ψb over all choices of cases that share none."""
    picks = [kernel_values(merit, truth, row) for row in (a, b)]
    products = [
        left * right for (one, left), (two, right) in itertools.product(*picks) if not set(one) & set(two)
    ]
    return float(np.mean(products))


def kernel_values(
    merit: Merit, truth: NDArray[np.bool_], row: NDArray[np.float64]
) -> list[tuple[tuple[int, ...], float]]:
    """Every choice of cases that a figure is a mean over, with its ψ."""
    there = [i for i in range(truth.size) if not math.isnan(row[i])]
    sick, well = [i for i in there if truth[i]], [i for i in there if not truth[i]]
    if merit.kind is Kind.AUC:
        return [((i, j), float(np.sign(row[i] - row[j]) + 1) / 2) for i in sick for j in well]
    assert merit.threshold is not None
    if merit.kind is Kind.SENSITIVITY:
        return [((i,), float(row[i] >= merit.threshold)) for i in sick]
    return [((j,), float(row[j] < merit.threshold)) for j in well]


def test_methods_agree_for_proportions_up_to_the_factor_of_the_jackknife() -> None:
    study = made(5, gaps=0)
    by_delong, unbiased, jackknife = (
        figures(study, sensitivity_at(2), covariance=method).covariance
        for method in ("delong", "unbiased", "jackknife")
    )
    np.testing.assert_allclose(by_delong, unbiased, atol=1e-14)
    np.testing.assert_allclose(by_delong, jackknife, atol=1e-14)


def test_figures_without_a_common_case_are_independent() -> None:
    ratings = np.full((1, 2, 16), np.nan)
    draw = np.random.default_rng(6)
    ratings[0, 0, :8], ratings[0, 1, 8:] = draw.normal(size=8), draw.normal(size=8)
    study = ReaderStudy(truth=np.arange(16) % 2 == 0, ratings=ratings, modalities=("m",), readers=("a", "b"))
    for method in ("jackknife", "delong", "unbiased"):
        found = figures(study, AUC, covariance=method).covariance
        assert found[0, 0, 0, 1] == pytest.approx(0, abs=1e-15)
        assert found[0, 0, 0, 0] > 0


def test_a_table_gives_the_study_whatever_its_order() -> None:
    truth = {"p": True, "q": False, "r": True}
    reads = [(m, r, c, k) for k, (m, r, c) in enumerate(itertools.product("xy", "ab", truth))]
    study = from_table(reads, truth)
    again = from_table(reads[::-1], truth)
    assert (study.modalities, study.readers) == (("x", "y"), ("a", "b"))
    assert study.truth.tolist() == [True, False, True]
    np.testing.assert_array_equal(study.ratings, again.ratings)
    np.testing.assert_array_equal(study.ratings.ravel(), np.arange(12))
    assert study.crossed
    assert not from_table(reads[1:], truth).crossed


def from_table(reads: list[tuple[str, str, str, int]], truth: dict[str, bool]) -> ReaderStudy:
    modality, reader, case, rating = zip(*reads, strict=True)
    return from_reads(
        reader=reader, modality=modality, case=case, truth=np.array([truth[c] for c in case]), rating=rating
    )


def test_only_keeps_the_readers_and_cases_of_a_modality() -> None:
    ratings = np.full((2, 2, 3), np.nan)
    ratings[0, 0, :2], ratings[1, 1, 1:] = 1.0, 2.0
    study = ReaderStudy(
        truth=np.array([True, False, True]), ratings=ratings, modalities=("x", "y"), readers=("a", "b")
    )
    alone = study.only("y")
    assert (alone.modalities, alone.readers, alone.truth.tolist()) == (("y",), ("b",), [False, True])
    with pytest.raises(InvalidInputError, match="no such modality"):
        study.only("z")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"reader": ["a", "a", "a"]}, "twice"),
        ({"truth": np.array([True, False, False])}, "two truths"),
        ({"rating": [1.0, 2.0]}, "length"),
        ({"truth": np.array([1, 0, 1])}, "boolean"),
        ({"rating": [1.0, np.inf, 2.0]}, "infinite"),
        ({"rating": [1.0, np.nan, 2.0]}, "a case has no read"),
    ],
    ids=["twice", "two truths", "lengths", "type", "infinite", "no read"],
)
def test_wrong_tables_are_refused(change: dict[str, Any], why: str) -> None:
    table: dict[str, Any] = {
        "reader": ["a", "a", "b"],
        "modality": ["m", "m", "m"],
        "case": ["p", "q", "p"],
        "truth": np.array([True, False, True]),
        "rating": [1.0, 2.0, 3.0],
    }
    with pytest.raises(InvalidInputError, match=why):
        from_reads(**(table | change))


def test_refusals() -> None:
    study = made(7, gaps=0)
    with pytest.raises(InvalidInputError, match="unknown covariance"):
        figures(study, AUC, covariance="bootstrap")  # type: ignore[arg-type]  # the refusal is the point
    with pytest.raises(InvalidInputError, match="threshold"):
        Merit(kind=Kind.SENSITIVITY)
    with pytest.raises(InvalidInputError, match="threshold"):
        Merit(kind=Kind.AUC, threshold=1)
    one = ReaderStudy(
        truth=np.array([True, False, False]), ratings=np.ones((1, 1, 3)), modalities=("m",), readers=("a",)
    )
    for merit in (AUC, sensitivity_at(1)):
        with pytest.raises(NotEstimableError, match="fewer than two"):
            figures(one, merit)
    with pytest.raises(InvalidInputError, match="named twice"):
        ReaderStudy(truth=study.truth, ratings=study.ratings, modalities=("a", "a"), readers=study.readers)
    with pytest.raises(InvalidInputError, match="ratings are"):
        ReaderStudy(truth=study.truth, ratings=study.ratings[0], modalities=("a",), readers=study.readers)
