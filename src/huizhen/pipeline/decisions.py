"""Decisions: how a locked model's log-odds become a risk, and which risk is called positive."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.evidence import Evidence
from huizhen.core.study import Study
from huizhen.errors import NotEstimableError
from huizhen.pipeline.risk_levels import fixed_levels
from huizhen.pipeline.stage import Stage
from huizhen.validate.calibration import Platt, apply_platt, fit_platt
from huizhen.validate.thresholds import choose_threshold
from huizhen.validate.triage.levels import RiskLevels

__all__ = [
    "DECISIONS",
    "LEAST_SLOPE",
    "Decision",
    "Decisions",
    "chosen_by",
    "decide",
    "no_threshold",
    "plain_decisions",
    "read_decisions",
    "threshold_evidence",
]

DECISIONS = "decisions.json"
LEAST_SLOPE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """How one model's log-odds in one fold become a risk and a decision."""

    platt: Platt
    threshold: float
    levels: RiskLevels | None = None
    """Cut points of risk for triage, where the study asks for them."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        levels = {} if self.levels is None else {"levels": self.levels.to_json()}
        return {"platt": asdict(self.platt), "threshold": self.threshold, **levels}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Decision:
        """Return what `to_json` gave."""
        levels = RiskLevels.from_json(record["levels"]) if "levels" in record else None
        return cls(platt=Platt(**record["platt"]), threshold=record["threshold"], levels=levels)


Decisions = Mapping[str, Mapping[int, Decision]]
"""Model name -> fold -> decision."""


def decide(study: Study, logits: NDArray[np.float64], truth: NDArray[np.bool_]) -> Decision:
    """Return calibration and threshold from tuning log-odds (n,) and outcomes (n,), by the study's rule.

    A model that ranks no better than chance on tuning data keeps its order: the slope is held above 0.
    Raises `NotEstimableError` when a class is missing.
    """
    platt = fit_platt(logits, truth)
    if platt.slope < LEAST_SLOPE:
        rate = float(np.mean(truth))
        platt = Platt(intercept=math.log(rate / (1 - rate)), slope=LEAST_SLOPE)
    risk = apply_platt(platt, logits)
    threshold = choose_threshold(truth, risk, study.threshold)
    return Decision(platt=platt, threshold=threshold, levels=fixed_levels(study, risk, truth))


def threshold_evidence(study: Study, key: str, threshold: float, **more: Any) -> Evidence:
    """Return a threshold as evidence; `more` are fields of it."""
    return Evidence(
        key=key,
        metric="threshold",
        stage="lock",
        estimate=threshold,
        descriptive=True,
        phantom=study.phantom,
        **more,
    )


def chosen_by(study: Study, n: int, decision: Decision | None = None) -> dict[str, Any]:
    """Return as detail the rule that a threshold was chosen by from `n` patients, and the calibration."""
    rule = {"rule": study.threshold.rule, "target": study.threshold.target, "tuning_n": n}
    if decision is None:
        return rule
    platt = decision.platt
    return {**rule, "calibration_intercept": platt.intercept, "calibration_slope": platt.slope}


def no_threshold(key: str, error: NotEstimableError) -> Evidence:
    """Return as evidence why a model has no threshold."""
    return Evidence.not_assessed(key=key, metric="threshold", stage="lock", reason=error.message)


def plain_decisions(decisions: Decisions) -> dict[str, dict[str, dict[str, Any]]]:
    """Return decisions as plain values: what a lock's entry and its `DECISIONS` file hold."""
    return {m: {str(k): d.to_json() for k, d in by_fold.items()} for m, by_fold in decisions.items()}


def read_decisions(locked: Stage) -> dict[str, dict[int, Decision]]:
    """Return every locked model's decision in each fold."""
    return {
        model: {int(fold): Decision.from_json(record) for fold, record in by_fold.items()}
        for model, by_fold in locked.read(DECISIONS).items()
    }
