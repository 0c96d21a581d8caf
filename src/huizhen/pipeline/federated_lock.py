"""The lock of a federated study: sites get the finished weights; calibration and thresholds are fixed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import logit

from huizhen.core.cohort import Part
from huizhen.core.evidence import Evidence
from huizhen.core.files import write_json
from huizhen.core.study import Variant
from huizhen.errors import NotEstimableError
from huizhen.federate import messages as wire
from huizhen.federate.lead import Lead
from huizhen.federate.orders import order
from huizhen.federate.statistics.runner import conduct
from huizhen.federate.statistics.scores import ScoreDistribution, Scores
from huizhen.pipeline.decisions import (
    DECISIONS,
    Decision,
    chosen_by,
    decide,
    no_threshold,
    plain_decisions,
    threshold_evidence,
)
from huizhen.pipeline.federated_cohort import Sites
from huizhen.pipeline.federated_fit import Ground
from huizhen.pipeline.federated_heads import site_heads
from huizhen.pipeline.federated_labelling import learnt_from
from huizhen.pipeline.federated_model import save_model
from huizhen.pipeline.federated_plan import FederatedModel, calibrated, folds_of, scores_subject
from huizhen.pipeline.fit_stage import WEIGHTS, subset_names
from huizhen.pipeline.model_bundle import write_card
from huizhen.pipeline.stage import Made, Run, Stage


def federated_lock(
    run: Run, lead: Lead, models: Sequence[FederatedModel], fits: Sequence[Stage], ground: Ground
) -> Stage:
    """Give the sites the finished weights, and fix calibration and thresholds on tuning patients' scores."""
    from safetensors.numpy import load_file

    sites = ground.sites
    weights = {m.name: load_file(f.folder / WEIGHTS) for m, f in zip(models, fits, strict=True)}
    for model, found in weights.items():
        hold = wire.Hold(study=run.study.digest, sender=wire.LEAD, model=model)
        order(lead, hold, lead.taking_part, found)

    def body(folder: Path) -> Made:
        decisions, evidence = _all_decided(run, lead, models, sites)
        plain = plain_decisions(decisions)
        write_json(folder / DECISIONS, plain)
        digests = {f"{model}": stage.digest for model, stage in zip(weights, fits, strict=True)}
        lock: dict[str, Any] = {
            "study_digest": run.study.digest,
            "models": digests,
            "decisions": plain,
        }
        entries: list[tuple[str, dict[str, Any]]] = []
        if len(decisions.get(Variant.CMAN.value, {})) == folds_of(run.study):  # no threshold, no model
            by_model = dict(zip(models, fits, strict=True))
            counts = sites.counts["development"] | learnt_from(fits[0].folder)
            digest, card = save_model(
                run, folder, by_model, decisions, sites.development, counts, ground.plan
            )
            write_card(folder, card)
            entries.append(("model", {"card": card.model_dump(mode="json"), "digest": digest}))
            lock["model_digest"] = digest
        return Made(evidence=evidence, entries=[*entries, ("lock", lock)])

    inputs = [[f.digest for f in fits], run.study.threshold.model_dump(mode="json"), run.study.digest]
    locked = run.stage("lock", inputs, body, made_from={f.name: f.digest for f in fits})
    lock = wire.Lock(study=run.study.digest, sender=wire.LEAD, digest=locked.digest)
    order(lead, lock, lead.taking_part)
    run.stage(
        "site heads",
        [locked.digest],
        lambda _: Made(entries=[site_heads(lead, lead.taking_part, "locked")]),
        made_from={"lock": locked.digest},
    )
    return locked


def _all_decided(
    run: Run, lead: Lead, models: Sequence[FederatedModel], sites: Sites
) -> tuple[dict[str, dict[int, Decision]], list[Evidence]]:
    """Return every model's decision in every fold, with its evidence."""
    decisions: dict[str, dict[int, Decision]] = {}
    evidence: list[Evidence] = []
    for name, fold in dict.fromkeys(
        (name, m.fold) for m in models for name in (m.planned.name, *subset_names(run, m.planned))
    ):
        decision, told = _decided(run, lead, name, fold, sites)
        evidence.append(told)
        if decision is not None:
            decisions.setdefault(name, {})[fold] = decision
    return decisions, evidence


def _decided(run: Run, lead: Lead, name: str, fold: int, sites: Sites) -> tuple[Decision | None, Evidence]:
    """Return one model's calibration and threshold in one fold, and its evidence."""
    key = f"threshold/{name}/fold{fold}"
    try:
        scores = tuning_scores(run, lead, name, fold, sites.development)
        decision = decide(run.study, logit(scores.score), scores.outcome)
    except NotEstimableError as error:
        return None, no_threshold(key, error)
    n, n_events = len(scores.outcome), int(scores.outcome.sum())
    detail = chosen_by(run.study, n, decision)
    told = threshold_evidence(run.study, key, decision.threshold, n=n, n_events=n_events, detail=detail)
    return decision, told


def tuning_scores(run: Run, lead: Lead, model: str, fold: int, sites: tuple[str, ...]) -> ScoreDistribution:
    """Return the distribution of a model's uncalibrated risks over the sites' tuning patients of a fold."""
    subject = scores_subject(Part.TUNE, fold, [model])
    uncalibrated = np.tile([1.0, 0.0], (1, folds_of(run.study), 1))
    exchange = lead.exchange(subject, secure=True, sites=sites)
    return conduct(Scores(), calibrated(exchange, uncalibrated)).result
