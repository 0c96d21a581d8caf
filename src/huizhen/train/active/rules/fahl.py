"""FAHL's own rule: uncertainty, diversity, and how unlike the labelled pool, in one measured quantity.

A logistic last layer with ridge r has, after labels of the cases L, the precision

    A = r + sum over L of p_i (1 - p_i) x_i x_i',

and with u_j, how unsure a label of case j is, its uncertainty over the pool is tr(inv(A) C), where
C = sum over the pool of u_j x_j x_j'. Labelling one more case i takes from it exactly

    u_i x_i' inv(A) C inv(A) x_i / (1 + u_i x_i' inv(A) x_i),

which is large when the model is unsure of the case (u_i), when the case lies where no label was yet (inv(A)),
and when many others lie there as well (C). Greedy choice, with A moved on after each pick, makes a batch
diverse: a second case of the same kind takes little more. A score is the share of the pool's uncertainty that
goes, the same unit at every hospital, so that a budget can be shared out by it.

u_j is the mean of p (1 - p) over the last layer's posterior, not its value at the most likely weights: a
model of few labels isn't sure of cases far from them. A missing value stands at 0, the mean of
scaled features, and tells nothing.

Before there is a model all u are 1/4, and the least typical fifth of the cases is not open: the criterion
alone would begin with outliers.

Sources: the criterion is V-optimal (transductive) Bayesian design: MacKay, Neural Computation 4:590-604
(1992); Yu et al., ICML 2006; for last layers of networks, Ash et al., Gone Fishing, NeurIPS 2021. Averaging
over the posterior by a probit: MacKay, Neural Computation 4:720-736 (1992). Typical first labels: Hacohen et
al., ICML 2022. Compared in docs/results/active_learning.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.errors import InvalidInputError
from huizhen.train.active.features import filled
from huizhen.train.active.interface import Picks, Pool
from huizhen.train.active.picking import Open
from huizhen.train.active.rules.typiclust import typicality

__all__ = ["Information", "fahl", "labelled_information", "mean_doubt", "pool_information", "uncertainty"]

INTERCEPT_PENALTY = 1e-2
TYPICAL_SHARE = 0.8
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Information:
    """The sums (d + 1, d + 1) that the rule needs: over covered cases, and over all cases of the pool.

    Of one site, or of all hospitals together by secure sums: first of `labelled_information`, and with its
    sum of `pool_information`. A site that gets no sums of others uses its own, and asks what the others have.
    """

    labelled: Floats
    pool: Floats


def fahl(
    pool: Pool, opened: Open, budget: int, rng: np.random.Generator, known: Information | None = None
) -> Picks:
    """Return up to `budget` open cases of `pool`, each the one that takes most of the uncertainty that is
    left.

    A score is the share taken of the uncertainty over `known`'s pool (the site's own without it). Memory and
    time grow as n d: reduce wide features by `features.principal` first. Raises `InvalidInputError` when
    `known` is of another number of features.
    """
    if known is None:
        labelled = labelled_information(pool)
        known = Information(labelled=labelled, pool=pool_information(pool, labelled))
    x = _design(pool.features)
    inverse: Floats = _inverse(known.labelled, pool.penalty, x.shape[1])
    if pool.probability is None and not pool.covered.any():
        _close_untypical(pool.features, opened, rng)
    return _greedy(x, mean_doubt(pool, known.labelled), inverse, known.pool, opened, budget)


def labelled_information(pool: Pool) -> Floats:
    """Return the sum (d + 1, d + 1) of p (1 - p) x x' over the covered cases, intercept last."""
    x = _design(pool.features)[pool.covered]
    return (x * _doubt(pool)[pool.covered, None]).T @ x


def pool_information(pool: Pool, labelled: Floats) -> Floats:
    """Return the sum (d + 1, d + 1) of u x x' over all cases; `labelled` is the sum over all hospitals."""
    x = _design(pool.features)
    return (x * mean_doubt(pool, labelled)[:, None]).T @ x


def uncertainty(known: Information, penalty: float) -> float:
    """Return the uncertainty over the pool, tr(inv(A) C): what a score is a share of."""
    return float(np.trace(_inverse(known.labelled, penalty, len(known.labelled)) @ known.pool))


def mean_doubt(pool: Pool, labelled: Floats) -> Floats:
    """Return u (n,): p (1 - p) of each case averaged over the last layer's posterior, by a probit.

    With k = sqrt(1 + pi v / 8) for log-odds z of variance v, the mean probability is sigmoid(z / k), and its
    slope by z, which is the mean of p (1 - p), is that of the sigmoid at z / k, over k.
    """
    if pool.probability is None:
        return np.full(len(pool), 0.25)
    x = _design(pool.features)
    inverse = _inverse(labelled, pool.penalty, x.shape[1])
    variance = ((x @ inverse) * x).sum(1)
    p = np.clip(pool.probability, 1e-12, 1 - 1e-12)
    k = np.sqrt(1 + np.pi * variance / 8)
    mean = 1 / (1 + np.exp(-np.log(p / (1 - p)) / k))
    found: Floats = mean * (1 - mean) / k
    return found


def _greedy(x: Floats, doubt: Floats, inverse: Floats, pool: Floats, opened: Open, budget: int) -> Picks:
    """Choose greedily; each pick moves inv(A) by a rank of one, and with it what every case would take."""
    total = float(np.trace(inverse @ pool))
    reach = x @ inverse  # (n, d + 1)
    lever = (reach * x).sum(1)  # x' inv(A) x
    taken = ((reach @ pool) * reach).sum(1)  # x' inv(A) C inv(A) x
    rows: list[int] = []
    score: list[float] = []
    while len(rows) < budget and opened.any:
        gain = doubt * taken / (1 + doubt * lever)
        row = opened.best(gain)
        rows.append(row)
        score.append(float(gain[row]) / total if total > 0 else 0.0)
        opened.take(row)
        step = inverse @ x[row]
        factor = doubt[row] / (1 + doubt[row] * lever[row])
        along, across = x @ step, x @ (inverse @ (pool @ step))
        taken = taken - 2 * factor * along * across + factor**2 * float(step @ pool @ step) * along**2
        lever = lever - factor * along**2
        inverse = inverse - factor * np.outer(step, step)
    return Picks(rows=np.array(rows, dtype=np.int64), score=np.array(score))


def _design(features: Floats) -> Floats:
    """Return features (n, d) without gaps and with an intercept (n, d + 1)."""
    return np.column_stack([filled(features), np.ones(len(features))])


def _doubt(pool: Pool) -> Floats:
    """Return p (1 - p) of each case; 1/4 before there is a model."""
    return np.full(len(pool), 0.25) if pool.probability is None else pool.probability * (1 - pool.probability)


def _inverse(labelled: Floats, penalty: float, size: int) -> Floats:
    """Return inv(A). Raises `InvalidInputError` on sums of another size."""
    if labelled.shape != (size, size):
        raise InvalidInputError(
            f"sums of shape {labelled.shape} for {size - 1} features",
            remedy="use one encoder at all sites",
            field="known",
        )
    ridge = np.full(size, penalty)
    ridge[-1] = INTERCEPT_PENALTY
    found: Floats = np.asarray(np.linalg.inv(labelled + np.diag(ridge)), dtype=np.float64)
    return (found + found.T) / 2


def _close_untypical(features: Floats, opened: Open, rng: np.random.Generator) -> None:
    """Close the least typical fifth of the pool, unless nothing would stay open."""
    typical = typicality(features, rng)
    kept = opened.mask & (typical >= np.quantile(typical, 1 - TYPICAL_SHARE))
    if kept.any():
        opened.mask &= kept
