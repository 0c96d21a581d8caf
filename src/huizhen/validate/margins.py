"""Non-inferiority, equivalence and superiority: a difference against a margin that was fixed beforehand.

"Not significantly different" is none of these: only a bound of the interval beyond the margin is.
References: ICH E9 (1998), section 3.3.2; Schuirmann, J Pharmacokinet Biopharm 15:657-680 (1987); Piaggio et
al., JAMA 308:2594-2604 (2012), CONSORT for non-inferiority.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from scipy.special import stdtr, stdtrit

from huizhen.core.evidence import Interval
from huizhen.errors import InvalidInputError

Better = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginTest:
    """A difference new - reference, its two-sided interval at 1 - 2 alpha, the p-value and whether p <=
    alpha.
    """

    estimate: float
    interval: Interval
    margin: float
    p: float
    passed: bool


def non_inferior(
    estimate: float,
    error: float,
    *,
    margin: float,
    better: Better = "higher",
    df: float = math.inf,
    alpha: float = 0.025,
) -> MarginTest:
    """Return the one-sided test that new isn't worse than the reference by `margin` > 0 or more.

    `estimate`: new - reference, on a scale where it is about normal (Student's t with `df`), with standard
    error `error`. `better`: whether higher or lower is better. A margin of 0 is a test of superiority. It
    passes exactly when the interval's bound on the worse side is better than the margin. Raises
    `InvalidInputError` on a negative margin, an error that isn't above 0, or alpha outside (0, 0.5).

    >>> found = non_inferior(-0.01, 0.015, margin=0.05)
    >>> found.passed, round(found.interval.low, 4)
    (True, -0.0394)
    """
    if not margin >= 0:
        raise InvalidInputError("negative margin", remedy="give it as a positive number", field="margin")
    if better not in ("higher", "lower"):
        raise InvalidInputError(f"unknown {better!r}", remedy="use higher or lower", field="better")
    interval = _interval(estimate, error, df, alpha)
    sign = 1 if better == "higher" else -1
    p = float(stdtr(df, -(sign * estimate + margin) / error))
    return MarginTest(estimate=estimate, interval=interval, margin=margin, p=p, passed=p <= alpha)


def equivalent(
    estimate: float, error: float, *, margin: float, df: float = math.inf, alpha: float = 0.05
) -> MarginTest:
    """Return the two one-sided tests that the difference is within ± `margin` > 0.

    It passes exactly when the interval at 1 - 2 alpha lies within the margins. Raises as `non_inferior`.

    >>> equivalent(0.01, 0.015, margin=0.05).passed, equivalent(0.04, 0.015, margin=0.05).passed
    (True, False)
    """
    if not margin > 0:
        raise InvalidInputError("the margin isn't above 0", remedy="fix one beforehand", field="margin")
    interval = _interval(estimate, error, df, alpha)
    p = float(stdtr(df, -(margin - abs(estimate)) / error))
    return MarginTest(estimate=estimate, interval=interval, margin=margin, p=p, passed=p <= alpha)


def _interval(estimate: float, error: float, df: float, alpha: float) -> Interval:
    """Return the two-sided interval at 1 - 2 alpha."""
    if not (error > 0 and math.isfinite(error)) or not math.isfinite(estimate):
        raise InvalidInputError("no standard error above 0", remedy="use a bound instead", field="error")
    if not 0 < alpha < 0.5 or not df > 0:
        raise InvalidInputError("alpha or df out of range", remedy="alpha within (0, 0.5)", field="alpha")
    reach = float(stdtrit(df, 1 - alpha)) * error
    return Interval(low=estimate - reach, high=estimate + reach, method="t", level=1 - 2 * alpha)


def rate_ratio(
    events: int,
    exposure: float,
    reference_events: int,
    reference_exposure: float,
    *,
    margin: float,
    alpha: float = 0.025,
) -> MarginTest:
    """Return the test that a rate isn't `margin` times that of the reference, or more (lower is better).

    Rates such as interval cancers per woman screened; `margin` > 1 is a ratio. Normal on the log scale with
    variance 1/events + 1/events'. Estimate and interval are ratios. Raises `InvalidInputError` on counts or
    exposures that aren't above 0, or a margin of at most 1.

    >>> found = rate_ratio(82, 53_000, 93, 53_000, margin=1.2)
    >>> round(found.estimate, 2), round(found.interval.low, 2), round(found.interval.high, 2)
    (0.88, 0.66, 1.19)
    """
    if min(events, reference_events) < 1 or min(exposure, reference_exposure) <= 0 or not margin > 1:
        raise InvalidInputError("no event, no exposure, or a margin of at most 1", remedy="check them")
    ratio = (events / exposure) / (reference_events / reference_exposure)
    error = math.sqrt(1 / events + 1 / reference_events)
    found = non_inferior(math.log(ratio), error, margin=math.log(margin), better="lower", alpha=alpha)
    low, high = math.exp(found.interval.low), math.exp(found.interval.high)
    interval = Interval(low=low, high=high, method="normal on the log scale", level=1 - 2 * alpha)
    return MarginTest(estimate=ratio, interval=interval, margin=margin, p=found.p, passed=found.passed)
