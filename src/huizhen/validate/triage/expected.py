"""What a policy comes to on average, without drawing an exam: every pattern of reads with its probability.

The AI's score is binormal: a for exams without the event, a + separation for those with it. Given the factor
f that readers share, the AI and the readers are independent (see `panel`), so that the probability of a
pattern is one integral over f, taken by the trapezoid rule on [-8, 8]. The policies are run on the patterns.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from huizhen.errors import InvalidInputError
from huizhen.validate.triage.cells import QUANTITIES
from huizhen.validate.triage.panel import Panel
from huizhen.validate.triage.policies import Policy, carried_out
from huizhen.validate.triage.reads import Exams, Reads

Floats = NDArray[np.float64]
_NODES = 401
_REACH = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BinormalAI:
    """An AI whose scores are normal in both classes, `separation` apart, cut where the population's shares
    are `shares` (rising, of exams below each cut); `top_share` of exams are marked beside.

    Raises `InvalidInputError` on shares that don't rise within (0, 1).
    """

    separation: float
    prevalence: float
    shares: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    top_share: float | None = 0.01

    def __post_init__(self) -> None:
        points = (0.0, *self.below, 1.0)
        rising = all(low < high for low, high in itertools.pairwise(points))
        if not rising or not 0 < self.prevalence < 1 or not math.isfinite(self.separation):
            raise InvalidInputError(
                "shares don't rise within (0, 1)", remedy="use 0.1, 0.2 to 0.9", field="shares"
            )

    @property
    def auc(self) -> float:
        """The AI's AUC: Φ(separation / √2)."""
        return float(ndtr(self.separation / math.sqrt(2)))

    @property
    def below(self) -> tuple[float, ...]:
        """The shares of exams below each cut, that of the top mark last."""
        return (*self.shares, *([] if self.top_share is None else [1 - self.top_share]))

    def cuts(self) -> Floats:
        """Return the cut points (k,) on the score, by bisection of the population's distribution."""
        low, high = np.full(len(self.below), -12.0), np.full(len(self.below), 12.0 + abs(self.separation))
        for _ in range(80):
            middle = (low + high) / 2
            held = (1 - self.prevalence) * ndtr(middle) + self.prevalence * ndtr(middle - self.separation)
            under = held < np.asarray(self.below)
            low, high = np.where(under, middle, low), np.where(under, high, middle)
        return np.asarray((low + high) / 2, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patterns:
    """All patterns of level and reads as `exams`, and the `chance` (2, k) of each without and with the event.

    `prevalence` is the population's.
    """

    exams: Exams
    chance: Floats
    prevalence: float


def patterns_of(panel: Panel, ai: BinormalAI) -> Patterns:
    """Return every pattern of an exam that `panel` and `ai` read, with its probability by class.

    >>> from huizhen.validate.triage.panel import Reader
    >>> reader = Reader(sensitivity=0.8, specificity=0.95)
    >>> panel = Panel(first=reader, second=reader, consensus=reader, between_readers=0.5, with_ai=0.4)
    >>> found = patterns_of(panel, BinormalAI(separation=2.0, prevalence=0.006))
    >>> found.chance.shape, found.chance.sum(axis=1).round(9).tolist()
    ((2, 88), [1.0, 1.0])
    """
    groups, bits = len(ai.below) + 1, 3 if not panel.follow else 5
    flags = np.array(list(itertools.product((False, True), repeat=bits)))  # (2 ** bits, bits)
    follows = flags[:, 3:] if panel.follow else np.zeros((len(flags), 2), dtype=np.bool_)
    whole = np.tile(np.concatenate([flags[:, :3], follows], axis=1), (groups, 1))
    group = np.repeat(np.arange(groups), len(flags))
    exams = _exams_of(whole, group, ai)
    chance = np.stack([_chances(panel, ai, flags, event).ravel() for event in (False, True)])
    return Patterns(exams=exams, chance=chance, prevalence=ai.prevalence)


def _exams_of(flags: NDArray[np.bool_], group: NDArray[np.int64], ai: BinormalAI) -> Exams:
    """Return the patterns as exams; the last group is the top mark's, of the highest level."""
    columns = [column[np.newaxis] for column in flags.T]
    reads = Reads(
        first=columns[0],
        second=columns[1],
        consensus=columns[2],
        follows_first=columns[3],
        follows_second=columns[4],
        simulated=np.ones((3, len(flags)), dtype=np.bool_),
    )
    highest = len(ai.shares)
    top = group > highest
    return Exams(
        outcome=np.zeros(len(flags), dtype=np.bool_),
        level=np.minimum(group, highest) + 1,
        top=top,
        reads=reads,
    )


def _chances(panel: Panel, ai: BinormalAI, flags: NDArray[np.bool_], event: bool) -> Floats:
    """Return the probability (groups, flags) of each pattern given the class."""
    node = np.linspace(-_REACH, _REACH, _NODES)
    weight = np.exp(-(node**2) / 2)
    weight /= weight.sum()
    kappa = panel.between_readers
    with_factor = panel.with_ai / math.sqrt(kappa) if kappa else 0.0
    bounds = np.concatenate(([-np.inf], ai.cuts() - ai.separation * event, [np.inf]))
    below = ndtr((bounds[:, np.newaxis] - with_factor * node) / math.sqrt(max(1 - with_factor**2, 1e-12)))
    group = np.diff(below, axis=0)  # (groups, nodes)
    each = np.ones((len(flags), node.size))
    for place, reader in enumerate(panel.readers):
        high = ndtr((math.sqrt(kappa) * node - reader.thresholds[event]) / math.sqrt(1 - kappa))
        each *= np.where(flags[:, place, np.newaxis], high, 1 - high)
    for place in range(3, flags.shape[1]):
        each *= np.where(flags[:, place, np.newaxis], panel.follow, 1 - panel.follow)
    return np.asarray((group * weight) @ each.T)


def expected_shares(policy: Policy, patterns: Patterns) -> Floats:
    """Return the shares (4, 2) of events, and of others, of which each of `QUANTITIES` holds under a policy.

    >>> from huizhen.validate.triage.panel import Reader
    >>> from huizhen.validate.triage.policies import DoubleReading
    >>> reader = Reader(sensitivity=0.8, specificity=0.9)
    >>> panel = Panel(first=reader, second=reader, consensus=reader)
    >>> found = expected_shares(DoubleReading(), patterns_of(panel, BinormalAI(separation=2, prevalence=0.1)))
    >>> found[3].round(6).tolist(), found[0].round(6).tolist()
    ([0.96, 0.19], [0.768, 0.019])
    """
    course = carried_out(policy, patterns.exams)
    flags = np.stack([getattr(course, name)[0] for name in QUANTITIES]).astype(np.float64)
    return flags @ patterns.chance[::-1].T


def discordance(new: Policy, reference: Policy, patterns: Patterns) -> tuple[float, float]:
    """Return the shares of events that only `new`, and only `reference`, recalls.

    >>> from huizhen.validate.triage.panel import Reader
    >>> from huizhen.validate.triage.policies import DoubleReading, SingleReading
    >>> reader = Reader(sensitivity=0.8, specificity=0.9)
    >>> panel = Panel(first=reader, second=reader, consensus=reader)
    >>> patterns = patterns_of(panel, BinormalAI(separation=2, prevalence=0.1))
    >>> [round(share, 6) for share in discordance(SingleReading(), DoubleReading(), patterns)]
    [0.0, 0.128]
    """
    one, two = (carried_out(policy, patterns.exams).recalled[0] for policy in (new, reference))
    event = patterns.chance[1]
    return float(event @ (one & ~two)), float(event @ (two & ~one))


def separation_of(auc: float) -> float:
    """Return the separation that gives an AUC; the inverse of `BinormalAI.auc`.

    >>> round(separation_of(0.9213503964748574), 6)
    2.0
    """
    if not 0 < auc < 1:
        raise InvalidInputError(f"{auc} is outside (0, 1)", remedy="use 0.9", field="auc")
    return float(ndtri(auc)) * math.sqrt(2)
