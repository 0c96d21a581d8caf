"""What tuning patients decide: each model's calibration and threshold in each fold, as evidence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.evidence import Evidence
from huizhen.core.study import Study
from huizhen.errors import NotEstimableError
from huizhen.pipeline.decisions import Decision, chosen_by, decide, no_threshold, threshold_evidence
from huizhen.pipeline.risk_levels import levels_evidence
from huizhen.pipeline.tuning_file import Tuned
from huizhen.validate.assessments.interface import FEW
from huizhen.validate.calibration import apply_platt

__all__ = ["attained", "decided"]


def decided(study: Study, tuned: Sequence[Tuned]) -> tuple[dict[str, dict[int, Decision]], list[Evidence]]:
    """Return every model's decision in every fold, with its evidence."""
    decisions: dict[str, dict[int, Decision]] = defaultdict(dict)
    evidence: list[Evidence] = []
    for one in tuned:
        key = f"threshold/{one.model}/fold{one.fold}"
        try:
            decision = decide(study, one.log_odds, one.outcome)
        except NotEstimableError as error:
            evidence.append(no_threshold(key, error))
            continue
        decisions[one.model][one.fold] = decision
        evidence.append(_threshold(study, key, decision, one))
        if study.triage is not None and one.model == study.main:
            n = len(one.outcome) if study.triage.cuts == "tune" else None
            key = f"risk_levels/{one.model}/fold{one.fold}"
            evidence.append(levels_evidence(study, key, decision.levels, n))
    return decisions, evidence


def _threshold(study: Study, key: str, decision: Decision, tuned: Tuned) -> Evidence:
    """Return a threshold as evidence, with what it attained on the patients that it was chosen from."""
    called = apply_platt(decision.platt, tuned.log_odds) >= decision.threshold
    n, events, reached = attained(called, tuned.outcome)
    detail = {**chosen_by(study, n, decision), **reached}
    return threshold_evidence(study, key, decision.threshold, n=n, n_events=events, detail=detail)


def attained(called: NDArray[np.bool_], truth: NDArray[np.bool_]) -> tuple[int, int, dict[str, Any]]:
    """Return n, events, and as detail what a threshold reached on the patients that it was chosen from.

    `called`, `truth` (n,): who is called positive, and who has the event.

    >>> attained(np.array([True, False]), np.array([True, False]))[2]["attained_specificity"]
    1.0
    """
    n, events = len(truth), int(truth.sum())
    detail: dict[str, Any] = {
        "tuning_events": events,
        "attained_sensitivity": float(called[truth].mean()),
        "attained_specificity": float((~called[~truth]).mean()),
    }
    return n, events, detail | ({"small": True} if min(events, n - events) < FEW else {})
