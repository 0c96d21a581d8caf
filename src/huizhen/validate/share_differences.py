"""Differences of two shares: on the same patients (Tango, McNemar) or on different ones (Newcombe).

References: Tango, Stat Med 17:891-908 (1998), score interval for paired shares; Newcombe, Stat Med 17:873-890
(1998), method 10, hybrid of Wilson's intervals; Fagerland, Lydersen & Laake, BMC Med Res Methodol 13:91
(2013) for the mid-p form of McNemar's test.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, chdtrc

from huizhen.core.evidence import Interval
from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.estimates import Estimate, normal_quantile, two_sided_p
from huizhen.validate.proportions import wilson
from huizhen.validate.samples import checked_outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedShares:
    """The difference of two shares on the same patients, Tango's interval, and McNemar's exact mid-p test."""

    estimate: float
    interval: Interval
    only_first: int
    only_second: int
    n: int
    p: float


def paired_shares(first: NDArray[Any], second: NDArray[Any], *, level: float = 0.95) -> PairedShares:
    """Return share(first) - share(second) of the same patients (n,), both boolean.

    Such as two readers' hits on the events (their sensitivities). Raises `InvalidInputError` on wrong input,
    `NotEstimableError` when there is no patient.

    >>> found = paired_shares(np.array([True] * 8 + [False] * 2), np.array([True] * 5 + [False] * 5))
    >>> round(found.estimate, 2), found.only_first, round(found.p, 3)
    (0.3, 3, 0.125)
    """
    one, two = checked_outcome(first, name="first"), checked_outcome(second, name="second")
    if one.shape != two.shape:
        raise InvalidInputError(f"{one.size} and {two.size} patients", remedy="give the same patients")
    b, c = int(np.count_nonzero(one & ~two)), int(np.count_nonzero(two & ~one))
    estimate = (b - c) / one.size
    low, high = (tango_limit(b, c, one.size, side * normal_quantile(level)) for side in (1, -1))
    interval = Interval(low=low, high=high, method="Tango", level=level)
    return PairedShares(
        estimate=estimate, interval=interval, only_first=b, only_second=c, n=one.size, p=mcnemar_mid_p(b, c)
    )


def tango_limit(b: int, c: int, n: int, z: float) -> float:
    """Return the difference d at which the score (b - c - n d) / √(n (2 q + d - d²)) is `z`, by bisection.

    q is the likeliest share of the second pair of cells given d. A positive z gives the lower limit.

    >>> round(tango_limit(3, 0, 10, 1.96), 3)
    -0.061
    """
    low, high = -1.0, 1.0
    for _ in range(100):  # the score falls in d
        middle = (low + high) / 2
        low, high = (middle, high) if _tango_score(b, c, n, middle) > z else (low, middle)
    return (low + high) / 2


def _tango_score(b: int, c: int, n: int, d: float) -> float:
    """Return the score statistic of paired shares that differ by `d`."""
    linear = -b - c + (2 * n - b + c) * d
    q = (math.sqrt(max(0.0, linear**2 + 8 * n * c * d * (1 - d))) - linear) / (4 * n)
    variance = n * (2 * q + d * (1 - d))
    gap = b - c - n * d
    return gap / math.sqrt(variance) if variance > 1e-15 else math.copysign(math.inf, gap) if gap else 0.0


def mcnemar_mid_p(only_first: int, only_second: int) -> float:
    """Return McNemar's mid-p: the exact two-sided binomial test with half of the observed result's chance.

    >>> mcnemar_mid_p(0, 0), round(mcnemar_mid_p(1, 7), 4)
    (1.0, 0.0391)
    """
    n, least = only_first + only_second, min(only_first, only_second)
    if n == 0 or only_first == only_second:
        return 1.0
    exact = 2 * float(bdtr(least, n, 0.5))
    return float(exact - math.comb(n, least) / 2**n)


def unpaired_shares(
    first: tuple[int, int], second: tuple[int, int], *, level: float = 0.95
) -> tuple[Estimate, float]:
    """Return share(first) - share(second), each (count, n) of its own patients, and the p-value of no
    difference.

    Newcombe's hybrid interval; the test is the score test with a pooled share, p = 1 where nothing varies.
    Raises as `wilson`.

    >>> found, p = unpaired_shares((56, 70), (48, 80))
    >>> round(found.interval.low, 4), round(found.interval.high, 4), round(p, 4)
    (0.0524, 0.3339, 0.008)
    """
    sides = [wilson(*side, level=level) for side in (first, second)]
    shares = [count / n for count, n in (first, second)]
    gap = shares[0] - shares[1]
    low = gap - math.hypot(shares[0] - sides[0].low, sides[1].high - shares[1])
    high = gap + math.hypot(sides[0].high - shares[0], shares[1] - sides[1].low)
    pooled = (first[0] + second[0]) / (first[1] + second[1])
    spread = pooled * (1 - pooled) * (1 / first[1] + 1 / second[1])
    p = two_sided_p(gap / math.sqrt(spread)) if spread > 0 else 1.0
    return Estimate(value=gap, interval=Interval(low=low, high=high, method="Newcombe", level=level)), p


def equal_shares(counts: NDArray[np.int64], sizes: NDArray[np.int64]) -> tuple[float, int, float]:
    """Return chi², its degrees of freedom and p-value for the hypothesis that k groups have one share.

    `counts`, `sizes` (k,). Raises `NotEstimableError` with under two groups or when nothing varies.

    >>> chi2, df, p = equal_shares(np.array([8, 5]), np.array([10, 10]))
    >>> round(chi2, 4), df
    (1.978, 1)
    """
    pooled = float(counts.sum() / sizes.sum()) if sizes.size else 0.0
    if sizes.size < 2 or sizes.min() < 1 or not 0 < pooled < 1:
        raise NotEstimableError("fewer than two groups, or nothing varies", remedy="gather patients")
    chi2 = float(((counts - sizes * pooled) ** 2 / (sizes * pooled * (1 - pooled))).sum())
    return chi2, sizes.size - 1, float(chdtrc(sizes.size - 1, chi2))
