"""Label noise from several readers: Cohen's and Fleiss' kappa with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.core.evidence import Interval
from huizhen.core.streams import stream
from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.train.active.queue_records import Answer

__all__ = ["Agreement", "alike_interval", "cohen_kappa", "fleiss_kappa", "ratings"]

Z = 1.959963984540054
RESAMPLES = 2000
POINT = 1e-9
"""An interval that is no wider has no variance behind it."""
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Kappa over `n` cases, the share of agreement observed and that expected by chance."""

    kappa: float
    interval: Interval
    observed: float
    expected: float
    n: int


def ratings(
    answers: Sequence[Answer], labels: Sequence[str]
) -> tuple[Ints, tuple[str, ...], tuple[str, ...]]:
    """Return ratings (n, R) as places in `labels` (-1: not read), with the cases (n,) and readers (R,).

    >>> said = [Answer(case="1", reader=who, label=what, source="") for who, what in [("a", "x"), ("b", "y")]]
    >>> ratings(said, ["x", "y"])[0].tolist()
    [[0, 1]]
    """
    cases, readers = (tuple(sorted({getattr(a, name) for a in answers})) for name in ("case", "reader"))
    found = np.full((len(cases), len(readers)), -1, dtype=np.int64)
    row, column = ({name: place for place, name in enumerate(names)} for names in (cases, readers))
    place = {name: number for number, name in enumerate(labels)}
    for item in answers:
        found[row[item.case], column[item.reader]] = place[item.label]
    return found, cases, readers


def alike_interval(observed: float, expected: float, n: int, *, level: float = 0.95) -> Interval:
    """Return an interval of kappa where all `n` cases agree alike, so that no variance can be estimated.

    If n of n cases agree as `observed` says, at least ((1 - level) / 2)^(1/n) of all cases do (Clopper &
    Pearson's limit for n of n); the rest may agree fully, or not at all. Chance's share is held as it is.

    >>> found = alike_interval(1.0, 0.5, 20)
    >>> round(found.low, 3), found.high
    (0.663, 1.0)
    """
    floor = ((1 - level) / 2) ** (1 / n)
    low, high = ((floor * observed + rest - expected) / (1 - expected) for rest in (0.0, 1.0 - floor))
    return Interval(
        low=max(-1.0, low), high=min(1.0, high), method="exact bound where all cases agree alike", level=level
    )


def cohen_kappa(first: Ints, second: Ints, *, labels: int) -> Agreement:
    """Return Cohen's kappa of two readers' labels (n,), each in 0 to `labels` - 1.

    Interval: normal, by the large-sample variance of Fleiss, Cohen & Everitt, Psychological Bulletin
    72:323-327 (1969), cut off at [-1, 1]. Raises `InvalidInputError` on labels out of range or lengths that
    differ, `NotEstimableError` on fewer than two cases, or when both readers gave everybody the same label.

    >>> a = cohen_kappa(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0]), labels=2)
    >>> round(a.kappa, 3), a.observed, a.expected
    (0.5, 0.75, 0.5)
    """
    table = _table(first, second, labels)
    share = table / table.sum()
    row, column = share.sum(1), share.sum(0)
    observed, expected = float(np.trace(share)), float(row @ column)
    if len(first) < 2 or expected > 1 - 1e-12:
        raise _not_estimable(len(first))
    kappa = (observed - expected) / (1 - expected)
    diagonal = np.diag(share) * (1 - (row + column) * (1 - kappa)) ** 2
    outside = share * (column[:, None] + row[None, :]) ** 2  # of p_ij: (p_.i + p_j.)^2
    np.fill_diagonal(outside, 0.0)
    spread = diagonal.sum() + (1 - kappa) ** 2 * outside.sum() - (kappa - expected * (1 - kappa)) ** 2
    half = Z * math.sqrt(max(float(spread), 0.0) / len(first)) / (1 - expected)
    interval = Interval(
        low=max(-1.0, kappa - half), high=min(1.0, kappa + half), method="Fleiss-Cohen-Everitt"
    )
    if half <= POINT:
        interval = alike_interval(observed, expected, len(first))
    return Agreement(kappa=kappa, interval=interval, observed=observed, expected=expected, n=len(first))


def fleiss_kappa(read: Ints, *, labels: int, seed: int) -> Agreement:
    """Return Fleiss' kappa of ratings (n, R) in 0 to `labels` - 1, -1 where a reader didn't read.

    Cases with fewer than two ratings are left out. With unequal numbers of ratings, agreement is the mean
    over cases of the share of agreeing pairs, and chance comes from all ratings. Interval: percentile
    bootstrap over cases (Zapf et al., BMC Medical Research Methodology 16:93, 2016). Raises as `cohen_kappa`
    does. Reference: Fleiss, Psychological Bulletin 76:378-382 (1971).

    >>> read = np.array([[0, 0, 0], [1, 1, 1], [0, 0, 1], [1, 1, 1]])
    >>> round(fleiss_kappa(read, labels=2, seed=1).kappa, 3)
    0.657
    """
    if read.ndim != 2 or (read < -1).any() or (read >= labels).any():
        raise InvalidInputError("ratings aren't (n, R) places of labels", remedy="make them with ratings")
    counts = np.stack([(read == label).sum(1) for label in range(labels)], 1).astype(float)
    counts = counts[counts.sum(1) >= 2]
    if len(counts) < 2:
        raise _not_estimable(len(counts))
    kappa, observed, expected = (float(x) for x in _fleiss(counts))
    if math.isnan(kappa):
        raise _not_estimable(len(counts))
    rng = stream(seed, "fleiss-kappa")
    drawn = [_fleiss(counts[rng.integers(len(counts), size=len(counts))])[0] for _ in range(RESAMPLES)]
    low, high = (float(x) for x in np.nanquantile(drawn, [0.025, 0.975]))
    interval = Interval(low=min(low, kappa), high=max(high, kappa), method="percentile bootstrap over cases")
    if high - low <= POINT:
        interval = alike_interval(observed, expected, len(counts))
    return Agreement(kappa=kappa, interval=interval, observed=observed, expected=expected, n=len(counts))


def _fleiss(counts: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return kappa (NaN if all ratings are alike), observed and expected agreement of counts (n, labels)."""
    raters = counts.sum(1)
    observed = float(((counts * (counts - 1)).sum(1) / (raters * (raters - 1))).mean())
    expected = float(((counts.sum(0) / counts.sum()) ** 2).sum())
    return (observed - expected) / (1 - expected) if expected < 1 - 1e-12 else math.nan, observed, expected


def _table(first: Ints, second: Ints, labels: int) -> NDArray[np.float64]:
    """Return how often the two gave each pair of labels (labels, labels)."""
    both = np.concatenate([first, second])
    if first.shape != second.shape or first.ndim != 1 or (both < 0).any() or (both >= labels).any():
        raise InvalidInputError(
            "two readers' labels don't fit", remedy="give one of each reader for each case"
        )
    table = np.zeros((labels, labels))
    np.add.at(table, (first, second), 1)
    return table


def _not_estimable(n: int) -> NotEstimableError:
    return NotEstimableError(
        f"kappa of {n} cases that were all labelled alike, or of too few",
        remedy="have more cases read twice, among them some of each label",
    )
