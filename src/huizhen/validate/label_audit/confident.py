"""Confident learning: how often a label of a class is confidently another, by out-of-sample probabilities.

Northcutt, Jiang & Chuang, Confident Learning: Estimating Uncertainty in Dataset Labels, Journal of Artificial
Intelligence Research 70:1373-1411 (2021): thresholds (equation 2), the confident joint (equation 1), its
calibration to the labels' counts (equation 3). It rests on class-conditional noise and on probabilities that
err little: what it calls wrong includes every case that the model itself gets confidently wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from huizhen.core.evidence import Interval
from huizhen.validate.label_audit.labelled import Labelled
from huizhen.validate.resampling import percentile_interval, resampled_counts

__all__ = [
    "ConfidentJoint",
    "NoiseRate",
    "class_thresholds",
    "confident_class",
    "confident_joint",
    "noise_rate",
]

RESAMPLES = 1000
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class ConfidentJoint:
    """`counts` (K, K): cases labelled i that are confidently j; `labels` (K,): how many are labelled i."""

    counts: Floats
    labels: Floats

    @cached_property
    def calibrated(self) -> Floats:
        """The estimated joint distribution (K, K) of given and true label; rows add up to the labels' shares.

        A class of which no case is confidently anything keeps its labels.
        """
        row = self.counts.sum(axis=1, keepdims=True)
        share = np.divide(self.counts, row, out=np.eye(len(row)), where=row > 0)
        return np.asarray(share * (self.labels / self.labels.sum())[:, None])

    @property
    def error_rate(self) -> float:
        """The estimated share of wrong labels."""
        return float(max(0.0, 1 - np.trace(self.calibrated)))


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseRate:
    """The estimated share of wrong labels, overall and of each class's labels (K,), with intervals."""

    overall: float
    interval: Interval
    by_class: tuple[float, ...]
    class_intervals: tuple[Interval, ...]


def class_thresholds(data: Labelled, weights: NDArray[np.generic] | None = None) -> Floats:
    """Return each class's threshold (K,): the mean probability of the class over cases that are labelled so.

    Infinite for classes with too few labels: no case is confidently one of these. `weights` (n,) count cases.

    >>> label, risk = np.repeat([0, 1], 5), np.repeat([0.2, 0.6], 5)
    >>> class_thresholds(Labelled.of(label, np.column_stack([1 - risk, risk]))).round(3).tolist()
    [0.8, 0.6]
    """
    weight = np.ones(len(data)) if weights is None else np.asarray(weights, dtype=np.float64)
    total = np.bincount(data.label, weights=weight, minlength=data.classes)
    summed = np.bincount(data.label, weights=weight * data.own, minlength=data.classes)
    means = np.divide(summed, total, out=np.full(data.classes, np.inf), where=total > 0)
    return np.asarray(np.where(data.large, means, np.inf))


def confident_class(data: Labelled, thresholds: Floats) -> Ints:
    """Return the class that each case confidently is (n,): the likeliest to reach its threshold, or -1."""
    reached = data.probability >= thresholds - 1e-12
    shown = np.where(reached, data.probability, -1.0)
    return np.where(reached.any(axis=1), shown.argmax(axis=1), -1).astype(np.int64)


def confident_joint(data: Labelled, weights: NDArray[np.generic] | None = None) -> ConfidentJoint:
    """Return how many cases labelled i are confidently j; cases that are confidently nothing don't count.

    Cases of classes with too few labels count as what they are labelled.

    >>> label = np.repeat([0, 1], 6)
    >>> risk = np.array([0.1, 0.1, 0.1, 0.1, 0.1, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.1])
    >>> confident_joint(Labelled.of(label, np.column_stack([1 - risk, risk]))).counts.tolist()
    [[5.0, 1.0], [1.0, 5.0]]
    """
    weight = np.ones(len(data)) if weights is None else np.asarray(weights, dtype=np.float64)
    found = confident_class(data, class_thresholds(data, weight))
    found = np.where(data.large[data.label], found, data.label)
    held = found >= 0
    k = data.classes
    counts = np.bincount(data.label[held] * k + found[held], weights=weight[held], minlength=k * k)
    labels = np.bincount(data.label, weights=weight, minlength=k)
    return ConfidentJoint(counts=counts.reshape(k, k).astype(np.float64), labels=labels.astype(np.float64))


def noise_rate(data: Labelled, draw: np.random.Generator, *, resamples: int = RESAMPLES) -> NoiseRate:
    """Return the estimated share of wrong labels with percentile intervals over patients.

    Thresholds and joint are made again in each resample; the probabilities are not, so that the interval
    holds for this model: its own errors count as wrong labels, and no interval covers that.
    """
    found = confident_joint(data)
    rates = [_rates(found)]
    patients = int(data.cluster.max()) + 1
    for _ in range(resamples):
        times = resampled_counts(draw, patients)
        rates.append(_rates(confident_joint(data, times[data.cluster])))
    drawn = np.array(rates)
    intervals = [percentile_interval(drawn[1:, k], of="patients") for k in range(drawn.shape[1])]
    return NoiseRate(
        overall=float(drawn[0, 0]),
        interval=intervals[0],
        by_class=tuple(np.nan_to_num(drawn[0, 1:]).tolist()),
        class_intervals=tuple(intervals[1:]),
    )


def _rates(joint: ConfidentJoint) -> list[float]:
    """Return the estimated share of wrong labels, overall and of each class; of an absent class 0."""
    share = joint.labels / joint.labels.sum()
    right = np.diag(joint.calibrated)
    own = np.divide(right, share, out=np.ones_like(share), where=share > 0)
    return [joint.error_rate, *np.maximum(0.0, 1 - own).tolist()]
