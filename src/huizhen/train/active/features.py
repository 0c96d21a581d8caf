"""Features as distances need them: scaled, with values missing, in fewer dimensions; block by block.

A missing value is left out of a distance, never taken for zero: the squared distance of two cases is over the
columns that both have, scaled up to all d (Gower, Biometrics 27:857-871, 1971; scikit-learn calls it
nan_euclidean). Two cases without a common column are as far apart as two cases are on average.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from huizhen.core.streams import stream
from huizhen.errors import InvalidInputError

__all__ = ["blocks", "capped", "filled", "principal", "scaled", "squared_distances"]

BLOCK = 2048
OVERSAMPLING = 8
Floats = NDArray[np.float64]


def blocks(n: int, size: int = BLOCK) -> Iterator[slice]:
    """Yield slices that cover n rows.

    >>> [(part.start, part.stop) for part in blocks(5, 2)]
    [(0, 2), (2, 4), (4, 5)]
    """
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def filled(features: Floats) -> Floats:
    """Return `features` (n, d) with each missing value at 0, which is the mean of features that are `scaled`.

    For linear measures, where a value at the mean tells nothing; the same at every site.

    >>> filled(np.array([[1.0, np.nan]])).tolist()
    [[1.0, 0.0]]
    """
    there = ~np.isnan(features)
    return features if there.all() else np.where(there, features, 0.0)


def scaled(features: Floats, *, clip: float = 6.0) -> Floats:
    """Return columns at mean 0 and deviation 1 over those who have them, cut off at `clip`; NaN stays.

    >>> scaled(np.array([[1.0, 5.0], [3.0, 5.0], [np.nan, 5.0]])).tolist()
    [[-1.0, 0.0], [1.0, 0.0], [nan, 0.0]]
    """
    there = ~np.isnan(features)
    count = np.maximum(there.sum(0), 1)
    centred = features - np.where(there, features, 0.0).sum(0) / count
    spread = np.sqrt((np.where(there, centred, 0.0) ** 2).sum(0) / count)
    found: Floats = np.clip(centred / np.where(spread > 1e-12, spread, 1.0), -clip, clip)
    return found


def capped(features: Floats, *, longest: float) -> Floats:
    """Return rows (n, d) without missing values, those longer than `longest` shortened to that length.

    Components of an encoder's output have long tails; in a linear rule a few extreme cases would outweigh
    all. `longest`: from the site that fits the scaling, e.g. 1.25 times the median length there.

    >>> capped(np.array([[3.0, 4.0], [0.3, 0.4]]), longest=1.0).round(1).tolist()
    [[0.6, 0.8], [0.3, 0.4]]
    """
    length = np.sqrt((features**2).sum(1, keepdims=True))
    found: Floats = features * np.minimum(1.0, longest / np.maximum(length, 1e-12))
    return found


def principal(features: Floats, dims: int, *, seed: int) -> Floats:
    """Return the first `dims` principal components (n, dims) of `features` (n, d) without missing values.

    Scaled so that a case's mean squared length is `dims`; at most `dims` columns are returned as they are.
    Randomised range finder with one power step (Halko et al., SIAM Review 53:217-288, 2011, algorithm 4.4).
    Raises `InvalidInputError` on a missing value.
    """
    if np.isnan(features).any():
        raise InvalidInputError("a value is missing", remedy="fill it first", field="features")
    if features.shape[1] <= dims:
        return features
    centred = features - features.mean(0)
    width = min(dims + OVERSAMPLING, *features.shape)
    sketch = centred @ stream(seed, "principal").standard_normal((features.shape[1], width))
    basis = np.linalg.qr(centred @ (centred.T @ np.linalg.qr(sketch)[0]))[0]  # (n, width)
    left, size, _ = np.linalg.svd(basis.T @ centred, full_matrices=False)
    found: Floats = basis @ (left[:, :dims] * size[:dims])
    length = np.sqrt((found**2).sum(1).mean())
    return found * (np.sqrt(dims) / length) if length > 0 else found


def squared_distances(some: Floats, others: Floats) -> Floats:
    """Return the squared distances (a, b) of `some` (a, d) to `others` (b, d), over what both have.

    >>> squared_distances(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0], [3.0, np.nan]])).tolist()
    [[25.0, 18.0]]
    """
    there, others_there = ~np.isnan(some), ~np.isnan(others)
    if there.all() and others_there.all():
        plain: Floats = (some**2).sum(1)[:, None] + (others**2).sum(1) - 2 * some @ others.T
        return np.clip(plain, 0.0, None, out=plain)
    mine, theirs = there.astype(float), others_there.astype(float)
    x, y = np.where(there, some, 0.0), np.where(others_there, others, 0.0)
    apart = (x**2) @ theirs.T + mine @ (y**2).T - 2 * x @ y.T
    common = mine @ theirs.T
    columns = some.shape[1]
    found: Floats = np.maximum(apart, 0.0) * (columns / np.maximum(common, 1.0))
    found[common == 0] = 2.0 * columns
    return found
