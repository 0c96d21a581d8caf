"""Risk levels: equal shares, ties, weights, and that frozen cuts don't move."""

from __future__ import annotations

import numpy as np
import pytest

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.triage.levels import RiskLevels, fix_levels, level_shares, weights_at


def test_each_level_holds_a_tenth_of_distinct_scores() -> None:
    score = np.random.default_rng(1).permutation(1000) / 1000
    levels = fix_levels(score)
    assert np.bincount(levels.of(score))[1:].tolist() == [100] * 10
    assert int(levels.in_top(score).sum()) == 10
    assert levels.of(score)[np.argsort(score)].tolist() == sorted(levels.of(score).tolist())


def test_ties_share_a_level_and_the_top_is_never_smaller_than_asked() -> None:
    draw = np.random.default_rng(2)
    for _ in range(50):
        score = draw.integers(0, draw.integers(3, 40), size=200) / 50
        if np.unique(score).size < 2:
            continue
        levels = fix_levels(score)
        level = levels.of(score)
        assert all(np.unique(level[score == value]).size == 1 for value in np.unique(score))
        for floor in range(2, 11):
            assert np.mean(level >= floor) >= (11 - floor) / 10 - 1e-12
        assert levels.in_top(score).mean() >= 0.01
        # and it isn't larger than the ties force: without the lowest score of the level it falls short
        for floor in range(2, 11):
            above = score[level >= floor]
            assert np.mean(score > above.min()) < (11 - floor) / 10 + 1e-12


def test_weights_give_the_cuts_of_a_population_with_another_prevalence() -> None:
    draw = np.random.default_rng(3)
    truth = np.arange(40_000) < 20_000
    score = draw.normal(size=truth.size) + 2 * truth
    weighted = fix_levels(score, weight=weights_at(truth, 0.01))
    screened = np.arange(40_000) < 400
    level = weighted.of(draw.normal(size=screened.size) + 2 * screened)
    assert np.bincount(level)[1:] / level.size == pytest.approx([0.1] * 10, abs=0.01)
    assert np.mean(fix_levels(score).of(score[~truth]) == 10) < 0.02  # deciles of the enriched set aren't


def test_weights_average_to_one_and_restore_the_prevalence() -> None:
    truth = np.arange(10) < 3
    weight = weights_at(truth, 0.05)
    assert weight.mean() == pytest.approx(1)
    assert weight[truth].sum() / weight.sum() == pytest.approx(0.05)


def test_locked_levels_come_back_with_their_digest() -> None:
    levels = fix_levels(np.arange(100) / 7)
    again = RiskLevels.from_json(levels.to_json())
    assert again == levels
    assert again.digest == levels.digest != fix_levels(np.arange(100) / 8).digest
    assert levels.count == 10


def test_shares_of_levels_have_intervals() -> None:
    shares = level_shares(np.array([1, 1, 3]), 3)
    assert [each.count for each in shares] == [2, 0, 1]
    assert shares[1].interval.low == 0 < shares[1].interval.high


@pytest.mark.parametrize(
    ("cuts", "top"), [((), None), ((0.5, 0.2), None), ((0.5,), 0.1), ((float("nan"),), None)], ids=str
)
def test_cuts_that_fall_are_refused(cuts: tuple[float, ...], top: float | None) -> None:
    with pytest.raises(InvalidInputError):
        RiskLevels(cuts=cuts, top=top)


def test_what_gives_no_levels_is_refused() -> None:
    for score in (np.ones(50), np.arange(9.0)):
        with pytest.raises(NotEstimableError):
            fix_levels(score)
    for keys in ({"levels": 1}, {"top_share": 0.2}, {"weight": -np.ones(50)}):
        with pytest.raises(InvalidInputError):
            fix_levels(np.arange(50.0), **keys)
    with pytest.raises(InvalidInputError, match="NaN"):
        RiskLevels(cuts=(0.5,)).of([np.nan])
    with pytest.raises(InvalidInputError):
        RiskLevels.from_json({"cuts": None, "top": None})
    with pytest.raises(NotEstimableError):
        weights_at(np.ones(3, dtype=np.bool_), 0.1)
    with pytest.raises(InvalidInputError):
        weights_at(np.arange(3) > 1, 0.0)
