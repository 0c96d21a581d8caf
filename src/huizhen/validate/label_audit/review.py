"""How many labels are wrong, after people looked again at suspects and at a random sample of the others.

Suspects alone would overstate it, a sample alone of a thousand labels would find few. So both are strata: the
share found wrong in each, weighed by how many labels stand in it. Interval: the limits of each stratum's
share by Wilson, with the finite-population correction, put together by the square-and-add rule (MOVER) of
Zou & Donner, Statistics in Medicine 27:1693-1702 (2008). A stratum that was read whole has no sampling error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from huizhen.core.evidence import Interval
from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.estimates import Estimate
from huizhen.validate.proportions import wilson

__all__ = ["Stratum", "share_wrong"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """Of `size` labels, `read` were looked at again (at random, or all), and `wrong` of these were wrong."""

    size: int
    read: int
    wrong: int

    def __post_init__(self) -> None:
        if not 0 <= self.wrong <= self.read <= self.size:
            raise InvalidInputError(
                f"{self.wrong} wrong of {self.read} read of {self.size} is no stratum",
                remedy="check the counts",
            )


def share_wrong(strata: Sequence[Stratum], *, level: float = 0.95) -> Estimate:
    """Return the share of wrong labels over all strata. Raises `NotEstimableError` where one was not read.

    >>> found = share_wrong([Stratum(size=100, read=100, wrong=40), Stratum(size=900, read=90, wrong=1)])
    >>> round(found.value, 3), round(found.interval.low, 3), round(found.interval.high, 3)
    (0.05, 0.042, 0.092)
    """
    held = [each for each in strata if each.size]
    if not held or any(not each.read for each in held):
        raise NotEstimableError(
            "no case of a stratum was looked at again",
            remedy="look again at a random sample of the cases that are not suspected, too",
        )
    total = sum(each.size for each in held)
    value = below = above = 0.0
    for each in held:
        weight, share = each.size / total, each.wrong / each.read
        limits = wilson(each.wrong, each.read, level=level)
        unread = 1 - (each.read - 1) / (each.size - 1) if each.size > 1 else 0.0
        correction = 0.0 if each.read == each.size else math.sqrt(unread)
        value += weight * share
        below += (weight * correction * (share - limits.low)) ** 2
        above += (weight * correction * (limits.high - share)) ** 2
    interval = Interval(
        low=max(0.0, value - math.sqrt(below)),
        high=min(1.0, value + math.sqrt(above)),
        method="stratified, Wilson limits by MOVER",
        level=level,
    )
    return Estimate(value=value, interval=interval)
