"""What is measured of a table, as it is or recoded: classes, risks, diversity and closeness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.data.disclosure.diversity import distinct_values, entropy_values, recursive_ratio
from huizhen.data.disclosure.ground import Ground, distances
from huizhen.data.disclosure.policy import DisclosurePolicy
from huizhen.data.disclosure.risk import Risk, marketer, prosecutor

__all__ = ["SIZES", "Measures", "Mixed", "measured"]

SIZES = ((1, 1), (2, 2), (3, 4), (5, 9), (10, 19), (20, 49), (50, None))
"""The bins of class sizes that reports show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixed:
    """How mixed a sensitive column is: the worst class's distinct values, effective number of values, the
    ratio of recursive diversity (l = `ranks`: 2, or the policy's), and distance from everybody."""

    column: str
    distinct: int
    entropy: float
    recursive: float
    ranks: int
    t: float
    distance: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """What is true of a table's patients, each a fact about this table and no estimate.

    `sizes` are the patients whose smallest class is of each of `SIZES`.
    """

    patients: int
    classes: int
    k: int
    unique: int
    prosecutor: Risk
    marketer: float
    sizes: tuple[int, ...]
    mixed: tuple[Mixed, ...]


def measured(
    ground: Ground,
    ids: NDArray[np.int64],
    sizes: NDArray[np.int64],
    failing: NDArray[np.bool_] | None,
    policy: DisclosurePolicy,
) -> Measures:
    """Return the measures of the classes `ids` (groups,) of `sizes` (classes,) without those `failing`."""
    kept = np.ones(len(sizes), np.bool_) if failing is None else ~failing
    stay = sizes[kept]
    smallest, patients = ground.exposed(ids, kept, sizes)
    return Measures(
        patients=ground.people_in(ids, kept, sizes),
        classes=len(stay),
        k=int(stay.min()) if len(stay) else 0,
        unique=int(patients[smallest == 1].sum()),
        prosecutor=prosecutor(smallest, patients, above=policy.bounds.threshold),
        marketer=marketer(stay),
        sizes=tuple(_within(smallest, patients, low, high) for low, high in SIZES),
        mixed=tuple(_mixed(ground, ids, kept, k) for k in range(len(ground.guarded))) if len(stay) else (),
    )


def _within(sizes: NDArray[np.int64], patients: NDArray[np.int64], low: int, high: int | None) -> int:
    inside = (sizes >= low) & (sizes <= (high or np.inf))
    return int(patients[inside].sum())


def _mixed(ground: Ground, ids: NDArray[np.int64], kept: NDArray[np.bool_], index: int) -> Mixed:
    one = ground.guarded[index]
    pairs = one.of_classes(ids)
    ranks = one.rule.recursive[1] if one.rule.recursive else 2
    return Mixed(
        column=one.name,
        distinct=int(distinct_values(pairs, len(kept))[kept].min()),
        entropy=float(entropy_values(pairs, len(kept))[kept].min()),
        recursive=float(recursive_ratio(pairs, len(kept), l=ranks)[kept].max()),
        ranks=ranks,
        t=float(distances(one, pairs, ids, kept)[kept].max()),
        distance=one.rule.distance,
    )
