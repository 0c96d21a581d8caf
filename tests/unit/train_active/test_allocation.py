"""The budget over hospitals: spent where scores are highest, from sums alone, with floors."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from huizhen.errors import InvalidInputError
from huizhen.train.active.allocation import count, fair_floor, monotone, number_at, settle

Floats = NDArray[np.float64]


def numbers(rankings: list[Floats], budget: int, floors: list[int]) -> list[int]:
    """What each hospital asks, when only summed counts are seen."""

    def summed(edges: Floats) -> NDArray[np.int64]:
        return np.sum([count(r, f, edges) for r, f in zip(rankings, floors, strict=True)], axis=0)

    at = settle(summed, budget - sum(floors))
    return [number_at(r, f, at) for r, f in zip(rankings, floors, strict=True)]


def make_rankings(seed: int) -> list[Floats]:
    rng = np.random.default_rng(seed)
    sizes, scale = (50, 200, 5), (1e-3, 1e-2, 1e-1)
    return [np.sort(rng.exponential(s, n))[::-1] for n, s in zip(sizes, scale, strict=True)]


@pytest.mark.parametrize("budget", [0, 1, 7, 40, 254])
def test_it_spends_as_if_all_scores_were_seen(budget: int) -> None:
    rankings = make_rankings(1)
    got = numbers(rankings, budget, [0, 0, 0])
    best = np.sort(np.concatenate(rankings))[::-1][:budget]
    assert sum(got) == budget
    assert [int(np.isin(r, best).sum()) for r in rankings] == got


def test_a_budget_beyond_all_cases_asks_all() -> None:
    assert numbers(make_rankings(2), 1000, [0, 0, 0]) == [50, 200, 5]


def test_floors_are_kept_and_the_rest_goes_to_the_best() -> None:
    rankings = make_rankings(3)
    got = numbers(rankings, 30, [4, 0, 0])
    assert sum(got) == 30
    assert got[0] == 4


def test_equal_scores_are_left_rather_than_the_budget_exceeded() -> None:
    rankings = [np.array([2.0, 1.0, 1.0, 1.0]), np.array([1.0, 1.0])]
    assert numbers(rankings, 3, [0, 0]) == [1, 0]
    assert numbers(rankings, 6, [0, 0]) == [4, 2]


def test_hospitals_without_cases_are_no_obstacle() -> None:
    assert numbers([np.array([]), np.array([0.5])], 1, [0, 0]) == [0, 1]
    assert numbers([np.array([]), np.array([])], 3, [0, 0]) == [0, 0]


def test_a_ranking_that_rises_is_cut_in_its_order() -> None:
    ranking = monotone(np.array([3.0, 1.0, 2.0]))
    assert number_at(ranking, 0, 2.0) == 1


def test_a_floor_fills_what_is_lacking_and_never_exceeds_the_round() -> None:
    assert fair_floor(20, labelled_here=30, labelled=100, sites=3, share=0.3) == 0
    assert fair_floor(20, labelled_here=0, labelled=1000, sites=4, share=1.0) == 5
    assert 4 * fair_floor(7, labelled_here=0, labelled=1000, sites=4, share=1.0) <= 7


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="floor"):
        fair_floor(5, labelled_here=0, labelled=0, sites=0, share=0.1)
    with pytest.raises(InvalidInputError, match="floor"):
        fair_floor(5, labelled_here=0, labelled=0, sites=2, share=1.1)
    with pytest.raises(InvalidInputError, match="same edges"):
        settle(lambda edges: np.zeros(3, dtype=np.int64), 5)
    with pytest.raises(InvalidInputError, match="budget"):
        settle(lambda edges: np.zeros(64, dtype=np.int64), -1)
