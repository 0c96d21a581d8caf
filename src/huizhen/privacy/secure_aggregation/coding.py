"""From updates to integers modulo 2^32 and back: fixed point for weights, plain counts for statistics.

A sum can't wrap around: a coding is refused unless as many sites as there are, each at its largest, stay
below the modulus.

    >>> import numpy as np
    >>> coding = FixedPoint.finest(sites=3, clip=8.0, max_weight=100)
    >>> ours = coding.encoded([np.array([0.5, -0.25], np.float32)], weight=100)
    >>> theirs = coding.encoded([np.array([0.5, 0.75], np.float32)], weight=50)
    >>> mean, weight = coding.decode(ours.whole() + theirs.whole())
    >>> (150 * mean).round(4).tolist(), weight
    ([75.0, 12.5], 150)
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, final

import numpy as np
from numpy.typing import NDArray

from huizhen.errors import InvalidInputError

__all__ = ["CHUNK", "Coding", "Counts", "Encoded", "FixedPoint", "Residues"]

CHUNK: Final = 1 << 16
"""Elements that are worked on at a time: 256 KiB, which stays in a core's second cache."""

Words = NDArray[np.uint32]


class Encoded(Protocol):
    """A vector that can be written piece by piece as integers modulo 2^32."""

    @property
    def length(self) -> int:
        """How many elements it has."""
        ...

    @property
    def coding(self) -> Coding:
        """The coding it was made with."""
        ...

    def fill(self, start: int, out: Words) -> None:
        """Write the elements from `start` on into `out`."""
        ...

    def whole(self) -> Words:
        """Return all elements (length,), not masked by anything."""
        ...


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FixedPoint:
    """Weighted float32 updates as integers: rint(clip(x) * weight / max_weight * scale), then the weight.

    `clip`: elements beyond it in absolute value are cut to it. `scale`: integer steps per unit, a power of
    two. `max_weight`: the largest weight (patients) that a site may have. Values are exact to
    1 / (2 scale) times max_weight / weight, and to float32's own precision.
    """

    clip: float
    scale: int
    max_weight: int = 1

    def __post_init__(self) -> None:
        if not (math.isfinite(self.clip) and self.clip > 0 and self.max_weight >= 1):
            raise InvalidInputError(
                "a fixed point needs a clip above 0 and weights from 1", remedy="set them"
            )
        if self.scale < 1 or self.scale & (self.scale - 1):
            raise InvalidInputError(f"scale {self.scale} is no power of two", remedy="use FixedPoint.finest")

    @classmethod
    def finest(cls, *, sites: int, clip: float, max_weight: int = 1) -> FixedPoint:
        """Return the coding with the largest scale whose sum over `sites` can't wrap around.

        Raises `InvalidInputError` when there is none.
        """
        for bits in range(31, -1, -1):
            coding = cls(clip=clip, scale=1 << bits, max_weight=max_weight)
            if coding.fits(sites):
                return coding
        raise InvalidInputError(
            f"{sites} sites, each up to {clip:g}, don't fit into 32 bits", remedy="clip updates to less"
        )

    def fits(self, sites: int) -> bool:
        """Tell whether the sum over `sites` stays below 2^31, float32's rounding included."""
        largest = self.clip * self.scale * (1 + 2**-22) + 1
        return sites * largest < 2**31 and sites * self.max_weight < 2**32

    def to_json(self) -> dict[str, Any]:
        """Return the coding as plain values, for the digest that binds a round."""
        return {"kind": "fixed", "clip": self.clip, "scale": self.scale, "max_weight": self.max_weight}

    def elements(self, parameters: int) -> int:
        """Return how many integers carry an update of so many parameters: one more, the weight."""
        return parameters + 1

    def encoded(self, parts: Sequence[NDArray[np.float32]], *, weight: int = 1) -> FixedPointVector:
        """Return the update `parts` (float32 arrays, one after the other), to be written piece by piece.

        Raises `InvalidInputError` on another dtype, or a weight outside 1..max_weight; `fill` and `whole`
        raise it on NaN or infinity.
        """
        if not 1 <= weight <= self.max_weight:
            raise InvalidInputError(
                f"a weight outside 1..{self.max_weight}", remedy="agree on a larger max_weight beforehand"
            )
        if any(part.dtype != np.float32 for part in parts):
            raise InvalidInputError("an update is not float32", remedy="convert it to float32")
        return FixedPointVector(coding=self, parts=tuple(p.reshape(-1) for p in parts), weight=weight)

    def decode(self, total: Words) -> tuple[NDArray[np.float32], int]:
        """Return the weighted mean (n,) and the summed weight of a sum (n + 1,) over sites.

        Raises `InvalidInputError` when the weight is zero.
        """
        weight = int(total[-1])
        if weight == 0:
            raise InvalidInputError("a sum without weight has no mean", remedy="sum over at least one site")
        factor = self.max_weight / (self.scale * weight)
        mean = np.empty(len(total) - 1, np.float32)
        for start in range(0, len(mean), CHUNK):
            signed = total[start : min(start + CHUNK, len(mean))].view(np.int32)
            np.multiply(signed, factor, out=mean[start : start + CHUNK], casting="same_kind")
        return mean, weight


@final
@dataclass(slots=True, kw_only=True)
class FixedPointVector:
    """One site's update under a `FixedPoint`; `clipped` counts elements that were cut so far."""

    coding: FixedPoint
    parts: tuple[NDArray[np.float32], ...]
    weight: int
    clipped: int = 0
    _ends: list[int] = field(init=False)
    _spare: NDArray[np.float32] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._ends = np.cumsum([len(part) for part in self.parts]).tolist()
        self._spare = np.empty(CHUNK, np.float32)

    @property
    def length(self) -> int:
        """The parameters, and one for the weight."""
        return self.coding.elements(self._ends[-1] if self._ends else 0)

    def whole(self) -> Words:
        """Return all elements (length,)."""
        out = np.empty(self.length, np.uint32)
        for start in range(0, self.length, CHUNK):
            self.fill(start, out[start : start + CHUNK])
        return out

    def fill(self, start: int, out: Words) -> None:
        """Write the elements from `start` on into `out` (at most `CHUNK`)."""
        done, stop = 0, self.length - 1
        number = bisect_right(self._ends, start)
        while done < len(out) and start + done < stop:
            end = self._ends[number]
            first = start + done - (end - len(self.parts[number]))
            piece = self.parts[number][first : first + len(out) - done]
            self._write(piece, out[done : done + len(piece)])
            done += len(piece)
            number += 1
        if done < len(out):
            out[done] = self.weight

    def _write(self, piece: NDArray[np.float32], out: Words) -> None:
        """Encode one contiguous piece."""
        clip = self.coding.clip
        spare = self._spare[: len(piece)]
        with np.errstate(over="ignore", invalid="ignore"):
            squares = float(np.dot(piece, piece))
        if not squares < clip**2:  # NaN too; the norm bounds each element
            piece = self._clipped(piece, spare)
        np.multiply(piece, np.float32(self.coding.scale * self.weight / self.coding.max_weight), out=spare)
        np.rint(spare, out=spare)
        out.view(np.int32)[:] = spare

    def _clipped(self, piece: NDArray[np.float32], spare: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a piece with elements cut to the clip. Raises `InvalidInputError` on NaN or infinity."""
        if not np.isfinite(piece).all():
            raise InvalidInputError("an update holds NaN or infinity", remedy="find where training diverged")
        self.clipped += int((np.abs(piece) > self.coding.clip).sum())
        return np.clip(piece, -self.coding.clip, self.coding.clip, out=spare)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Whole numbers from 0 to `largest` as they are: counts, histograms, limbs of wide integers."""

    largest: int

    def __post_init__(self) -> None:
        if self.largest < 1:
            raise InvalidInputError("counts that can't be above zero", remedy="set largest to 1 or more")

    def fits(self, sites: int) -> bool:
        """Tell whether the sum over `sites` stays below 2^32."""
        return sites * self.largest < 2**32

    def to_json(self) -> dict[str, Any]:
        """Return the coding as plain values, for the digest that binds a round."""
        return {"kind": "counts", "largest": self.largest}

    def encoded(self, counts: NDArray[np.integer[Any]]) -> CountVector:
        """Return `counts` (n,) of an integer dtype. Raises `InvalidInputError` when one is out of range."""
        if counts.ndim != 1 or counts.dtype.kind not in "iu":
            raise InvalidInputError("counts are no vector of integers", remedy="convert and flatten them")
        if len(counts) and (int(counts.min()) < 0 or int(counts.max()) > self.largest):
            raise InvalidInputError(
                f"a count is outside 0..{self.largest}", remedy="agree on a larger bound beforehand"
            )
        return CountVector(coding=self, words=counts.astype(np.uint32))


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CountVector:
    """One site's counts under a `Counts`."""

    coding: Counts
    words: Words

    @property
    def length(self) -> int:
        """How many counts."""
        return len(self.words)

    def fill(self, start: int, out: Words) -> None:
        """Write the counts from `start` on into `out`."""
        out[:] = self.words[start : start + len(out)]

    def whole(self) -> Words:
        """Return all counts (length,)."""
        return self.words.copy()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Residues:
    """Words that were made to be added modulo 2^32, with room for `sites` of them, as they are.

    For `huizhen.federate.statistics`, whose limbs leave room for carries.
    """

    sites: int

    def fits(self, sites: int) -> bool:
        """Tell whether there is room for so many sites."""
        return sites <= self.sites

    def to_json(self) -> dict[str, Any]:
        """Return the coding as plain values, for the digest that binds a round."""
        return {"kind": "residues", "sites": self.sites}

    def encoded(self, words: Words) -> ResidueVector:
        """Return `words` (n,) uint32. Raises `InvalidInputError` on another dtype or shape."""
        if words.dtype != np.uint32 or words.ndim != 1:
            raise InvalidInputError("words are no vector of uint32", remedy="encode the aggregate first")
        return ResidueVector(coding=self, words=words)


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResidueVector:
    """One site's words under `Residues`."""

    coding: Residues
    words: Words

    @property
    def length(self) -> int:
        """How many words."""
        return len(self.words)

    def fill(self, start: int, out: Words) -> None:
        """Write the words from `start` on into `out`."""
        out[:] = self.words[start : start + len(out)]

    def whole(self) -> Words:
        """Return all words (length,)."""
        return self.words.copy()


Coding = FixedPoint | Counts | Residues
