"""What tuning patients decide: each model's calibration and threshold in each fold, as evidence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from huizhen.core.evidence import Evidence
from huizhen.core.study import Study
from huizhen.errors import NotEstimableError
from huizhen.pipeline.decisions import Decision, decide, no_threshold, threshold_evidence
from huizhen.pipeline.tuning_file import Tuned
from huizhen.validate.assessments.interface import FEW
from huizhen.validate.calibration import apply_platt

__all__ = ["decided"]


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
    return decisions, evidence


def _threshold(study: Study, key: str, decision: Decision, tuned: Tuned) -> Evidence:
    """Return a threshold as evidence, with what it attained on the patients that it was chosen from."""
    truth = tuned.outcome
    called = apply_platt(decision.platt, tuned.log_odds) >= decision.threshold
    events = int(truth.sum())
    more: dict[str, Any] = {
        "tuning_events": events,
        "attained_sensitivity": float(called[truth].mean()),
        "attained_specificity": float((~called[~truth]).mean()),
    }
    if min(events, len(truth) - events) < FEW:
        more["small"] = True
    return threshold_evidence(study, key, decision, n=len(truth), n_events=events, more=more)
