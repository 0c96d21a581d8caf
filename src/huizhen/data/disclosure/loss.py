"""What a recoding loses: non-uniform entropy by column, and how many patients look alike (discernibility).

References: Gionis & Tassa, k-anonymization with minimal loss of information, IEEE TKDE 21(2):206-219 (2009);
Bayardo & Agrawal, Data privacy through optimal k-anonymization, ICDE 2005 (equation 1).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from huizhen.data.disclosure.hierarchies import Hierarchy
from huizhen.data.disclosure.microdata import Codes

__all__ = ["bits_lost", "discernibility"]

Bits = NDArray[np.float64]


def bits_lost(hierarchy: Hierarchy, counts: Codes) -> list[Bits]:
    """Return for each level (values,) the bits that a row of each value loses there.

    `counts` (values,): rows of each value. A row that keeps its value loses nothing; hidden, it loses
    log2(rows / rows of its value).

    >>> from huizhen.data.disclosure.microdata import column_of
    >>> from huizhen.data.disclosure.policy import Quasi
    >>> from huizhen.data.disclosure.hierarchies import hierarchy_of
    >>> sex = column_of("sex", ["f", "m"])
    >>> [bits.tolist() for bits in bits_lost(hierarchy_of(sex, Quasi()), sex.counts)][-1]
    [1.0, 1.0]
    """
    own = np.maximum(counts, 1)
    found = []
    for level in hierarchy.levels:
        joined = np.bincount(level.codes, weights=counts)[level.codes]
        found.append(np.log2(np.maximum(joined, 1) / own))
    return found


def discernibility(sizes: Codes, *, suppressed: int) -> float:
    """Return the discernibility of classes of `sizes` beside `suppressed` patients, as a share of the most.

    A patient costs as many as share the class; one who is left out, everybody. 1 is a single class.

    >>> discernibility(np.array([2, 2]), suppressed=0)
    0.5
    """
    people = int(sizes.sum()) + suppressed
    if not people:
        return 0.0
    return float((sizes.astype(np.float64) ** 2).sum() + suppressed * people) / people**2
