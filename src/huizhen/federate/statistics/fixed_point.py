"""Fixed point: aggregates as words of 32 bits whose sums modulo 2^32 give the sum of the aggregates.

A value is rounded to a whole multiple of 2**-fraction_bits. That whole number is cut into limbs of 24 bits,
the uppermost with its sign in 32; 8 bits of each lower word are room for carries, so that up to 256 sites can
be added word by word. The sum is then exact: the only error is each site's one rounding, at most half a unit
of the resolution.

Reference: Bonawitz et al., ACM CCS 2017, section 4.1 (quantised inputs); the limbs are huizhen's own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from huizhen.errors import InvalidInputError, MessageError
from huizhen.federate.statistics.aggregate import Aggregate, Layout, Quantity

__all__ = ["MOST_SITES", "Words", "decode", "encode", "words_of"]

Words = NDArray[np.uint32]
"""Words (w,), added modulo 2^32."""

MOST_SITES = 256
_LIMB = float(2**24)


def words_of(layout: Layout) -> int:
    """Return how many words an aggregate in `layout` takes."""
    return sum(quantity.words for quantity in layout.values())


def encode(total: Aggregate, *, sites: int = MOST_SITES) -> Words:
    """Return an aggregate as words (w,) that may be added over up to `sites` sites modulo 2^32.

    Raises `InvalidInputError` for more than 256 sites, or when a value is above its capacity's share.

    >>> from huizhen.federate.statistics.aggregate import aggregate, count, real
    >>> layout = {"n": count(), "sum": real()}
    >>> words = encode(aggregate(layout, {"n": 3, "sum": -0.5}))
    >>> both = decode(words + words, layout)
    >>> both.n, float(both["sum"])
    (6, -1.0)
    """
    if not 1 <= sites <= MOST_SITES:
        raise InvalidInputError(f"{sites} sites", remedy=f"add at most {MOST_SITES} at a time", field="sites")
    words, start = np.empty(words_of(total.layout), dtype=np.uint32), 0
    for name, quantity in total.layout.items():
        _split(name, quantity, total[name], sites, out=words[start : start + quantity.words])
        start += quantity.words
    return words


def _split(name: str, quantity: Quantity, value: NDArray[np.float64], sites: int, *, out: Words) -> None:
    """Write one quantity's words to `out`, the lowest limbs of all values first."""
    largest = np.abs(value).max(initial=0.0)
    if largest >= quantity.capacity / sites:
        raise InvalidInputError(
            "is above what the fixed point can carry", remedy="standardise the columns first", field=name
        )
    limbs = out.reshape(quantity.limbs, quantity.size)
    whole = np.rint(np.ldexp(value.ravel(), quantity.fraction_bits))
    if largest < 2.0 ** (62 - quantity.fraction_bits):
        _cut_small(whole.astype(np.int64), limbs)
    else:
        _cut_large(whole, limbs)


def _cut_small(whole: NDArray[np.int64], limbs: Words) -> None:
    """Write whole numbers of at most 62 bits to `limbs` (limbs, values)."""
    for limb in limbs[:-1]:
        limb[:] = whole & (2**24 - 1)
        whole = whole >> 24
    limbs[-1] = whole.astype(np.uint32)


def _cut_large(whole: NDArray[np.float64], limbs: Words) -> None:
    """Write whole numbers of any size, held as floats, to `limbs` (limbs, values): each step is exact."""
    for limb in limbs[:-1]:
        upper = np.floor(whole / _LIMB)
        limb[:] = whole - upper * _LIMB
        whole = upper
    limbs[-1] = whole.astype(np.int64).astype(np.uint32)


def decode(words: Words, layout: Layout, *, unit: str = "patient") -> Aggregate:
    """Return the aggregate that summed words (w,) hold.

    Raises `MessageError` when the number or type of words doesn't fit, or when what they hold is no
    aggregate (a negative count, for instance).
    """
    if words.dtype != np.uint32 or words.shape != (words_of(layout),):
        raise MessageError(
            f"words {words.shape} {words.dtype} don't fit the layout of {words_of(layout)}",
            remedy="ask all sites the same query with the same version",
        )
    values, start = {}, 0
    for name, quantity in layout.items():
        values[name] = _join(quantity, words[start : start + quantity.words])
        start += quantity.words
    try:
        return Aggregate(layout=layout, values=values, unit=unit)
    except InvalidInputError as error:
        raise MessageError(
            f"a sum over sites {error.message}", remedy="leave out the site that lies", field=error.field
        ) from error


def _join(quantity: Quantity, words: Words) -> NDArray[np.float64]:
    """Return the values of one quantity from its summed words."""
    limbs = words.reshape(quantity.limbs, quantity.size)
    value = limbs[-1].astype(np.int32).astype(np.float64)
    for lower in limbs[-2::-1]:
        value = value * _LIMB + lower
    scaled: NDArray[np.float64] = np.ldexp(value, -quantity.fraction_bits)
    return scaled.reshape(quantity.shape)
