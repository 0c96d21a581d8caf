"""Did the locked threshold keep its target? Judged by the interval in each cohort, beside the endpoints."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from huizhen.core.evidence import Evidence, Interval
from huizhen.validate.assessments.decisions import share_of
from huizhen.validate.assessments.interface import Evaluation, Measured

KEPT, NOT_KEPT, INCONCLUSIVE = "kept", "not kept", "inconclusive"


def targets(evaluation: Evaluation) -> list[Evidence]:
    """Return whether cman's threshold kept the target that it was chosen for; nothing for a rule without one.

    Key threshold_target/cman/<cohort>; `detail` holds metric, target and judgement. It is no endpoint: the
    verdict stays "reported".
    """
    rule = evaluation.study.threshold
    given = evaluation.study.predictions
    if rule.rule == "youden" or (given is not None and given.tune is None):
        return []
    key = f"threshold_target/{evaluation.main}/{evaluation.cohort}"
    return [evaluation.evidence(key, "threshold_target", partial(_measured, evaluation))]


def _measured(evaluation: Evaluation) -> Measured:
    rule = evaluation.study.threshold
    found = share_of(evaluation, rule.rule, evaluation.main, evaluation.everyone())
    judgement = judgement_of(found.interval, rule.target) if found.interval else INCONCLUSIVE
    told = {"metric": rule.rule, "target": rule.target, "judgement": judgement}
    return replace(found, detail={**found.detail, **told})


def judgement_of(interval: Interval, target: float) -> str:
    """Return "kept" if the whole interval reaches `target`, "not kept" if none of it does.

    >>> judgement_of(Interval(low=0.46, high=0.846, method="Wilson"), 0.9)
    'not kept'
    >>> judgement_of(Interval(low=0.78, high=0.981, method="Wilson"), 0.9)
    'inconclusive'
    """
    if interval.low >= target:
        return KEPT
    return NOT_KEPT if interval.high < target else INCONCLUSIVE
