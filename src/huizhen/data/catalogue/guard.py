"""What may be told of a count, given what was told before: nothing that singles out fewer than k subjects.

Counts are told as if everybody remembered all of them, knew them exactly, and reckoned with them. A told
count is the sum of a 0/1 vector over the subjects. The guard sees to it that **no combination of told counts
involves fewer than k subjects**. A new question is

- KNOWN, if a combination of earlier answers is found that fewer than k subjects tell from it. It is then
  answered *by that combination*: what was told before is repeated, added and subtracted, so that the answer
  is the same whether these few meet the question or not. A question that nearly nobody meets is the
  combination of nothing: 0;
- NEW, if there is none;
- EXHAUSTED, if there is none, and as many counts were told as there are k-fold subjects: more would begin to
  name them.

A guard that refuses what differs by 1 to k-1 subjects, and answers what differs by none, would tell by
refusing whether these few meet the question. Here both cases are one.

That there is none is proved where the population is large for what was told (`guard_groups`): all
combinations that can be near are looked at. Else it is proved by linear algebra on the cells of k subjects or
more into which all questions cut the population, or searched: single answers, sums and differences of two,
the nearest combination in squares, and the sparsest that reweighted squares come to. Finding the sparsest is
hard in general, for an attacker too.

References: Denning & Schlörer, A fast procedure for finding a tracker in a statistical database, ACM TODS
5:88-102 (1980); Chin & Ozsoyoglu, Auditing and inference control in statistical databases, IEEE TSE 8:574-582
(1982); Kenthapadi, Mishra & Nissim, Simulatable auditing, PODS 2005.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.streams import stream
from huizhen.data.catalogue.guard_cells import Cells, Cut
from huizhen.data.catalogue.guard_groups import Groups, Sample
from huizhen.data.catalogue.guard_search import TOLERANCE, Few, plain, span_of
from huizhen.errors import InvalidInputError

__all__ = ["Guard", "Judgement", "Kind"]

Mask = NDArray[np.bool_]
Float = NDArray[np.float64]
_MARGIN = 48
"""Cells above twice the number of answers that a question is tried on."""
_SOME = 1024
"""Subjects on whom a combination is tried before all."""
_LEAST = 1e-3
"""What counts there as a difference, of combinations that are not yet rounded."""
_MOST = 40_000
"""Elements of small cells among which a near combination is searched."""
_WIDE = float(1 << 30)
"""Below this sums of weights are reckoned in whole numbers of 32 bits."""
_GROUPS = 100
"""The largest k for which groups are kept: their memory grows with it."""


class Kind(StrEnum):
    """How a question relates to those answered before."""

    NEW = "new"
    KNOWN = "known"
    EXHAUSTED = "exhausted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The kind, for KNOWN the value that earlier answers give; `near` is what `Guard.take` needs again."""

    kind: Kind
    value: float = 0.0
    near: Float | None = None


class Guard:
    """Over elements (subjects, studies or series) with their `owners`; at first the total alone is told."""

    def __init__(self, owners: NDArray[np.uint32], *, smallest: int) -> None:
        """Begin with `owners` (m,), each element's subject, growing; `smallest` is k.

        Raises `InvalidInputError` when single subjects would be told, or owners don't grow.
        """
        if smallest < 2:
            raise InvalidInputError("counts of single subjects would be told", remedy="use 2 or more")
        if np.any(owners[1:] < owners[:-1]):
            raise InvalidInputError("elements don't lie by subject", remedy="sort them", field="owners")
        self._owners, self._smallest = owners, smallest
        self._draw = stream(len(owners), "guard's patterns")
        self._sample = Sample(self._one_of_each())
        self._subjects = len(self._sample.element)
        self._masks = [np.packbits(np.ones(len(owners), np.bool_))]
        self._values: list[float] = [float(len(owners))]
        self._groups = Groups(self._sample, smallest) if smallest <= _GROUPS else None
        self._small: _Small | None = None

    def _one_of_each(self) -> NDArray[np.int64]:
        """Return one element of each subject, drawn."""
        last = np.flatnonzero(np.append(np.diff(self._owners) > 0, len(self._owners) > 0))
        many = np.diff(last, prepend=-1)
        return last - (self._draw.random(len(last)) * many).astype(np.int64)

    @property
    def told(self) -> int:
        """How many counts were told that don't follow from others, the total included."""
        return len(self._values)

    def judge(self, mask: Mask) -> Judgement:
        """Return how the question that the elements of `mask` (m,) meet may be answered."""
        for part, value in ((mask, 0.0), (~mask, self._values[0])):
            if self._few_owners(part):
                return Judgement(kind=Kind.KNOWN, value=value)
        proved = self._groups is not None and self._groups.complete
        near = self._groups.combinations(self._sample.met(mask)) if self._groups and proved else None
        for weights in self._searched(mask) if near is None else self._possible(near, mask):
            if self._equals(weights, mask):
                return Judgement(kind=Kind.KNOWN, value=float(weights @ np.array(self._values)))
        enough = self.told * self._smallest < self._subjects
        return Judgement(kind=Kind.NEW if enough else Kind.EXHAUSTED, near=near)

    def take(self, mask: Mask, value: float, judgement: Judgement | None = None) -> None:
        """Note that a question, met by `mask`, is answered by `value`, exact or with noise.

        `judgement` is this guard's of the question, with nothing taken in between; None of what was told
        before this guard was made.
        """
        if self._groups is not None and self._groups.complete:
            near = judgement.near if judgement is not None else None
            self._groups.grow(mask, self._masks, lambda weights: self._further(weights, mask), near)
        self._sample.answers.add(self._sample.met(mask))
        if self._small is not None:
            self._small.take(mask)
        self._masks.append(np.packbits(mask))
        self._values.append(float(value))

    def _few_owners(self, part: Mask) -> bool:
        """Tell whether fewer than k subjects have an element in `part`."""
        place = np.flatnonzero(part[self._sample.element[:_SOME]])
        return len(place) < self._smallest and self._count(np.flatnonzero(part)) < self._smallest

    def _count(self, place: NDArray[np.int64]) -> int:
        """Return whose elements are at `place` (growing): how many subjects."""
        owners = self._owners[place]
        return int(np.count_nonzero(np.diff(owners))) + 1 if len(owners) else 0

    def _possible(self, near: Float, mask: Mask) -> Iterator[Float]:
        """Yield of all combinations that can be near a question those that some subjects don't rule out."""
        some = self._sample.element[:_SOME]
        held = plain(near[self._off(near, mask[some]) < self._smallest])
        yield from np.unique(held, axis=0) if len(held) > 1 else held

    def _off(self, near: Float, asked: Mask) -> NDArray[np.int64]:
        """Return (k,) on how many of the sample's first subjects each combination differs from `asked`."""
        told = self._sample.answers.of(np.arange(len(asked)))
        return np.asarray(np.count_nonzero(np.abs(asked[:, None] - told @ near.T) > _LEAST, axis=0))

    def _searched(self, mask: Mask) -> Iterator[Float]:
        """Yield combinations that equal a question on large cells and may be near it on small ones."""
        if self._small is None:
            self._small = _Small(self._owners, self._smallest, self._draw)
            for packed in self._masks[1:]:
                self._small.take(np.unpackbits(packed, count=len(mask)).astype(np.bool_))
        cut = self._small.cells.cut(mask)
        if cut.divides:
            return
        span = span_of(*self._small.cells.equations(cut, 2 * self.told + _MARGIN))
        if span is None:
            return
        few = self._small.few(cut, mask, self._masks)
        for weights in map(plain, few.choices(span)):
            if few.apart(weights) < self._smallest:
                yield weights

    def _further(self, weights: Float, mask: Mask) -> Iterator[tuple[int, int]]:
        """Yield elements that tell a question from a combination, each with its subject's row."""
        owners = self._owners[self._sample.element[: self._subjects]]
        for element in np.flatnonzero(self._apart(plain(weights), mask)):
            yield int(np.searchsorted(owners, self._owners[element])), int(element)

    def _equals(self, weights: Float, mask: Mask) -> bool:
        """Tell whether fewer than k subjects tell a question from a combination."""
        return self._count(np.flatnonzero(self._apart(weights, mask))) < self._smallest

    def _apart(self, weights: Float, mask: Mask) -> Mask:
        """Return which elements (m,) tell a question from a combination."""
        whole = bool((weights == np.rint(weights)).all()) and float(np.abs(weights).sum()) < _WIDE
        rest: NDArray[Any] = mask.astype(np.int32 if whole else np.float64)
        for answer in np.flatnonzero(weights):
            weight = int(weights[answer]) if whole else float(weights[answer])
            rest -= weight * np.unpackbits(self._masks[answer], count=len(mask)).astype(rest.dtype)
        return np.asarray(rest != 0 if whole else np.abs(rest) > TOLERANCE)


class _Small:
    """What the search needs, kept from when it is needed first: the cells, and each element's pattern."""

    def __init__(self, owners: NDArray[np.uint32], smallest: int, draw: np.random.Generator) -> None:
        self._owners, self._draw = owners, draw
        self.cells = Cells(owners, smallest=smallest)
        self._pattern = np.zeros(len(owners), np.uint64)

    def take(self, mask: Mask) -> None:
        """Cut the cells, and mark the elements that an answer tells from others."""
        cut = self.cells.cut(mask)
        self.cells.take(cut)
        # Of two elements only whether they differ matters, so that either side may be marked.
        self._pattern[cut.chosen] ^= self._draw.integers(1, 2**63, dtype=np.uint64) << np.uint64(1)

    def few(self, cut: Cut, mask: Mask, masks: list[NDArray[np.uint8]]) -> Few:
        """Return what is in small cells, or some of it, grouped by the answers that it is in."""
        place = np.flatnonzero(self.cells.in_small(cut, np.arange(len(mask)), mask))
        if len(place) > _MOST:
            place = np.sort(self._draw.choice(place, _MOST, replace=False))
        patterns = self._pattern[place] ^ mask[place].astype(np.uint64)
        _, first, pattern = np.unique(patterns, return_index=True, return_inverse=True)
        chosen = place[first]
        byte, bit = chosen >> 3, (7 - (chosen & 7)).astype(np.uint8)
        return Few(
            told=np.array([(packed[byte] >> bit) & 1 for packed in masks], np.float64).T,
            asked=mask[chosen].astype(np.float64),
            sizes=np.bincount(pattern, minlength=len(first)).astype(np.float64),
            pattern=pattern,
            owner=self._owners[place],
        )
