"""How few single-nucleotide polymorphisms tell a person apart, in a table and by chance.

Reference: Lin, Owen & Altman, Genomic research and human subject privacy, Science 305:183 (2004): 30 to 80
independent SNPs identify a person. The chance that two unrelated people agree is that of Hardy and Weinberg.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.core.streams import stream
from huizhen.data.disclosure.classes import combined
from huizhen.data.disclosure.microdata import Column
from huizhen.errors import InvalidInputError

__all__ = ["Panel", "chance_of_a_match", "panel_uniqueness"]

REPEATS = 200
_PLAIN = {"0": 0, "1": 1, "2": 2}
_DOSES: Mapping[str, int] = _PLAIN | {f"{a}{mark}{b}": a + b for a in (0, 1) for b in (0, 1) for mark in "/|"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Of `snps` SNPs drawn at random: the mean share of people alone by them, with the middle 95 % of draws.

    `chance` is that two unrelated people agree in all SNPs of the panel; `half` and `nearly` are the fewest
    SNPs by which on average half, or 95 %, of the people are alone (None where the panel doesn't reach it).
    """

    people: int
    snps: int
    alone: float
    chance: float
    half: int | None
    nearly: int | None
    curve: tuple[tuple[int, float, float, float], ...]
    """(SNPs, mean share, lowest and highest of the middle 95 % of draws)."""


def chance_of_a_match(frequencies: Sequence[float]) -> float:
    """Return the chance that two unrelated people have equal genotypes at independent SNPs.

    `frequencies`: of one allele, in [0, 1]. At one SNP it is p**4 + (2pq)**2 + q**4.

    >>> chance_of_a_match([0.5, 0.5])
    0.140625
    """
    p = np.asarray(frequencies, np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise InvalidInputError("a frequency is outside 0 to 1", remedy="give shares of alleles")
    q = 1.0 - p
    return float(np.prod(p**4 + (2 * p * q) ** 2 + q**4))


def panel_uniqueness(columns: Sequence[Column], *, seed: int = 0) -> Panel:
    """Return how few SNPs tell the people of a table apart, a row a person.

    Cells are doses (0, 1, 2) or genotypes (0/1, 1|1); anything else counts as missing, which is a value like
    others. Raises `InvalidInputError` without a SNP.
    """
    if not columns:
        raise InvalidInputError("there is no SNP", remedy="name the columns of genotypes by their prefix")
    doses = np.stack([_doses(one)[one.codes] for one in columns], axis=1)
    people, snps = doses.shape
    curve = tuple(_at(doses, size, seed) for size in _sizes(snps))
    seen = doses >= 0
    carried = np.where(seen, doses, 0).sum(axis=0) / np.maximum(2 * seen.sum(axis=0), 1)
    return Panel(
        people=people,
        snps=snps,
        alone=_alone(doses),
        chance=chance_of_a_match([float(p) for p in carried]),
        half=next((size for size, mean, _, _ in curve if mean >= 0.5), None),
        nearly=next((size for size, mean, _, _ in curve if mean >= 0.95), None),
        curve=curve,
    )


def _doses(column: Column) -> NDArray[np.int64]:
    """Return the dose (values,) of each value, -1 where it is none."""
    return np.array([_DOSES.get(value.removesuffix(".0"), -1) for value in column.values], np.int64)


def _sizes(snps: int) -> list[int]:
    """Return the sizes of panels that are tried: all up to 20, then wider apart."""
    steps = [*range(1, 21), *range(22, 41, 2), *range(45, 101, 5), *range(120, 1001, 20)]
    return [size for size in steps if size < snps] + [snps]


def _at(doses: NDArray[np.int64], size: int, seed: int) -> tuple[int, float, float, float]:
    """Return the share of people alone by `size` SNPs, over random panels; one panel where it is all."""
    rng = stream(seed, "genotypes", size)
    draws = 1 if size == doses.shape[1] else max(20, REPEATS // max(1, size // 10))
    found = [_alone(doses[:, rng.choice(doses.shape[1], size, replace=False)]) for _ in range(draws)]
    low, high = np.quantile(found, [0.025, 0.975])
    return size, float(np.mean(found)), float(low), float(high)


def _alone(doses: NDArray[np.int64]) -> float:
    """Return the share of people whose genotypes nobody else has."""
    ids = combined([doses[:, k] + 1 for k in range(doses.shape[1])], [4] * doses.shape[1])
    return float((np.bincount(ids)[ids] == 1).mean())
