"""Sums over pairs of points of which one lies below the other in both coordinates, without visiting pairs.

Concordance of times and risks is made of them. The points are laid out by their first coordinate and sorted
by the second; halving the layout again and again, each level adds to the points of the right half the weights
of the points of the left half that are lower. O(n log n) for n points.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def sums_below(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Return for each point (n,) the sum of the weights of points with a lower `x` and a lower `y`, strictly.

    `x`, `y`, `weights` (n,), free of NaN.

    >>> x, y = np.array([1.0, 2, 2, 3]), np.array([1.0, 5, 2, 3])
    >>> sums_below(x, y, np.array([1.0, 10, 100, 1000])).tolist()
    [0.0, 1.0, 1.0, 101.0]
    """
    n = x.size
    layout = np.lexsort((-y, x))  # equal x: higher y first, so that no earlier point of equal x is lower
    size = 1 << max(0, (n - 1).bit_length())
    weight, height = np.zeros(size), np.full(size, np.inf)
    weight[:n], height[:n] = weights[layout], y[layout]
    order = np.lexsort((-np.arange(size), height))  # equal y: right before left, so that it isn't lower
    order = order.astype(np.int32 if size < 2**31 else np.int64)  # half the memory to move
    found = np.zeros(size)
    half = size // 2
    while half:
        order = _halved(order, weight, found, half)
        half //= 2
    result = np.empty(n)
    result[layout] = found[:n]
    return result


def _halved(order: NDArray[Any], weight: Floats, found: Floats, half: int) -> NDArray[Any]:
    """Add to `found` what left halves give to right halves, and return the order within each half.

    `order` holds the places of each block of 2 · `half`, lowest first.
    """
    blocks = order.reshape(-1, 2 * half)
    left = blocks % (2 * half) < half
    below = np.cumsum(np.where(left, weight[blocks], 0.0), axis=1)
    found[blocks[~left]] += below[~left]
    parted = np.empty((len(blocks), 2, half), dtype=order.dtype)
    parted[:, 0] = blocks[left].reshape(-1, half)
    parted[:, 1] = blocks[~left].reshape(-1, half)
    return parted.ravel()
