"""Discrimination of several classes, and of several labels at once.

Each AUC is a sum over cases, so that the variance of a mean of AUCs is that of a sum of what each case adds
to all of them (the placements of DeLong). References: Hand & Till, Mach Learn 45:171-186 (2001); DeLong,
DeLong & Clarke-Pearson, Biometrics 44:837-845 (1988), section 2, on which the intervals rest.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.core.evidence import Interval
from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.clusters import clustered_auc
from huizhen.validate.estimates import Estimate, logit_wald, unanimous_floor
from huizhen.validate.placements import place
from huizhen.validate.samples import checked_rows

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class AveragedAuc:
    """A mean of AUCs with its interval, and each AUC (k,) that it is the mean of, with its weight (k,)."""

    mean: Estimate
    aucs: Floats
    weights: Floats


def hand_till(label: NDArray[Any], scores: ArrayLike, *, level: float = 0.95) -> AveragedAuc:
    """Return Hand and Till's M: the mean AUC over all pairs of classes.

    `label` (n,) whole numbers 0 to c - 1; `scores` (c, n), a row for each class. For the pair a, b the AUC is
    the mean of telling a from b by the score of a, and b from a by that of b. Unlike one-against-rest it
    doesn't depend on how common the classes are. Raises `InvalidInputError` on wrong input,
    `NotEstimableError` unless each class has two cases.

    >>> found = hand_till(np.array([0, 0, 1, 1, 2, 2]), np.eye(3).repeat(2, axis=1))
    >>> found.mean.value, found.aucs.tolist()
    (1.0, [1.0, 1.0, 1.0])
    """
    place_of, rows = _checked_labels(label, scores)
    aucs, moved = [], np.zeros(place_of.size)
    pairs = list(itertools.combinations(range(len(rows)), 2))
    for a, b in pairs:
        there = (place_of == a) | (place_of == b)
        sides = [_auc_and_moves(place_of[there] == own, rows[own, there]) for own in (a, b)]
        aucs.append((sides[0][0] + sides[1][0]) / 2)
        moved[there] += (sides[0][1] + sides[1][1]) / (2 * len(pairs))
    smallest = int(np.bincount(place_of).min())
    return _averaged(np.array(aucs), np.full(len(pairs), 1 / len(pairs)), moved, smallest, level)


def one_against_rest(
    label: NDArray[Any],
    scores: ArrayLike,
    *,
    weigh: Literal["classes", "cases"] = "classes",
    level: float = 0.95,
) -> AveragedAuc:
    """Return the mean AUC of each class against all others, classes weighing the same or by their cases.

    The weights by cases are taken as known. Arguments and refusals as `hand_till`.

    >>> one_against_rest(np.array([0, 0, 1, 1, 2, 2]), np.eye(3).repeat(2, axis=1)).aucs.tolist()
    [1.0, 1.0, 1.0]
    """
    place_of, rows = _checked_labels(label, scores)
    if weigh not in ("classes", "cases"):
        raise InvalidInputError(f"unknown {weigh!r}", remedy="use classes or cases", field="weigh")
    counts = np.bincount(place_of)
    weights = counts / counts.sum() if weigh == "cases" else np.full(len(rows), 1 / len(rows))
    outcomes = np.arange(len(rows))[:, np.newaxis] == place_of
    return _over_rows(outcomes, rows, weights, int(counts.min()), level)


def multi_label(
    outcomes: NDArray[Any], scores: ArrayLike, *, level: float = 0.95
) -> tuple[AveragedAuc, Estimate]:
    """Return the mean AUC over labels, and the AUC over all pairs of cases and labels pooled.

    `outcomes` (k, n) boolean, `scores` (k, n): a row for each label. The pooled AUC also compares scores of
    different labels; its interval takes cases as clusters. Raises `InvalidInputError` on wrong input,
    `NotEstimableError` unless every label has two cases with and two without.

    >>> truth = np.array([[True, True, False, False], [True, False, True, False]])
    >>> macro, pooled = multi_label(truth, truth * 1.0)
    >>> macro.mean.value, pooled.value
    (1.0, 1.0)
    """
    truth = np.asarray(outcomes)
    if truth.ndim != 2 or truth.dtype != np.bool_:
        raise InvalidInputError(
            "must be (k, n) boolean", remedy="give a row for each label", field="outcomes"
        )
    rows = checked_rows(scores, truth.shape[1], name="scores")
    if rows.shape != truth.shape:
        raise InvalidInputError(f"{rows.shape} scores for {truth.shape}", remedy="give as many rows")
    counts = truth.sum(axis=1)
    smallest = int(min(counts.min(), (truth.shape[1] - counts).min()))
    macro = _over_rows(truth, rows, np.full(len(rows), 1 / len(rows)), smallest, level)
    case = np.tile(np.arange(truth.shape[1]), len(rows))
    return macro, clustered_auc(truth.ravel(), rows.ravel(), case, level=level)


def _checked_labels(label: NDArray[Any], scores: ArrayLike) -> tuple[NDArray[np.int64], Floats]:
    """Return the labels (n,) and the rows of scores (c, n)."""
    found = np.asarray(label)
    if found.ndim != 1 or not np.issubdtype(found.dtype, np.integer) or not found.size:
        raise InvalidInputError("must be (n,) whole numbers", remedy="number the classes", field="label")
    rows = checked_rows(scores, found.size, name="scores")
    if len(rows) < 2 or found.min() < 0 or found.max() >= len(rows):
        raise InvalidInputError("labels don't fit the rows of scores", remedy="0 to c - 1", field="label")
    if np.bincount(found, minlength=len(rows)).min() < 2:
        raise NotEstimableError("a class has fewer than two cases", remedy="gather cases", field="label")
    return found.astype(np.int64), rows


def _auc_and_moves(outcome: NDArray[np.bool_], score: Floats) -> tuple[float, Floats]:
    """Return an AUC and what each case adds to it (n,); their squares sum to DeLong's variance."""
    placed = place(outcome, score[np.newaxis], least=2)
    m, n, value = placed.n_pos, placed.n_neg, float(placed.aucs[0])
    moved = np.empty(outcome.size)
    moved[outcome] = (placed.pos[0] / (2 * n) - value) / math.sqrt(m * (m - 1))
    moved[~outcome] = (placed.neg[0] / (2 * m) - value) / math.sqrt(n * (n - 1))
    return value, moved


def _over_rows(
    outcomes: NDArray[np.bool_], rows: Floats, weights: Floats, smallest: int, level: float
) -> AveragedAuc:
    """Return the weighted mean AUC of rows with outcomes of their own."""
    made = [_auc_and_moves(truth, row) for truth, row in zip(outcomes, rows, strict=True)]
    moved = weights @ np.stack([moves for _, moves in made])
    return _averaged(np.array([value for value, _ in made]), weights, moved, smallest, level)


def _averaged(aucs: Floats, weights: Floats, moved: Floats, smallest: int, level: float) -> AveragedAuc:
    """Return the mean with its interval; `smallest` class size bounds it where nothing varies."""
    value = float(weights @ aucs)
    error = math.sqrt(float(moved @ moved))
    if error > 0 and 0 < value < 1:
        interval = logit_wald(value, error, method="DeLong, mean of AUCs, logit", level=level)
    else:
        floor = unanimous_floor(smallest, level=level)
        method = "exact bound on disjoint pairs"
        interval = Interval(low=floor * value, high=1 - floor * (1 - value), method=method, level=level)
    return AveragedAuc(mean=Estimate(value=value, interval=interval), aucs=aucs, weights=weights)
