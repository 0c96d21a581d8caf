"""Fits over sites: each network from its rounds, on the regression of its tables; the clinical regression."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from huizhen.core.cohort import Part
from huizhen.core.digests import digest_value
from huizhen.core.evidence import Evidence
from huizhen.core.files import write_bytes
from huizhen.core.study_federation import Federation
from huizhen.federate.lead import Lead
from huizhen.federate.rounds import Round, Training
from huizhen.federate.strategies.interface import Weights
from huizhen.pipeline.federated_cohort import Sites, patients_of
from huizhen.pipeline.federated_labelling import asking_rounds, labelled
from huizhen.pipeline.federated_plan import FederatedModel, smallest_count_of
from huizhen.pipeline.federated_regression import (
    FittedTables,
    fitted_or_reason,
    regression_evidence,
    regression_of,
    tables_of,
)
from huizhen.pipeline.federated_tables import TablePlan
from huizhen.pipeline.fit_stage import WEIGHTS, network_of
from huizhen.pipeline.stage import Made, Run, Stage
from huizhen.train.floor import set_floor
from huizhen.train.local import shared_weights

FITTED = ("task", "modality", "network", "training", "federation", "privacy", "active", "seed", "split")
"""The parts of the study that a model depends on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What every fit stands on: the sites, the tables' plan, and the stages that these are from."""

    sites: Sites
    plan: TablePlan
    made_from: tuple[Stage, ...]
    """The cohort first."""


def federated_fit(
    run: Run, lead: Lead, federation: Federation, model: FederatedModel, ground: Ground
) -> Stage:
    """Return the stage of one model: a regression, or a network trained over the development sites."""
    from safetensors.numpy import save

    settings = run.study.model_dump(mode="json", include=set(FITTED))
    made_from = {stage.name: stage.digest for stage in ground.made_from}
    asking = asking_rounds(run, lead, model, ground.sites.development, ground.made_from[0])

    def body(folder: Path) -> Made:
        encodings = ground.plan.encodings[model.fold]
        found = _regression(run, lead, model, ground) if tables_of(model, encodings) else None
        evidence = [] if found is None else [regression_evidence(run, model, found)]
        if model.regression:
            weights = regression_of(found)
        else:
            before = asking.before if asking else None
            done = _trained(run, lead, federation, model, ground, found, before)
            weights = {n: np.asarray(w) for n, w in done.weights.items()}
            evidence += asking.end(folder, done.weights) if asking else []
            patients = labelled(run, ground.made_from[0]) or ground.sites.patients(Part.TRAIN)
            evidence.append(_rounds_evidence(run, lead, model, done, ground.sites, patients))
        write_bytes(folder / WEIGHTS, save(weights))
        return Made(evidence=evidence)

    inputs = [settings, list(made_from.values()), model.name]
    return run.stage(f"fit/{model.name}", inputs, body, made_from=made_from)


def _patients(lead: Lead, model: FederatedModel, ground: Ground) -> int:
    """Return how many patients train a model at all sites, or more."""
    if model.folds == 1:
        return ground.sites.patients(Part.TRAIN)
    counts = patients_of(lead, model.name, ground.sites.development)
    return sum(counts[f"{Part.TRAIN.value}/{outcome}"] for outcome in (0, 1))


def _regression(run: Run, lead: Lead, model: FederatedModel, ground: Ground) -> FittedTables | str:
    """Return the regression on a model's tables over the development sites, or why there is none."""
    if run.study.active is not None:
        return "labels are asked for between rounds, and a regression would need all of them before"
    sites = ground.sites.development
    counts = patients_of(lead, model.name, sites)
    each = counts[f"{Part.TRAIN.value}/0"], counts[f"{Part.TRAIN.value}/1"]
    smallest = smallest_count_of(run.study)
    encodings = ground.plan.encodings[model.fold]
    return fitted_or_reason(lead, model, encodings, sites, each, smallest=smallest)


def _trained(
    run: Run,
    lead: Lead,
    federation: Federation,
    model: FederatedModel,
    ground: Ground,
    found: FittedTables | str | None,
    before: Callable[[int, Weights], None] | None,
) -> Round:
    """Return the last round of a network, which starts on the regression of its tables."""
    network = network_of(run, model.planned, ground.plan.encodings[model.fold], model.seed(run.study))
    if isinstance(found, FittedTables):
        set_floor(network, found.regression)
    begun = [model.name, *(stage.digest for stage in ground.made_from)]
    training = Training(
        lead=lead,
        federation=federation,
        model=model.name,
        folder=run.folder / "rounds" / f"{digest_value(begun)[:16]}",
        sites=ground.sites.development,
        patients=_patients(lead, model, ground),
        before=before,
    )
    return training.run({n: w.numpy() for n, w in shared_weights(network).items()}, progress=run.progress)


def _rounds_evidence(
    run: Run, lead: Lead, model: FederatedModel, done: Round, sites: Sites, patients: int
) -> Evidence:
    """Return how the rounds of one network went, over so many training patients.

    Each round's patients are those of its updates: fewer where consents ended, or a site was away. Where
    noise hides who took part, a site counts one and nothing is said of patients.
    """
    hidden = run.study.federation is not None and run.study.federation.client_noise is not None
    counted = {} if hidden else {"patients_per_round": list(done.patients)}
    return Evidence(
        key=f"federation/{model.name}",
        metric="federation",
        stage="fit",
        n=patients,
        descriptive=True,
        phantom=run.study.phantom,
        seed=run.study.seed,
        detail={
            "rounds": done.number + 1,
            "sites_per_round": [len(each) for each in done.sites],
            **counted,
            "sites": list(sites.development),
            "bytes_sent": lead.journal.sent,
            "bytes_received": lead.journal.received,
            "seconds": round(lead.journal.seconds, 3),
            "secure": bool(run.study.federation and run.study.federation.secure),
        },
    )
