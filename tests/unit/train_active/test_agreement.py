"""Kappa and Dawid-Skene against published figures and other implementations."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.train.active.agreement import cohen_kappa, fleiss_kappa, ratings
from huizhen.train.active.dawid_skene import dawid_skene
from huizhen.train.active.queue_records import Answer

FLEISS_1971 = np.array(
    [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
)
"""The worked example of ten cases, fourteen readers and five labels; kappa is .210."""


def noisy(truth: NDArray[np.int64], accuracy: float, rng: np.random.Generator) -> NDArray[np.int64]:
    wrong = rng.random(len(truth)) >= accuracy
    return np.where(wrong, 1 - truth, truth)


def test_cohens_kappa_and_its_interval_are_those_of_statsmodels() -> None:
    inter_rater = pytest.importorskip("statsmodels.stats.inter_rater", reason="statsmodels is not installed")
    rng = np.random.default_rng(1)
    first = rng.integers(3, size=150)
    second = np.where(rng.random(150) < 0.7, first, rng.integers(3, size=150))
    table = np.zeros((3, 3))
    np.add.at(table, (first, second), 1)
    theirs = inter_rater.cohens_kappa(table)
    own = cohen_kappa(first, second, labels=3)
    assert own.kappa == pytest.approx(theirs.kappa, abs=1e-12)
    assert own.interval.low == pytest.approx(theirs.kappa_low, abs=1e-9)
    assert own.interval.high == pytest.approx(theirs.kappa_upp, abs=1e-9)


def test_fleiss_kappa_of_the_worked_example() -> None:
    read = np.array([np.repeat(np.arange(5), row) for row in FLEISS_1971])
    found = fleiss_kappa(read, labels=5, seed=1)
    assert found.kappa == pytest.approx(0.210, abs=5e-4)
    assert found.interval.low < 0.210 < found.interval.high
    assert found == fleiss_kappa(read, labels=5, seed=1)


def test_cases_read_once_are_left_out_of_fleiss_kappa() -> None:
    read = np.array([[0, 0, -1], [1, 1, 1], [0, 1, -1], [1, -1, -1], [0, 0, 0]])
    found = fleiss_kappa(read, labels=2, seed=1)
    assert found.n == 4
    assert found.observed == pytest.approx(0.75)


def test_perfect_agreement_is_one_and_chance_is_about_zero() -> None:
    rng = np.random.default_rng(2)
    first = rng.integers(2, size=400)
    assert cohen_kappa(first, first, labels=2).kappa == pytest.approx(1)
    chance = cohen_kappa(first, rng.integers(2, size=400), labels=2)
    assert chance.interval.low < 0 < chance.interval.high


@pytest.mark.parametrize("n", [4, 30, 400])
def test_perfect_agreement_has_an_interval_that_is_no_point(n: int) -> None:
    """20 cases can't show that readers always agree: the bootstrap repeats them and says 1.00-1.00."""
    first = np.arange(n) % 2
    both = np.column_stack([first, first, first])
    floor = 0.025 ** (1 / n)
    for found in (cohen_kappa(first, first, labels=2), fleiss_kappa(both, labels=2, seed=1)):
        assert found.kappa == pytest.approx(1)
        assert found.interval.low == pytest.approx((floor - 0.5) / 0.5)
        assert found.interval.high == 1
        assert "exact bound" in found.interval.method


def test_readers_who_always_differ_have_one_too() -> None:
    first = np.arange(40) % 2
    found = fleiss_kappa(np.column_stack([first, 1 - first]), labels=2, seed=1)
    assert found.kappa == pytest.approx(-1)
    assert (found.interval.low, found.interval.high > -0.9) == (-1, True)


@pytest.mark.parametrize("labels", [np.zeros(5, dtype=np.int64), np.zeros(1, dtype=np.int64)])
def test_kappa_without_variation_does_not_exist(labels: NDArray[np.int64]) -> None:
    with pytest.raises(NotEstimableError):
        cohen_kappa(labels, labels, labels=2)
    with pytest.raises(NotEstimableError):
        fleiss_kappa(np.column_stack([labels, labels]), labels=2, seed=1)


def test_labels_out_of_range_are_refused() -> None:
    with pytest.raises(InvalidInputError):
        cohen_kappa(np.array([0, 2]), np.array([0, 1]), labels=2)
    with pytest.raises(InvalidInputError):
        fleiss_kappa(np.array([[0, 5]]), labels=2, seed=1)
    with pytest.raises(InvalidInputError):
        dawid_skene(np.array([[-1, -1]]), labels=2)


def test_ratings_of_answers() -> None:
    given = [("P-2", "b", "x"), ("P-1", "a", "y"), ("P-1", "b", "x")]
    answers = [Answer(case=c, reader=r, label=v, source="") for c, r, v in given]
    read, cases, readers = ratings(answers, ("x", "y"))
    assert (cases, readers, read.tolist()) == (("P-1", "P-2"), ("a", "b"), [[1, 0], [-1, 0]])


def test_dawid_skene_finds_the_reader_who_is_best_and_beats_the_vote() -> None:
    rng = np.random.default_rng(3)
    truth = (rng.random(600) < 0.4).astype(np.int64)
    read = np.column_stack([noisy(truth, accuracy, rng) for accuracy in (0.95, 0.65, 0.65, 0.6, 0.6)])
    found = dawid_skene(read, labels=2)
    right = found.confusion[:, [0, 1], [0, 1]].mean(1)
    assert right.argmax() == 0
    assert right[0] == pytest.approx(0.95, abs=0.05)
    vote = (read.mean(1) > 0.5).astype(int)
    assert (found.probability.argmax(1) == truth).mean() > (vote == truth).mean() + 0.05
    np.testing.assert_allclose(found.probability.sum(1), 1)
