"""Means over readers, and differences of such means, with the variance of readers and of cases.

One group of readers gives a modality's mean, or the mean of each reader's own difference; two groups give a
comparison of readers who used different modalities, or a crossover whose sequences are readers' own.
References: Hillis, Stat Med 26:596-619 (2007) and 33:330-360 (2014).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from huizhen.errors import InvalidInputError, NotEstimableError

Floats = NDArray[np.float64]
Generalise = Literal["readers and cases", "cases", "readers"]
"""What is random: both; cases only (fixed readers); readers only (fixed cases)."""

LEAST_READERS = 3
"""Below this a variance between readers says too little to speak for readers."""


def check_readers(readers: int, generalise: Generalise) -> None:
    """Raise `InvalidInputError` on an unknown option, `NotEstimableError` on under 3 random readers."""
    known = ("readers and cases", "cases", "readers")
    if generalise not in known:
        raise InvalidInputError(
            f"unknown {generalise!r}", remedy=f"use {', '.join(known)}", field="generalise"
        )
    if generalise != "cases" and readers < LEAST_READERS:
        raise NotEstimableError(
            f"{readers} readers can't speak for readers",
            remedy="use three or more, or generalise to cases only",
            field="reads",
        )


def contrast(
    theta: Floats,
    spread: Floats,
    groups: Sequence[NDArray[np.intp]],
    weights: Sequence[float],
    generalise: Generalise,
) -> tuple[float, float, float]:
    """Return Σ weight · mean of a group of readers, with its variance and degrees of freedom.

    `theta` (r,): a figure for each reader; `spread` (r, r): their covariance over cases; `groups`: the places
    of each group's readers. The share of the cases is the mean covariance of different readers, never below
    0. Degrees of freedom are Satterthwaite's, for one group Hillis'. Raises as `check_readers`.

    >>> found = contrast(np.array([0.1, 0.2, 0.3]), np.full((3, 3), 0.01), [np.arange(3)], [1.0], "readers")
    >>> [round(number, 6) for number in found]
    [0.2, 0.003333, 2.0]
    """
    for group in groups:
        check_readers(group.size, generalise)
    of_each = np.zeros(theta.size)
    for group, weight in zip(groups, weights, strict=True):
        of_each[group] = weight / group.size
    estimate = float(of_each @ theta)
    if generalise == "cases":
        own = float(of_each**2 @ np.diag(spread))
        return estimate, own + max(0.0, float(of_each @ spread @ of_each) - own), math.inf
    sizes = np.array([group.size for group in groups])
    squares = np.array([theta[group].var(ddof=1) for group in groups]) * np.square(weights) / sizes
    of_cases = 0.0 if generalise == "readers" else _of_cases(spread, groups, weights)
    total = float(squares.sum()) + of_cases
    freedom = float((squares**2 / (sizes - 1)).sum())
    return estimate, total, total**2 / freedom if freedom > 0 else math.inf


def _of_cases(spread: Floats, groups: Sequence[NDArray[np.intp]], weights: Sequence[float]) -> float:
    """Return what the cases add: weighted mean covariances of different readers, at least 0."""
    total = 0.0
    for i, (own, weight) in enumerate(zip(groups, weights, strict=True)):
        block = spread[np.ix_(own, own)]
        total += weight**2 * float(block.sum() - np.trace(block)) / (own.size * (own.size - 1))
        for other, factor in zip(groups[:i], weights[:i], strict=True):
            total += 2 * weight * factor * float(spread[np.ix_(own, other)].mean())
    return max(0.0, total)
