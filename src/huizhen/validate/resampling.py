"""Bootstrap of sums over patients. Patients who add the same are one cell, and cells are drawn together.

How often each cell comes in a resample of n patients is multinomial, so that a resample costs as much as
there are cells, not patients. Reference: Efron & Tibshirani, An Introduction to the Bootstrap, chapter 6
(1993).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from huizhen.core.evidence import Interval
from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.estimates import normal_quantile

Floats = NDArray[np.float64]
_CELLS = 4_000_000
"""Counts held at once."""
_RUN = 256
"""Units that a random byte chooses from."""


def resampled_sums(draw: np.random.Generator, rows: Floats, *, resamples: int) -> Floats:
    """Return the sums (b, q) of `resamples` b bootstrap samples of the rows (n, q).

    A row is what an independent unit (a patient) adds to each sum. Raises `InvalidInputError` on no resample.

    >>> resampled_sums(np.random.default_rng(1), np.ones((5, 1)), resamples=2).tolist()
    [[5.0], [5.0]]
    """
    if resamples < 1 or rows.ndim != 2 or not rows.size:
        raise InvalidInputError("nothing to resample", remedy="give rows and resamples", field="resamples")
    cells, counts = np.unique(rows, axis=0, return_counts=True)
    n, block = len(rows), max(1, _CELLS // len(cells))
    sums = [
        draw.multinomial(n, counts / n, size=min(block, resamples - first)) @ cells
        for first in range(0, resamples, block)
    ]
    return np.concatenate(sums)


def resampled_counts(draw: np.random.Generator, n: int) -> NDArray[np.int64]:
    """Return how often each of n units (n,) comes in a bootstrap sample of n.

    First the number from each run of 256 units is drawn, then the units within it by one random byte each:
    the same multinomial as n single draws, but in the order of memory.

    >>> int(resampled_counts(np.random.default_rng(1), 1000).sum())
    1000
    """
    runs, rest = divmod(n, _RUN)
    of_runs = draw.multinomial(n, np.append(np.full(runs, _RUN / n), rest / n))
    places = np.repeat(np.arange(0, runs * _RUN, _RUN), of_runs[:-1])
    places += np.frombuffer(draw.bytes(places.size), dtype=np.uint8)
    counts = np.bincount(places, minlength=n)
    if rest:
        counts[runs * _RUN :] = draw.multinomial(int(of_runs[-1]), np.full(rest, 1 / rest))
    return counts.astype(np.int64, copy=False)


def percentile_interval(drawn: Floats, *, of: str, level: float = 0.95) -> Interval:
    """Return the percentile interval of resampled values (b,), those that don't exist (NaN) left out.

    Raises `NotEstimableError` when fewer than half exist.

    >>> round(percentile_interval(np.arange(101.0), of="patients").low, 6)
    2.5
    """
    normal_quantile(level)
    kept = drawn[~np.isnan(drawn)]
    if 2 * kept.size < drawn.size or not kept.size:
        raise NotEstimableError(
            f"{drawn.size - kept.size} of {drawn.size} resamples have no value", remedy="gather patients"
        )
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
    method = f"bootstrap over {of}, percentile, {kept.size} resamples"
    return Interval(low=float(low), high=float(high), method=method, level=level)
