"""Gallas' one-shot variance: readers and cases both random, in any design that pairs readers with cases.

A difference D of two modalities' means over readers is a U-statistic in readers and cases. Its variance is
D² less an unbiased estimate of its squared expectation: the mean product of two reads by different readers of
different cases. In a fully crossed study this is Obuchowski and Rockette's variance with unbiased covariances
and without truncation.

References: Gallas, Acad Radiol 13:353-362 (2006); Gallas, Bandos, Samuelson & Wagner, Commun Stat Theory
Methods 38:2586-2603 (2009); Gallas & Brown, Neural Netw 21:387-397 (2008) for arbitrary designs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.errors import NotEstimableError
from huizhen.validate.readers.contrasts import check_readers
from huizhen.validate.readers.effects import Effect, effect, no_effect
from huizhen.validate.readers.figures import disjoint
from huizhen.validate.readers.merit import Merit, parts, rows_of
from huizhen.validate.readers.study import ReaderStudy

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class UStatistic:
    """An effect with the unbiased estimate of its variance and the share that readers have in it.

    Where the unbiased estimate isn't above the readers' share of it, as can happen in small studies, the
    effect's error is that of the share alone (`truncated`).
    """

    effect: Effect
    variance: float
    of_readers: float
    truncated: bool


def u_statistic_difference(
    study: ReaderStudy, merit: Merit, first: str, second: str, *, level: float = 0.95
) -> UStatistic:
    """Return `first` less `second`, means over the readers that used each, every reader weighing the same.

    Any reads may be missing: crossed, split-plot, nested and mixed designs. Raises `NotEstimableError` with
    under 3 readers in a modality, under two cases of a truth for a reader, or when no two readers have
    separate cases.
    """
    pair = study.only(first, second)
    if np.array_equal(pair.ratings[0], pair.ratings[1], equal_nan=True):
        return UStatistic(effect=no_effect(level=level), variance=0.0, of_readers=0.0, truncated=False)
    return _u_statistic(pair, merit, (1.0, -1.0), level=level, null=0.0, within=(-1.0, 1.0))


def u_statistic_mean(
    study: ReaderStudy, merit: Merit, modality: str, *, value: float = 0.5, level: float = 0.95
) -> UStatistic:
    """Return a modality's mean over its readers, tested against `value`. Raises as the difference."""
    return _u_statistic(study.only(modality), merit, (1.0,), level=level, null=value, within=(0.0, 1.0))


def _u_statistic(
    study: ReaderStudy,
    merit: Merit,
    signs: tuple[float, ...],
    *,
    level: float,
    null: float,
    within: tuple[float, float],
) -> UStatistic:
    """Return the signed sum of the modalities' means with its variance."""
    used = np.asarray(study.read.any(axis=2))
    for row in used:
        check_readers(int(row.sum()), "readers and cases")
    rows, kept = rows_of(study)
    layer, reader = np.divmod(kept, len(study.readers))
    made = parts(merit, study.truth, rows)
    sign = np.array(signs)
    weights = sign[layer] / used.sum(axis=1)[layer]
    values = made[0].values
    estimate = float(weights @ values)
    apart = disjoint(made, study.truth, rows, merit)
    variance = float(estimate**2 - _squared_expectation(apart, layer, reader, sign))
    of_readers, free = _of_readers(values, weights, layer, reader)
    used_variance = max(variance, of_readers)
    df = float(free * (used_variance / of_readers) ** 2) if of_readers > 0 else math.inf
    found = effect(
        estimate, used_variance, df, method="Gallas, U-statistics", level=level, null=null, within=within
    )
    return UStatistic(
        effect=found,
        variance=variance,
        of_readers=of_readers,
        truncated=variance < of_readers,
    )


def _squared_expectation(
    apart: Floats, layer: NDArray[np.intp], reader: NDArray[np.intp], sign: Floats
) -> float:
    """Return the sum over pairs of modalities of both signs · mean of `apart` (f, f) over different
    readers.
    """
    other = reader[:, np.newaxis] != reader
    total = 0.0
    for a, left in enumerate(sign):
        for b, right in enumerate(sign):
            pairs = other & np.outer(layer == a, layer == b)
            if not pairs.any():
                raise NotEstimableError("no two readers to compare", remedy="gather readers", field="reads")
            total += left * right * float(apart[pairs].mean())
    return total


def _of_readers(
    values: Floats, weights: Floats, layer: NDArray[np.intp], reader: NDArray[np.intp]
) -> tuple[float, float]:
    """Return what the spread of readers adds to the variance, and its degrees of freedom.

    Each reader's weighted deviations from the modalities' means are summed and squared.
    """
    means = np.bincount(layer, weights=np.abs(weights) * values) / np.bincount(layer, weights=np.abs(weights))
    moved = np.bincount(reader, weights=weights * (values - means[layer]))
    modalities_of = np.bincount(reader)
    nested = modalities_of.max() == 1 and layer.max() > 0
    free = float(np.count_nonzero(modalities_of) - (2 if nested else 1))
    readers = np.count_nonzero(modalities_of)
    return float((moved**2).sum() * readers / free), free
