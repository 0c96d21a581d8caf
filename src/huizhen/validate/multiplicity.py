"""Several hypotheses: which may be claimed together at one error rate.

References: Holm, Scand J Stat 6:65-70 (1979); Westfall & Krishen, J Stat Plan Inference 99:25-40 (2001) for
serial gatekeeping; Bretz, Maurer, Brannath & Posch, Stat Med 28:586-604 (2009) for graphs, of which Holm,
fixed sequences, fallback and gatekeeping are cases. All control the chance of any false claim.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.errors import InvalidInputError

Floats = NDArray[np.float64]


def _checked(p: ArrayLike) -> Floats:
    """Return p-values (k,), or refuse."""
    values = np.asarray(p, dtype=np.float64)
    if values.ndim != 1 or not values.size or not ((values >= 0) & (values <= 1)).all():
        raise InvalidInputError("must be (k,) within [0, 1]", remedy="give p-values", field="p")
    return values


def holm(p: ArrayLike) -> Floats:
    """Return Holm's adjusted p-values (k,): a hypothesis is rejected where its own is at most alpha.

    Raises `InvalidInputError` unless `p` is (k,) within [0, 1].

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    values = _checked(p)
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(values.size, 0, -1))
    adjusted = np.empty(values.size)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def fixed_sequence(p: ArrayLike) -> Floats:
    """Return adjusted p-values (k,) of hypotheses tested in a fixed order until one isn't rejected.

    >>> fixed_sequence([0.01, 0.2, 0.03]).tolist()
    [0.01, 0.2, 0.2]
    """
    return np.asarray(np.maximum.accumulate(_checked(p)), dtype=np.float64)


def gatekeeping(families: Sequence[ArrayLike]) -> tuple[Floats, ...]:
    """Return adjusted p-values of families of hypotheses, each by Holm, in order.

    A family is tested only if every hypothesis of the family before it was rejected (a serial gatekeeper).

    >>> [family.tolist() for family in gatekeeping([[0.01, 0.02], [0.001]])]
    [[0.02, 0.02], [0.02]]
    """
    adjusted: list[Floats] = []
    gate = 0.0
    for family in families:
        adjusted.append(np.maximum(holm(family), gate))
        gate = float(adjusted[-1].max())
    return tuple(adjusted)


def graphical(p: ArrayLike, weights: ArrayLike, transitions: ArrayLike) -> Floats:
    """Return adjusted p-values (k,) of Bretz and others' sequentially rejective graph.

    `weights` (k,), at least 0, sum at most 1: the share of alpha that each hypothesis starts with.
    `transitions` (k, k): the share of its alpha that a rejected hypothesis (row) hands to each other, rows
    summing to at most 1, 0 on the diagonal. Raises `InvalidInputError` on anything else.

    >>> graphical([0.02, 0.04, 0.2], [0.5, 0.5, 0.0], [[0, 1, 0], [0, 0, 1], [0, 0, 0]]).tolist()
    [0.04, 0.04, 0.2]
    """
    values, weight = _checked(p), np.array(weights, dtype=np.float64)
    handed = np.array(transitions, dtype=np.float64)
    _check_graph(values.size, weight, handed)
    adjusted, open_, reached = np.ones(values.size), np.ones(values.size, dtype=bool), 0.0
    while open_.any():
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(open_ & (weight > 0), values / weight, np.inf)
        chosen = int(np.argmin(ratio))
        if not np.isfinite(ratio[chosen]):
            break
        reached = max(reached, float(ratio[chosen]))
        adjusted[chosen] = min(1.0, reached)
        open_[chosen] = False
        weight, handed = _without(chosen, weight, handed, open_)
    return adjusted


def _check_graph(size: int, weight: Floats, handed: Floats) -> None:
    """Raise unless weights and transitions are a graph of `size` hypotheses."""
    slack = 1 + 1e-9
    if weight.shape != (size,) or handed.shape != (size, size):
        raise InvalidInputError("weights or transitions don't fit", remedy="give (k,) and (k, k)", field="p")
    wrong = weight.min() < 0 or weight.sum() > slack or handed.min() < 0 or np.diag(handed).any()
    if wrong or (handed.sum(axis=1) > slack).any():
        raise InvalidInputError("shares below 0 or above 1 in all", remedy="correct it", field="transitions")


def _without(chosen: int, weight: Floats, handed: Floats, open_: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return the graph after a rejection: its alpha handed on, its edges bridged."""
    new_weight = np.where(open_, weight + weight[chosen] * handed[chosen], 0.0)
    into = handed[:, chosen : chosen + 1]
    back = into * handed[chosen][:, np.newaxis]
    through = handed + into * handed[chosen]
    scale = 1 - back
    bridged = np.divide(through, scale, out=np.zeros_like(through), where=scale > 1e-12)
    bridged[~open_] = 0.0
    bridged[:, ~open_] = 0.0
    np.fill_diagonal(bridged, 0.0)
    return new_weight, bridged
