"""Sums over the risk sets of Cox regression, and the partial likelihood that they give.

At each event time t: over everybody still followed, S0 = Σ w exp(η), S1 = Σ w exp(η) x, S2 = Σ w exp(η) x xᵀ;
for Efron's handling of ties the same sums over those who have the event at t. They add up over sites.

References: Cox, J R Stat Soc B 34:187-220 (1972); Breslow, Biometrics 30:89-99 (1974); Efron, J Am Stat Assoc
72:557-565 (1977).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from huizhen.federate.statistics.data import Survival
from huizhen.federate.statistics.newton import Point, pack, unpack

__all__ = ["STEEPEST", "Ties", "Weighted", "by_group", "partial_likelihood", "steep", "still_followed"]

Floats = NDArray[np.float64]
STEEPEST = 20.0
"""The largest |η| that sums are formed for; steps that lead beyond are halved."""


class Ties(StrEnum):
    """How events at the same time are handled."""

    EFRON = "efron"
    BRESLOW = "breslow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighted:
    """Sums of w exp(η) at K times: `s0` (K,), with x `s1` (K, p), with the packed x xᵀ `s2` (K, q)."""

    s0: Floats
    s1: Floats
    s2: Floats


def steep(data: Survival, beta: Floats) -> int:
    """Return how many patients' |η| is beyond what sums are formed for."""
    return int(np.count_nonzero(~(np.abs(data.x @ beta) <= STEEPEST)))


def still_followed(
    data: Survival, beta: Floats, until: NDArray[np.int64], times: int, *, second: bool = True
) -> Weighted:
    """Return the sums over those still followed at each of `times` times.

    `until` (n,): how many of the times, from the first on, a patient is followed at. Without `second` only
    `s0` is formed.
    """
    sums = by_group(data, beta, until, times + 1, second=second)
    s0, s1, s2 = (_from_the_end(part)[1:] for part in (sums.s0, sums.s1, sums.s2))
    return Weighted(s0=s0, s1=s1, s2=s2)


def by_group(
    data: Survival, beta: Floats, group: NDArray[np.int64], groups: int, *, second: bool = True
) -> Weighted:
    """Return the sums over patients by `group` (n,), of which there are `groups`."""
    x = data.x if second else data.x[:, :0]
    p = x.shape[1]
    weight = data.weights * np.exp(np.clip(data.x @ beta, -STEEPEST, STEEPEST))
    s0 = np.bincount(group, weights=weight, minlength=groups).astype(np.float64)
    s1, s2 = np.zeros((groups, p)), np.zeros((groups, p * (p + 1) // 2))
    if not p or not data.n:
        return Weighted(s0=s0, s1=s1, s2=s2)
    row, column = np.triu_indices(p)
    order = np.argsort(group, kind="stable")
    here, first = np.unique(group[order], return_index=True)
    for place, who in zip(here, np.split(order, first[1:]), strict=True):
        rows = x[who]
        weighted = weight[who, np.newaxis] * rows
        s1[place] = weighted.sum(axis=0)
        s2[place] = (weighted.T @ rows)[row, column]
    return Weighted(s0=s0, s1=s1, s2=s2)


def _from_the_end(sums: Floats) -> Floats:
    """Return cumulative sums along the first axis, from its end."""
    return np.cumsum(sums[::-1], axis=0)[::-1]


def partial_likelihood(
    beta: Floats,
    *,
    events: NDArray[np.float64],
    weight: Floats,
    x_sum: Floats,
    followed: Weighted,
    tied: Weighted | None,
) -> Point:
    """Return the partial likelihood, its gradient and information at `beta` (p,) from sums at K times.

    `events` (K,) how many and `weight` (K,) of what weight; `x_sum` (p,) the weighted sum of x over events;
    `tied` the sums over those with the event (Efron), or None (Breslow). Sums without derivatives (p = 0)
    give the value alone.
    """
    p, here = followed.s1.shape[1], np.flatnonzero(events)
    value, gradient = float(x_sum @ beta), x_sum[:p].copy()
    information = np.zeros(p * (p + 1) // 2)
    count, mass = events[here], weight[here]
    most = 1 if tied is None else int(count.max(initial=1))
    for earlier in range(most):
        rows = here[count > earlier] if tied is not None else here
        share = mass[count > earlier] / count[count > earlier] if tied is not None else mass
        s0, s1, s2 = _thinned(followed, tied, rows, earlier, count[count > earlier])
        mean = s1 / s0[:, np.newaxis]
        value -= float(share @ np.log(s0))
        gradient -= share @ mean
        information += share / s0 @ s2 - pack((mean.T * share) @ mean)
    return Point(beta=beta, value=value, gradient=gradient, information=unpack(information, p))


def _thinned(
    followed: Weighted, tied: Weighted | None, rows: NDArray[np.int64], earlier: int, count: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return the sums over risk sets at `rows`, less the share of tied events that came `earlier`."""
    s0, s1, s2 = followed.s0[rows], followed.s1[rows], followed.s2[rows]
    if tied is None or not earlier:
        return s0, s1, s2
    share = earlier / count
    s0 = s0 - share * tied.s0[rows]
    s1 = s1 - share[:, np.newaxis] * tied.s1[rows]
    return s0, s1, s2 - share[:, np.newaxis] * tied.s2[rows]
