"""Simulated readers whose errors go together: exams that are hard for one, or for the AI, are hard for all.

Given whether an exam has the event, reader j flags it where z_j = ρ a + √(κ - ρ²) c + √(1 - κ) e_j exceeds
the threshold that gives the reader's sensitivity or specificity. a is the AI's own normal score among exams
of that class, c what else the readers share and e_j the reader's own, all standard normal and independent.
Two readers correlate by κ and each with the AI by ρ; with both 0 they err independently given the truth.
Reference: Qu, Tan & Kutner, Biometrics 52:797-810 (1996), Gaussian random effects for tests that aren't
conditionally independent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata

from huizhen.errors import InvalidInputError
from huizhen.validate.samples import checked_outcome, checked_scores
from huizhen.validate.triage.reads import Reads

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
_NODES = 101
_HELD = 4_000_000
"""Numbers held at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """How often a reader flags events, and lets others be, over all exams. Each within (0, 1)."""

    sensitivity: float
    specificity: float

    def __post_init__(self) -> None:
        if not (0 < self.sensitivity < 1 and 0 < self.specificity < 1):
            raise InvalidInputError(
                "sensitivity and specificity lie inside (0, 1)", remedy="use 0.8 and 0.95", field="reader"
            )

    @property
    def thresholds(self) -> tuple[float, float]:
        """The normal deviates above which this reader flags an exam without the event, and with it."""
        return float(ndtri(self.specificity)), float(ndtri(1 - self.sensitivity))


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Two readers and the consensus, each as it would judge all exams, and how their errors go together.

    `between_readers` κ in [0, 1) and `with_ai` ρ with ρ² <= κ: correlations given the truth. `follow` in
    [0, 1]: how often a reader who sees the AI's call takes it over where it differs from their own
    (automation bias). Raises `InvalidInputError` otherwise.
    """

    first: Reader
    second: Reader
    consensus: Reader
    between_readers: float = 0.0
    with_ai: float = 0.0
    follow: float = 0.0

    def __post_init__(self) -> None:
        fits = 0 <= self.between_readers < 1 and self.with_ai**2 <= self.between_readers + 1e-12
        if not fits or not 0 <= self.follow <= 1:
            raise InvalidInputError(
                "no panel has these correlations",
                remedy="take between_readers within [0, 1), at least the square of with_ai",
                field="panel",
            )

    @property
    def readers(self) -> tuple[Reader, Reader, Reader]:
        """First, second, consensus."""
        return self.first, self.second, self.consensus


def normal_scores(score: ArrayLike, outcome: NDArray[np.bool_]) -> Floats:
    """Return the normal deviate of each score's rank among exams of its class (n,), ties at their middle.

    Φ⁻¹((rank - 1/2) / n): van der Waerden's scores with Hazen's positions. Raises as `checked_scores`.

    >>> normal_scores([1, 5, 3, 9], np.array([False, False, False, True])).round(2).tolist()
    [-0.97, 0.97, 0.0, 0.0]
    """
    truth = checked_outcome(outcome)
    values = checked_scores(score, truth.size)
    found = np.empty(truth.size)
    for group in (truth, ~truth):
        if group.any():
            found[group] = ndtri((rankdata(values[group]) - 0.5) / np.count_nonzero(group))
    return found


def simulate_reads(
    draw: np.random.Generator, panel: Panel, outcome: NDArray[np.bool_], ai: Floats, *, draws: int = 1
) -> Reads:
    """Return `draws` r draws of the panel over exams of `outcome` (n,), whose AI deviates are `ai`.

    `ai` (n,), as `normal_scores` gives, or (r, n) where each draw is a trial of its own.

    >>> reader = Reader(sensitivity=0.8, specificity=0.9)
    >>> panel = Panel(first=reader, second=reader, consensus=reader)
    >>> truth = np.arange(10_000) < 5000
    >>> reads = simulate_reads(np.random.default_rng(1), panel, truth, np.zeros(10_000), draws=9)
    >>> float(reads.first[:, :5000].mean().round(2)), float(reads.first[:, 5000:].mean().round(2))
    (0.8, 0.1)
    """
    shape = (draws, outcome.size)
    shared = panel.with_ai * ai + math.sqrt(
        max(panel.between_readers - panel.with_ai**2, 0.0)
    ) * draw.standard_normal(shape)
    own = math.sqrt(1 - panel.between_readers)
    flags = [
        shared + own * draw.standard_normal(shape) > np.where(outcome, *reversed(reader.thresholds))
        for reader in panel.readers
    ]
    follows = [_follows(draw, panel.follow, shape) for _ in range(2)]
    return Reads(
        first=flags[0],
        second=flags[1],
        consensus=flags[2],
        follows_first=follows[0],
        follows_second=follows[1],
        simulated=np.ones((3, outcome.size), dtype=np.bool_),
    )


def _follows(draw: np.random.Generator, chance: float, shape: tuple[int, int]) -> Flags:
    """Return where readers take over the AI's call; drawn only where that can happen."""
    return draw.random(shape) < chance if chance else np.zeros(shape, dtype=np.bool_)


def complete_reads(
    draw: np.random.Generator,
    panel: Panel,
    outcome: NDArray[np.bool_],
    ai: Floats,
    seen: tuple[Floats, Floats, Floats],
    *,
    draws: int = 1,
) -> Reads:
    """Return reads as seen (each (n,): 1, 0, or NaN where it didn't take place), the others drawn given them.

    A policy may need a reading that nobody did, such as a consensus on what no reader flagged; such readings
    are marked as simulated. They are drawn given what was seen: an exam that the first reader missed is
    harder for the second too. What readers share beside the AI, c, is drawn from its distribution given the
    AI's deviates `ai` (n,) and the reads that were seen, on 101 equally likely values. Raises
    `InvalidInputError` on other values or lengths.

    >>> reader = Reader(sensitivity=0.8, specificity=0.9)
    >>> panel = Panel(first=reader, second=reader, consensus=reader)
    >>> one, gap = np.array([1.0, 0.0]), np.array([1.0, np.nan])
    >>> found = complete_reads(np.random.default_rng(1), panel, one == 1, np.zeros(2), (one, one, gap))
    >>> found.simulated.tolist(), found.first.tolist()
    ([[False, False], [False, False], [False, True]], [[True, False]])
    """
    for column in seen:
        if column.shape != outcome.shape or not np.isin(column[~np.isnan(column)], (0, 1)).all():
            raise InvalidInputError("a read is neither 1, 0 nor NaN", remedy="check the reads", field="seen")
    size = max(1, _HELD // (draws * _NODES))
    blocks = [slice(start, start + size) for start in range(0, outcome.size, size)]
    drawn = [
        _given(draw, panel, outcome[block], ai[block], [column[block] for column in seen], draws)
        for block in blocks
    ]
    flags = np.concatenate(drawn, axis=2)  # (3, r, n)
    follows = [_follows(draw, panel.follow, (draws, outcome.size)) for _ in range(2)]
    return Reads(
        first=flags[0],
        second=flags[1],
        consensus=flags[2],
        follows_first=follows[0],
        follows_second=follows[1],
        simulated=np.stack([np.isnan(column) for column in seen]),
    )


def _given(
    draw: np.random.Generator, panel: Panel, outcome: Flags, ai: Floats, seen: list[Floats], draws: int
) -> Flags:
    """Return the three reads (3, r, k) of a block of exams, those not seen drawn given the others."""
    node = ndtri((np.arange(_NODES) + 0.5) / _NODES)
    rest = math.sqrt(max(panel.between_readers - panel.with_ai**2, 0.0))
    shared = panel.with_ai * ai[:, np.newaxis] + rest * node  # (k, nodes)
    own = math.sqrt(1 - panel.between_readers)
    weight = np.ones_like(shared)
    chances = []
    for reader, column in zip(panel.readers, seen, strict=True):
        threshold = np.where(outcome, *reversed(reader.thresholds))[:, np.newaxis]
        chance = ndtr((shared - threshold) / own)
        flag = column[:, np.newaxis]
        weight *= np.where(np.isnan(flag), 1.0, np.where(flag == 1, chance, 1 - chance))
        chances.append(chance)
    reached = np.cumsum(weight + 1e-300, axis=1)
    point = draw.random((draws, outcome.size)) * reached[:, -1]
    place = np.minimum((reached < point[..., np.newaxis]).sum(axis=2), _NODES - 1)  # (r, k)
    exam = np.arange(outcome.size)
    flags = [draw.random(place.shape) < chance[exam, place] for chance in chances]
    return np.stack(
        [np.where(np.isnan(column), flag, column == 1) for column, flag in zip(seen, flags, strict=True)]
    )
