"""Validation of a federated study: from distributions of scores and exact sums over sites."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

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
from huizhen.pipeline.decisions import Decisions
from huizhen.pipeline.federated_plan import calibrated, folds_of, scores_subject
from huizhen.pipeline.opened import COHORT_WORDS
from huizhen.pipeline.predict_stage import log_odds
from huizhen.pipeline.stage import ARTEFACTS, Made, Run, Stage
from huizhen.validate.assess import assess, endpoints_not_assessed, with_multiplicity

CMAN = "cman"


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
            if not sites:
                evidence += _absent(run.study, part, "no such site takes part")
            elif not _whole(run.study, decisions, CMAN):
                evidence += _absent(run.study, part, "the model has no threshold in every fold")
            else:
                evidence += _assessed(run, lead, decisions, part, sites, folder)
        evidence = with_multiplicity(evidence, run.study)
        opened = {"lock_entry": lock_entry, "sealed_outcomes": locked.digest}
        return Made(evidence=[*evidence, *not_assessed(run.study, evidence)], entries=[("unseal", opened)])

    inputs = [locked.digest, [list(sites) for sites in cohorts.values()]]
    return run.stage("assess", inputs, body, made_from={"lock": locked.digest})


def _absent(study: Study, part: Part, reason: str) -> list[Evidence]:
    return endpoints_not_assessed(study, cohort=COHORT_WORDS[part], reason=reason, phantom=study.phantom)


def _whole(study: Study, decisions: Decisions, name: str) -> bool:
    """Tell whether a model has a decision in every fold."""
    return len(decisions.get(name, {})) == folds_of(study)


def _assessed(
    run: Run, lead: Lead, decisions: Decisions, part: Part, sites: tuple[str, ...], folder: Path
) -> list[Evidence]:
    """Return the evidence of one cohort."""
    try:
        scores = _scores(run, lead, decisions, part, sites)
    except (PolicyError, NotEstimableError) as error:  # for good; what may pass ends the run, to go on later
        return _absent(run.study, part, error.message)
    for number, (found, _) in enumerate(scores):
        name = f"scores_{part.value}{f'_{number}' if len(scores) > 1 else ''}.json"
        write_json(folder / ARTEFACTS / name, _sparse(found))
    table = predictions_of(scores, part)
    evidence = [_events(run, table)]
    evidence += [
        item
        for item in assess(table, run.study, phantom=run.study.phantom)
        if not (
            item.verdict is Verdict.NOT_ASSESSED and item.metric in ("auc", "auc_difference", "subset_auc")
        )
        and not item.key.split("/")[-1].startswith("site:")
    ]
    held = {item.key for item in evidence}
    for name in decisions:
        if name != CMAN and _whole(run.study, decisions, name):
            evidence += [e for e in _compared(run, lead, decisions, name, part, sites) if e.key not in held]
    return evidence


def _events(run: Run, table: Predictions) -> Evidence:
    """Return how many of the tested patients have the event: known only now."""
    cohort, events = COHORT_WORDS[table.part], int(table.outcome.sum())
    row = {"part": table.part.value, "patients": len(table.outcome), "positive": events}
    return Evidence(
        key=f"data/outcomes/{cohort}",
        metric="outcomes",
        stage="assess",
        n=len(table.outcome),
        n_events=events,
        descriptive=True,
        phantom=run.study.phantom,
        detail={"parts": [row]},
    )


def _scores(
    run: Run, lead: Lead, decisions: Decisions, part: Part, sites: tuple[str, ...]
) -> list[tuple[ScoreDistribution, float]]:
    """Return distributions of CMAN's calibrated risks, each with the threshold that holds for it.

    Internal patients come fold by fold, each from the fold that never saw them; external ones are judged by
    all folds together. A fold that tests nobody is left out. Raises `NotEstimableError` when all are.
    """
    own = decisions[CMAN]
    if part is Part.EXTERNAL or len(own) == 1:
        cut = float(expit(np.mean([log_odds(decision.threshold) for decision in own.values()])))
        threshold = cut if len(own) > 1 else own[0].threshold
        return [(_asked(lead, decisions, part, None, sites), threshold)]
    found: list[tuple[ScoreDistribution, float]] = []
    for fold, decision in sorted(own.items()):
        try:
            found.append((_asked(lead, decisions, part, fold, sites), decision.threshold))
        except NotEstimableError:
            continue
    if not found:
        raise NotEstimableError("there is no test patient", remedy="gather cases")
    return found


def _asked(
    lead: Lead, decisions: Decisions, part: Part, fold: int | None, sites: tuple[str, ...]
) -> ScoreDistribution:
    """Return the distribution of CMAN's calibrated risks in one fold, or over all."""
    exchange = lead.exchange(scores_subject(part, fold, [CMAN]), secure=True, sites=sites)
    return conduct(Scores(), calibrated(exchange, calibrations(decisions, [CMAN]))).result


def calibrations(decisions: Decisions, names: Sequence[str]) -> NDArray[np.float64]:
    """Return slope and intercept of models in every fold (models, folds, 2)."""
    by_model = [[decisions[name][fold].platt for fold in sorted(decisions[name])] for name in names]
    return np.array([[[platt.slope, platt.intercept] for platt in folds] for folds in by_model])


def predictions_of(scores: Sequence[tuple[ScoreDistribution, float]], part: Part) -> Predictions:
    """Return distributions as a table of nobody's predictions: outcome and risk, in no patient's order."""
    risk = np.concatenate([found.score for found, _ in scores])
    count = len(risk)
    return Predictions(
        patient=np.array([f"of-{count}-{i}" for i in range(count)]),
        site=np.full(count, "all"),
        part=part,
        outcome=np.concatenate([found.outcome for found, _ in scores]),
        risk={CMAN: risk},
        decision={CMAN: np.concatenate([found.score >= threshold for found, threshold in scores])},
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
    pair = [CMAN, name]
    exchange = lead.exchange(scores_subject(part, None, pair), secure=True, sites=sites)
    exchange = calibrated(exchange, calibrations(decisions, pair))
    cohort = COHORT_WORDS[part]
    keys = f"auc/{name}/{cohort}/all", f"auc_difference/cman~{name}/{cohort}/all"
    try:
        found: Aucs = conduct(DeLong(models=2), exchange).result
    except (PolicyError, NotEstimableError) as error:
        return [
            Evidence.not_assessed(
                key=key,
                metric=key.partition("/")[0],
                stage="validate",
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
