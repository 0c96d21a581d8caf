"""The calibration curve: observed shares against predicted risks, in bins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.errors import InvalidInputError
from huizhen.validate.proportions import wilson
from huizhen.validate.samples import checked_outcome, checked_risk

BinsBy = Literal["mass", "width"]
"""Bins of equal size, or of equal width."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationCurve:
    """Bins (b,) of risk: mean risk, observed share with Wilson's interval (`low`, `high`), cases, events."""

    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    n: NDArray[np.int64]
    n_events: NDArray[np.int64]


def calibration_curve(
    outcome: NDArray[Any],
    risk: ArrayLike,
    *,
    bins: int = 10,
    by: BinsBy = "mass",
    level: float = 0.95,
) -> CalibrationCurve:
    """Return observed shares against mean risks in `bins` bins of equal size ("mass") or equal width.

    Cases of equal risk share a bin; empty bins are left out. Raises `InvalidInputError` on wrong input or
    less than one bin.

    >>> curve = calibration_curve(np.array([False, True, True, True]), np.array([0.1, 0.2, 0.8, 0.9]), bins=2)
    >>> curve.observed.tolist(), curve.n.tolist()
    ([0.5, 1.0], [2, 2])
    """
    truth = checked_outcome(outcome)
    values = checked_risk(risk, truth.size)
    place = bins_of(values, bins, by)
    n = np.bincount(place, minlength=bins)
    kept = n > 0
    n, events = n[kept], np.bincount(place, weights=truth, minlength=bins)[kept].astype(np.int64)
    limits = [wilson(int(hits), int(size), level=level) for hits, size in zip(events, n, strict=True)]
    return CalibrationCurve(
        predicted=np.bincount(place, weights=values, minlength=bins)[kept] / n,
        observed=events / n,
        low=np.array([limit.low for limit in limits]),
        high=np.array([limit.high for limit in limits]),
        n=n,
        n_events=events,
    )


def bins_of(risk: NDArray[np.float64], bins: int, by: BinsBy) -> NDArray[np.int64]:
    """Return the bin (n,) of each risk (n,) in [0, 1]. Raises `InvalidInputError` on less than one bin.

    >>> bins_of(np.array([0.1, 0.2, 0.9]), 2, "width").tolist()
    [0, 0, 1]
    """
    if bins < 1 or by not in ("mass", "width"):
        raise InvalidInputError(f"{bins} bins by {by!r}", remedy="at least 1, by mass or width", field="bins")
    return _by_mass(risk, bins) if by == "mass" else np.minimum((risk * bins).astype(np.int64), bins - 1)


def _by_mass(risk: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """Return the bin (n,) of every risk by its midrank, so that equal risks share one."""
    _, group, sizes = np.unique(risk, return_inverse=True, return_counts=True)
    twice_midrank = 2 * np.cumsum(sizes) - sizes - 1  # of ranks from 0
    return np.asarray((twice_midrank * bins // (2 * risk.size))[group], dtype=np.int64)


def expected_calibration_error(curve: CalibrationCurve) -> float:
    """Return the mean distance of observed from predicted over the bins, weighted by their cases.

    It depends on the bins and is biased upwards in small samples: print bins and n beside it.

    >>> curve = calibration_curve(np.array([False, True]), np.array([0.25, 0.75]), bins=2)
    >>> expected_calibration_error(curve)
    0.25
    """
    return float(curve.n @ np.abs(curve.observed - curve.predicted) / curve.n.sum())
