"""Robust aggregation: a mean that some untrusted sites can't move far.

Each function takes the sites' flattened changes, (sites, parameters) float32, and their patients (sites,),
and returns one change (parameters,). They need to see every site's own update, so they exclude secure
aggregation over all sites; `clip` is what works with it, since each site does it before masking, and sums
over groups of sites may be compared with one another by the median.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from huizhen.errors import FederationError, InvalidInputError

Matrix = NDArray[np.float32]
Vector = NDArray[np.float32]


def mean(changes: Matrix, patients: NDArray[np.int64]) -> Vector:
    """Return the mean weighted by patients, summed in float64 in the order given.

    >>> mean(np.float32([[1.0], [4.0]]), np.array([2, 1]))
    array([2.], dtype=float32)
    """
    _check(changes, patients)
    total = np.zeros(changes.shape[1])
    for change, n in zip(changes, patients, strict=True):
        total += change.astype(np.float64) * float(n)
    return (total / float(patients.sum())).astype(np.float32)


def median(changes: Matrix, patients: NDArray[np.int64]) -> Vector:
    """Return the median of each coordinate; patients don't count, since a site may lie about them.

    Reference: Yin et al., ICML 2018, definition 1.

    >>> median(np.float32([[1.0], [2.0], [9e9]]), np.array([5, 5, 5]))
    array([2.], dtype=float32)
    """
    _check(changes, patients)
    return np.asarray(np.median(changes, axis=0), np.float32)


def trimmed_mean(changes: Matrix, patients: NDArray[np.int64], *, share: float) -> Vector:
    """Return the mean of each coordinate without its `share` in [0, 0.5) largest and smallest values.

    At least one is taken from each end when `share` > 0. Raises `FederationError` when nothing is left.
    Reference: Yin et al., ICML 2018, definition 2.

    >>> trimmed_mean(np.float32([[1.0], [2.0], [3.0], [-9e9]]), np.array([5] * 4), share=0.25)
    array([1.5], dtype=float32)
    """
    _check(changes, patients)
    sites = len(changes)
    cut = int(np.ceil(share * sites))
    if 2 * cut >= sites:
        raise _too_few(sites, 2 * cut + 1, "trimmed_mean")
    kept = np.sort(changes, axis=0)[cut : sites - cut]
    return np.asarray(kept.mean(axis=0, dtype=np.float64), np.float32)


def krum(changes: Matrix, patients: NDArray[np.int64], *, share: float) -> Vector:
    """Return the one change that is nearest to its neighbours, when up to `share` of the sites may lie.

    Raises `FederationError` with fewer than 2 f + 3 sites for f liars.
    Reference: Blanchard et al., NeurIPS 2017, section 4.

    >>> honest = [[1.0], [1.1], [0.9], [1.05]]
    >>> krum(np.float32([*honest, [50.0]]), np.array([9] * 5), share=0.2)
    array([1.05], dtype=float32)
    """
    _check(changes, patients)
    sites = len(changes)
    liars = int(np.ceil(share * sites))
    if sites < 2 * liars + 3:
        raise _too_few(sites, 2 * liars + 3, "krum")
    squares = (changes.astype(np.float64) ** 2).sum(1)
    gram = changes.astype(np.float64) @ changes.astype(np.float64).T
    apart = np.sort(np.maximum(squares[:, None] + squares[None] - 2 * gram, 0), axis=1)
    scores = apart[:, 1 : sites - liars - 1].sum(1)  # the first is the distance to itself
    return np.asarray(changes[int(scores.argmin())], np.float32)


def clip(change: Vector, *, norm: float) -> Vector:
    """Return `change` shortened to the Euclidean `norm` > 0 if it is longer.

    >>> clip(np.float32([3.0, 4.0]), norm=1.0)
    array([0.6, 0.8], dtype=float32)
    """
    length = float(np.sqrt((change.astype(np.float64) ** 2).sum()))
    if not np.isfinite(length):
        raise InvalidInputError("a change holds NaN or infinity", remedy="lower the learning rate")
    return change if length <= norm else (change * (norm / length)).astype(np.float32)


def _check(changes: Matrix, patients: NDArray[np.int64]) -> None:
    """Refuse what isn't one row a site, finite, with positive patients."""
    if changes.ndim != 2 or len(changes) != len(patients) or not len(changes):
        raise InvalidInputError("changes and patients don't fit", remedy="give one row and one count a site")
    if (np.asarray(patients) <= 0).any() or not np.isfinite(changes).all():
        raise InvalidInputError(
            "a site has no patients, or a change isn't finite", remedy="leave that site out"
        )


def _too_few(sites: int, needed: int, rule: str) -> FederationError:
    return FederationError(
        f"{sites} sites are too few for {rule}: it needs {needed}",
        remedy="choose norm_bounded or median, or state a smaller share of untrusted sites",
        field="federation.aggregation",
    )
