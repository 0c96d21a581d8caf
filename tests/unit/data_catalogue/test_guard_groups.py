"""The groups that prove a question new: disjoint, independent, and the only candidates."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from huizhen.core.streams import stream
from huizhen.data.catalogue.guard import Guard, Kind
from huizhen.data.catalogue.guard_groups import Groups, Sample

Mask = NDArray[np.bool_]
SIZE, K = 600, 4


def masks(count: int, seed: int) -> list[Mask]:
    """Return random questions of many sizes."""
    draw = stream(seed, "groups")
    return [draw.random(SIZE) < draw.choice([0.05, 0.3, 0.5, 0.9]) for _ in range(count)]


def told(given: list[Mask], seed: int = 0) -> tuple[Guard, list[Mask]]:
    """Return a guard that was asked, and what it told."""
    guard, found = Guard(np.arange(SIZE, dtype=np.uint32), smallest=K), [np.ones(SIZE, np.bool_)]
    for mask in given:
        judgement = guard.judge(mask)
        if judgement.kind is Kind.NEW:
            guard.take(mask, float(mask.sum()), judgement)
            found.append(mask)
    return guard, found


def test_groups_are_disjoint_and_their_inverses_hold() -> None:
    guard, rows = told(masks(30, 1))
    groups = guard._groups
    assert groups is not None
    assert groups.complete
    placed = groups._place[:, : groups._size]
    assert placed.shape == (K, len(rows))
    assert len(np.unique(placed)) == placed.size
    matrix = np.array(rows, np.float64).T  # (SIZE, told)
    for group in range(K):
        square = matrix[placed[group]]
        inverse = groups._inverse[group, : groups._size, : groups._size]
        assert np.allclose(square @ inverse, np.eye(len(rows)), atol=1e-6)


@pytest.mark.parametrize("apart", [1, K - 1])
def test_a_combination_near_a_question_is_always_among_the_candidates(apart: int) -> None:
    """Whoever the few are: taken from the groups' own subjects too, which is where they hide best."""
    guard, rows = told(masks(20, 2))
    assert guard._groups is not None
    target = rows[3] & ~rows[5]
    if guard.judge(target).kind is Kind.NEW:
        guard.take(target, float(target.sum()))
    placed = guard._groups._place[:, : guard._groups._size].ravel()
    draw = stream(3, "few")
    for _ in range(60):
        few = draw.choice(placed, apart, replace=False)
        asked = target.copy()
        asked[guard._sample.element[few]] ^= True
        judgement = guard.judge(asked)
        assert (judgement.kind, judgement.value) == (Kind.KNOWN, float(target.sum()))


def test_exactly_k_apart_is_new() -> None:
    guard, rows = told(masks(20, 4))
    asked = rows[7].copy()
    asked[np.flatnonzero(asked)[:K]] = False
    assert guard.judge(asked).kind is Kind.NEW


def test_an_element_beside_the_drawn_one_can_carry_a_group() -> None:
    """A question about each subject's other series: no drawn element may tell it from what was told."""
    owners = np.repeat(np.arange(100, dtype=np.uint32), 2)
    guard = Guard(owners, smallest=K)
    drawn = np.zeros(200, np.bool_)
    drawn[guard._sample.element] = True
    half = np.arange(200) < 100
    for asked in (half & drawn, half):  # equal on all that are drawn, apart on fifty others
        judgement = guard.judge(asked)
        assert judgement.kind is Kind.NEW
        guard.take(asked, float(asked.sum()), judgement)
    assert guard._groups is not None
    assert guard._groups.complete
    assert len(guard._sample.element) > 100
    assert guard.judge(half & ~drawn).value == float((half & ~drawn).sum())


def test_where_subjects_run_out_the_search_goes_on() -> None:
    guard, draw = Guard(np.arange(24, dtype=np.uint32), smallest=K), stream(5, "small")
    for _ in range(40):
        mask = draw.random(24) < 0.5
        judgement = guard.judge(mask)
        if judgement.kind is Kind.NEW:
            guard.take(mask, float(mask.sum()), judgement)
    assert guard._groups is not None
    nearly = np.unpackbits(guard._masks[2], count=24).astype(np.bool_)
    nearly[0] ^= True
    assert guard.judge(nearly).kind is Kind.KNOWN


def test_an_inverse_that_wore_off_is_made_anew() -> None:
    guard, rows = told(masks(12, 6))
    groups = guard._groups
    assert groups is not None
    groups._inverse[0, : groups._size, : groups._size] += 0.3
    found = groups.combinations(guard._sample.met(rows[4]))
    assert np.allclose(found, np.eye(len(rows))[4], atol=1e-6)


def test_more_groups_than_subjects_are_none() -> None:
    assert not Groups(Sample(np.arange(3)), 4).complete
