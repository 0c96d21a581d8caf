"""All usual measures of a risk at once, with intervals from one bootstrap over patients.

A resample is a count for each patient; with the cases sorted by risk beforehand, every measure is a sum or a
cumulative sum over these counts, so that nothing is sorted again. Calibration intercept and slope take one
Newton step from the sample's own estimate (Davison & Hinkley, Bootstrap Methods, 1997, section 7.2), which is
the full fit up to terms of order 1/n.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from huizhen.core.streams import stream
from huizhen.errors import InvalidInputError
from huizhen.validate.calibration import in_the_large, recalibrate
from huizhen.validate.clusters import checked_clusters
from huizhen.validate.estimates import Estimate
from huizhen.validate.resampling import percentile_interval, resampled_counts
from huizhen.validate.samples import checked_outcome, checked_risk, class_counts

Floats = NDArray[np.float64]
MEASURES = (
    "auc",
    "sensitivity",
    "specificity",
    "ppv",
    "npv",
    "brier",
    "scaled_brier",
    "observed_expected",
    "calibration_in_the_large",
    "calibration_intercept",
    "calibration_slope",
)
"""The measures, in the order of the columns."""
_BATCH = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sorted:
    """Cases sorted by risk: patient, event, the first of each group of equal risks, the first case called,
    and what each case adds to the sums (q, n) that calibration and Brier score need."""

    patient: NDArray[np.intp] | None
    patients: int
    event: NDArray[np.int64]
    starts: NDArray[np.intp]
    first_called: int
    adds: Floats
    at: tuple[float, float, float]


def metric_table(
    outcome: NDArray[Any],
    risk: ArrayLike,
    *,
    threshold: float,
    cluster: ArrayLike | None = None,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Estimate]:
    """Return every measure of `MEASURES` with its percentile interval over patients.

    `outcome` (n,) boolean, `risk` (n,) in [0, 1], called at `threshold` or above, fixed beforehand. `cluster`
    (n,) names patients with several rows. Resamples in which a measure doesn't exist are left out of its
    interval and counted in its method. Raises as `recalibrate`, and `NotEstimableError` where a measure
    doesn't exist for the sample or for half of the resamples.

    >>> outcome = np.arange(40) % 3 == 0
    >>> found = metric_table(outcome, (np.arange(40) % 7 + 1) / 9, threshold=0.5, resamples=50)
    >>> list(found) == list(MEASURES)
    True
    """
    if not 0 < threshold < 1:
        raise InvalidInputError(f"{threshold} is outside (0, 1)", remedy="use 0.1", field="threshold")
    prepared = _prepared(outcome, risk, threshold, cluster)
    draw = stream(seed, "metric table")
    own = _measured(prepared, np.ones((1, prepared.event.size), dtype=np.int64))[0]
    drawn = np.concatenate([_measured(prepared, counts) for counts in _resampled(draw, prepared, resamples)])
    return {
        name: Estimate(
            value=float(own[place]), interval=percentile_interval(drawn[:, place], of="patients", level=level)
        )
        for place, name in enumerate(MEASURES)
    }


def _prepared(outcome: NDArray[Any], risk: ArrayLike, threshold: float, cluster: ArrayLike | None) -> _Sorted:
    """Return the cases sorted by risk, with what doesn't change between resamples."""
    truth = checked_outcome(outcome)
    values = checked_risk(risk, truth.size)
    class_counts(truth)
    group = None if cluster is None else checked_clusters(cluster, truth.size)
    slope, large = recalibrate(truth, values), in_the_large(truth, values)
    order = np.argsort(values, kind="stable")
    ranked, event = values[order], truth[order].astype(np.int64)
    at = (large.value, slope.intercept.value, slope.slope.value)
    return _Sorted(
        patient=None if group is None else group[order],
        patients=truth.size if group is None else int(group.max()) + 1,
        event=event,
        starts=np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1]))),
        first_called=int(np.searchsorted(ranked, threshold)),
        adds=_adds(ranked, event.astype(np.float64), at),
        at=at,
    )


def _adds(risk: Floats, event: Floats, at: tuple[float, float, float]) -> Floats:
    """Return what each case adds (9, n): squared error, risk, and gradient and information of both fits."""
    line = logit(np.clip(risk, 1e-12, 1 - 1e-12))
    first, second = expit(at[0] + line), expit(at[1] + at[2] * line)
    spread, rest = second * (1 - second), event - second
    return np.stack(
        [
            (risk - event) ** 2,
            risk,
            event - first,
            first * (1 - first),
            rest,
            rest * line,
            spread,
            spread * line,
            spread * line**2,
        ]
    )


def _resampled(draw: np.random.Generator, data: _Sorted, resamples: int) -> Iterator[NDArray[np.int64]]:
    """Yield how often each case comes (b, n) in batches of resamples of the patients."""
    for first in range(0, resamples, _BATCH):
        size = min(_BATCH, resamples - first)
        counts = np.empty((size, data.event.size), dtype=np.int64)
        for row in counts:
            times = resampled_counts(draw, data.patients)
            row[:] = times if data.patient is None else times[data.patient]
        yield counts


def _measured(data: _Sorted, counts: NDArray[np.int64]) -> Floats:
    """Return the measures (b, 11) of cases that come `counts` (b, n) times."""
    sums = counts.astype(np.float64) @ data.adds.T
    ranks = np.array([_rank_sums(data, row) for row in counts])
    with np.errstate(divide="ignore", invalid="ignore"):
        auc, true, false, events, others = ranks.T
        total = events + others
        fitted = np.column_stack(
            [
                auc / (events * others),
                true / events,
                1 - false / others,
                true / (true + false),
                (others - false) / (total - true - false),
                sums[:, 0] / total,
                1 - sums[:, 0] * total / (events * others),
                events / sums[:, 1],
                data.at[0] + sums[:, 2] / sums[:, 3],
                *_newton_step(data, sums),
            ]
        )
    fitted[~((events > 0) & (others > 0))] = np.nan
    return np.where(np.isfinite(fitted), fitted, np.nan)


def _newton_step(data: _Sorted, sums: Floats) -> tuple[Floats, Floats]:
    """Return intercept and slope (b,) after a step from the sample's own."""
    gradient, more, a, b, c = sums[:, 4:].T
    determinant = a * c - b**2
    return (
        data.at[1] + (c * gradient - b * more) / determinant,
        data.at[2] + (a * more - b * gradient) / determinant,
    )


def _rank_sums(data: _Sorted, counts: NDArray[np.int64]) -> tuple[float, float, float, float, float]:
    """Return the concordant pairs, true and false positives, events and non-events of one resample."""
    events = counts * data.event
    others = counts - events
    below, cut = np.cumsum(others), data.first_called
    total, positives = float(below[-1]), float(events.sum())
    false = total - (float(below[cut - 1]) if cut else 0.0)
    true = float(events[cut:].sum())
    if data.starts.size == counts.size:
        return float(events @ below), true, false, positives, total
    tied_events = np.add.reduceat(events, data.starts)
    tied_others = np.add.reduceat(others, data.starts)
    twice_lower = 2 * np.cumsum(tied_others) - tied_others
    return float(tied_events @ twice_lower) / 2, true, false, positives, total
