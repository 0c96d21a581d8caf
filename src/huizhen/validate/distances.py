"""Distances that are 0 at best and grow with noise, such as calibration errors: their intervals.

Noise alone makes such a distance: the mean that noise alone would show in the same sample stands beside it.
Where the distance is beyond what 97.5 % of such samples show, its interval is the basic bootstrap's, which
takes the pull off; otherwise it runs from 0 to the percentile bootstrap's upper limit. Reference: Davison &
Hinkley, Bootstrap Methods, sections 5.2 and 5.3 (1997).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.core.evidence import Interval
from huizhen.errors import NotEstimableError
from huizhen.validate.estimates import Estimate, normal_quantile

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """A distance with its interval, and the mean of it that noise alone would show in such a sample."""

    estimate: Estimate
    by_chance: float


def distance(value: float, drawn: Floats, chance: Floats, *, level: float = 0.95) -> Distance:
    """Return `value` with its interval from resampled patients (b,) and from what noise alone gives (c,).

    Values that don't exist (NaN) are left out. Raises `NotEstimableError` when fewer than half exist.

    >>> found = distance(0.1, np.array([0.1, 0.12, 0.14]), np.array([0.01, 0.02, 0.03]))
    >>> round(found.estimate.interval.low, 3), found.by_chance
    (0.061, 0.02)
    """
    normal_quantile(level)
    kept, perfect = drawn[~np.isnan(drawn)], chance[~np.isnan(chance)]
    if 2 * kept.size < drawn.size or 2 * perfect.size < chance.size or not kept.size or not perfect.size:
        raise NotEstimableError(
            f"{drawn.size - kept.size} of {drawn.size} resamples have no value", remedy="gather patients"
        )
    tails = [(1 - level) / 2, (1 + level) / 2]
    least, most = (float(q) for q in np.quantile(kept, tails))
    if value > np.quantile(perfect, tails[1]):
        limits = min(value, max(0.0, 2 * value - most)), max(value, 2 * value - least)
        method = f"bootstrap over patients, basic, {kept.size} resamples"
    else:
        limits, method = (0.0, max(value, most)), f"bootstrap over patients, from 0, {kept.size} resamples"
    interval = Interval(low=limits[0], high=limits[1], method=method, level=level)
    return Distance(estimate=Estimate(value=value, interval=interval), by_chance=float(perfect.mean()))
