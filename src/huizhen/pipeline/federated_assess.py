"""Validation of a federated study: from distributions of scores and exact sums over sites."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from huizhen.core.cohort import Part
from huizhen.core.evidence import Evidence, Interval, Verdict
from huizhen.core.files import write_json
from huizhen.core.predictions import Predictions
from huizhen.core.study import Study
from huizhen.errors import NotEstimableError, PolicyError
from huizhen.federate.lead import Lead
from huizhen.federate.statistics.delong import Aucs, DeLong
from huizhen.federate.statistics.runner import conduct
from huizhen.federate.statistics.scores import ScoreDistribution, Scores
from huizhen.pipeline.assess_stage import not_assessed
from huizhen.pipeline.federated_plan import scores_subject
from huizhen.pipeline.lock_stage import Decision
from huizhen.pipeline.phantom_truth import COHORT_WORDS
from huizhen.pipeline.stage import ARTEFACTS, Made, Run, Stage
from huizhen.validate.assess import assess, endpoints_not_assessed

CMAN = "cman"
Decisions = Mapping[str, Decision]


def assess_federated(
    run: Run,
    lead: Lead,
    decisions: Decisions,
    development: tuple[str, ...],
    external: tuple[str, ...],
    locked: Stage,
) -> Stage:
    """Validate the locked models: internal test patients of all development sites, and external sites."""
    cohorts = {Part.TEST: development, Part.EXTERNAL: external}
    lock_entry = max(entry.index for entry in run.log.entries if entry.kind == "lock")

    def body(folder: Path) -> Made:
        evidence: list[Evidence] = []
        for part, sites in cohorts.items():
            if sites and CMAN in decisions:
                evidence += _assessed(run, lead, decisions, part, sites, folder)
            else:
                evidence += _absent(run.study, part, "no such site takes part")
        opened = {"lock_entry": lock_entry, "sealed_outcomes": locked.digest}
        return Made(evidence=[*evidence, *not_assessed(run.study, evidence)], entries=[("unseal", opened)])

    inputs = [locked.digest, [list(sites) for sites in cohorts.values()]]
    return run.stage("assess", inputs, body, made_from={"lock": locked.digest})


def _absent(study: Study, part: Part, reason: str) -> list[Evidence]:
    return endpoints_not_assessed(study, cohort=COHORT_WORDS[part], reason=reason, phantom=study.phantom)


def _assessed(
    run: Run, lead: Lead, decisions: Decisions, part: Part, sites: tuple[str, ...], folder: Path
) -> list[Evidence]:
    """Return the evidence of one cohort."""
    try:
        scores = _scores(lead, CMAN, decisions[CMAN], part, sites)
    except (PolicyError, NotEstimableError) as error:  # for good; what may pass ends the run, to go on later
        return _absent(run.study, part, error.message)
    write_json(folder / ARTEFACTS / f"scores_{part.value}.json", _sparse(scores))
    table = predictions_of(scores, decisions[CMAN], part)
    evidence = [
        item
        for item in assess(table, run.study, phantom=run.study.phantom)
        if not (
            item.verdict is Verdict.NOT_ASSESSED and item.metric in ("auc", "auc_difference", "subset_auc")
        )
        and not item.key.split("/")[-1].startswith("site:")
    ]
    held = {item.key for item in evidence}
    for name in decisions:
        if name != CMAN:
            evidence += [e for e in _compared(run, lead, decisions, name, part, sites) if e.key not in held]
    return evidence


def _scores(
    lead: Lead, name: str, decision: Decision, part: Part, sites: tuple[str, ...]
) -> ScoreDistribution:
    """Return the distribution of one model's calibrated risks."""
    subject = scores_subject(part, [(name, decision.platt.slope, decision.platt.intercept)])
    return conduct(Scores(), lead.exchange(subject, secure=True, sites=sites)).result


def predictions_of(scores: ScoreDistribution, decision: Decision, part: Part) -> Predictions:
    """Return the distribution as a table of nobody's predictions: outcome and risk, in no patient's order."""
    risk = scores.score
    count = len(risk)
    return Predictions(
        patient=np.array([f"of-{count}-{i}" for i in range(count)]),
        site=np.full(count, "all"),
        part=part,
        outcome=scores.outcome,
        risk={CMAN: risk},
        decision={CMAN: risk >= decision.threshold},
    )


def _sparse(scores: ScoreDistribution) -> dict[str, dict[str, int]]:
    """Return the bins that hold anybody, so that every number can be reckoned again."""
    return {
        name: {str(i): int(n) for i, n in enumerate(counts) if n}
        for name, counts in (("events", scores.events), ("others", scores.others))
    }


def _compared(
    run: Run, lead: Lead, decisions: Decisions, name: str, part: Part, sites: tuple[str, ...]
) -> list[Evidence]:
    """Return a baseline's AUC and CMAN's difference from it, on the patients that both answer."""
    models = [(n, decisions[n].platt.slope, decisions[n].platt.intercept) for n in (CMAN, name)]
    exchange = lead.exchange(scores_subject(part, models), secure=True, sites=sites)
    cohort = COHORT_WORDS[part]
    keys = f"auc/{name}/{cohort}/all", f"auc_difference/cman~{name}/{cohort}/all"
    try:
        found: Aucs = conduct(DeLong(models=2), exchange).result
    except (PolicyError, NotEstimableError) as error:
        return [
            Evidence(
                key=key,
                metric=key.partition("/")[0],
                stage="validate",
                verdict=Verdict.NOT_ASSESSED,
                reason=error.message,
                phantom=run.study.phantom,
            )
            for key in keys
        ]
    difference = found.difference(0, 1)
    return [
        _evidence(run, keys[0], float(found.aucs[1]), found.interval(1), found),
        _evidence(run, keys[1], difference.estimate, difference.interval, found),
    ]


def _evidence(run: Run, key: str, estimate: float, interval: Interval, found: Aucs) -> Evidence:
    return Evidence(
        key=key,
        metric=key.partition("/")[0],
        stage="validate",
        estimate=estimate,
        interval=interval,
        n=found.n_pos + found.n_neg,
        n_events=found.n_pos,
        phantom=run.study.phantom,
        detail={"from": "exact federated sums of 16-bit scores"},
    )
