"""What may be told of a count, given what was told before: nothing that singles out fewer than k subjects.

Counts are told as if everybody remembered all of them, knew them exactly, and reckoned with them. A told
count is the sum of a 0/1 vector over the subjects; all questions so far cut the population into cells. The
guard sees to it that **no combination of told counts involves fewer than k subjects**. A new question is

- NEW, if on the cells of k subjects or more it is no combination of what was told, since no combination with
  it can then vanish on all of these cells; or, where these cells don't decide, if of all combinations that
  equal it there none is found that fewer than k subjects tell from it;
- KNOWN, if such a combination is found. It is then answered *by that combination*: what was told before is
  repeated, added and subtracted, so that the answer is the same whether these few meet the question or not.
  A question that nearly nobody meets is the combination of nothing: 0;
- EXHAUSTED, if as many counts were told as there are k-fold subjects: more would begin to name them.

A guard that refuses what differs by 1 to k-1 subjects, and answers what differs by none, would tell by
refusing whether these few meet the question. Here both cases are one.

The first kind of NEW is proved, the second searched: single answers, sums and differences of two, the nearest
combination in squares, and the sparsest that reweighted squares come to. Finding the sparsest is hard in
general, for an attacker too.

References: Denning & Schlörer, A fast procedure for finding a tracker in a statistical database, ACM TODS
5:88-102 (1980); Chin & Ozsoyoglu, Auditing and inference control in statistical databases, IEEE TSE 8:574-582
(1982); Kenthapadi, Mishra & Nissim, Simulatable auditing, PODS 2005.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from huizhen.core.streams import stream
from huizhen.errors import InvalidInputError

__all__ = ["Guard", "Judgement", "Kind"]

_TOLERANCE = 1e-5
_MARGIN = 48
"""Cells above the number of answers that a question is tried on first."""


class Kind(StrEnum):
    """How a question relates to those answered before."""

    NEW = "new"
    KNOWN = "known"
    EXHAUSTED = "exhausted"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cut:
    """The large cells after a question: each element's cell (0: a small one), each cell's parent and side."""

    cell: NDArray[np.int32]
    parent: NDArray[np.int64]
    inside: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The kind; for KNOWN the value that earlier answers give; and what `Guard.take` needs."""

    kind: Kind
    cut: _Cut
    value: float = 0.0


class Guard:
    """Over elements (subjects, studies or series) with their `owners`; at first the total alone is told."""

    def __init__(self, owners: NDArray[np.uint32], *, smallest: int) -> None:
        """Begin with `owners` (m,), each element's subject; `smallest` is k."""
        if smallest < 2:
            raise InvalidInputError("counts of single subjects would be told", remedy="use 2 or more")
        self._owners, self._smallest = owners, smallest
        self._subjects = len(np.unique(owners))
        owned = np.bincount(owners)[owners] if len(owners) else np.zeros(0)
        # The share of its subject that an element is: a cell's shares never add up to more than its subjects.
        self._share = 1.0 / np.maximum(owned, 1)
        self._cell = np.full(len(owners), int(self._share.sum() > smallest - 0.5), np.int32)
        self._rows = np.ones((1, int(self._cell.max(initial=0))))
        everybody = _packed(np.ones(len(owners), np.bool_))
        self._masks = [everybody]
        self._shared = np.array([[float(len(owners))]])  # elements that two answers have in common
        self._values: list[float] = [float(len(owners))]
        self._pattern = np.zeros(len(owners), np.uint64)  # of each element, by which answers it is in
        self._draw = stream(len(owners), "guard's patterns")

    @property
    def told(self) -> int:
        """How many counts were told that don't follow from others, the total included."""
        return len(self._values)

    def judge(self, mask: NDArray[np.bool_]) -> Judgement:
        """Return how the question that the elements of `mask` (m,) meet may be answered."""
        cut = self._cut(mask)
        rows = self._rows[:, cut.parent]
        weights = _combination(rows, cut.inside)
        fresh = Kind.NEW if self.told * self._smallest < self._subjects else Kind.EXHAUSTED
        if weights is None:
            return Judgement(kind=fresh, cut=cut)
        few = self._few(cut, mask)
        free = _free(rows)
        for choice in self._choices(weights, free, few, mask):
            equal = np.allclose(choice @ rows, cut.inside, rtol=0, atol=_TOLERANCE)
            if equal and few.apart(choice) < self._smallest:
                return Judgement(kind=Kind.KNOWN, cut=cut, value=float(choice @ np.array(self._values)))
        return Judgement(kind=fresh, cut=cut)

    def _choices(
        self, weights: NDArray[np.float64], free: NDArray[np.float64], few: _Few, mask: NDArray[np.bool_]
    ) -> Iterator[NDArray[np.float64]]:
        """Yield combinations that may be near a question, the cheapest to find first."""
        yield weights
        yield from self._simple(mask)
        yield weights + free @ few.nearest(weights, free)
        yield weights + free @ few.sparsest(weights, free)

    def _few(self, cut: _Cut, mask: NDArray[np.bool_]) -> _Few:
        """Return what is in small cells, grouped by the answers that it is in."""
        place = np.flatnonzero(cut.cell == 0)
        patterns = self._pattern[place] ^ mask[place].astype(np.uint64)
        _, first, pattern = np.unique(patterns, return_index=True, return_inverse=True)
        chosen = place[first]
        byte, bit = chosen >> 3, (7 - (chosen & 7)).astype(np.uint8)
        return _Few(
            told=np.array([(packed[byte] >> bit) & 1 for packed in self._masks], np.float64),
            asked=mask[chosen].astype(np.float64),
            sizes=np.bincount(pattern, minlength=len(first)).astype(np.float64),
            pattern=pattern,
            owner=self._owners[place],
        )

    def _simple(self, mask: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
        """Return the one answer, the one sum and the one difference of two that are nearest to a question."""
        own, shared, packed = np.diag(self._shared), self._shared, _packed(mask)
        common = np.array([_common(packed, other) for other in self._masks], np.float64)
        alone = float(np.count_nonzero(mask)) + own - 2 * common
        sums = alone[:, None] + own[None, :] - 2 * common[None, :] + 2 * shared
        less = alone[:, None] + own[None, :] + 2 * common[None, :] - 2 * shared
        found = [np.zeros(len(own)) for _ in range(3)]
        found[0][np.argmin(alone)] = 1.0
        for weights, distance, sign in ((found[1], sums, 1.0), (found[2], less, -1.0)):
            np.fill_diagonal(distance, np.inf)
            one, other = np.unravel_index(np.argmin(distance), distance.shape)
            weights[one], weights[other] = 1.0, sign
        return found

    def take(self, judgement: Judgement, mask: NDArray[np.bool_], value: float) -> None:
        """Note that a question, met by `mask`, is answered by `value`, exact or with noise."""
        cut = judgement.cut
        self._rows = np.vstack([self._rows[:, cut.parent], cut.inside])
        self._cell = cut.cell
        packed = _packed(mask)
        self._masks.append(packed)
        self._pattern[mask] ^= self._draw.integers(1, 2**63, dtype=np.uint64) << np.uint64(1)
        common = np.array([_common(packed, other) for other in self._masks], np.float64)
        self._shared = np.block([[self._shared, common[:-1, None]], [common[None, :]]])
        self._values.append(float(value))

    def _cut(self, mask: NDArray[np.bool_]) -> _Cut:
        """Return the cells as `mask` cuts them; those of fewer than k subjects are put together as cell 0."""
        split = self._cell * np.int32(2) + mask
        sizes = np.bincount(split, weights=self._share, minlength=2 * (self._rows.shape[1] + 1))
        sizes[:2] = 0  # what was small stays so
        large = np.flatnonzero(sizes > self._smallest - 0.5)
        number = np.zeros(len(sizes), np.int32)
        number[large] = np.arange(1, len(large) + 1, dtype=np.int32)
        return _Cut(cell=number[split], parent=(large >> 1) - 1, inside=(large & 1).astype(np.float64))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Few:
    """The elements in small cells: patterns of who meets what, how often each, and whose they are.

    `told` (n, patterns) and `asked` (patterns,) are 0 or 1, `sizes` counts elements; `pattern` and `owner`
    are of each element.
    """

    told: NDArray[np.float64]
    asked: NDArray[np.float64]
    sizes: NDArray[np.float64]
    pattern: NDArray[np.int64]
    owner: NDArray[np.uint32]

    def apart(self, weights: NDArray[np.float64]) -> int:
        """Return how many subjects tell the question from a combination of what was told."""
        rest = np.abs(self.asked - weights @ self.told) > _TOLERANCE
        return len(np.unique(self.owner[rest[self.pattern]]))

    def nearest(self, weights: NDArray[np.float64], free: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the step in `free` (n, z) from `weights` after which the fewest squares are left."""
        return self._step(weights, free, self.sizes)

    def sparsest(self, weights: NDArray[np.float64], free: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the step after which the fewest elements are left, as far as reweighting finds it.

        Reference: Daubechies et al., Iteratively reweighted least squares minimization for sparse recovery,
        Comm. Pure Appl. Math. 63:1-38 (2010).
        """
        step = self.nearest(weights, free)
        for smooth in (1.0, 0.3, 0.1, 0.01, 1e-3, 1e-5):
            rest = self.asked - (weights + free @ step) @ self.told
            step = self._step(weights, free, self.sizes / (rest**2 + smooth**2))
        return step

    def _step(
        self, weights: NDArray[np.float64], free: NDArray[np.float64], sizes: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        if not free.shape[1] or not len(self.sizes):
            return np.zeros(free.shape[1])
        ways, rest = free.T @ self.told, self.asked - weights @ self.told  # (z, patterns), (patterns,)
        found = np.linalg.lstsq((ways * sizes) @ ways.T, (ways * sizes) @ rest, rcond=None)[0]
        return np.asarray(found, np.float64)


def _free(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the combinations (n, z) of `rows` (n, cells) that vanish, as orthogonal columns."""
    sizes, turned = np.linalg.eigh(rows @ rows.T)
    return np.asarray(turned[:, sizes < _TOLERANCE * max(1.0, float(sizes[-1]))], np.float64)


def _packed(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return a mask in bits, filled up to whole words of 64."""
    bits = np.packbits(mask)
    return np.concatenate([bits, np.zeros(-len(bits) % 8, np.uint8)])


def _common(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    """Return how many elements two packed masks have in common."""
    return int(np.bitwise_count(one.view(np.uint64) & other.view(np.uint64)).sum(dtype=np.int64))


def _combination(rows: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return weights by which `rows` (n, cells) add up to `wanted` (cells,); None where none do.

    Some of the cells are tried first: what is no combination on these is none at all.
    """
    count, cells = rows.shape
    some = min(cells, count + _MARGIN)
    for chosen in (np.linspace(0, cells - 1, some).astype(np.int64), np.arange(cells)):
        weights = _solved(rows[:, chosen], wanted[chosen])
        if weights is None:
            return None
        if np.allclose(weights @ rows, wanted, rtol=0, atol=_TOLERANCE):
            return weights
    return None


def _solved(rows: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return weights of `rows`, whole numbers where these do; None where none add up to `wanted`."""
    if not rows.shape[1]:
        return np.zeros(rows.shape[0])
    found = np.asarray(np.linalg.lstsq(rows.T, wanted, rcond=None)[0], np.float64)
    for weights in (np.rint(found), np.where(np.abs(found) < _TOLERANCE, 0.0, found)):
        if np.allclose(weights @ rows, wanted, rtol=0, atol=_TOLERANCE):
            return weights
    return None
