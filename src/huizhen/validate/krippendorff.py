"""Krippendorff's alpha: agreement of any number of readers who needn't all have read the same cases.

Krippendorff, Content Analysis, 2nd edition (2004), chapter 11; Hayes & Krippendorff, Communication Methods
and Measures 1:77-89 (2007). The interval is a percentile bootstrap over cases (Zapf et al., BMC Medical
Research Methodology 16:93, 2016).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from huizhen.core.evidence import Interval
from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.estimates import Estimate, unanimous_floor
from huizhen.validate.resampling import percentile_interval, resampled_counts

__all__ = ["Scale", "krippendorff_alpha"]

Floats = NDArray[np.float64]
Scale = Literal["nominal", "ordinal", "interval"]
RESAMPLES = 1000


def krippendorff_alpha(
    read: NDArray[np.int64],
    *,
    labels: int,
    scale: Scale = "nominal",
    draw: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Return alpha of ratings (n, R) in 0 to `labels` - 1, -1 where a reader didn't read; 1: full agreement.

    Cases with fewer than two ratings don't count. "ordinal" and "interval" take labels in their order.
    Raises `InvalidInputError` on ratings out of range, `NotEstimableError` when fewer than two cases were
    read twice, or all ratings are alike.

    >>> read = np.array([[0, 0, 0], [1, 1, 1], [0, 0, 1], [1, 1, -1]])
    >>> round(krippendorff_alpha(read, labels=2, draw=np.random.default_rng(1)).value, 4)
    0.6667
    """
    if read.ndim != 2 or (read < -1).any() or (read >= labels).any():
        raise InvalidInputError("ratings aren't (n, R) places of labels", remedy="number the labels")
    counts = np.stack([(read == label).sum(axis=1) for label in range(labels)], axis=1).astype(float)
    counts = counts[counts.sum(axis=1) >= 2]
    value = _alpha(counts, np.ones(len(counts)), scale) if len(counts) >= 2 else float("nan")
    if np.isnan(value):
        raise NotEstimableError(
            f"alpha of {len(counts)} cases that were all rated alike, or of too few",
            remedy="have more cases read twice, among them some of each label",
        )
    drawn = np.array(
        [_alpha(counts, resampled_counts(draw, len(counts)).astype(float), scale) for _ in range(resamples)]
    )
    found = percentile_interval(drawn, of="cases")
    interval = Interval(low=min(found.low, value), high=max(found.high, value), method=found.method)
    if value >= 1 and interval.low >= 1:
        interval = _all_agree(counts, scale)
    return Estimate(value=value, interval=interval)


def _all_agree(counts: Floats, scale: Scale) -> Interval:
    """Return the bound where no case's ratings differ, which every resample repeats: no interval is a point.

    Of n of n cases at least 0.025^(1/n) agree (Clopper & Pearson); the others may be as far apart as labels
    get, at the chance of the labels that were given.
    """
    share = counts.sum(axis=0)
    apart, n = _distances(share, scale), share.sum()
    expected = float(share @ apart @ share) / (n * (n - 1))
    differ = 1 - unanimous_floor(len(counts))
    low = max(-1.0, 1 - differ * float(apart.max()) / expected)
    return Interval(low=low, high=1.0, method="exact bound where all cases agree alike")


def _alpha(counts: Floats, times: Floats, scale: Scale) -> float:
    """Return alpha of counts (n, labels), each case counted so many `times`; NaN where all are alike."""
    weight = times / (counts.sum(axis=1) - 1)
    pairs = (counts * weight[:, None]).T @ counts
    pairs[np.diag_indices_from(pairs)] -= (counts * weight[:, None]).sum(axis=0)
    share = pairs.sum(axis=1)
    apart = _distances(share, scale)
    n = share.sum()
    expected = float(share @ apart @ share) / (n * (n - 1)) if n > 1 else 0.0
    return float(1 - (pairs * apart).sum() / n / expected) if expected > 1e-15 else float("nan")


def _distances(share: Floats, scale: Scale) -> Floats:
    """Return the squared distance (labels, labels) of two labels; `share` (labels,) were given."""
    places = np.arange(len(share), dtype=np.float64)
    if scale == "ordinal":  # ranks: what lies between two labels, and half of each
        middle = np.cumsum(share) - share / 2
        return np.asarray((middle[:, None] - middle[None]) ** 2)
    apart = places[:, None] - places[None]
    return np.asarray(apart**2 if scale == "interval" else (apart != 0) * 1.0)
