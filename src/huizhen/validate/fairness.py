"""Gaps between groups in how a decision treats them.

Equalised odds: the larger of the widest gaps in sensitivity and in false positive rate; demographic parity:
the widest gap in how many are called. No decision closes all gaps at once where prevalences differ, so that
each is given, with the test that all groups are alike. A gap is at least 0 and chance alone makes one: what
groups that are alike would show stands beside it, and its interval is as in `distances`. References: Hardt,
Price & Srebro, NeurIPS 29 (2016); Weerts et al., J Mach Learn Res 24:257 (2023), whose definitions these are;
Chouldechova, Big Data 5:153-163 (2017).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.core.streams import stream
from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.clusters import checked_clusters
from huizhen.validate.distances import distance
from huizhen.validate.estimates import Estimate
from huizhen.validate.resampling import percentile_interval, resampled_sums
from huizhen.validate.samples import checked_outcome
from huizhen.validate.share_differences import equal_shares
from huizhen.validate.subgroups import checked_groups

Floats = NDArray[np.float64]
SHARES = ("sensitivity", "false_positive_rate", "ppv", "called")
"""The shares that are compared between groups."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """The widest difference of a share between two groups, the mean of it if all were alike, the ratio of the
    lowest to the highest, and the p-value of all groups being alike (NaN with several rows of a patient,
    which the test can't take)."""

    difference: Estimate
    by_chance: float
    ratio: Estimate
    lowest: str
    highest: str
    p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fairness:
    """Gaps by share (`SHARES`), equalised odds and demographic parity, of the groups that are large
    enough.
    """

    gaps: dict[str, Gap]
    equalised_odds: Estimate
    odds_by_chance: float
    demographic_parity: Estimate
    groups: tuple[str, ...]
    left_out: tuple[str, ...]


def fairness(
    outcome: NDArray[Any],
    decision: NDArray[Any],
    group: ArrayLike,
    *,
    cluster: ArrayLike | None = None,
    least_events: int = 10,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Fairness:
    """Return the gaps of `decision` (n,) between groups with `least_events` events and non-events.

    `outcome`, `decision` (n,) boolean, `group` (n,) names, `cluster` (n,) patients with several rows. The
    intervals are percentiles over patients. Raises `InvalidInputError` on wrong input, `NotEstimableError`
    with under two such groups. A share that has no value in a group (PPV, where nobody is called) has no gap.

    >>> outcome, called = np.arange(80) % 2 == 0, np.arange(80) % 3 == 0
    >>> round(fairness(outcome, called, np.arange(80) // 40, resamples=50).demographic_parity.value, 3)
    0.025
    """
    truth, called = checked_outcome(outcome), checked_outcome(decision, name="decision")
    names, place = checked_groups(group, truth.size)
    cell = place * 4 + 2 * truth + checked_called(called, truth.size)
    counts = np.bincount(cell, minlength=4 * len(names)).reshape(-1, 2, 2)
    kept = np.flatnonzero(counts.sum(axis=2).min(axis=1) >= max(1, least_events))
    if kept.size < 2:
        raise NotEstimableError(
            "fewer than two groups are large enough", remedy="merge groups", field="group"
        )
    sums = _sums(stream(seed, "fairness"), cell, len(names), cluster, resamples)[:, kept]
    shares = _shares(sums)
    labels = tuple(names[number] for number in kept)
    alike = _if_alike(stream(seed, "fairness by chance"), counts[kept], resamples)
    gaps = {
        name: _gap(
            table, chance, labels, math.nan if cluster is not None else _alike(name, counts[kept]), level
        )
        for name, table, chance in zip(SHARES, shares, alike, strict=True)
        if not np.isnan(table[0]).any()
    }
    odds, odds_alike = (np.maximum(np.ptp(s[0], axis=1), np.ptp(s[1], axis=1)) for s in (shares, alike))
    both = distance(float(odds[0]), odds[1:], odds_alike, level=level)
    return Fairness(
        gaps=gaps,
        equalised_odds=both.estimate,
        odds_by_chance=both.by_chance,
        demographic_parity=gaps["called"].difference,
        groups=labels,
        left_out=tuple(name for number, name in enumerate(names) if number not in kept),
    )


def checked_called(called: NDArray[np.bool_], n: int) -> NDArray[np.bool_]:
    """Return decisions (n,). Raises `InvalidInputError` on another length.

    >>> checked_called(np.array([True]), 1)
    array([ True])
    """
    if called.size != n:
        raise InvalidInputError(f"{called.size} decisions for {n} cases", remedy="give n", field="decision")
    return called


def _sums(
    draw: np.random.Generator,
    cell: NDArray[np.intp],
    groups: int,
    cluster: ArrayLike | None,
    resamples: int,
) -> Floats:
    """Return counts (1 + b, g, outcome, decision), the sample's own first."""
    width = 4 * groups
    if cluster is None:
        own = np.bincount(cell, minlength=width)
        drawn = draw.multinomial(cell.size, own / cell.size, size=resamples)
        return np.vstack([own, drawn]).reshape(-1, groups, 2, 2).astype(np.float64)
    units = checked_clusters(cluster, cell.size)
    rows = np.bincount(units * width + cell, minlength=(int(units.max()) + 1) * width).reshape(-1, width)
    sums = np.vstack([rows.sum(axis=0), resampled_sums(draw, rows.astype(np.float64), resamples=resamples)])
    return sums.reshape(-1, groups, 2, 2)


def _shares(sums: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return sensitivity, false positive rate, PPV and share called (1 + b, g), NaN for 0 of 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        by_outcome = sums[..., 1] / sums.sum(axis=3)
        all_called = sums[..., 1].sum(axis=2)
        return (
            by_outcome[..., 1],
            by_outcome[..., 0],
            sums[..., 1, 1] / all_called,
            all_called / sums.sum(axis=(2, 3)),
        )


def _if_alike(draw: np.random.Generator, counts: NDArray[np.intp], resamples: int) -> list[Floats]:
    """Return the four shares (b, g) of groups as large as these, if each had the share of all together.

    `counts` (g, outcome, decision). Several rows of a patient are taken as patients here.
    """
    pairs = (
        (counts[:, 1, 1], counts[:, 1].sum(axis=1)),
        (counts[:, 0, 1], counts[:, 0].sum(axis=1)),
        (counts[:, 1, 1], counts[..., 1].sum(axis=1)),
        (counts[..., 1].sum(axis=1), counts.sum(axis=(1, 2))),
    )
    drawn = []
    for hits, sizes in pairs:
        pooled = hits.sum() / max(1, sizes.sum())
        with np.errstate(divide="ignore", invalid="ignore"):
            drawn.append(draw.binomial(sizes, pooled, size=(resamples, sizes.size)) / sizes)
    return drawn


def _alike(name: str, counts: NDArray[np.intp]) -> float:
    """Return the p-value of all groups having one share; 1 where nothing varies."""
    hits, sizes = {
        "sensitivity": (counts[:, 1, 1], counts[:, 1].sum(axis=1)),
        "false_positive_rate": (counts[:, 0, 1], counts[:, 0].sum(axis=1)),
        "ppv": (counts[:, 1, 1], counts[..., 1].sum(axis=1)),
        "called": (counts[..., 1].sum(axis=1), counts.sum(axis=(1, 2))),
    }[name]
    if not 0 < hits.sum() < sizes.sum():
        return 1.0
    return equal_shares(hits, sizes)[2]


def _gap(table: Floats, alike: Floats, labels: tuple[str, ...], p: float, level: float) -> Gap:
    """Return the gap of one share (1 + b, g), `alike` (b, g) if the groups were."""
    top = table.max(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(top > 0, table.min(axis=1) / top, 1.0)
    ratio[np.isnan(top)] = np.nan
    widest = np.ptp(table, axis=1)
    gap = distance(float(widest[0]), widest[1:], np.ptp(alike, axis=1), level=level)
    return Gap(
        difference=gap.estimate,
        by_chance=gap.by_chance,
        ratio=_estimate(ratio, level),
        lowest=labels[int(table[0].argmin())],
        highest=labels[int(table[0].argmax())],
        p=p,
    )


def _estimate(drawn: Floats, level: float) -> Estimate:
    """Return the first value with the percentile interval of the others."""
    return Estimate(
        value=float(drawn[0]), interval=percentile_interval(drawn[1:], of="patients", level=level)
    )
