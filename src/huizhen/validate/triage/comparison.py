"""Detection, recall and readings of policies on the same exams, with intervals over patients and differences.

Every measure is made of means over exams with the event and without, so that it can be had at another
prevalence: rate = π · mean over events + (1 - π) · mean over others. That holds where events, and others, are
alike in both populations; a set that was enriched by difficulty isn't helped by it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.core.evidence import Interval
from huizhen.core.streams import stream
from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.estimates import Estimate, normal_quantile, unanimous_floor
from huizhen.validate.resampling import percentile_interval
from huizhen.validate.samples import class_counts
from huizhen.validate.share_differences import tango_limit
from huizhen.validate.triage.cells import QUANTITIES, Cells, cells_of
from huizhen.validate.triage.noninferiority import paired_limits
from huizhen.validate.triage.policies import Policy, carried_out
from huizhen.validate.triage.reads import Exams

Floats = NDArray[np.float64]
SHARES = (
    "sensitivity",
    "specificity",
    "detection_rate",
    "recall_rate",
    "ppv",
    "false_recall_rate",
    "missed_rate",
)
"""Shares: of events recalled, of others not recalled; of all exams: events recalled, recalled, others
recalled, events not recalled; and of the recalled those with the event."""
PAIRED = {"sensitivity": 0, "specificity": 1}
"""Shares within one class, whose differences on the same exams have Tango's interval, and the class."""
WORK = ("readings", "first", "second", "consensus", "minutes", "unread")
"""Per exam: all readings, first, second, consensus, minutes of readers, and the share that nobody reads."""
SAVED = ("readings_saved", "minutes_saved")
"""The share of the first policy's readings, or minutes, that a policy saves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Minutes:
    """How long a reader takes over each kind of reading; a consensus counts all who take part together."""

    first: float = 1.0
    second: float = 1.0
    consensus: float = 3.0

    def __post_init__(self) -> None:
        each = (self.first, self.second, self.consensus)
        if not all(math.isfinite(minutes) and minutes >= 0 for minutes in each):
            raise InvalidInputError(
                "minutes must be 0 or more", remedy="measure some readings", field="minutes"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyResult:
    """A policy's measures, and its differences from the first policy: policy - first, paired by patient."""

    policy: Policy
    measures: dict[str, Estimate]
    differences: dict[str, Estimate]


def compare_policies(
    exams: Exams,
    policies: Sequence[Policy],
    *,
    minutes: Minutes | None = None,
    prevalence: float | None = None,
    cluster: ArrayLike | None = None,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> list[PolicyResult]:
    """Return the measures of each policy with percentile intervals over patients, the first as reference.

    At `prevalence`, or at the sample's own if None. The same resamples serve all policies, so that
    differences are paired. With several draws of readers estimates are means over them, and intervals are
    those of one trial of as many patients, each read once. Differences in sensitivity and specificity have
    Tango's interval, but for patients with several exams. Where all patients agree a share's interval is
    Clopper and Pearson's, another difference's Tango's; what a policy fixes (each exam is read twice)
    has an interval without width. Raises `NotEstimableError` unless there are two events and two others.

    >>> from huizhen.validate.triage.policies import DoubleReading, SingleReading
    >>> from huizhen.validate.triage.reads import observed_reads
    >>> flags = np.arange(40) % 5 == 0
    >>> exams = Exams(outcome=np.arange(40) < 10, level=np.arange(40) % 10 + 1, top=np.zeros(40, bool),
    ...     reads=observed_reads(flags, flags, flags))
    >>> found = compare_policies(exams, [DoubleReading(), SingleReading()], resamples=50)
    >>> found[1].measures["sensitivity"].value, round(found[1].measures["readings_saved"].value, 3)
    (0.2, 0.455)
    """
    if not policies or (prevalence is not None and not 0 < prevalence < 1):
        raise InvalidInputError("no policy, or a prevalence outside (0, 1)", remedy="check them")
    class_counts(exams.outcome, least=2)
    cells = cells_of(exams.outcome, [carried_out(policy, exams) for policy in policies], cluster=cluster)
    spent = minutes or Minutes()
    own = measures_of(cells.sums, spent, prevalence)
    drawn = measures_of(cells.resampled(stream(seed, "triage"), resamples), spent, prevalence)
    return [
        PolicyResult(
            policy=policy,
            measures={
                name: _estimate(name, float(own[name][0, place]), drawn[name][:, place], cells, level)
                for name in own
            },
            differences={
                name: _difference(name, own[name][0], drawn[name], place, cells, level)
                for name in (*SHARES, *WORK)
            },
        )
        for place, policy in enumerate(policies)
    ]


def measures_of(sums: Floats, minutes: Minutes, prevalence: float | None = None) -> dict[str, Floats]:
    """Return every measure (b, p) of sums (b, 2 + 8 p) as `Cells` has them, NaN where it doesn't exist.

    >>> rows = np.array([[10, 90, 8, 9, 10, 90, 10, 90, 9, 21]], dtype=float)
    >>> found = measures_of(rows, Minutes())
    >>> [round(float(found[name][0, 0]), 3) for name in ("sensitivity", "recall_rate", "ppv", "readings")]
    [0.8, 0.17, 0.471, 2.3]
    """
    events, others = sums[:, 0], sums[:, 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = events / (events + others) if prevalence is None else np.full(len(sums), prevalence)
        means = sums[:, 2:].reshape(len(sums), -1, len(QUANTITIES), 2) / sums[:, np.newaxis, np.newaxis, :2]
        weights = np.stack([share, 1 - share], axis=1)[:, np.newaxis, np.newaxis]
        rates = means * weights  # (b, p, quantity, class)
        whole = {name: rates[:, :, place].sum(axis=2) for place, name in enumerate(QUANTITIES)}
        found, missed = rates[:, :, 0, 0], share[:, np.newaxis] - rates[:, :, 0, 0]
        shares = (
            means[:, :, 0, 0],
            1 - means[:, :, 0, 1],
            found,
            whole["recalled"],
            found / whole["recalled"],
            rates[:, :, 0, 1],
            missed,
        )
        return dict(zip(SHARES, shares, strict=True)) | _work(whole, minutes)


def _work(whole: dict[str, Floats], minutes: Minutes) -> dict[str, Floats]:
    """Return the readings and minutes per exam (b, p), and what is saved of the first policy's."""
    first, second, consensus = whole["first"], whole["second"], whole["consensus"]
    readings = first + second + consensus
    spent = minutes.first * first + minutes.second * second + minutes.consensus * consensus
    saved = [1 - total / total[:, :1] for total in (readings, spent)]
    work = (readings, first, second, consensus, spent, 1 - first)
    return dict(zip((*WORK, *SAVED), (*work, *saved), strict=True))


def _estimate(name: str, value: float, drawn: Floats, cells: Cells, level: float) -> Estimate:
    """Return a measure with its interval. Raises `NotEstimableError` where it doesn't exist."""
    if not math.isfinite(value):
        raise NotEstimableError(f"{name} doesn't exist: nobody was recalled", remedy="check the policy")
    found = percentile_interval(drawn, of="patients", level=level)
    if found.high - found.low > 1e-12 or name not in SHARES:
        low, high = min(found.low, value), max(found.high, value)
        return Estimate(value=value, interval=Interval(low=low, high=high, method=found.method, level=level))
    floor = unanimous_floor(_behind(name, cells), level=level)
    low, high = (value, max(1 - floor, value)) if value < 0.5 else (min(floor, value), value)
    interval = Interval(low=low, high=high, method="Clopper-Pearson on patients", level=level)
    return Estimate(value=value, interval=interval)


def _difference(name: str, own: Floats, drawn: Floats, place: int, cells: Cells, level: float) -> Estimate:
    """Return the paired difference from the first policy."""
    gap = float(own[place] - own[0])
    if place and name in PAIRED and not cells.clustered:
        only, first, n = cells.discordant(place, PAIRED[name])
        counts = (only, first) if name == "sensitivity" else (first, only)
        return Estimate(value=gap, interval=paired_limits(*counts, n, level=level))
    found = percentile_interval(drawn[:, place] - drawn[:, 0], of="patients", level=level)
    if place == 0 or name not in SHARES or found.high - found.low > 1e-12:
        return Estimate(value=gap, interval=found)
    z = normal_quantile(level)
    low, high = (tango_limit(0, 0, _behind(name, cells), side * z) for side in (1, -1))
    interval = Interval(low=min(low, gap), high=max(high, gap), method="Tango, no patient differs")
    return Estimate(value=gap, interval=interval)


def _behind(name: str, cells: Cells) -> int:
    """Return how many patients a share is of: those of its class, or all; at least one."""
    if name not in PAIRED:
        return cells.units
    return max(1, min(cells.units, int(cells.sums[0, PAIRED[name]])))
