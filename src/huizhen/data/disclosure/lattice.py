"""The search for a recoding: the node of the lattice that keeps the bounds and loses least.

Whether classes are large enough only gets better from a node to a coarser one, so that one node tested tells
of all above or all below it (El Emam et al., A globally optimal k-anonymity method, JAMIA 16(5):670-682
(2009); Kohlmayer et al., Flash, PASSAT 2012). What is left is tried in the order of the least that it can
lose, until nothing better can follow. Beyond `Search.nodes`, a greedy way up and down is taken instead.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.core.progress import Progress, Silent
from huizhen.data.disclosure.ground import Ground, Node, Standing, level_losses, standing
from huizhen.data.disclosure.policy import Bounds, Search

__all__ = ["Chosen", "search"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chosen:
    """The node that was found, or None where none keeps the bounds.

    `optimal`: no node of the lattice that keeps the bounds loses less. `seen` are (loss, highest risk among
    those who stay, holds) of the nodes that were weighed.
    """

    best: Standing | None
    optimal: bool
    nodes: int
    weighed: int
    seen: tuple[tuple[float, float, bool], ...]


def search(ground: Ground, bounds: Bounds, how: Search, *, progress: Progress | None = None) -> Chosen:
    """Return the best node found, and whether it is the best that there is."""
    nodes = math.prod(top - low for top, low in zip(ground.shape, ground.finest, strict=True))
    walk = _Walk(ground, bounds, how)
    if nodes > how.nodes:
        walk.greedy()
        return walk.chosen(nodes, optimal=False)
    large = _large_enough(walk)
    candidates = [tuple(int(i) for i in node) for node in np.argwhere(large)]
    floors = {node: walk.floor(node) for node in candidates}
    with (progress or Silent()).track("lattice", len(candidates)) as advance:
        for node in sorted(candidates, key=lambda one: (floors[one], one)):
            if walk.best is not None and floors[node] >= walk.loss(walk.best) - 1e-12:
                break
            walk.weigh(node)
            advance(1)
    return walk.chosen(nodes, optimal=True)


class _Walk:
    """What has been weighed so far."""

    def __init__(self, ground: Ground, bounds: Bounds, how: Search) -> None:
        self.ground, self.bounds, self.how = ground, bounds, how
        self.best: Standing | None = None
        self._seen: dict[Node, tuple[float, float, bool]] = {}
        self._most = math.floor(bounds.suppress * ground.people + 1e-9)
        self._lost = level_losses(ground)

    def loss(self, one: Standing) -> float:
        """Return the loss that the policy minimises."""
        return one.entropy if self.how.loss == "entropy" else one.discernibility

    def floor(self, node: Node) -> float:
        """Return the least that a node can lose: as if nobody had to be left out."""
        return self._entropy(node) if self.how.loss == "entropy" else 0.0

    def _entropy(self, node: Node) -> float:
        return sum(self._lost[k][level] for k, level in enumerate(node))

    def large_enough(self, node: Node) -> bool:
        """Tell whether no more patients than allowed stand in classes that are too small."""
        ids = self.ground.ids(node)
        sizes = self.ground.sizes(ids)
        return self.ground.people_in(ids, sizes < self.bounds.least_class, sizes) <= self._most

    def weigh(self, node: Node) -> Standing:
        """Weigh a node, and keep it if it is the best so far."""
        found = standing(self.ground, node, self.bounds)
        risk = 1.0 / found.kept.min() if len(found.kept) else 0.0
        self._seen[node] = (self.loss(found), float(risk), found.holds)
        if found.holds and (self.best is None or self.loss(found) < self.loss(self.best) - 1e-12):
            self.best = found
        return found

    def greedy(self) -> None:
        """Go up by the step that costs least for each patient it saves, then down while the bounds hold."""
        node = self.ground.finest
        found = self.weigh(node)
        while not found.holds and (above := self._steps(node, 1)):
            tried = [self.weigh(one) for one in above]
            found = min(tried, key=lambda one: self._price(found, one))
            node = found.node
        improved = self.best is not None
        while improved and self.best is not None:
            before = self.best
            for one in self._steps(before.node, -1):
                self.weigh(one)
            improved = self.best is not before

    def _price(self, now: Standing, then: Standing) -> tuple[bool, float]:
        """Return what a step up costs for each patient who needn't be left out any more."""
        saved = now.suppressed - then.suppressed
        cost = max(self._entropy(then.node) - self._entropy(now.node), 1e-12)
        return (not then.holds, cost / saved if saved > 0 else cost * self.ground.people)

    def _steps(self, node: Node, by: int) -> list[Node]:
        """Return the nodes one level above (1) or below (-1)."""
        found = []
        for k, level in enumerate(node):
            if self.ground.finest[k] <= level + by < self.ground.shape[k]:
                found.append((*node[:k], level + by, *node[k + 1 :]))
        return found

    def chosen(self, nodes: int, *, optimal: bool) -> Chosen:
        """Return what was found."""
        return Chosen(
            best=self.best,
            optimal=optimal,
            nodes=nodes,
            weighed=len(self._seen),
            seen=tuple(self._seen.values()),
        )


def _large_enough(walk: _Walk) -> NDArray[np.bool_]:
    """Return which nodes (levels of each quasi-identifier) have large enough classes, testing few of them.

    From each untested node a path leads upwards to the top; a binary search on it finds where classes become
    large enough. Everything above that node then is, and everything below the one before isn't.
    """
    shape, finest = walk.ground.shape, walk.ground.finest
    state = np.zeros(shape, np.int8)
    low = tuple(slice(None, start) for start in finest)
    for axis, part in enumerate(low):
        state[(slice(None),) * axis + (part,)] = -1
    span = [range(start, stop) for start, stop in zip(finest, shape, strict=True)]
    for node in sorted(itertools.product(*span), key=lambda one: (sum(one), one)):
        if state[node]:
            continue
        path = _path(node, shape, state)
        first, last = 0, len(path)
        while first < last:
            middle = (first + last) // 2
            if walk.large_enough(path[middle]):
                last = middle
                state[tuple(slice(level, None) for level in path[middle])] = 1
            else:
                first = middle + 1
                below = tuple(slice(None, level + 1) for level in path[middle])
                state[below] = np.where(state[below] == 1, 1, -1)
    return np.equal(state, 1)


def _path(node: Node, shape: Node, state: NDArray[np.int8]) -> list[Node]:
    """Return a way up from a node over nodes that nothing is known of yet."""
    path = [node]
    while True:
        steps = [
            (*node[:k], level + 1, *node[k + 1 :]) for k, level in enumerate(node) if level + 1 < shape[k]
        ]
        untold = [one for one in steps if not state[one]]
        if not untold:
            return path
        node = untold[0]
        path.append(node)
