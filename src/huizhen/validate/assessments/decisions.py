"""Claims of the decisions at locked thresholds: sensitivity, specificity, and cman's predictive values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from huizhen.core.evidence import Evidence
from huizhen.errors import NotEstimableError
from huizhen.validate.assessments.interface import EVERYONE, Evaluation, Mask, Measured, sample_notes
from huizhen.validate.clusters import clustered_share
from huizhen.validate.proportions import Confusion, Proportion, confusion, npv, ppv, sensitivity, specificity

NOT_TRANSPORTABLE = "not transportable to another prevalence"
FEWEST = 2
"""A proportion of fewer cases than this isn't reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Share:
    """One of the four proportions: how it is computed, which cases with the event it counts, of how many.

    `cases` returns from outcomes and decisions (n,) which cases are right, and which the share is of.
    """

    compute: Callable[[Confusion], Proportion]
    events: Callable[[Confusion], int]
    of: Callable[[Confusion], int]
    cases: Callable[[Mask, Mask], tuple[Mask, Mask]]


_SHARES = {
    "sensitivity": _Share(
        compute=sensitivity,
        events=lambda t: t.n_pos,
        of=lambda t: t.n_pos,
        cases=lambda truth, called: (called, truth),
    ),
    "specificity": _Share(
        compute=specificity,
        events=lambda t: 0,
        of=lambda t: t.n_neg,
        cases=lambda truth, called: (~called, ~truth),
    ),
    "ppv": _Share(
        compute=ppv,
        events=lambda t: t.true_positive,
        of=lambda t: t.true_positive + t.false_positive,
        cases=lambda truth, called: (truth, called),
    ),
    "npv": _Share(
        compute=npv,
        events=lambda t: t.false_negative,
        of=lambda t: t.true_negative + t.false_negative,
        cases=lambda truth, called: (~truth, ~called),
    ),
}


def decisions(evaluation: Evaluation) -> list[Evidence]:
    """Return sensitivity and specificity of every full model over all and by site, and cman's PPV and NPV."""
    cohort = evaluation.cohort
    shares = [
        evaluation.evidence(
            f"{metric}/{model}/{cohort}/{name}", metric, partial(share_of, evaluation, metric, model, group)
        )
        for metric in ("sensitivity", "specificity")
        for model in evaluation.full_models
        for name, group in evaluation.groups()
    ]
    values = [
        evaluation.evidence(
            f"{metric}/{evaluation.main}/{cohort}/{EVERYONE}",
            metric,
            partial(_predictive_value, evaluation, metric),
        )
        for metric in ("ppv", "npv")
    ]
    return shares + values


def share_of(evaluation: Evaluation, metric: str, model: str, group: Mask) -> Measured:
    """Return a proportion of `model`'s decisions on the patients of `group` (n,) that it answers.

    Its interval is Wilson's, over patients where they have several rows.

    `metric` is "sensitivity", "specificity", "ppv" or "npv"; n is the proportion's denominator and n_events
    how many of these have the event. Raises `NotEstimableError` if it would be a share of fewer than two
    cases, or without such a model or its decisions.
    """
    if model not in evaluation.predictions.decision:
        raise NotEstimableError(f"no threshold was locked for {model}", remedy="choose it on tuning data")
    kept = evaluation.answered(group, model)
    outcome = evaluation.predictions.outcome
    table = confusion(outcome[kept], evaluation.predictions.decision[model][kept])
    share = _SHARES[metric]
    if share.of(table) < FEWEST:
        raise NotEstimableError(
            f"{metric} would be a share of {share.of(table)} cases, at least {FEWEST} are needed",
            remedy="gather cases",
        )
    found = share.compute(table)
    interval, cluster = found.interval, evaluation.clusters(kept)
    if cluster is not None:
        called = evaluation.predictions.decision[model][kept]
        hits, among = share.cases(outcome[kept], called)
        interval = clustered_share(hits[among], cluster[among]).interval
    return Measured(
        estimate=found.value,
        interval=interval,
        n=found.n,
        n_events=share.events(table),
        detail={"count": found.count, "of": found.n, **sample_notes(group, kept, outcome)},
    )


def _predictive_value(evaluation: Evaluation, metric: str) -> Measured:
    """Return cman's PPV or NPV over all, with the prevalence that it holds for."""
    everyone = evaluation.everyone()
    found = share_of(evaluation, metric, evaluation.main, everyone)
    outcome = evaluation.predictions.outcome[evaluation.answered(everyone, evaluation.main)]
    return Measured(
        estimate=found.estimate,
        interval=found.interval,
        n=found.n,
        n_events=found.n_events,
        detail={**found.detail, "prevalence": float(outcome.mean()), "note": NOT_TRANSPORTABLE},
    )
