"""How far each row lies from the others, measured so that the far ones don't move the measure.

Median and MAD for one column; for several the orthogonalised estimator of Maronna & Zamar, Technometrics
44:307-317 (2002), reweighted once; and the mean distance to the nearest neighbours of other patients.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

__all__ = ["neighbour_distances", "robust_distances", "robust_z"]

Floats = NDArray[np.float64]
MAD = 1.482602218505602
"""Makes the median absolute deviation of a normal sample its standard deviation."""
MOST_NEIGHBOURS = 4000
"""Rows that others are compared with at most; beyond, they are a fixed stride of all."""
BLOCK = 512


def robust_z(values: Floats) -> Floats:
    """Return (values - median) / (1.4826 MAD) of (n,) or each column of (n, p); NaN stays, no spread gives 0.

    Where more than half of the values are equal the MAD is 0: the mean absolute deviation stands in.

    >>> robust_z(np.array([1.0, 2.0, 3.0, 4.0, 100.0])).round(2).tolist()
    [-1.35, -0.67, 0.0, 0.67, 65.43]
    """
    if not values.size or np.isnan(values).all():
        return np.full(values.shape, np.nan)
    apart = values - np.nanmedian(values, axis=0)
    spread = MAD * np.nanmedian(np.abs(apart), axis=0)
    mean = 1.253314 * np.nanmean(np.abs(apart), axis=0)
    scale = np.where(spread > 0, spread, mean)
    return np.asarray(np.divide(apart, scale, out=np.where(np.isnan(apart), np.nan, 0.0), where=scale > 0))


def robust_distances(values: Floats) -> Floats:
    """Return the robust Mahalanobis distance (n,) of each row of (n, p), scaled so that its median is right.

    "Right" is the root of the median of chi-square with p degrees of freedom: for normal rows the squares
    then follow it. Columns without spread don't count; with fewer rows than 3 p each column counts by itself.

    >>> draw = np.random.default_rng(1).normal(size=(500, 2)) @ np.array([[1.0, 0.9], [0.0, 0.5]])
    >>> far = robust_distances(np.vstack([draw, [[3.0, -3.0]]]))
    >>> bool(far.argmax() == 500 and far[500] > 8)
    True
    """
    z = robust_z(values)
    z = z[:, (np.abs(z) > 0).any(axis=0)]
    n, p = z.shape
    if not p:
        return np.zeros(n)
    if n < 3 * p:
        squares = (z**2).sum(axis=1)
    else:
        squares = _mahalanobis(z, *_orthogonalised(z))
        near = squares <= chdtri(p, 0.1) / chdtri(p, 0.5) * np.median(squares)
        kept = z[near]
        if len(kept) > 2 * p:
            cover = np.cov(kept, rowvar=False).reshape(p, p) + 1e-9 * np.eye(p)
            squares = _mahalanobis(z, kept.mean(axis=0), cover)
    middle = float(np.median(squares))
    return np.asarray(np.sqrt(squares * (chdtri(p, 0.5) / middle if middle > 0 else 1.0)))


def _orthogonalised(z: Floats) -> tuple[Floats, Floats]:
    """Return the centre (p,) and the scatter (p, p) of standardised columns."""
    p = z.shape[1]
    cover = np.eye(p)
    for j in range(p):
        for k in range(j):
            plus, minus = _spread(z[:, j] + z[:, k]), _spread(z[:, j] - z[:, k])
            total = plus**2 + minus**2
            cover[j, k] = cover[k, j] = (plus**2 - minus**2) / total if total > 0 else 0.0
    axes = np.linalg.eigh(cover)[1]
    turned = z @ axes
    scale = np.maximum([_spread(turned[:, k]) for k in range(p)], 1e-6)
    return axes @ np.median(turned, axis=0), (axes * scale**2) @ axes.T


def _spread(column: Floats) -> float:
    return float(MAD * np.median(np.abs(column - np.median(column))))


def _mahalanobis(z: Floats, centre: Floats, cover: Floats) -> Floats:
    apart = z - centre
    return np.asarray((apart * np.linalg.solve(cover, apart.T).T).sum(axis=1))


def neighbour_distances(rows: Floats, patient: NDArray[np.int64], *, neighbours: int = 5) -> Floats:
    """Return the mean distance (n,) of each row (n, d) to its nearest rows of other patients (n,).

    NaN where there are fewer than `neighbours` rows of others.

    >>> points = np.array([[0.0], [0.1], [0.2], [0.3], [9.0]])
    >>> neighbour_distances(points, np.arange(5), neighbours=2).round(2).tolist()
    [0.15, 0.1, 0.1, 0.15, 8.75]
    """
    step = max(1, -(-len(rows) // MOST_NEIGHBOURS))
    others, owner = rows[::step], patient[::step]
    found = np.full(len(rows), np.nan)
    lengths = (others**2).sum(axis=1)
    for start in range(0, len(rows), BLOCK):
        some = slice(start, start + BLOCK)
        apart = (rows[some] ** 2).sum(axis=1)[:, None] + lengths - 2 * rows[some] @ others.T
        apart[patient[some, None] == owner] = np.inf
        if apart.shape[1] < neighbours:
            continue
        nearest = np.sqrt(np.maximum(np.partition(apart, neighbours - 1, axis=1)[:, :neighbours], 0))
        found[some] = np.where(np.isfinite(nearest).all(axis=1), nearest.mean(axis=1), np.nan)
    return found
