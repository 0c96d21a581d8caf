"""Wrong labels: closed forms agree with flipping by hand, bounds with every way, corrections undo errors."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.discrimination import auc
from huizhen.validate.label_noise import Wrong, label_noise


def flip(outcome: np.ndarray, rows: tuple[int, ...]) -> np.ndarray:
    found = outcome.copy()
    found[list(rows)] = ~found[list(rows)]
    return found


@settings(max_examples=40, deadline=None)
@given(
    scores=st.lists(st.integers(0, 6), min_size=10, max_size=10),
    wrong=st.sampled_from(list(Wrong)),
    events=st.integers(3, 7),
)
def test_mean_and_bounds_are_those_of_all_ways_to_flip(scores: list[int], wrong: Wrong, events: int) -> None:
    outcome, score = np.arange(10) < events, np.array(scores, float)
    found = label_noise(outcome, score, share=0.3, wrong=wrong)
    sides = (np.flatnonzero(outcome), np.flatnonzero(~outcome))
    every = [
        auc(flip(outcome, (*a, *b)), score)
        for a in combinations(sides[0].tolist(), found.events)
        for b in combinations(sides[1].tolist(), found.others)
    ]
    assert found.reads == pytest.approx(np.mean(every))
    assert (found.least, found.most) == pytest.approx((min(every), max(every)))
    assert (found.events == 0, found.others == 0) == (wrong is Wrong.OTHERS, wrong is Wrong.EVENTS)


def test_the_range_holds_95_percent_of_random_flips() -> None:
    rng = np.random.default_rng(2)
    outcome = np.arange(300) < 120
    score = rng.normal(size=300) + outcome
    found = label_noise(outcome, score, share=0.1, wrong=Wrong.BOTH)
    held = []
    for _ in range(2000):
        events = rng.choice(120, found.events, replace=False).tolist()
        others = (120 + rng.choice(180, found.others, replace=False)).tolist()
        rows = (*events, *others)
        held.append(found.reads_low <= auc(flip(outcome, rows), score) <= found.reads_high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("wrong", list(Wrong))
def test_errors_at_random_are_undone(wrong: Wrong) -> None:
    rng = np.random.default_rng(3)
    right = np.arange(200_000) < 80_000
    score = rng.normal(size=right.size) + right
    share = 0.1
    chance = np.where(right, share * (wrong is not Wrong.EVENTS), share * (wrong is not Wrong.OTHERS))
    given_labels = right ^ (rng.random(right.size) < chance)
    shares = [np.mean(~right[given_labels]), np.mean(right[~given_labels])]
    seen = auc(given_labels, score)
    undone = 0.5 + (seen - 0.5) / (1 - sum(shares))
    assert undone == pytest.approx(auc(right, score), abs=0.004)
    own = label_noise(given_labels, score, share=0.1, wrong=wrong)
    kept = 1 - 0.1 * (2 if wrong is Wrong.BOTH else 1)
    assert own.corrected == pytest.approx(0.5 + (seen - 0.5) / kept, abs=1e-4)


def test_what_is_corrected_lies_within_its_bounds_or_is_not_given() -> None:
    rng, told = np.random.default_rng(4), []
    for _ in range(40):
        outcome = rng.random(60) < 0.4
        found = label_noise(outcome, rng.normal(size=60) + 2 * outcome, share=0.1, wrong=Wrong.EVENTS)
        told.append(found.corrected is not None)
        assert found.corrected is None or found.least <= found.corrected <= found.most
    assert any(told)
    assert not all(told)


def test_a_perfect_auc_cannot_stand_errors_at_random() -> None:
    outcome = np.arange(40) < 20
    found = label_noise(outcome, np.arange(40.0)[::-1], share=0.05, wrong=Wrong.BOTH)
    assert found.corrected is None
    assert found.least < found.reads < found.most < 1


@pytest.mark.parametrize("share", [0.0, 0.5, -0.1])
def test_a_share_is_inside_0_and_a_half(share: float) -> None:
    with pytest.raises(InvalidInputError, match="outside"):
        label_noise(np.array([True, False]), np.array([1.0, 0.0]), share=share, wrong=Wrong.BOTH)


def test_one_class_alone_has_no_auc() -> None:
    with pytest.raises(NotEstimableError):
        label_noise(np.array([True, True]), np.array([1.0, 0.0]), share=0.1, wrong=Wrong.BOTH)
