"""Wrong labels: what an AUC would read with a share of them wrong, and the bounds of the right one.

An AUC depends on the labels only through the sum of the events' ranks (Mann & Whitney, Ann Math Stat
18:50-60, 1947), so that the mean over all ways of flipping k labels, and the best and the worst of them, have
closed forms: no simulation is needed.
Reference for errors at random: Menon et al., ICML 2015, Learning from corrupted binary labels, corollary 3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.estimates import normal_quantile
from huizhen.validate.samples import checked_outcome, checked_scores

__all__ = ["Flipped", "Wrong", "label_noise"]


class Wrong(StrEnum):
    """Which labels are wrong."""

    BOTH = "both"
    """The same share of the events and of the others."""
    EVENTS = "events"
    """Some that are called events are none."""
    OTHERS = "others"
    """Some events were missed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flipped:
    """An AUC with a `share` of the labels of a class (or of both) wrong; `events` and `others` are counts.

    `reads`, `reads_low`, `reads_high`: what it would read, were the given labels right and so many of them
    flipped at random: the mean over all ways to do so, and the range of 95 % of them. `corrected`: the AUC
    against the right labels, should so many of the given ones be wrong at random; None where that is out of
    its bounds, so that so many can't be wrong at random. `least`, `most`: these bounds, whichever are wrong.
    """

    share: float
    events: int
    others: int
    reads: float
    reads_low: float
    reads_high: float
    corrected: float | None
    least: float
    most: float


def label_noise(outcome: NDArray[Any], score: ArrayLike, *, share: float, wrong: Wrong) -> Flipped:
    """Return what a `share` in (0, 0.5) of wrong labels does to an AUC.

    `outcome` (n,) boolean as given; `score` (n,), larger for events. Raises `InvalidInputError` on other
    input, `NotEstimableError` unless both classes are there before and after.

    >>> outcome, score = np.repeat([True, False], 20), np.arange(40.0)[::-1]
    >>> found = label_noise(outcome, score, share=0.1, wrong=Wrong.BOTH)
    >>> round(found.reads, 3), found.least, found.corrected
    (0.9, 0.81, None)
    """
    truth = checked_outcome(outcome)
    ranks = rankdata(checked_scores(score, truth.size))
    if not 0 < share < 0.5:
        raise InvalidInputError(f"share {share} is outside (0, 0.5)", remedy="use 0.05", field="share")
    pos, neg = np.sort(ranks[truth]), np.sort(ranks[~truth])
    if not pos.size or not neg.size:
        raise NotEstimableError("one class is missing", remedy="gather cases of both")
    flips = [
        0 if wrong is unharmed else round(share * side.size)
        for unharmed, side in ((Wrong.OTHERS, pos), (Wrong.EVENTS, neg))
    ]
    return _flipped(pos, neg, flips[0], flips[1], share=share)


def _flipped(
    pos: NDArray[np.float64],
    neg: NDArray[np.float64],
    events: int,
    others: int,
    *,
    share: float,
) -> Flipped:
    """Return what flipping so many `events` and `others` does; `pos` and `neg` are rising ranks."""
    total, m, n = float(pos.sum()), pos.size, neg.size
    count = m - events + others
    mean = total - events * pos.mean() + others * neg.mean()
    spread = math.sqrt(_sum_variance(pos, events) + _sum_variance(neg, others))
    reach = normal_quantile(0.95) * spread / (count * (m + n - count))
    reads = _auc(mean, count, m + n)
    lowest = float(total - pos[m - events :].sum() + neg[:others].sum())
    highest = float(total - pos[:events].sum() + neg[n - others :].sum())
    least, most = _auc(lowest, count, m + n), _auc(highest, count, m + n)
    return Flipped(
        share=share,
        events=events,
        others=others,
        reads=reads,
        reads_low=max(0.0, reads - reach),
        reads_high=min(1.0, reads + reach),
        corrected=_corrected(_auc(total, m, m + n), events / m + others / n, least, most),
        least=least,
        most=most,
    )


def _sum_variance(ranks: NDArray[np.float64], drawn: int) -> float:
    """Return the variance of the sum of `drawn` of the ranks, each as likely, none twice."""
    if ranks.size < 2:
        return 0.0
    return float(drawn * (1 - drawn / ranks.size) * ranks.var(ddof=1))


def _auc(rank_sum: float, count: int, n: int) -> float:
    """Return the AUC of `count` events among `n` whose ranks sum to `rank_sum`."""
    return float((rank_sum - count * (count + 1) / 2) / (count * (n - count)))


def _corrected(auc: float, wrong: float, least: float, most: float) -> float | None:
    """Return the AUC against the right labels under errors at random; None where it leaves its bounds.

    With shares a of the given events and b of the others wrong, AUC - 1/2 shrinks by 1 - a - b; `wrong` is
    a + b.
    """
    found = 0.5 + (auc - 0.5) / (1 - wrong)
    return found if least <= found <= most else None
