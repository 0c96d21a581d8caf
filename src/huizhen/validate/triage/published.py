"""Simulated readers that fit a trial's published totals: cancers found, recalls and readings of one arm.

Three totals fix three numbers: the sensitivity and specificity of single readers (taken as alike) and the
specificity of the consensus. What the totals don't fix is stated by whoever calls: the consensus'
sensitivity, how errors correlate, and the AI.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import root
from scipy.special import ndtr

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.triage.expected import BinormalAI, expected_shares, patterns_of
from huizhen.validate.triage.panel import Panel, Reader
from huizhen.validate.triage.policies import Policy

Floats = NDArray[np.float64]
_STARTS = ((0.3, 1.5, 1.2), (0.8, 1.7, 0.5), (1.2, 2.0, 0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmTotals:
    """One arm: exams, those with the event, recalled among them, recalled, and readings of every kind.

    Raises `InvalidInputError` on counts that can't be.
    """

    exams: int
    events: int
    detected: int
    recalled: int
    readings: int

    def __post_init__(self) -> None:
        nested = 0 < self.detected < self.events < self.exams and self.detected < self.recalled < self.exams
        if not nested or self.readings < self.recalled:
            raise InvalidInputError("these totals can't be of one arm", remedy="check them", field="totals")

    @property
    def wanted(self) -> Floats:
        """Sensitivity, share of others recalled, readings per exam."""
        false = (self.recalled - self.detected) / (self.exams - self.events)
        return np.array([self.detected / self.events, false, self.readings / self.exams])


def panel_for(
    totals: ArmTotals,
    policy: Policy,
    ai: BinormalAI,
    *,
    consensus_sensitivity: float,
    between_readers: float,
    with_ai: float,
) -> Panel:
    """Return the panel under which `policy` comes to `totals` on average.

    Raises `NotEstimableError` where no panel does: the totals and what was assumed contradict each other.

    >>> from huizhen.validate.triage.policies import DoubleReading
    >>> totals = ArmTotals(exams=40_024, events=275, detected=203, recalled=817, readings=83_231)
    >>> panel = panel_for(totals, DoubleReading(), BinormalAI(separation=2.2, prevalence=275 / 40_024),
    ...     consensus_sensitivity=0.85, between_readers=0.5, with_ai=0.5)
    >>> round(panel.first.specificity, 3)
    0.958
    """

    def panel_at(point: Floats) -> Panel:
        values = np.clip(ndtr(point), 1e-6, 1 - 1e-6)
        reader = Reader(sensitivity=float(values[0]), specificity=float(values[1]))
        consensus = Reader(sensitivity=consensus_sensitivity, specificity=float(values[2]))
        return Panel(
            first=reader,
            second=reader,
            consensus=consensus,
            between_readers=between_readers,
            with_ai=with_ai,
        )

    def gap(point: Floats) -> Floats:
        shares = expected_shares(policy, patterns_of(panel_at(point), ai))
        readings = shares[1:].sum(axis=0) @ [ai.prevalence, 1 - ai.prevalence]
        return np.asarray((np.array([*shares[0], readings]) - totals.wanted) * [1, 100, 10])

    for start in _STARTS:
        found = root(gap, np.array(start), method="hybr")
        if found.success and np.abs(gap(found.x)).max() < 1e-6:
            return panel_at(found.x)
    raise NotEstimableError(
        "no readers come to these totals under what was assumed",
        remedy="change the consensus' sensitivity, the correlations or the AI",
    )
