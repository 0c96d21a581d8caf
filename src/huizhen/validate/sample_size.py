"""How many patients a validation of accuracy needs: sensitivity, specificity, AUC, and differences of AUCs.

References: Buderer, Acad Emerg Med 3:895-900 (1996); Hanley & McNeil, Radiology 143:29-36 (1982) and
148:839-843 (1983); Obuchowski & McClish, Stat Med 16:1529-1542 (1997), binormal variance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from scipy.special import ndtr, ndtri

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.estimates import normal_quantile

AucVariance = Literal["hanley-mcneil", "obuchowski"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Events and non-events that are needed, and patients at the prevalence so that both are expected."""

    events: int
    non_events: int
    patients: int


def checked_share(value: float, name: str) -> float:
    """Return a share. Raises `InvalidInputError` unless it is inside (0, 1).

    >>> checked_share(0.5, "prevalence")
    0.5
    """
    if not 0 < value < 1:
        raise InvalidInputError(f"{value} is outside (0, 1)", remedy="give a share", field=name)
    return value


def accuracy_size(
    *,
    sensitivity: float,
    specificity: float,
    half_width: float,
    prevalence: float,
    level: float = 0.95,
) -> Size:
    """Return the size at which the normal intervals of both shares reach ± `half_width` (Buderer).

    Raises `InvalidInputError` unless all are inside (0, 1).

    >>> accuracy_size(sensitivity=0.9, specificity=0.5, half_width=0.05, prevalence=0.2)
    Size(events=139, non_events=385, patients=692)
    """
    z = normal_quantile(level) / checked_share(half_width, "half_width")
    share = checked_share(prevalence, "prevalence")
    events, others = (
        z**2 * checked_share(value, name) * (1 - value)
        for value, name in ((sensitivity, "sensitivity"), (specificity, "specificity"))
    )
    return _size(events, others, share)


def _size(events: float, others: float, prevalence: float) -> Size:
    """Return whole numbers; the patients hold both expected counts before rounding."""
    patients = max(events / prevalence, others / (1 - prevalence))
    return Size(events=math.ceil(events), non_events=math.ceil(others), patients=math.ceil(patients - 1e-9))


def auc_variance(auc: float, *, ratio: float, method: AucVariance = "hanley-mcneil") -> float:
    """Return the variance of an AUC times the number of events, with `ratio` non-events to an event.

    "hanley-mcneil" takes exponential ratings, "obuchowski" binormal ones in few levels. Both err towards more
    patients: for continuous binormal ratings with AUC 0.8 the variance is 15 to 25 % smaller.
    Raises `InvalidInputError` on an AUC outside (0, 1), a ratio of 0 or less, or an unknown method.

    >>> round(auc_variance(0.8, ratio=1.0), 4), round(auc_variance(0.8, ratio=1.0, method="obuchowski"), 4)
    (0.0978, 0.1194)
    """
    checked_share(auc, "auc")
    if not ratio > 0 or method not in ("hanley-mcneil", "obuchowski"):
        raise InvalidInputError("ratio or method unknown", remedy="a ratio above 0", field="ratio")
    if method == "obuchowski":
        a2 = 2 * float(ndtri(auc)) ** 2
        return 0.0099 * math.exp(-a2 / 2) * (5 * a2 + 8 + (a2 + 8) / ratio)
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    return (q1 - auc**2) / ratio + (q2 - auc**2)


def auc_width_size(
    auc: float,
    *,
    half_width: float,
    prevalence: float,
    level: float = 0.95,
    method: AucVariance = "hanley-mcneil",
) -> Size:
    """Return the size at which the normal interval of an AUC reaches ± `half_width`. Raises as
    `auc_variance`.

    >>> auc_width_size(0.8, half_width=0.05, prevalence=0.2).patients
    598
    """
    share = checked_share(prevalence, "prevalence")
    ratio = (1 - share) / share
    z = normal_quantile(level) / checked_share(half_width, "half_width")
    events = z**2 * auc_variance(auc, ratio=ratio, method=method)
    return _size(events, events * ratio, share)


def auc_power(
    auc: float,
    *,
    null: float = 0.5,
    events: int,
    non_events: int,
    alpha: float = 0.025,
    method: AucVariance = "obuchowski",
) -> float:
    """Return the power of the one-sided test at `alpha` that an AUC exceeds `null`.

    Raises `InvalidInputError` on shares outside (0, 1) or an AUC that isn't above the null.

    >>> round(auc_power(0.73, events=41, non_events=72), 3)
    0.99
    """
    if not checked_share(auc, "auc") > checked_share(null, "null") or min(events, non_events) < 1:
        raise InvalidInputError("the AUC isn't above the null, or no case", remedy="check both", field="auc")
    ratio = non_events / events
    spread = [math.sqrt(auc_variance(value, ratio=ratio, method=method)) for value in (null, auc)]
    bound = -float(ndtri(checked_share(alpha, "alpha"))) * spread[0]
    return float(ndtr((math.sqrt(events) * (auc - null) - bound) / spread[1]))


def auc_size(
    auc: float,
    *,
    null: float = 0.5,
    prevalence: float,
    power: float = 0.8,
    alpha: float = 0.025,
    method: AucVariance = "obuchowski",
) -> Size:
    """Return the size at which the one-sided test that an AUC exceeds `null` has `power`. Raises as
    `auc_power`.

    >>> auc_size(0.73, prevalence=0.36).patients
    50
    """
    if not checked_share(auc, "auc") > checked_share(null, "null"):
        raise InvalidInputError("the AUC isn't above the null", remedy="check both", field="auc")
    share = checked_share(prevalence, "prevalence")
    ratio = (1 - share) / share
    spread = [math.sqrt(auc_variance(value, ratio=ratio, method=method)) for value in (null, auc)]
    reach = -float(ndtri(checked_share(alpha, "alpha"))) * spread[0]
    reach += float(ndtri(checked_share(power, "power"))) * spread[1]
    events = (reach / (auc - null)) ** 2
    return _size(events, events * ratio, share)


def auc_difference_size(
    first: float,
    second: float,
    *,
    correlation: float,
    prevalence: float,
    margin: float = 0.0,
    power: float = 0.8,
    alpha: float = 0.025,
    method: AucVariance = "hanley-mcneil",
) -> Size:
    """Return the size of a one-sided paired test that `first` - `second` exceeds - `margin`.

    `correlation` of the two estimated AUCs in [0, 1): 0 for different patients in each arm, the size being
    that of one arm. A margin of 0 is superiority. Raises `InvalidInputError` on values out of range,
    `NotEstimableError` when the expected difference isn't beyond the margin.

    >>> auc_difference_size(0.9, 0.85, correlation=0.5, prevalence=0.5, margin=0.0).events
    202
    """
    share = checked_share(prevalence, "prevalence")
    if not 0 <= correlation < 1 or margin < 0:
        raise InvalidInputError("correlation or margin out of range", remedy="check", field="correlation")
    if not first - second + margin > 0:
        raise NotEstimableError("the expected difference isn't beyond the margin", remedy="widen the margin")
    ratio = (1 - share) / share
    own = [auc_variance(value, ratio=ratio, method=method) for value in (first, second)]
    variance = own[0] + own[1] - 2 * correlation * math.sqrt(own[0] * own[1])
    z = -float(ndtri(checked_share(alpha, "alpha"))) + float(ndtri(checked_share(power, "power")))
    events = variance * (z / (first - second + margin)) ** 2
    return _size(events, events * ratio, share)
