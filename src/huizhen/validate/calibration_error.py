"""The expected calibration error with its bins and an interval.

It depends on its bins and is biased upwards in small samples, even for a perfect model: quote it with bins
and n, and never without the curve. References: Naeini, Cooper & Hauskrecht, AAAI 29:2901-2907 (2015); Kumar,
Liang & Ma, NeurIPS 32 (2019), on its bias.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.core.streams import stream
from huizhen.validate.calibration_curve import BinsBy, bins_of, calibration_curve, expected_calibration_error
from huizhen.validate.distances import Distance, distance
from huizhen.validate.samples import checked_outcome, checked_risk

Floats = NDArray[np.float64]


def calibration_error(
    outcome: NDArray[Any],
    risk: ArrayLike,
    *,
    bins: int = 10,
    by: BinsBy = "mass",
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Distance:
    """Return the expected calibration error over `bins` bins of equal size ("mass") or equal width.

    `outcome` (n,) boolean, `risk` (n,) in [0, 1]. The bootstrap keeps the sample's bins; how many patients of
    a bin and class come is multinomial, and the sum of their risks normal given that; so are a perfect
    model's events in a bin. Raises as `calibration_curve`.

    >>> found = calibration_error(np.array([False, True]), np.array([0.25, 0.75]), bins=2, resamples=50)
    >>> found.estimate.value
    0.25
    """
    truth = checked_outcome(outcome)
    values = checked_risk(risk, truth.size)
    value = expected_calibration_error(calibration_curve(truth, values, bins=bins, by=by))
    place, draw = bins_of(values, bins, by), stream(seed, "calibration error")
    drawn = _resampled(draw, place * 2 + truth, values, bins, resamples)
    chance = _by_chance(draw, place, values, bins, resamples)
    return distance(value, drawn, chance, level=level)


def _by_chance(
    draw: np.random.Generator, place: NDArray[np.int64], risk: Floats, bins: int, resamples: int
) -> Floats:
    """Return the error (b,) of the same patients if their risks were right."""
    spread = np.sqrt(np.bincount(place, weights=risk * (1 - risk), minlength=bins))
    return np.asarray(np.abs(spread * draw.standard_normal((resamples, bins))).sum(axis=1) / risk.size)


def _resampled(
    draw: np.random.Generator, cell: NDArray[np.int64], risk: Floats, bins: int, resamples: int
) -> Floats:
    """Return the error (b,) of resampled patients; `cell` (n,) is twice the bin, and one more for events."""
    n = np.bincount(cell, minlength=2 * bins)
    some = np.maximum(n, 1)
    mean = np.bincount(cell, weights=risk, minlength=2 * bins) / some
    spread = np.sqrt(np.maximum(np.bincount(cell, weights=risk**2, minlength=2 * bins) / some - mean**2, 0))
    counts = draw.multinomial(cell.size, n / cell.size, size=resamples).astype(np.float64)
    sums = counts * mean + np.sqrt(counts) * spread * draw.standard_normal(counts.shape)
    expected = sums.reshape(resamples, bins, 2).sum(axis=2)
    events = counts.reshape(resamples, bins, 2)[:, :, 1]
    return np.asarray(np.abs(events - expected).sum(axis=1) / cell.size)
