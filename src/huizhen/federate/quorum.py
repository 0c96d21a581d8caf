"""How many sites are enough: the quorum, as lead and sites reckon it alike."""

from __future__ import annotations

import math

__all__ = ["enough_of"]


def enough_of(sites: int, quorum: float) -> int:
    """Return how many of `sites` the share `quorum` in (0, 1] is; 0.67 is read as two thirds.

    >>> [enough_of(n, 0.67) for n in (1, 2, 3, 6, 10)], enough_of(300, 1.0)
    ([1, 2, 2, 4, 7], 300)
    """
    slack = 0.005 if quorum < 1 else 0.0  # a share is stated in hundredths
    return max(1, math.ceil((quorum - slack) * sites - 1e-9))
