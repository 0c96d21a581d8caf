"""Claims of triage: what each reading policy of the study finds, recalls and costs on the tested patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from huizhen.core.evidence import Bound, Evidence
from huizhen.core.streams import stream
from huizhen.core.study_triage import ReadingPolicy, TriagePlan
from huizhen.errors import NotEstimableError
from huizhen.validate.assessments.interface import Evaluation, Mask, Measured, sample_notes
from huizhen.validate.assessments.triage_readers import reads_of
from huizhen.validate.estimates import Estimate
from huizhen.validate.resampling import percentile_interval, resampled_sums
from huizhen.validate.triage.comparison import Minutes, PolicyResult, compare_policies
from huizhen.validate.triage.levels import level_shares
from huizhen.validate.triage.noninferiority import paired_detection
from huizhen.validate.triage.policies import (
    AISecondReader,
    AITriage,
    Course,
    DoubleReading,
    Policy,
    Prioritised,
    Referral,
    RuleOut,
    SingleReading,
    carried_out,
)
from huizhen.validate.triage.reads import Exams
from huizhen.validate.triage.worklist import minutes_to_read

FOLLOWED = 24
"""Months of follow-up from which an event that was not recalled counts as missed."""
UNFOLLOWED = ("missed_rate",)
"""Measures that need such a follow-up."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """The tested patients whom the model answers (`kept`), as exams, and what is known of their readers."""

    kept: Mask
    exams: Exams
    readers: Mapping[str, Any]
    courses: Sequence[Course]
    results: Sequence[PolicyResult]


def triage(evaluation: Evaluation) -> list[Evidence]:
    """Return what is claimed of each policy; nothing for a study without [triage].

    Keys: triage_levels/<model>/<cohort>; triage/<policy>/<claim>/<cohort> with the claims detection (the
    share of events recalled; `detail` holds all measures), workload (readings per exam), time_to_read (mean
    minutes until exams with the event are read), and with a margin non_inferiority of all but the first.
    """
    plan = evaluation.study.triage
    if plan is None:
        return []
    try:
        read = _read(evaluation, plan)
    except NotEstimableError as error:
        return [
            evaluation.not_assessed(_key(evaluation, policy, "detection"), "triage_detection", error.message)
            for policy in plan.policy
        ]
    found = [
        evaluation.evidence(
            f"triage_levels/{evaluation.main}/{evaluation.cohort}",
            "triage_levels",
            partial(_levels, evaluation, plan, read),
        )
    ]
    for place, policy in enumerate(plan.policy):
        found += _claims(evaluation, plan, read, place, policy)
    return found


def policy_of(policy: ReadingPolicy) -> Policy:
    """Return the policy that a study file names.

    >>> policy_of(ReadingPolicy(kind="rule_out", from_level=3)).read_from
    3
    """
    referral: Referral = policy.referral or ("discordant" if policy.kind == "ai_second_reader" else "any")
    match policy.kind:
        case "double":
            return DoubleReading(referral=referral)
        case "single":
            return SingleReading(referral=referral)
        case "ai_triage":
            return AITriage(double_from=policy.level or 10, top=policy.top or "recall", referral=referral)
        case "ai_second_reader":
            return AISecondReader(flag_from=policy.level or 10, referral=referral)
        case "rule_out":
            return RuleOut(read_from=policy.level or 5, readers=policy.readers or 2, referral=referral)
        case "prioritised":
            return Prioritised(readers=policy.readers or 2, referral=referral)
        case _:
            assert_never(policy.kind)


def _key(evaluation: Evaluation, policy: ReadingPolicy, claim: str) -> str:
    return f"triage/{policy.label}/{claim}/{evaluation.cohort}"


def _read(evaluation: Evaluation, plan: TriagePlan) -> _Read:
    """Return the exams, read by every policy. Raises `NotEstimableError` where that can't be had."""
    predictions, main = evaluation.predictions, evaluation.main
    if main not in predictions.level:
        raise NotEstimableError(
            "no risk levels were locked", remedy="give more tuning patients, or cut points"
        )
    kept = evaluation.answered(evaluation.everyone(), main) & (predictions.level[main] > 0)
    outcome, level = predictions.outcome[kept], predictions.level[main][kept]
    draw = stream(evaluation.study.seed, "triage readers", evaluation.cohort)
    columns = {name: column[kept] for name, column in predictions.groups.items()}
    reads, readers = reads_of(draw, plan, outcome, predictions.risk[main][kept], columns)
    exams = Exams(
        outcome=outcome,
        level=np.minimum(level, plan.level_count),
        top=level > plan.level_count,
        reads=reads,
    )
    policies = [policy_of(policy) for policy in plan.policy]
    results = compare_policies(
        exams,
        policies,
        minutes=Minutes(**plan.minutes.model_dump()),
        prevalence=plan.prevalence,
        cluster=evaluation.clusters(kept),
        resamples=evaluation.study.evaluation.resamples,
        seed=evaluation.study.seed,
    )
    courses = [carried_out(policy, exams) for policy in policies]
    return _Read(kept=kept, exams=exams, readers=readers, courses=courses, results=results)


def _claims(
    evaluation: Evaluation, plan: TriagePlan, read: _Read, place: int, policy: ReadingPolicy
) -> list[Evidence]:
    """Return the claims of one policy."""
    claims = {
        "detection": partial(_detection, evaluation, plan, read, place),
        "workload": partial(_workload, evaluation, plan, read, place),
        "time_to_read": partial(_time_to_read, evaluation, plan, read, place),
    }
    found = [
        evaluation.evidence(_key(evaluation, policy, claim), f"triage_{claim}", measure)
        for claim, measure in claims.items()
    ]
    if place and plan.margin is not None:
        key, bound = _key(evaluation, policy, "non_inferiority"), Bound(at_least=-plan.margin)
        measure = partial(_non_inferiority, evaluation, plan, read, place)
        found.append(evaluation.evidence(key, "triage_non_inferiority", measure, bound=bound))
    return found


def _measured(evaluation: Evaluation, read: _Read, estimate: Estimate, detail: Mapping[str, Any]) -> Measured:
    """Return an estimate over all exams, with what a reader must know of the sample."""
    notes = sample_notes(evaluation.everyone(), read.kept, evaluation.predictions.outcome)
    return Measured(
        estimate=estimate.value,
        interval=estimate.interval,
        n=read.exams.outcome.size,
        n_events=int(np.count_nonzero(read.exams.outcome)),
        detail={**detail, **notes},
    )


def _detection(evaluation: Evaluation, plan: TriagePlan, read: _Read, place: int) -> Measured:
    """Return the share of events that a policy recalls; `detail` holds its other measures and differences."""
    result, followed = read.results[place], (plan.follow_up_months or 0) >= FOLLOWED
    hidden = () if followed else UNFOLLOWED
    detail: dict[str, Any] = {
        "policy": _told(plan.policy[place]),
        "measures": _plain(result.measures, hidden),
        "prevalence": plan.prevalence or float(read.exams.outcome.mean()),
        "prevalence_from": "study" if plan.prevalence else "sample",
        "simulated": _simulated(read, place),
        "readers": read.readers,
        "minutes": plan.minutes.model_dump(),
        "resamples": evaluation.study.evaluation.resamples,
    }
    if place:
        detail["differences"] = _plain(result.differences, hidden)
        detail["reference"] = plan.policy[0].label
    if not followed:
        detail["found_only"] = True
    return _measured(evaluation, read, result.measures["sensitivity"], detail)


def _workload(evaluation: Evaluation, plan: TriagePlan, read: _Read, place: int) -> Measured:
    """Return the readings per exam; `detail` holds what is saved of the first policy's."""
    measures = read.results[place].measures
    saved = _plain({name: measures[name] for name in ("readings_saved", "minutes_saved", "minutes")})
    detail = {"policy": _told(plan.policy[place]), "measures": saved, "reference": plan.policy[0].label}
    return _measured(evaluation, read, measures["readings"], detail)


def _time_to_read(evaluation: Evaluation, plan: TriagePlan, read: _Read, place: int) -> Measured:
    """Return the mean minutes until exams with the event are read first, in lists of `plan.batch`.

    The interval is over patients, given the lists. `detail` holds the same of exams without the event.
    """
    by_level = plan.policy[place].kind == "prioritised"
    seen = read.courses[place].first[0]
    draw = stream(evaluation.study.seed, "triage list", evaluation.cohort)
    waits = minutes_to_read(
        draw, seen, read.exams.level, by_level=by_level, batch=plan.batch, minutes=plan.minutes.first
    )
    cluster, outcome = evaluation.clusters(read.kept), read.exams.outcome
    found = {
        name: _mean_wait(evaluation, waits, group & seen, cluster)
        for name, group in {"events": outcome, "others": ~outcome}.items()
    }
    detail = {
        "policy": _told(plan.policy[place]),
        "measures": _plain(found),
        "batch": plan.batch,
        "sorted": by_level,
        "unread_events": int(np.count_nonzero(outcome & ~seen)),
    }
    return _measured(evaluation, read, found["events"], detail)


def _mean_wait(
    evaluation: Evaluation, waits: Floats, group: Mask, cluster: NDArray[np.str_] | None
) -> Estimate:
    """Return the mean wait of a group, with its percentile interval over patients."""
    if np.count_nonzero(group) < 2:
        raise NotEstimableError("fewer than two such exams are read", remedy="gather exams")
    own = waits[group]
    names = np.arange(own.size) if cluster is None else cluster[group]
    _, place = np.unique(names, return_inverse=True)
    rows = np.stack([np.bincount(place, weights=own), np.bincount(place).astype(np.float64)], axis=1)
    draw = stream(evaluation.study.seed, "triage waits")
    drawn = resampled_sums(draw, rows, resamples=evaluation.study.evaluation.resamples)
    value = float(own.mean())
    return Estimate(value=value, interval=percentile_interval(drawn[:, 0] / drawn[:, 1], of="patients"))


def _non_inferiority(evaluation: Evaluation, plan: TriagePlan, read: _Read, place: int) -> Measured:
    """Return the difference in the share of events recalled, policy less reference, by Tango's score."""
    event, margin = read.exams.outcome, plan.margin or 0.0
    new, reference = (read.courses[k].recalled[:, event].mean(axis=0) for k in (place, 0))
    cluster = evaluation.clusters(read.kept)
    test = paired_detection(
        new, reference, margin=margin, cluster=None if cluster is None else cluster[event]
    )
    gaps = new - reference
    detail = {
        "policy": _told(plan.policy[place]),
        "reference": plan.policy[0].label,
        "margin": margin,
        "p": test.p,
        "only_policy": float(np.maximum(gaps, 0).sum()),
        "only_reference": float(np.maximum(-gaps, 0).sum()),
    }
    return Measured(
        estimate=test.estimate,
        interval=test.interval,
        n=int(np.count_nonzero(event)),
        n_events=int(np.count_nonzero(event)),
        detail=detail,
    )


def _levels(evaluation: Evaluation, plan: TriagePlan, read: _Read) -> Measured:
    """Return how many exams, and events, each frozen level holds among the tested patients."""
    level, outcome = read.exams.level, read.exams.outcome
    shares = level_shares(level, plan.level_count)
    rows = [
        {
            "level": place,
            "n": share.count,
            "events": int(np.count_nonzero(outcome & (level == place))),
            "share": share.value,
            "low": share.interval.low,
            "high": share.interval.high,
        }
        for place, share in enumerate(shares, start=1)
    ]
    detail = {"levels": rows, "top": int(np.count_nonzero(read.exams.top))}
    notes = sample_notes(evaluation.everyone(), read.kept, evaluation.predictions.outcome)
    return Measured(n=level.size, n_events=int(np.count_nonzero(outcome)), detail={**detail, **notes})


def _simulated(read: _Read, place: int) -> float:
    """Return the share of a policy's readings that were drawn and not seen."""
    course, drawn = read.courses[place], read.exams.reads.simulated
    parts = (course.first, course.second, course.consensus)
    total = sum(int(np.count_nonzero(part)) for part in parts)
    return sum(int(np.count_nonzero(part & drawn[k])) for k, part in enumerate(parts)) / max(total, 1)


def _told(policy: ReadingPolicy) -> dict[str, Any]:
    """Return a policy as plain values, with the level that it uses."""
    said = policy.model_dump(mode="json", exclude_none=True, exclude={"from_level"})
    return said | ({} if policy.level is None else {"level": policy.level})


def _plain(found: Mapping[str, Estimate], hidden: Sequence[str] = ()) -> dict[str, dict[str, float]]:
    """Return estimates as plain values."""
    return {
        name: {"estimate": each.value, "low": each.interval.low, "high": each.interval.high}
        for name, each in found.items()
        if name not in hidden
    }
