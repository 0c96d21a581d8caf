"""The figures of merit of all readers and modalities with the covariance that their shared cases give them.

Three estimates of the covariance, all for the given readers, over the draw of cases; figures that share no
case have covariance 0:

- jackknife: (N-1)/N times the sum of products of leave-one-case-out deviations
- DeLong: sample covariances of the placements, DeLong et al., Biometrics 44:837-845 (1988)
- unbiased: θa θb less the mean of ψa ψb over pairs that share no case; Gallas, Acad Radiol 13:353-362 (2006)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.readers.merit import Kind, Merit, Part, parts, rows_of
from huizhen.validate.readers.study import ReaderStudy

Floats = NDArray[np.float64]
CovarianceMethod = Literal["jackknife", "delong", "unbiased"]
_CELLS = 4_000_000
"""Kernel values held at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Values (t, r), NaN where a reader didn't use a modality, and covariance (t, r, t, r), 0 there."""

    values: Floats
    covariance: Floats


def figures(study: ReaderStudy, merit: Merit, *, covariance: CovarianceMethod = "jackknife") -> Figures:
    """Return the figures of merit of `study` with their covariance over cases.

    Raises `InvalidInputError` on an unknown method, `NotEstimableError` unless each figure has two cases of
    every truth that it depends on.
    """
    if covariance not in get_args(CovarianceMethod):
        known = ", ".join(get_args(CovarianceMethod))
        raise InvalidInputError("unknown covariance", remedy=f"use {known}", field="covariance")
    rows, kept = rows_of(study)
    made = parts(merit, study.truth, rows)
    found = _covariance(made, study, rows, merit, covariance)
    t, r = len(study.modalities), len(study.readers)
    values, spread = np.full(t * r, np.nan), np.zeros((t * r, t * r))
    values[kept] = made[0].values
    spread[np.ix_(kept, kept)] = found
    return Figures(values=values.reshape(t, r), covariance=spread.reshape(t, r, t, r))


def _covariance(
    made: tuple[Part, ...], study: ReaderStudy, rows: Floats, merit: Merit, method: CovarianceMethod
) -> Floats:
    """Return the covariance (f, f) of the figures by one of the methods."""
    if method == "jackknife":
        return jackknifed(made)
    if method == "delong":
        return delonged(made)
    values = made[0].values
    return np.asarray(np.outer(values, values) - disjoint(made, study.truth, rows, merit), dtype=np.float64)


def jackknifed(made: tuple[Part, ...]) -> Floats:
    """Return the jackknife covariance (f, f): leaving out a case moves a figure by (θ - V) / (c - 1)."""
    moved = [part.centred / (part.counts - 1)[:, np.newaxis] for part in made]
    cases = sum(part.read.shape[1] for part in made)
    return np.asarray((cases - 1) / cases * sum(own @ own.T for own in moved), dtype=np.float64)


def delonged(made: tuple[Part, ...]) -> Floats:
    """Return DeLong's covariance (f, f), over the cases that both figures have."""
    found = np.zeros((len(made[0].read), len(made[0].read)))
    for part in made:
        shared = _shared(part)
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = shared / ((shared - 1) * np.outer(part.counts, part.counts))
        found += np.where(shared > 1, scale, 0.0) * (part.centred @ part.centred.T)
    return found


def _shared(part: Part) -> Floats:
    """Return the number of cases (f, f) that two figures both have."""
    read = part.read.astype(np.float64)
    return np.asarray(read @ read.T, dtype=np.float64)


def disjoint(made: tuple[Part, ...], truth: NDArray[np.bool_], rows: Floats, merit: Merit) -> Floats:
    """Return the mean of ψa ψb (f, f) over all choices of cases for a and b of which none is the same.

    It estimates the product of two expected figures without bias. Raises `NotEstimableError` where two
    figures have no such choice.
    """
    sizes = [np.asarray(part.counts, dtype=np.float64) for part in made]
    every = np.prod(sizes, axis=0)  # pairs of each figure
    total, count = np.outer(made[0].values * every, made[0].values * every), np.outer(every, every)
    for part, size in zip(made, sizes, strict=True):
        rest = every / size
        total -= np.outer(rest, rest) * (part.placements @ part.placements.T)
        count -= np.outer(rest, rest) * _shared(part)
    if merit.kind is Kind.AUC:  # what shares both cases was taken off twice
        total += _same_pair(truth, rows)
        count += _shared(made[0]) * _shared(made[1])
    if (count <= 0.5).any():
        raise NotEstimableError("two figures have no separate cases", remedy="gather cases", field="reads")
    return np.asarray(total / count, dtype=np.float64)


def _same_pair(truth: NDArray[np.bool_], rows: Floats) -> Floats:
    """Return the sum of ψa ψb (f, f) over the pairs of a diseased and another case that both have."""
    diseased, others = rows[:, truth], rows[:, ~truth]
    found = np.zeros((len(rows), len(rows)))
    step = max(1, _CELLS // (len(rows) * others.shape[1]))
    for start in range(0, diseased.shape[1], step):
        x, y = diseased[:, start : start + step, np.newaxis], others[:, np.newaxis]
        kernel = ((x > y) + 0.5 * (x == y)).reshape(len(rows), -1)  # NaN compares as false: not read is 0
        found += kernel @ kernel.T
    return found
