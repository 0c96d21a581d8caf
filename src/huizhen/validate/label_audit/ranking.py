"""In which order labels are to be looked at again: the rules of confident learning, and simple ones beside.

Northcutt, Jiang & Chuang (2021), section 3.2: prune by class and by noise rate, ranked by self-confidence and
by normalised margin. Every rule gives an order of all cases, so that a reader may go as far as there is time.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from huizhen.validate.label_audit.confident import class_thresholds, confident_class, confident_joint
from huizhen.validate.label_audit.labelled import Labelled

__all__ = ["Order", "order_of", "suspected", "suspicion"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Order(StrEnum):
    """By what labels are ordered."""

    CONFIDENT = "confident"
    """Those that are confidently another class first; by the margin above the classes' thresholds."""
    NOISE_RATE = "noise_rate"
    """As many of each pair of classes as the joint says first; by normalised margin."""
    CLASS = "class"
    """As many of each class as the joint says first; by self-confidence."""
    MARGIN = "margin"
    """The probability of the given label less that of the likeliest other one."""
    SELF_CONFIDENCE = "self_confidence"
    """The probability of the given label."""
    ENTROPY = "entropy"
    """How undecided the probabilities are, whatever the label."""


def suspicion(data: Labelled, order: Order) -> Floats:
    """Return how suspect each label is (n,), larger for more; only its order has a meaning.

    >>> label = np.repeat([0, 1], 5)
    >>> risk = np.array([0.1, 0.2, 0.1, 0.2, 0.9, 0.9, 0.8, 0.9, 0.8, 0.7])
    >>> data = Labelled.of(label, np.column_stack([1 - risk, risk]))
    >>> [int(suspicion(data, order).argmax()) for order in (Order.CONFIDENT, Order.SELF_CONFIDENCE)]
    [4, 4]
    """
    if order is Order.ENTROPY:
        safe = np.maximum(data.probability, 1e-12)
        return np.asarray(-(safe * np.log(safe)).sum(axis=1))
    if order is Order.SELF_CONFIDENCE:
        return 1 - data.own
    if order is Order.MARGIN:
        return _margin(data, np.zeros(data.classes))
    limits = class_thresholds(data)
    if order is Order.CONFIDENT:
        within = _margin(data, np.where(np.isfinite(limits), limits, 1.0))
    else:
        within = _margin(data, np.zeros(data.classes)) if order is Order.NOISE_RATE else 1 - data.own
    return np.asarray(within + 4.0 * suspected(data, order))


def _margin(data: Labelled, limits: Floats) -> Floats:
    """Return by how much the likeliest other class is above the given one, each less its limit (n,)."""
    above = data.probability - limits
    own = above[np.arange(len(data)), data.label]
    above = above.copy()
    above[np.arange(len(data)), data.label] = -np.inf
    return np.asarray(above.max(axis=1) - own)


def suspected(data: Labelled, order: Order) -> Bools:
    """Return which labels a rule of confident learning takes for wrong (n,); none for the simple rules."""
    if order is Order.CONFIDENT:
        found = confident_class(data, class_thresholds(data))
        return np.asarray((found >= 0) & (found != data.label) & data.large[data.label])
    wrong = np.zeros(len(data), dtype=np.bool_)
    if order not in (Order.NOISE_RATE, Order.CLASS):
        return wrong
    counts = np.rint(confident_joint(data).calibrated * len(data)).astype(int)
    for i in np.flatnonzero(data.large):
        members = np.flatnonzero(data.label == i)
        if order is Order.CLASS:
            _take(wrong, members, 1 - data.own[members], int(counts[i].sum() - counts[i, i]))
            continue
        for j in np.flatnonzero(np.arange(data.classes) != i):
            _take(wrong, members, data.probability[members, j] - data.own[members], int(counts[i, j]))
    return wrong


def _take(wrong: Bools, members: Ints, score: Floats, most: int) -> None:
    """Mark the `most` members with the largest score."""
    wrong[members[np.argsort(-score, kind="stable")[:most]]] = True


def order_of(data: Labelled, order: Order) -> Ints:
    """Return the cases (n,) in the order in which they are to be looked at; ties in the order given."""
    return np.argsort(-suspicion(data, order), kind="stable").astype(np.int64)
