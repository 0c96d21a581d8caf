"""l-diversity: how many well-represented sensitive values each class holds.

Reference: Machanavajjhala et al., l-diversity: privacy beyond k-anonymity, ACM TKDD 1(1):3 (2007).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from huizhen.data.disclosure.microdata import Codes

__all__ = ["distinct_values", "entropy_values", "recursive_ratio"]

Pairs = tuple[Codes, Codes, Codes]
"""(class, value, rows) of each pair that occurs, in order of class, then value."""


def distinct_values(pairs: Pairs, classes: int) -> Codes:
    """Return (classes,): how many distinct sensitive values each class holds (distinct l-diversity).

    >>> pairs = (np.array([0, 0, 1]), np.array([0, 1, 1]), np.array([3, 1, 4]))
    >>> distinct_values(pairs, 2).tolist()
    [2, 1]
    """
    return np.bincount(pairs[0], minlength=classes)


def entropy_values(pairs: Pairs, classes: int) -> NDArray[np.float64]:
    """Return (classes,): exp of the entropy of each class's sensitive values (entropy l-diversity).

    A table is entropy l-diverse where every class has at least l (definition 4.1, written as an effective
    number of values).

    >>> pairs = (np.array([0, 0, 1]), np.array([0, 1, 1]), np.array([2, 2, 4]))
    >>> entropy_values(pairs, 2).round(6).tolist()
    [2.0, 1.0]
    """
    of, _, rows = pairs
    total = np.bincount(of, weights=rows, minlength=classes)
    share = rows / total[of]
    return np.exp(np.bincount(of, weights=-share * np.log(share), minlength=classes))


def recursive_ratio(pairs: Pairs, classes: int, *, l: int) -> NDArray[np.float64]:  # noqa: E741  # the field's name
    """Return (classes,): the commonest value's rows over those of the l-th commonest and all rarer ones.

    A class is recursively (c, l)-diverse where this is below c (definition 4.2); infinite where it holds
    fewer than l values.

    >>> pairs = (np.array([0, 0, 0, 1]), np.array([0, 1, 2, 0]), np.array([4, 2, 2, 5]))
    >>> recursive_ratio(pairs, 2, l=2).tolist()
    [1.0, inf]
    """
    of, _, rows = pairs
    order = np.lexsort((-rows, of))
    of, rows = of[order], rows[order]
    first = np.r_[0, np.flatnonzero(np.diff(of)) + 1] if len(of) else np.zeros(0, np.int64)
    rank = np.arange(len(of)) - np.repeat(first, np.diff(np.r_[first, len(of)]))
    most = np.bincount(of, weights=rows * (rank == 0), minlength=classes)
    rest = np.bincount(of, weights=rows * (rank >= l - 1), minlength=classes)
    with np.errstate(divide="ignore"):
        return np.where(rest > 0, most / np.where(rest > 0, rest, 1), np.inf)
