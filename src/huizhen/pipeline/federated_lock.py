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
from huizhen.pipeline.conformal_cuts import CONFORMAL, common_cuts
from huizhen.pipeline.decisions import DECISIONS, no_threshold, plain_decisions
from huizhen.pipeline.federated_cohort import Sites
from huizhen.pipeline.federated_fit import Ground
from huizhen.pipeline.federated_heads import site_heads
from huizhen.pipeline.federated_labelling import learnt_from
from huizhen.pipeline.federated_model import save_model
from huizhen.pipeline.federated_plan import FederatedModel, calibrated, folds_of, scores_subject
from huizhen.pipeline.fit_stage import WEIGHTS, subset_names
from huizhen.pipeline.model_bundle import write_card
from huizhen.pipeline.stage import Made, Run, Stage
from huizhen.pipeline.tuned import decided
from huizhen.pipeline.tuning_file import Tuned


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
        tuned, without = _tuned(run, lead, models, sites)
        decisions, evidence = decided(run.study, tuned)
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
        if cuts := common_cuts(run.study, tuned, decisions):
            write_json(folder / CONFORMAL, cuts)
            lock["conformal"] = cuts
        return Made(evidence=[*evidence, *without], entries=[*entries, ("lock", lock)])

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


def _tuned(
    run: Run, lead: Lead, models: Sequence[FederatedModel], sites: Sites
) -> tuple[list[Tuned], list[Evidence]]:
    """Return every model's scores of tuning patients in every fold, and evidence of those without any."""
    found: list[Tuned] = []
    without: list[Evidence] = []
    for name, fold in dict.fromkeys(
        (name, m.fold) for m in models for name in (m.planned.name, *subset_names(run, m.planned))
    ):
        try:
            scores = tuning_scores(run, lead, name, fold, sites.development)
        except NotEstimableError as error:
            without.append(no_threshold(f"threshold/{name}/fold{fold}", error))
            continue
        patients = [f"of-{place}" for place in range(len(scores.outcome))]  # nobody's
        found.append(
            Tuned(
                model=name,
                fold=fold,
                patient=patients,
                outcome=scores.outcome,
                log_odds=np.asarray(logit(scores.score)),
            )
        )
    return found, without


def tuning_scores(run: Run, lead: Lead, model: str, fold: int, sites: tuple[str, ...]) -> ScoreDistribution:
    """Return the distribution of a model's uncalibrated risks over the sites' tuning patients of a fold."""
    subject = scores_subject(Part.TUNE, fold, [model])
    uncalibrated = np.tile([1.0, 0.0], (1, folds_of(run.study), 1))
    exchange = lead.exchange(subject, secure=True, sites=sites)
    return conduct(Scores(), calibrated(exchange, uncalibrated)).result
