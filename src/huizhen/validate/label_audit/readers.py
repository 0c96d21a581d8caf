"""Where several readers disagree with the label that a case was given, and with each other.

The likely truth is that of Dawid & Skene (see `huizhen.train.active.dawid_skene`): readers err independently
given the truth. Where a model's out-of-sample probabilities are at hand too, they count as one more witness.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.core.evidence import Interval
from huizhen.errors import InvalidInputError
from huizhen.train.active.agreement import Agreement, fleiss_kappa
from huizhen.train.active.dawid_skene import dawid_skene
from huizhen.validate.estimates import Estimate
from huizhen.validate.krippendorff import krippendorff_alpha
from huizhen.validate.proportions import wilson

__all__ = ["ReaderAudit", "reader_audit", "witnessed"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderAudit:
    """What R readers say of n labels.

    `truth` (n, K): the likely truth by the readers alone, NaN where nobody read. `right` (R,): the share of
    a reader's answers expected to be right. `contradicted`: of the cases read by two or more, how many have a
    label that most of them don't give, with the interval of that share.
    """

    truth: Floats
    right: Floats
    kappa: Agreement
    alpha: Estimate
    read_twice: int
    contradicted: int
    share: float
    interval: Interval


def reader_audit(
    label: Ints, read: Ints, *, labels: int, seed: int, draw: np.random.Generator
) -> ReaderAudit:
    """Return the audit of labels (n,) by ratings (n, R) in 0 to `labels` - 1, -1 where a reader didn't read.

    Raises `InvalidInputError` on shapes that don't fit, `NotEstimableError` where too few cases were read
    twice, or all were rated alike.
    """
    if read.ndim != 2 or label.shape != read.shape[:1]:
        raise InvalidInputError("ratings don't fit the labels", remedy="give a row of ratings for each case")
    some = (read >= 0).any(axis=1)
    alpha = krippendorff_alpha(read, labels=labels, draw=draw)
    kappa = fleiss_kappa(read, labels=labels, seed=seed)
    found = dawid_skene(read[some], labels=labels)
    truth = np.full((len(label), labels), np.nan)
    truth[some] = found.probability
    twice = (read >= 0).sum(axis=1) >= 2
    other = (read >= 0) & (read != label[:, None])
    against = other.sum(axis=1) * 2 > (read >= 0).sum(axis=1)
    count, n = int((twice & against).sum()), int(twice.sum())
    return ReaderAudit(
        truth=truth,
        right=np.einsum("k,rkk->r", found.share, found.confusion),
        kappa=kappa,
        alpha=alpha,
        read_twice=n,
        contradicted=count,
        share=count / n,
        interval=wilson(count, n),
    )


def witnessed(truth: Floats, probability: Floats | None) -> Floats:
    """Return the likely truth (n, K) by readers and, where it is given, a model's probabilities (n, K).

    They are multiplied, less the classes' shares that both hold, as independent witnesses; where nobody read,
    the model alone counts.

    >>> said, model = np.array([[0.5, 0.5], [np.nan, np.nan]]), np.array([[0.8, 0.2], [0.3, 0.7]])
    >>> witnessed(said, model).round(2).tolist()
    [[0.8, 0.2], [0.3, 0.7]]
    """
    read = np.asarray(~np.isnan(truth).any(axis=1))
    share = np.maximum(truth[read].mean(axis=0), 1e-12)
    if probability is None:
        return np.where(read[:, None], truth, share)
    both = np.where(read[:, None], truth / share, 1.0) * probability
    total = both.sum(axis=1, keepdims=True)
    return np.asarray(np.where(total > 0, both / np.where(total > 0, total, 1.0), probability))
