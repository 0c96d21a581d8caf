"""The guard's promise, checked by linear algebra: no combination of told counts involves few subjects."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from huizhen.core.streams import stream
from huizhen.data.catalogue.guard import Guard, Kind
from huizhen.errors import InvalidInputError

K = 5
Mask = NDArray[np.bool_]


def mask_of(size: int, *chosen: int) -> Mask:
    """Return a mask of `size` elements."""
    found = np.zeros(size, np.bool_)
    found[list(chosen)] = True
    return found


def asked(guard: Guard, mask: Mask) -> tuple[Kind, float]:
    """Ask as a desk does: what is new is told exactly."""
    judgement = guard.judge(mask)
    value = judgement.value
    if judgement.kind is Kind.NEW:
        value = float(mask.sum())
        guard.take(mask, value)
    return judgement.kind, value


def people(size: int) -> Guard:
    """Return a guard over so many subjects."""
    return Guard(np.arange(size, dtype=np.uint32), smallest=K)


def test_few_and_nearly_all_are_known_before_anything_is_asked() -> None:
    guard = people(40)
    assert asked(guard, mask_of(40, 1, 2)) == (Kind.KNOWN, 0.0)
    assert asked(guard, ~mask_of(40, 1, 2)) == (Kind.KNOWN, 40.0)
    assert asked(guard, mask_of(40)) == (Kind.KNOWN, 0.0)
    assert guard.told == 1


@pytest.mark.parametrize("apart", [0, 1, K - 1])
def test_what_few_subjects_tell_apart_has_one_answer(apart: int) -> None:
    guard = people(40)
    assert asked(guard, mask_of(40, *range(20))) == (Kind.NEW, 20.0)
    assert asked(guard, mask_of(40, *range(20 - apart))) == (Kind.KNOWN, 20.0)


def test_what_enough_subjects_tell_apart_is_new() -> None:
    guard = people(40)
    asked(guard, mask_of(40, *range(20)))
    assert asked(guard, mask_of(40, *range(20 - K))) == (Kind.NEW, 15.0)


@pytest.mark.parametrize("victim_is_in", [True, False])
def test_a_sum_of_parts_leaves_nothing_over(victim_is_in: bool) -> None:
    """Whether the one who is in neither part has what all are asked for can't be told from the parts."""
    guard = people(60)
    whole = set(range(30)) | ({59} if victim_is_in else set())
    one, other = set(range(14)), set(range(14, 30))
    told = [asked(guard, mask_of(60, *group)) for group in (whole, one, other)]
    assert [kind for kind, _ in told] == [Kind.NEW, Kind.NEW, Kind.KNOWN]
    assert told[0][1] - told[1][1] - told[2][1] == 0.0


def test_a_general_tracker_gets_what_follows_from_its_own_questions() -> None:
    """Denning & Schlörer's: of T and its complement, with the one who is sought added to both."""
    guard, everybody, tracker = people(60), set(range(60)), set(range(25))
    sought = {40}
    asked(guard, mask_of(60, *tracker))
    asked(guard, mask_of(60, *(everybody - tracker)))
    one = asked(guard, mask_of(60, *(tracker | sought)))
    two = asked(guard, mask_of(60, *((everybody - tracker) | sought)))
    assert one[1] + two[1] - 60 == 0.0


def test_no_more_is_told_than_there_are_groups_of_subjects() -> None:
    guard, draw = people(16), stream(1, "pieces")
    kinds = [asked(guard, draw.random(16) < 0.5)[0] for _ in range(30)]
    assert (kinds.count(Kind.NEW), guard.told) == (3, 4)
    assert Kind.EXHAUSTED in kinds


def test_the_subjects_behind_series_count_not_the_series() -> None:
    owners = np.repeat(np.arange(8, dtype=np.uint32), 10)
    guard = Guard(owners, smallest=K)
    assert asked(guard, owners < 3) == (Kind.KNOWN, 0.0)
    assert asked(guard, np.arange(80) % 10 < 3) == (Kind.NEW, 24.0)
    assert asked(guard, (np.arange(80) % 10 < 3) & (owners > 3)) == (Kind.KNOWN, 0.0)


def test_noise_stays_the_same_in_what_follows() -> None:
    guard = people(60)
    mask = mask_of(60, *range(30))
    guard.take(mask, 33.5)
    assert asked(guard, mask_of(60, *range(28))) == (Kind.KNOWN, 33.5)
    kind, value = asked(guard, ~mask)
    assert kind is Kind.KNOWN
    assert value == pytest.approx(26.5)


@pytest.mark.parametrize("seed", range(6))
def test_no_combination_of_told_counts_involves_few_subjects(seed: int) -> None:
    """All groups of three subjects, against the span of what was told, by ranks."""
    draw, size, smallest = stream(seed, "guard"), 28, 4
    guard, rows = Guard(np.arange(size, dtype=np.uint32), smallest=smallest), [np.ones(size)]
    for _ in range(40):
        mask = draw.random(size) < draw.choice([0.3, 0.5, 0.8])
        few = mask_of(size, *draw.choice(size, 3, replace=False).tolist())
        for one in (mask, mask & ~few, mask | few):  # as who attacks would
            if asked(guard, one)[0] is Kind.NEW:
                rows.append(one.astype(float))
    told = np.array(rows)
    rank = np.linalg.matrix_rank(told)
    assert rank == len(rows) == size // smallest
    for few_ in combinations(range(size), smallest - 1):
        others = np.delete(told, few_, axis=1)  # a combination on these few alone vanishes on the others
        assert np.linalg.matrix_rank(others) == rank


def test_counts_of_single_subjects_are_never_told() -> None:
    with pytest.raises(InvalidInputError):
        Guard(np.arange(3, dtype=np.uint32), smallest=1)
    assert asked(Guard(np.zeros(0, np.uint32), smallest=K), np.zeros(0, np.bool_)) == (Kind.KNOWN, 0.0)
