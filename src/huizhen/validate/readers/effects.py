"""An effect with its standard error, interval and test, as all analyses of reader studies return it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import stdtr, stdtrit

from huizhen.core.evidence import Interval
from huizhen.errors import NotEstimableError
from huizhen.validate.estimates import normal_quantile


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """An estimate, its standard error with `df` degrees of freedom (infinite: normal), and the two-sided test
    against `null` by `statistic` = (estimate - null) / error."""

    estimate: float
    error: float
    df: float
    interval: Interval
    null: float
    statistic: float
    p: float


def effect(
    estimate: float,
    variance: float,
    df: float,
    *,
    method: str,
    level: float = 0.95,
    null: float = 0.0,
    within: tuple[float, float] = (-1.0, 1.0),
) -> Effect:
    """Return the effect with Student's interval (normal where `df` is infinite), cut to `within`.

    Raises `NotEstimableError` when the variance isn't positive: the readers agree fully, or there are too
    few of them, and neither interval nor test exists.

    >>> found = effect(0.1, 0.0025, math.inf, method="z")
    >>> round(found.interval.low, 3), round(found.p, 4)
    (0.002, 0.0455)
    """
    if not variance > 0:
        raise NotEstimableError(
            "the variance of the effect isn't above 0", remedy="gather readers and cases", field="reads"
        )
    normal_quantile(level)
    error = math.sqrt(variance)
    reach = float(stdtrit(df, 0.5 + level / 2)) * error
    low, high = (min(max(estimate + side * reach, within[0]), within[1]) for side in (-1, 1))
    statistic = (estimate - null) / error
    return Effect(
        estimate=estimate,
        error=error,
        df=df,
        interval=Interval(low=low, high=high, method=method, level=level),
        null=null,
        statistic=statistic,
        p=float(2 * stdtr(df, -abs(statistic))),
    )


def no_effect(*, level: float = 0.95) -> Effect:
    """Return the effect between modalities that every reader rated alike, read by read: 0 [0, 0], p = 1."""
    nothing = Interval(low=0.0, high=0.0, method="identical reads", level=level)
    return Effect(estimate=0.0, error=0.0, df=math.inf, interval=nothing, null=0.0, statistic=0.0, p=1.0)
