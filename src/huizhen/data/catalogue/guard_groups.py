"""k groups of subjects, nobody in two, on each of which the told answers are independent.

A combination that fewer than k subjects tell from a question equals it on one group at least, and there it is
the only one. So the k combinations that the groups leave are all that can be near a question: whether a
question is new is decided by looking at these, in a time that doesn't grow with the population.

A group has as many subjects as there are answers. Its inverse grows by bordering with each answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from huizhen.data.catalogue.guard_cells import Answers

__all__ = ["Groups", "Sample"]

Mask = NDArray[np.bool_]
Float = NDArray[np.float64]
Further = Callable[[Float], Iterable[tuple[int, int]]]
"""Gives elements that tell a question from a combination, each with its subject's row."""
_POOL = 512
"""Subjects of each kind among whom a group looks for its next one."""
_CHUNK = 16_384
_GOOD, _LEAST = 0.05, 1e-3
"""What a next subject has to tell the question from the group's combination by, at first and at all."""
_EXACT = 1e-7


class Sample:
    """An element of each subject, and which answers it is in; later some further elements."""

    def __init__(self, element: NDArray[np.int64]) -> None:
        self.element, self.answers = element, Answers(len(element))

    def met(self, mask: Mask) -> Mask:
        """Return (rows,) which of its elements meet a question."""
        return np.asarray(mask[self.element])

    def append(self, element: int, masks: Sequence[NDArray[np.uint8]]) -> int:
        """Take an element more, whose answers are in packed `masks`; return its row."""
        told = [packed[element >> 3] >> (7 - element & 7) & 1 for packed in masks]
        self.element = np.append(self.element, element)
        self.answers.append(np.array(told, np.float64))
        return len(self.element) - 1


class Groups:
    """Over the subjects of a sample."""

    def __init__(self, sample: Sample, count: int) -> None:
        """Begin with `count` groups of one, who is in the total."""
        self._answers, self._count, self._size = sample.answers, count, 1
        self._sample = sample
        self.complete = len(self._answers) >= count
        self._free = np.ones(len(self._answers), np.bool_)
        self._free[:count] = False
        self._place = np.arange(count)[:, None]  # (k, capacity)
        self._inverse = np.ones((count, 1, 1))  # (k, capacity, capacity)

    def combinations(self, asked: Mask) -> Float:
        """Return (k, told) the weights by which each group's answers add up to `asked` (subjects,)."""
        found = np.empty((self._count, self._size))
        for group in range(self._count):
            rows = self._answers.of(self._held(group))
            found[group] = self._solved(group, rows, asked[self._held(group)].astype(np.float64))
        return found

    def grow(
        self, mask: Mask, masks: Sequence[NDArray[np.uint8]], further: Further, weights: Float | None = None
    ) -> None:
        """Take a subject more into each group, before the question that `mask` meets is added to the answers.

        `masks` are the packed ones of what was told, `weights` the combinations if they are known. Where no
        subject's one element tells the question from a group's combination, `further` is asked for another.
        Where nobody is left who would keep a group's answers independent, the groups are complete no more.
        """
        asked = self._sample.met(mask)
        if weights is None:
            weights = self.combinations(asked)
        pool = self._pool(asked)
        rest = asked[pool, None] - self._answers.of(pool) @ weights.T
        self._reserve()
        for group in range(self._count):
            chosen, far = self._best(pool, rest[:, group])
            if abs(far) < _GOOD:
                chosen, far = self._farthest(asked, weights[group])
            if abs(far) < _LEAST:
                chosen, far = self._another(mask, masks, weights[group], further(weights[group]))
            if abs(far) < _LEAST:
                self.complete = False
                return
            self._border(group, chosen, weights[group], far)
        self._size += 1

    def _best(self, pool: NDArray[np.int64], rest: Float) -> tuple[int, float]:
        """Return who of a pool is in no group yet and has the largest rest, and that; -1 and 0 of nobody."""
        left = np.where(self._free[pool], np.abs(rest), 0.0)
        place = int(np.argmax(left)) if len(pool) else -1
        return (int(pool[place]), float(rest[place])) if place >= 0 and left[place] > 0 else (-1, 0.0)

    def _another(
        self, mask: Mask, masks: Sequence[NDArray[np.uint8]], weights: Float, found: Iterable[tuple[int, int]]
    ) -> tuple[int, float]:
        """Return the row of a further element of a subject in no group, and its rest; -1 and 0 of none."""
        for row, element in found:
            if self._free[row]:
                self._free[row] = False
                self._free = np.append(self._free, False)
                made = self._sample.append(element, masks)
                return made, float(mask[element] - self._answers.of(np.array([made]))[0] @ weights)
        return -1, 0.0

    def _held(self, group: int) -> NDArray[np.int64]:
        return self._place[group, : self._size]

    def _solved(self, group: int, rows: Float, wanted: Float) -> Float:
        """Return the weights of a group, refined once; the inverse is made anew where it has worn off."""
        inverse = self._inverse[group, : self._size, : self._size]
        for fresh in (False, True):
            if fresh:
                inverse[...] = np.linalg.inv(rows)
            weights = inverse @ wanted
            weights += inverse @ (wanted - rows @ weights)
            if np.abs(wanted - rows @ weights).max() < _EXACT:
                break
        return np.asarray(weights, np.float64)

    def _pool(self, asked: Mask) -> NDArray[np.int64]:
        """Return some subjects in no group: any, those who meet a question, and those who don't."""
        kinds = (self._free, self._free & asked, self._free & ~asked)
        return np.concatenate([np.flatnonzero(kind)[:_POOL] for kind in kinds])

    def _farthest(self, asked: Mask, weights: Float) -> tuple[int, float]:
        """Return the subject in no group who tells a question best from a combination, and by how much."""
        found, most = -1, 0.0
        left = np.flatnonzero(self._free)
        for start in range(0, len(left), _CHUNK):
            part = left[start : start + _CHUNK]
            rest = asked[part] - self._answers.of(part) @ weights
            place = int(np.argmax(np.abs(rest)))
            if abs(rest[place]) > abs(most):
                found, most = int(part[place]), float(rest[place])
            if abs(most) > _GOOD:
                break
        return found, most

    def _reserve(self) -> None:
        """Have room for one more, by doubling."""
        size = self._inverse.shape[1]
        if self._size == size:
            inverse = np.zeros((self._count, 2 * size, 2 * size))
            inverse[:, :size, :size] = self._inverse
            self._inverse = inverse
            self._place = np.concatenate([self._place, np.zeros_like(self._place)], axis=1)

    def _border(self, group: int, chosen: int, weights: Float, far: float) -> None:
        """Take `chosen` into a group: its square of who is in which answer gets a row and a column."""
        size, inverse = self._size, self._inverse[group]
        told = self._answers.of(np.array([chosen]))[0]  # (told,)
        row = told @ inverse[:size, :size]
        inverse[:size, :size] += np.outer(weights / far, row)
        inverse[:size, size], inverse[size, :size] = -weights / far, -row / far
        inverse[size, size] = 1.0 / far
        self._place[group, size] = chosen
        self._free[chosen] = False
