"""TypiClust: from each cluster without a label, its most typical case.

Hacohen et al., Active Learning on a Budget, ICML 2022, algorithm 1: as many k-means clusters as there will be
labelled cases, the largest of those with the fewest covered cases first, and in it the case whose nearest
neighbours are nearest. Made for the first labels, when no model's uncertainty means anything.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from huizhen.train.active.features import blocks, filled, squared_distances
from huizhen.train.active.interface import Picks
from huizhen.train.active.picking import Open

__all__ = ["clusters", "typicality", "typiclust"]

NEIGHBOURS = 20
MOST_CLUSTERS = 500
SMALLEST = 5
"""Clusters with fewer cases come last, as in the paper: they may be outliers."""
SAMPLED = 2000
"""In larger clusters, neighbours are sought among so many drawn members."""
MINI_BATCH_FROM = 10_000
Floats = NDArray[np.float64]


def typiclust(
    features: Floats, covered: NDArray[np.bool_], opened: Open, budget: int, rng: np.random.Generator
) -> Picks:
    """Return up to `budget` open cases of `features` (n, d); a score is the typicality within its cluster."""
    wanted = min(int(covered.sum()) + budget, MOST_CLUSTERS, len(features))
    cluster = clusters(features, wanted, rng)
    size = np.bincount(cluster, minlength=wanted)
    held = np.bincount(cluster[covered], minlength=wanted)
    score = np.full(len(features), -np.inf)
    known: set[int] = set()
    rows: list[int] = []
    while len(rows) < budget and opened.any:
        left = np.bincount(cluster[opened.mask], minlength=wanted) > 0
        order = np.lexsort((-size, size < SMALLEST, held, ~left))
        best = int(order[0])
        members = np.flatnonzero(cluster == best)
        if best not in known:
            score[members] = typicality(features[members], rng)
            known.add(best)
        row = opened.best(np.where(cluster == best, score, -np.inf))
        rows.append(row)
        opened.take(row)
        held[best] += 1
    found = np.array(rows, dtype=np.int64)
    return Picks(rows=found, score=score[found])


def clusters(features: Floats, wanted: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the k-means cluster (n,) of each case; missing values stand at 0."""
    import warnings

    from sklearn.cluster import KMeans, MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    kind = MiniBatchKMeans if len(features) > MINI_BATCH_FROM else KMeans
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct cases than clusters: no harm
        found = kind(wanted, n_init=1, random_state=int(rng.integers(2**31))).fit_predict(filled(features))
    return np.asarray(found, dtype=np.int64)


def typicality(features: Floats, rng: np.random.Generator) -> Floats:
    """Return one over the mean distance (n,) of each case to its nearest neighbours; a case alone has 0.

    >>> typicality(np.array([[0.0], [1.0], [3.0]]), np.random.default_rng(1)).round(3).tolist()
    [0.5, 0.667, 0.4]
    """
    n = len(features)
    if n < 2:
        return np.zeros(n)
    members = np.sort(rng.choice(n, min(n, SAMPLED), replace=False))
    count = min(NEIGHBOURS, len(members) - 1)
    found = np.empty(n)
    for part in blocks(n):
        apart = np.sqrt(squared_distances(features[part], features[members]))
        apart[np.arange(part.start, part.stop)[:, None] == members] = np.inf  # nobody is his own neighbour
        found[part] = np.partition(apart, count - 1, axis=1)[:, :count].mean(1)
    return 1 / np.maximum(found, 1e-12)
