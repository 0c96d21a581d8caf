"""AUCs and shares when cases come in clusters: lesions, images or breasts of the same patient.

Cases of a patient are alike, so that intervals which take them as independent are too narrow. Here patients
are the independent units. References: Obuchowski, Biometrics 53:567-578 (1997) for the AUC; Rao & Scott,
Biometrics 48:577-585 (1992) for shares as ratios of sums.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.core.evidence import Interval
from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.discrimination import Difference
from huizhen.validate.estimates import Estimate, logit_wald, two_sided_p, unanimous_floor, wald
from huizhen.validate.placements import Placements, place
from huizhen.validate.samples import checked_outcome, checked_scores

Floats = NDArray[np.float64]


def checked_clusters(cluster: ArrayLike, n: int) -> NDArray[np.intp]:
    """Return the place (n,) of each case's cluster. Raises `InvalidInputError` on another length or a gap.

    >>> checked_clusters(["b", "a", "b"], 3).tolist()
    [1, 0, 1]
    """
    names = np.asarray(cluster)
    if names.shape != (n,):
        raise InvalidInputError(f"has shape {names.shape} for {n} cases", remedy="give n", field="cluster")
    if any(name is None or name != name for name in names.tolist()):
        raise InvalidInputError("a case has no cluster", remedy="name its patient", field="cluster")
    return np.unique(names, return_inverse=True)[1]


def cluster_covariance(placed: Placements, outcome: NDArray[np.bool_], group: NDArray[np.intp]) -> Floats:
    """Return Obuchowski's covariance (k, k) of k AUCs: S10/m + S01/n + (S11 + S11')/(m n) over clusters.

    With a cluster for each case it is DeLong's. Raises `NotEstimableError` unless two clusters have events
    and two have non-events.
    """
    m, n = placed.n_pos, placed.n_neg
    sides = (outcome, ~outcome)
    holding = [np.unique(group[side]).size for side in sides]
    if min(holding) < 2:
        raise NotEstimableError(
            f"{holding[0]} clusters hold events and {holding[1]} non-events, two of each are needed",
            remedy="gather patients",
            field="cluster",
        )
    clusters = int(group.max()) + 1
    centred = (
        (placed.pos / (2 * n) - placed.aucs[:, np.newaxis]) / m,
        (placed.neg / (2 * m) - placed.aucs[:, np.newaxis]) / n,
    )
    sums = [
        np.stack([np.bincount(group[side], weights=row, minlength=clusters) for row in rows])
        for side, rows in zip(sides, centred, strict=True)
    ]
    cross = clusters / (clusters - 1) * (sums[0] @ sums[1].T)
    own = sum(count / (count - 1) * (part @ part.T) for count, part in zip(holding, sums, strict=True))
    return np.asarray(own + cross + cross.T, dtype=np.float64)


def clustered_auc(
    outcome: NDArray[Any], score: ArrayLike, cluster: ArrayLike, *, level: float = 0.95
) -> Estimate:
    """Return the AUC over all cases with an interval over clusters, on the logit scale.

    `outcome` (n,) boolean, `score` (n,), `cluster` (n,): names of the patients. Where all pairs fell the same
    way the bound is that of as many disjoint pairs of clusters as there are. Raises as `auc_interval`, and
    `NotEstimableError` unless two clusters have events and two non-events.

    >>> outcome, score = np.array([True, True, False, False]), np.array([0.9, 0.4, 0.4, 0.1])
    >>> clustered_auc(outcome, score, ["a", "b", "c", "d"]).value
    0.875
    """
    truth = checked_outcome(outcome)
    placed = place(truth, checked_scores(score, truth.size)[np.newaxis], least=2)
    group = checked_clusters(cluster, truth.size)
    value = float(placed.aucs[0])
    variance = float(cluster_covariance(placed, truth, group)[0, 0])
    if placed.constant or variance <= 0 or not 0 < value < 1:
        return Estimate(value=value, interval=_bound(truth, group, value, level))
    interval = logit_wald(value, math.sqrt(variance), method="Obuchowski, logit", level=level)
    return Estimate(value=value, interval=interval)


def _bound(truth: NDArray[np.bool_], group: NDArray[np.intp], value: float, level: float) -> Interval:
    """Return the bound where no variance is seen, from the disjoint pairs of clusters that there surely
    are.
    """
    events, others = np.unique(group[truth]), np.unique(group[~truth])
    pairs = min(events.size, others.size, np.union1d(events, others).size // 2)
    floor = unanimous_floor(max(1, pairs), level=level)
    return Interval(
        low=floor * value, high=1 - floor * (1 - value), method="exact bound on disjoint pairs", level=level
    )


def clustered_difference(
    outcome: NDArray[Any], a: ArrayLike, b: ArrayLike, cluster: ArrayLike, *, level: float = 0.95
) -> Difference:
    """Return AUC(a) - AUC(b) on the same cases, with an interval and test over clusters.

    Raises as `clustered_auc`, and `NotEstimableError` where the difference has no variance.

    >>> outcome, score = np.array([True, True, False, False]), np.array([0.9, 0.4, 0.4, 0.1])
    >>> clustered_difference(outcome, score, score[::-1], ["a", "b", "c", "d"]).estimate
    0.75
    """
    truth = checked_outcome(outcome)
    both = np.stack([checked_scores(side, truth.size) for side in (a, b)])
    placed = place(truth, both, least=2)
    gap = Placements(pos=placed.pos[:1] - placed.pos[1:], neg=placed.neg[:1] - placed.neg[1:])
    variance = float(cluster_covariance(gap, truth, checked_clusters(cluster, truth.size))[0, 0])
    estimate = float(gap.aucs[0])
    if gap.constant and estimate == 0:
        nothing = Interval(low=0.0, high=0.0, method="identical placements", level=level)
        return Difference(estimate=0.0, interval=nothing, z=0.0, p=1.0)
    if not variance > 0:
        raise NotEstimableError("the difference has no variance", remedy="gather patients", field="cluster")
    error = math.sqrt(variance)
    interval = wald(estimate, error, method="Obuchowski, paired", level=level, least=-1, most=1)
    return Difference(
        estimate=estimate, interval=interval, z=estimate / error, p=two_sided_p(estimate / error)
    )


def clustered_share(hit: NDArray[Any], cluster: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Return the share of hits (n,) boolean with an interval over clusters, on the logit scale.

    The variance is that of a ratio of sums over clusters, V = m/(m-1) Σ (hits - share · size)² / n². Where
    all agree, the bound is Clopper and Pearson's over clusters. Raises `NotEstimableError` with one cluster.

    >>> found = clustered_share(np.array([True, True, False, False]), ["a", "a", "b", "b"])
    >>> found.value, round(found.interval.low, 2)
    (0.5, 0.02)
    """
    hits = checked_outcome(hit, name="hit")
    group = checked_clusters(cluster, hits.size)
    sizes, clusters = np.bincount(group), int(group.max()) + 1
    if clusters < 2:
        raise NotEstimableError("one cluster", remedy="gather patients", field="cluster")
    value = float(hits.mean())
    rest = np.bincount(group, weights=hits) - value * sizes
    variance = clusters / (clusters - 1) * float(rest @ rest) / hits.size**2
    if variance <= 0 or not 0 < value < 1:
        floor = unanimous_floor(clusters, level=level)
        method = "exact bound over clusters"
        interval = Interval(low=floor * value, high=1 - floor * (1 - value), method=method, level=level)
        return Estimate(value=value, interval=interval)
    interval = logit_wald(value, math.sqrt(variance), method="ratio estimator, logit", level=level)
    return Estimate(value=value, interval=interval)
