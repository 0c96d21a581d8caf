"""How long exams wait to be read: lists in the order of arrival, or the highest risk levels first.

Exams gather and are read in one sitting (a batch), as in screening; the wait is the time from the start of
the sitting until an exam's first reading is done. Sorting only reorders: nobody waits longer than the sitting
lasts. For exams that keep coming while others are read, `queue_waits` gives the mean waits of a queue.
Reference for it: Cobham, Oper Res 2:70-76 (1954), non-preemptive priorities, one reader.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.errors import InvalidInputError, NotEstimableError

Floats = NDArray[np.float64]


def minutes_to_read(
    draw: np.random.Generator,
    read: NDArray[np.bool_],
    level: NDArray[np.int64],
    *,
    by_level: bool,
    batch: int = 100,
    minutes: float = 1.0,
    arrivals: int = 20,
) -> Floats:
    """Return each exam's minutes (n,) until read, the mean over `arrivals` random orders; NaN if unread.

    `read` (n,): which exams a person reads at all. `by_level`: the highest `level` (n,) first, equal ones as
    they came. `minutes`: how long one reading takes. Raises `InvalidInputError` on a batch or number of
    orders below 1.

    >>> everybody, level = np.ones(4, bool), np.array([1, 1, 1, 10])
    >>> minutes_to_read(np.random.default_rng(1), everybody, level, by_level=True, batch=4).tolist()[3]
    1.0
    """
    if batch < 1 or arrivals < 1 or not minutes >= 0 or read.shape != level.shape:
        raise InvalidInputError("no batch, no order, or lengths differ", remedy="check them", field="batch")
    total = np.zeros(read.size)
    for _ in range(arrivals):
        arrival = draw.permutation(read.size)
        total += _places(arrival // batch, arrival, level if by_level else np.zeros_like(level), read)
    return np.where(read, minutes * total / arrivals, np.nan)


def _places(
    sitting: NDArray[np.int64],
    arrival: NDArray[np.int64],
    priority: NDArray[np.int64],
    read: NDArray[np.bool_],
) -> Floats:
    """Return how many exams of its sitting are read up to each one, itself included (n,)."""
    order = np.lexsort((arrival, -priority, sitting))
    done = np.cumsum(read[order])
    sittings = sitting[order]
    starts = np.flatnonzero(np.diff(sittings, prepend=-1))
    before = np.concatenate(([0], done[starts[1:] - 1]))
    places = np.empty(read.size)
    places[order] = done - np.repeat(before, np.diff(starts, append=read.size))
    return places


def queue_waits(
    arrivals_per_hour: ArrayLike, minutes: float, *, spread: float = 1.0, by_level: bool = True
) -> Floats:
    """Return the mean minutes (k,) that exams of each level wait before one reader takes them up.

    `arrivals_per_hour` (k,), lowest level first, at random times. A reading takes `minutes` on average, with
    a coefficient of variation `spread` (0: always the same; 1: exponential). With load σ of a level and those
    above, W = (λ E[S²] / 2) / ((1 - σ above) (1 - σ)). Raises `InvalidInputError` on rates below 0,
    `NotEstimableError` where more comes than can be read.

    >>> queue_waits([10, 10], 2.0).round(2).tolist()
    [6.0, 2.0]
    >>> queue_waits([10, 10], 2.0, by_level=False).round(2).tolist()
    [4.0, 4.0]
    """
    rates = np.atleast_1d(np.asarray(arrivals_per_hour, dtype=np.float64)) / 60
    if not (rates >= 0).all() or not (minutes > 0 and spread >= 0):
        raise InvalidInputError("rates or minutes are negative", remedy="check them", field="minutes")
    load = float(rates.sum() * minutes)
    if load >= 1:
        raise NotEstimableError(f"{load:.2f} times what can be read comes in", remedy="add readers")
    residual = float(rates.sum()) * minutes**2 * (1 + spread**2) / 2
    if not by_level:
        return np.full(rates.size, residual / (1 - load))
    at_or_above = np.cumsum(rates[::-1] * minutes)[::-1]
    above = at_or_above - rates * minutes
    return np.asarray(residual / ((1 - above) * (1 - at_or_above)), dtype=np.float64)
