"""t-closeness: how far the sensitive values of a class lie from those of everybody.

Reference: Li, Li & Venkatasubramanian, t-closeness: privacy beyond k-anonymity and l-diversity, ICDE 2007:
the earth mover's distance with equal, ordered and hierarchical ground distance (sections 4.1 to 4.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.data.disclosure.diversity import Pairs
from huizhen.data.disclosure.microdata import Codes

__all__ = ["equal_distance", "hierarchical_distance", "ordered_distance"]

Shares = NDArray[np.floating[Any]]


def equal_distance(pairs: Pairs, classes: int, whole: Shares) -> Shares:
    """Return (classes,): the distance of each class from `whole` (values,) where all values are equally far.

    That is half the sum of absolute differences of shares.

    >>> pairs = (np.array([0, 1]), np.array([0, 1]), np.array([1, 3]))
    >>> equal_distance(pairs, 2, np.array([0.25, 0.75])).tolist()
    [0.75, 0.25]
    """
    of, value, share = _shares(pairs, classes)
    known = whole[value]
    apart = np.bincount(of, weights=np.abs(share - known), minlength=classes)
    return 0.5 * (apart + 1.0 - np.bincount(of, weights=known, minlength=classes))


def ordered_distance(pairs: Pairs, classes: int, whole: Shares) -> Shares:
    """Return (classes,): the same for values in order, neighbours 1/(values - 1) apart.

    That is the mean absolute difference of the cumulative shares over all but the last value. A class's
    cumulative share is constant between the values that it holds, so that only those are visited.

    >>> pairs = (np.array([0, 1, 1]), np.array([0, 1, 2]), np.array([1, 1, 1]))
    >>> ordered_distance(pairs, 2, np.array([0.2, 0.4, 0.4])).round(6).tolist()
    [0.6, 0.15]
    """
    if len(whole) < 2:
        return np.zeros(classes)
    of, value, share = _shares(pairs, classes)
    below = np.cumsum(whole)
    first = np.r_[True, np.diff(of) > 0] if len(of) else np.zeros(0, np.bool_)
    reached = np.cumsum(share)
    start = np.flatnonzero(first)
    base = np.repeat(np.r_[0.0, reached[start[1:] - 1]], np.diff(np.r_[start, len(of)]))
    reached = reached - base
    last = np.r_[first[1:], True] if len(of) else first
    until = np.where(last, len(whole) - 1, np.r_[value[1:], 0])
    sums = np.r_[0.0, np.cumsum(below)]
    found = np.bincount(of, weights=_area(reached, value, until, below, sums), minlength=classes)
    found += np.bincount(of[start], weights=sums[value[start]], minlength=classes)
    return found / (len(whole) - 1)


def _area(level: Shares, start: Codes, end: Codes, below: Shares, sums: Shares) -> Shares:
    """Return the sum of |level - below| over the places from start to before end, `below` rising."""
    turn = np.clip(np.searchsorted(below, level, side="left"), start, end)
    under = level * (turn - start) - (sums[turn] - sums[start])
    over = (sums[end] - sums[turn]) - level * (end - turn)
    return under + over


def hierarchical_distance(pairs: Pairs, classes: int, whole: Shares, groups: Sequence[Codes]) -> Shares:
    """Return (classes,): the same where values that share a group are nearer.

    `groups`: for each level above the values, from fine to coarse, the group (values,) of each value; all
    values together are the root above them. Two values are as far as the level of their lowest common group,
    over the height of the tree. The mass that has to leave one child of a group for another costs that.

    >>> pairs = (np.array([0]), np.array([0]), np.array([1]))
    >>> hierarchical_distance(pairs, 1, np.array([0.5, 0.5, 0.0]), [np.array([0, 0, 1])]).tolist()
    [0.25]
    """
    levels = [*groups, np.zeros(len(whole), np.int64)]
    of, value, share = _shares(pairs, classes)
    found, block = np.zeros(classes), max(1, (1 << 22) // max(1, len(whole)))
    for begin in range(0, classes, block):
        inside = (of >= begin) & (of < begin + block)
        extra = np.repeat(-whole[None, :], min(block, classes - begin), axis=0)
        np.add.at(extra, (of[inside] - begin, value[inside]), share[inside])
        found[begin : begin + block] = _climbed(extra, levels)
    return found


def _climbed(extra: Shares, levels: Sequence[Codes]) -> Shares:
    """Return the cost (classes,) of evening out `extra` (classes, values), level by level."""
    cost, child = np.zeros(len(extra)), np.arange(extra.shape[1])
    for height, group in enumerate(levels, 1):
        parent = np.zeros(int(child.max()) + 1, np.int64)
        parent[child] = group  # every value of a child has the child's group
        width = int(group.max()) + 1
        gains, losses = np.zeros((len(extra), width)), np.zeros((len(extra), width))
        for one, above in enumerate(parent):
            gains[:, above] += np.maximum(extra[:, one], 0)
            losses[:, above] += np.maximum(-extra[:, one], 0)
        cost += height / len(levels) * np.minimum(gains, losses).sum(axis=1)
        extra, child = gains - losses, group
    return cost


def _shares(pairs: Pairs, classes: int) -> tuple[Codes, Codes, Shares]:
    """Return pairs with each value's share of its class in place of rows."""
    of, value, rows = pairs
    return of, value, rows / np.bincount(of, weights=rows, minlength=classes)[of]
