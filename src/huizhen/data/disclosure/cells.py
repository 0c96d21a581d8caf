"""Local suppression: patients in classes that are too small have some cells hidden instead of being left out.

A hidden cell is a value of its own: a patient with one shares a class only with others whose same cells are
hidden, so that nothing rests on what an outsider makes of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.data.disclosure.classes import combined
from huizhen.data.disclosure.ground import Ground, Standing, failing_classes, level_losses, unmixed
from huizhen.data.disclosure.microdata import Codes
from huizhen.data.disclosure.policy import Bounds

__all__ = ["Blanked", "blank_cells"]

_MANY = 10
"""Of more quasi-identifiers, cells are hidden in one order instead of trying every set of them."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Blanked:
    """`hidden` (groups, quasi-identifiers): cells to hide. `out` (groups,): who is left out after all.

    `ids` (groups,) and `sizes` (classes,) are the classes then, `failing` (classes,) those left out.
    """

    hidden: Mask
    out: Mask
    ids: Codes
    sizes: Codes
    failing: Mask
    suppressed: int
    entropy: float


def blank_cells(ground: Ground, found: Standing, bounds: Bounds) -> Blanked:
    """Return which cells to hide so that as few patients as can be are left out at a node."""
    labels = _labels(ground, found)
    hidden = np.zeros((len(found.ids), len(labels)), np.bool_)
    waiting = found.failing[found.ids]
    for chosen in _sets(ground, found):
        if not waiting.any():
            break
        done = _enough(ground, labels, waiting, chosen, bounds)
        hidden[np.ix_(done, np.array(chosen))] = True
        waiting[done] = False
    return _settled(ground, found, labels, hidden, waiting, bounds)


def _labels(ground: Ground, found: Standing) -> list[Codes]:
    """Return the label (groups,) of each quasi-identifier at the node, from 1: 0 stands for a hidden cell."""
    return [
        one.levels[level].codes[code] + 1
        for one, level, code in zip(ground.hierarchies, found.node, ground.codes, strict=True)
    ]


def _sets(ground: Ground, found: Standing) -> Iterator[tuple[int, ...]]:
    """Yield the sets of columns to hide, smaller first, and of one size those that lose less first."""
    losses = level_losses(ground)
    cost = [lost[-1] - lost[level] for lost, level in zip(losses, found.node, strict=True)]
    order = sorted(range(len(cost)), key=lambda k: (cost[k], k))
    if len(order) > _MANY:
        yield from (tuple(sorted(order[: n + 1])) for n in range(len(order)))
        return
    for size in range(1, len(order) + 1):
        sets = itertools.combinations(range(len(order)), size)
        yield from sorted(sets, key=lambda one: (sum(cost[k] for k in one), one))


def _enough(
    ground: Ground, labels: list[Codes], waiting: Mask, chosen: tuple[int, ...], bounds: Bounds
) -> Codes:
    """Return the groups among those `waiting` that are safe once the `chosen` columns are hidden."""
    where = np.flatnonzero(waiting)
    open_ = [np.zeros(len(where), np.int64) if k in chosen else one[where] for k, one in enumerate(labels)]
    small = combined(open_, [int(one.max()) + 1 for one in open_])
    ids = np.full(len(waiting), -1, np.int64)
    ids[where] = small
    classes = int(small.max()) + 1
    if ground.members is None:
        sizes = np.bincount(small, weights=ground.counts[where], minlength=classes)
    else:
        of, who = ground.members
        inside = ids[of] >= 0
        pairs = np.unique(ids[of[inside]] * ground.people + who[inside])
        sizes = np.bincount(pairs // ground.people, minlength=classes)
    safe = sizes >= bounds.least_class
    for one in ground.guarded:
        safe &= ~unmixed(one.of_classes(ids), classes, one.rule)
    return where[safe[small]]


def _settled(
    ground: Ground, found: Standing, labels: list[Codes], hidden: Mask, waiting: Mask, bounds: Bounds
) -> Blanked:
    """Return the classes once cells are hidden; whoever still fails is left out."""
    columns = [np.where(hidden[:, k], 0, one) for k, one in enumerate(labels)]
    ids = combined(columns, [int(one.max()) + 1 for one in columns])
    sizes = ground.sizes(ids)
    failing = failing_classes(ground, ids, sizes, bounds)
    out = failing[ids]
    hidden = hidden & ~out[:, None]
    changed = hidden.any(axis=1) | out | waiting
    total = weights = 0.0
    for k, (one, level) in enumerate(zip(ground.hierarchies, found.node, strict=True)):
        code, bits = ground.codes[k], ground.bits[k]
        lost = np.where(hidden[:, k] | out, bits[-1][code], bits[level][code])
        weights += one.weight
        total += one.weight * (float(lost @ ground.counts) / ground.whole[k] if ground.whole[k] > 0 else 0.0)
    suppressed = _people(ground, changed)
    return Blanked(
        hidden=hidden,
        out=out,
        ids=ids,
        sizes=sizes,
        failing=failing,
        suppressed=suppressed,
        entropy=total / weights,
    )


def _people(ground: Ground, groups: Mask) -> int:
    """Return how many patients have a row in some of the groups."""
    if ground.members is None:
        return int(ground.counts[groups].sum())
    return len(np.unique(ground.members[1][groups[ground.members[0]]]))
