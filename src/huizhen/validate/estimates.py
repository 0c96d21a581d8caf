"""Estimates with their intervals, and the normal and exact arithmetic that several measures share."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import expit, logit, ndtr, ndtri

from huizhen.core.evidence import Interval
from huizhen.errors import InvalidInputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number with its confidence interval."""

    value: float
    interval: Interval


def normal_quantile(level: float) -> float:
    """Return z, so that a standard normal lies within ±z with probability `level` in (0, 1).

    Raises `InvalidInputError` for a level outside (0, 1).

    >>> round(normal_quantile(0.95), 6)
    1.959964
    """
    if not 0 < level < 1:
        raise InvalidInputError(f"level {level} is outside (0, 1)", remedy="use 0.95", field="level")
    return float(ndtri(0.5 + level / 2))


def two_sided_p(z: float) -> float:
    """Return the probability that a standard normal is at least as far from 0 as `z`.

    >>> two_sided_p(0.0), round(two_sided_p(-1.959964), 4)
    (1.0, 0.05)
    """
    return float(2 * ndtr(-abs(z)))


def wald(
    value: float,
    error: float,
    *,
    method: str,
    level: float = 0.95,
    least: float = -math.inf,
    most: float = math.inf,
) -> Interval:
    """Return `value` ± z · `error` (its standard error), cut to [`least`, `most`].

    >>> wald(0.9, 0.1, method="Wald", most=1.0).high
    1.0
    """
    reach = normal_quantile(level) * error
    return Interval(
        low=max(least, min(most, value - reach)),
        high=min(most, max(least, value + reach)),
        method=method,
        level=level,
    )


def logit_wald(value: float, error: float, *, method: str, level: float = 0.95) -> Interval:
    """Return expit(logit(value) ± z · error / (value (1 - value))): within (0, 1), for a value inside.

    >>> found = logit_wald(0.9, 0.1, method="logit")
    >>> round(found.low, 3), round(found.high, 3)
    (0.505, 0.988)
    """
    if not 0 < value < 1:
        raise InvalidInputError(f"{value} isn't inside (0, 1)", remedy="use an exact bound", field="value")
    reach = normal_quantile(level) * error / (value * (1 - value))
    low, high = (float(expit(logit(value) + side * reach)) for side in (-1, 1))
    return Interval(low=low, high=high, method=method, level=level)


def unanimous_floor(n: int, *, level: float = 0.95) -> float:
    """Return the lowest chance p that n independent trials which all succeeded are compatible with.

    That is Clopper and Pearson's lower limit for n of n: p**n = (1 - level) / 2. It stands in wherever a
    variance is estimated as zero because all of a sample agrees. `n` >= 1.

    >>> round(unanimous_floor(10), 4)
    0.6915
    """
    if n < 1:
        raise InvalidInputError("no trial", remedy="give at least one")
    normal_quantile(level)
    return float(((1 - level) / 2) ** (1 / n))
