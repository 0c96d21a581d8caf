"""The cells into which all told questions cut the elements of a guard, and which answers each cell is in.

Sizes are counted in shares of subjects, as whole numbers, so that adding and subtracting them is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Answers", "Cells", "Cut"]

_WHOLE = float(1 << 24)
"""One subject; each of its n elements has the whole part of an n-th of it."""
_WORD = 64

Mask = NDArray[np.bool_]
Float = NDArray[np.float64]


class Answers:
    """Which answers each of some rows is in: a bit an answer, the total as the first."""

    def __init__(self, rows: int) -> None:
        self._bits = np.ones((1, rows), "<u8")  # (words, rows)
        self.told = 1

    def __len__(self) -> int:
        return self._bits.shape[1]

    def of(self, rows: NDArray[np.int64]) -> Float:
        """Return (len(rows), told) zeros and ones."""
        packed = np.ascontiguousarray(self._bits[:, rows].T).view(np.uint8)
        return np.unpackbits(packed, axis=1, count=self.told, bitorder="little").astype(np.float64)

    def copy_rows(self, rows: NDArray[np.int64]) -> None:
        """Append copies of `rows`."""
        self._bits = np.concatenate([self._bits, self._bits[:, rows]], axis=1)

    def append(self, told: Float) -> None:
        """Append a row that is in the answers which `told` (told,) says."""
        words = np.zeros(self._bits.shape[0], "<u8")
        packed = np.packbits(told > 0, bitorder="little")
        words.view(np.uint8)[: len(packed)] = packed
        self._bits = np.concatenate([self._bits, words[:, None]], axis=1)

    def add(self, inside: Mask) -> None:
        """Note one more answer, which the rows of `inside` are in."""
        word, bit = divmod(self.told, _WORD)
        if word == len(self._bits):
            self._bits = np.concatenate([self._bits, np.zeros((1, len(self)), "<u8")])
        self._bits[word] |= inside.astype("<u8") << np.uint64(bit)
        self.told += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What a question does to the cells: the smaller of its two sides, and how much of each cell is in it.

    `chosen` are the elements of that side, `met` whether they are those that meet the question, `shares`
    (cells,) what they weigh in each cell. `inside` and `outside` (cells,) tell which parts of cells are
    large, those that meet it and those that don't.
    """

    chosen: NDArray[np.int64]
    met: bool
    shares: Float
    inside: Mask
    outside: Mask

    @property
    def divides(self) -> bool:
        """Whether a large cell has large parts on both sides: then nothing told equals the question."""
        return bool((self.inside & self.outside).any())


class Cells:
    """Over elements with their `owners` (m,), growing; a cell is large from `smallest` subjects."""

    def __init__(self, owners: NDArray[np.uint32], *, smallest: int) -> None:
        owned = np.bincount(owners)[owners] if len(owners) else np.ones(0)
        self._share = np.floor(_WHOLE / owned)
        self._need = (smallest - 0.5) * _WHOLE
        self._cell = np.zeros(len(owners), np.int32)
        self._sizes = np.array([self._share.sum()])
        self._answers = Answers(1)

    def cut(self, mask: Mask) -> Cut:
        """Return what the question that the elements of `mask` (m,) meet does to the cells."""
        met = 2 * int(np.count_nonzero(mask)) <= len(mask)
        chosen = np.flatnonzero(mask if met else ~mask)
        weights = self._share[chosen]
        shares = np.bincount(self._cell[chosen], weights, len(self._sizes)).astype(np.float64)
        here, there = shares > self._need, self._sizes - shares > self._need
        inside, outside = (here, there) if met else (there, here)
        return Cut(chosen=chosen, met=met, shares=shares, inside=inside, outside=outside)

    def equations(self, cut: Cut, most: int) -> tuple[Float, Float]:
        """Return (cells, told) and (cells,): which answers large parts of cells are in, and if they meet it.

        Of a cut that divides no cell. At most `most` of them, spread over all.
        """
        large = np.flatnonzero(cut.inside | cut.outside)
        some = large[np.linspace(0, len(large) - 1, min(len(large), most)).astype(np.int64)]
        return self._answers.of(some), cut.inside[some].astype(np.float64)

    def in_small(self, cut: Cut, elements: NDArray[np.int64], mask: Mask) -> Mask:
        """Tell of `elements` whether they are in small parts of cells; `mask` is the question's."""
        cell = self._cell[elements]
        return ~np.where(mask[elements], cut.inside[cell], cut.outside[cell])

    def take(self, cut: Cut) -> None:
        """Cut the cells. What was small already stays in one piece."""
        rest = self._sizes - cut.shares
        split = np.flatnonzero((cut.shares > 0) & (rest > 0) & (self._sizes > self._need))
        label = np.arange(len(self._sizes), dtype=np.int32)
        label[split] = len(label) + np.arange(len(split), dtype=np.int32)
        self._cell[cut.chosen] = label[self._cell[cut.chosen]]
        whole = (cut.shares > 0) & (rest <= 0)
        self._sizes = np.concatenate([self._sizes, cut.shares[split]])
        self._sizes[split] = rest[split]
        self._answers.copy_rows(split)
        chosen = np.concatenate([whole, np.ones(len(split), np.bool_)])
        self._answers.add(chosen if cut.met else ~chosen)
