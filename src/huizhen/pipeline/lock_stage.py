"""The lock: calibration and thresholds from tuning data, and the model's digest, signed before any test."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from huizhen.core.cohort import Part
from huizhen.core.digests import Digest
from huizhen.core.files import write_json
from huizhen.core.study import Role, Variant
from huizhen.models.bundle import load_bundle, save_bundle
from huizhen.models.card import check_card
from huizhen.models.lesions import answering
from huizhen.pipeline.cohort_stage import OpenCohort
from huizhen.pipeline.conformal_cuts import CONFORMAL, conformal_cuts
from huizhen.pipeline.decisions import (
    DECISIONS,
    Decisions,
    plain_decisions,
    read_decisions,
)
from huizhen.pipeline.fit_stage import TUNE, WEIGHTS, FittedModel
from huizhen.pipeline.harmonise_stage import read_harmonies
from huizhen.pipeline.material import encodings_of
from huizhen.pipeline.model_bundle import (
    MODEL,
    card_values,
    frozen_encoders,
    harmony_tensors,
    write_card,
)
from huizhen.pipeline.stage import ARTEFACTS, Made, Run, Stage, study_part
from huizhen.pipeline.tuned import decided
from huizhen.pipeline.tuning_file import TUNING, Tuned, write_tuning

FORM = 2
"""The form of the stage's folder: another one is made anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """The locked study: its decisions and the stage that holds the model."""

    stage: Stage
    decisions: Decisions
    model_digest: Digest


def lock_stage(run: Run, cohort: OpenCohort, fits: Sequence[FittedModel]) -> Locked:
    """Fix calibration and thresholds on tuning data, save the model, and sign all of it."""

    def body(folder: Path) -> Made:
        tuned = _tuned(cohort, fits)
        decisions, evidence = decided(run.study, tuned)
        write_tuning(folder / ARTEFACTS / TUNING, tuned, phantom=run.study.phantom)
        plain = plain_decisions(decisions)
        write_json(folder / DECISIONS, plain)
        card = _card(run, cohort, decisions)
        digest = save_bundle(folder / MODEL, weights=_weights(run, fits), card=card)
        checked = check_card(card, file="card.json")
        write_card(folder, checked)
        lock = {"model_digest": digest, "study_digest": run.study.digest, "decisions": plain}
        if cuts := conformal_cuts(run.study, cohort.cases, tuned, decisions):
            write_json(folder / CONFORMAL, cuts)
            lock["conformal"] = cuts
        return Made(
            evidence=evidence,
            entries=[("model", {"card": checked.model_dump(mode="json"), "digest": digest}), ("lock", lock)],
        )

    inputs = [
        FORM,
        [f.stage.digest for f in fits],
        run.study.threshold.model_dump(mode="json"),
        run.study.digest,
    ]
    made_from = {
        **study_part(run.study, "threshold"),
        "cohort": cohort.stage.digest,
        **{f.stage.name: f.stage.digest for f in fits},
    }
    stage = run.stage("lock", inputs, body, made_from=made_from)
    digest = load_bundle(stage.folder / MODEL).digest
    return Locked(stage=stage, decisions=read_decisions(stage), model_digest=digest)


def _tuned(cohort: OpenCohort, fits: Sequence[FittedModel]) -> list[Tuned]:
    """Return every model's log-odds of tuning patients in every fold, the mean over its members."""
    outcome = {case.pseudonym: case.outcome for case in cohort.cases}
    logits: dict[tuple[str, int], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for fitted in fits:
        for name, values in fitted.stage.read(TUNE).items():
            for pseudonym, logit in values.items():
                logits[name, fitted.fold][pseudonym].append(logit)
    found: list[Tuned] = []
    for (name, fold), by_patient in logits.items():
        chosen = [p for p in outcome if p in by_patient]  # in the cohort's order
        mean = np.array([float(np.mean(by_patient[p])) for p in chosen])
        truth = np.array([outcome[p] == 1 for p in chosen], bool)
        found.append(Tuned(model=name, fold=fold, patient=chosen, outcome=truth, log_odds=mean))
    return found


def _weights(run: Run, fits: Sequence[FittedModel]) -> dict[str, Any]:
    """Return all tensors of the model: every CMAN fit, and the encoders it was fitted over."""
    from safetensors.torch import load_file

    tensors: dict[str, Any] = {}
    for fitted in fits:
        if fitted.model.variant is Variant.CMAN:
            prefix = f"fold{fitted.fold}/member{fitted.member}/"
            found = answering(load_file(fitted.stage.folder / WEIGHTS))
            tensors |= {prefix + name: value for name, value in found.items()}
    return tensors | frozen_encoders(run.study) | _harmonies(fits)


def _harmonies(fits: Sequence[FittedModel]) -> dict[str, Any]:
    """Return what image features are harmonised by in each fold: the part that all sites share."""
    stage = next((f.harmony for f in fits), None)
    folds = sorted({f.fold for f in fits}) if stage else []
    return harmony_tensors({fold: read_harmonies(stage, fold) for fold in folds})


def _card(run: Run, cohort: OpenCohort, decisions: Decisions) -> dict[str, Any]:
    """Return the model's card as plain values."""
    learnt = cohort.within(Part.TRAIN, Part.TUNE)
    training = {
        "sites": [s.name for s in run.study.site if s.role is Role.DEVELOPMENT],
        "n": len(learnt),
        "n_events": sum(case.outcome == 1 for case in learnt),
        **_division(cohort),
    }
    encodings = [encodings_of(run, cohort.cases, fold) for fold in cohort.folds]
    return card_values(run.study, decisions, encodings, training=training)


def _division(cohort: OpenCohort) -> dict[str, int]:
    """Return how many trained and tuned, with events; nothing where folds take turns."""
    if len(cohort.folds) > 1:
        return {}
    found: dict[str, int] = {}
    for part in (Part.TRAIN, Part.TUNE):
        cases = cohort.within(part)
        found[f"n_{part.value}"] = len(cases)
        found[f"n_{part.value}_events"] = sum(case.outcome == 1 for case in cases)
    return found
