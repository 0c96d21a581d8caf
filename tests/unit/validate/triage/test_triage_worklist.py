"""Waits against a list read exam by exam, and against queueing theory by simulation."""

from __future__ import annotations

import heapq

import numpy as np
import pytest

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.triage.worklist import minutes_to_read, queue_waits


def slowly(arrival: np.ndarray, level: np.ndarray, read: np.ndarray, batch: int) -> np.ndarray:
    """Return the place of each exam by reading one sitting after the other."""
    places = np.full(arrival.size, np.nan)
    for sitting in range(0, arrival.size, batch):
        members = [k for k in range(arrival.size) if sitting <= arrival[k] < sitting + batch and read[k]]
        members.sort(key=lambda k: (-level[k], arrival[k]))
        for place, k in enumerate(members, start=1):
            places[k] = place
    return places


@pytest.mark.parametrize("by_level", [True, False])
def test_a_list_is_read_as_by_hand(by_level: bool) -> None:
    draw = np.random.default_rng(1)
    level, read = draw.integers(1, 11, size=57), draw.random(57) < 0.8
    found = minutes_to_read(
        np.random.default_rng(7), read, level, by_level=by_level, batch=10, minutes=2.0, arrivals=1
    )
    arrival = np.random.default_rng(7).permutation(57)
    wanted = 2 * slowly(arrival, level if by_level else np.zeros(57), read, 10)
    assert np.allclose(found, wanted, equal_nan=True)


def test_sorting_brings_high_levels_forward_and_keeps_the_mean() -> None:
    level = np.repeat(np.arange(1, 11), 100)
    read = np.ones(1000, dtype=np.bool_)
    plain = minutes_to_read(np.random.default_rng(2), read, level, by_level=False)
    ranked = minutes_to_read(np.random.default_rng(2), read, level, by_level=True)
    assert plain.mean() == pytest.approx(50.5)
    assert ranked.mean() == pytest.approx(50.5)
    assert ranked[level == 10].mean() < 8 < plain[level == 10].mean()
    assert ranked.max() <= 100


def test_queue_waits_are_those_of_a_simulated_queue() -> None:
    draw, n = np.random.default_rng(3), 60_000
    rates = np.array([12.0, 6.0])
    level = (draw.random(n) < rates[1] / rates.sum()).astype(int)
    arrival = np.cumsum(draw.exponential(60 / rates.sum(), size=n))
    service = draw.exponential(2.0, size=n)
    waits, queue, clock, k = np.empty(n), list[tuple[int, int]](), 0.0, 0
    while k < n or queue:
        if not queue:
            clock = max(clock, arrival[k])
        while k < n and arrival[k] <= clock:
            heapq.heappush(queue, (-int(level[k]), k))
            k += 1
        _, now = heapq.heappop(queue)
        waits[now] = clock - arrival[now]
        clock += service[now]
    found = [waits[level == each].mean() for each in (0, 1)]
    assert queue_waits(rates, 2.0) == pytest.approx(found, rel=0.06)
    assert queue_waits(rates, 2.0, by_level=False)[0] == pytest.approx(2 * 0.6 / 0.4)


def test_what_cannot_be_read_is_refused() -> None:
    level, read = np.ones(3, dtype=np.int64), np.ones(3, dtype=np.bool_)
    with pytest.raises(InvalidInputError):
        minutes_to_read(np.random.default_rng(1), read, level, by_level=True, batch=0)
    with pytest.raises(NotEstimableError):
        queue_waits([40.0], 2.0)
    with pytest.raises(InvalidInputError):
        queue_waits([-1.0], 2.0)
