"""The lock: calibration and thresholds from tuning data, and the model's digest, signed before any test."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from huizhen.core.cohort import Part
from huizhen.core.digests import Digest
from huizhen.core.evidence import Evidence, Verdict
from huizhen.core.files import write_json, write_text
from huizhen.core.study import ImageModality, Role, Variant
from huizhen.data.preprocess import PREPROCESSING_VERSION
from huizhen.errors import NotEstimableError
from huizhen.models.bundle import load_bundle, save_bundle
from huizhen.models.card import check_card, model_card_markdown
from huizhen.pipeline.cohort_stage import OpenCohort
from huizhen.pipeline.fit_stage import TUNE, WEIGHTS, FittedModel
from huizhen.pipeline.material import encodings_of
from huizhen.pipeline.stage import ARTEFACTS, Made, Run, Stage, study_part
from huizhen.pipeline.tuning_file import TUNING, Tuned, write_tuning
from huizhen.validate.assessments.interface import FEW
from huizhen.validate.calibration import Platt, apply_platt, fit_platt
from huizhen.validate.thresholds import choose_threshold

DECISIONS, MODEL = "decisions.json", "model"
LEAST_SLOPE = 1e-3
FORM = 2
"""The form of the stage's folder: another one is made anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """How one model's log-odds in one fold become a risk and a decision."""

    platt: Platt
    threshold: float

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"platt": asdict(self.platt), "threshold": self.threshold}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Decision:
        """Return what `to_json` gave."""
        return cls(platt=Platt(**record["platt"]), threshold=record["threshold"])


Decisions = Mapping[str, Mapping[int, Decision]]
"""Model name -> fold -> decision."""


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
        decisions, evidence = _decide(run, tuned)
        write_tuning(folder / ARTEFACTS / TUNING, tuned, phantom=run.study.phantom)
        plain = {m: {str(k): d.to_json() for k, d in by_fold.items()} for m, by_fold in decisions.items()}
        write_json(folder / DECISIONS, plain)
        card = _card(run, cohort, decisions)
        digest = save_bundle(folder / MODEL, weights=_weights(run, fits), card=card)
        checked = check_card(card, file="card.json")
        write_json(folder / ARTEFACTS / "model_card.json", checked.model_dump(mode="json"))
        write_text(folder / ARTEFACTS / "model_card.md", model_card_markdown(checked))
        lock = {"model_digest": digest, "study_digest": run.study.digest, "decisions": plain}
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
    decisions = {
        model: {int(fold): Decision.from_json(record) for fold, record in by_fold.items()}
        for model, by_fold in stage.read(DECISIONS).items()
    }
    return Locked(stage=stage, decisions=decisions, model_digest=load_bundle(stage.folder / MODEL).digest)


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


def _decide(run: Run, tuned: Sequence[Tuned]) -> tuple[dict[str, dict[int, Decision]], list[Evidence]]:
    """Return every model's decision in every fold, with its evidence."""
    decisions: dict[str, dict[int, Decision]] = defaultdict(dict)
    evidence: list[Evidence] = []
    for one in tuned:
        name, fold, mean, truth = one.model, one.fold, one.log_odds, one.outcome
        key = f"threshold/{name}/fold{fold}"
        try:
            decision = decide(run, mean, truth)
        except NotEstimableError as error:
            evidence.append(
                Evidence(
                    key=key,
                    metric="threshold",
                    stage="lock",
                    verdict=Verdict.NOT_ASSESSED,
                    reason=error.message,
                )
            )
            continue
        decisions[name][fold] = decision
        evidence.append(_threshold_evidence(run, key, decision, one))
    return decisions, evidence


def decide(run: Run, logits: np.ndarray[Any, np.dtype[np.float64]], truth: Any) -> Decision:
    """Return calibration and threshold from tuning log-odds (n,) and outcomes (n,).

    A model that ranks no better than chance on tuning data keeps its order: the slope is held above 0.
    Raises `NotEstimableError` when a class is missing.
    """
    platt = fit_platt(logits, truth)
    if platt.slope < LEAST_SLOPE:
        rate = float(np.mean(truth))
        platt = Platt(intercept=math.log(rate / (1 - rate)), slope=LEAST_SLOPE)
    return Decision(
        platt=platt, threshold=choose_threshold(truth, apply_platt(platt, logits), run.study.threshold)
    )


def _threshold_evidence(run: Run, key: str, decision: Decision, tuned: Tuned) -> Evidence:
    """Return a threshold as evidence, with what it attained on the patients that it was chosen from."""
    rule, truth = run.study.threshold, tuned.outcome
    called = apply_platt(decision.platt, tuned.log_odds) >= decision.threshold
    events = int(truth.sum())
    detail: dict[str, Any] = {
        "rule": rule.rule,
        "target": rule.target,
        "tuning_n": len(truth),
        "tuning_events": events,
        "attained_sensitivity": float(called[truth].mean()),
        "attained_specificity": float((~called[~truth]).mean()),
        "calibration_intercept": decision.platt.intercept,
        "calibration_slope": decision.platt.slope,
    }
    return Evidence(
        key=key,
        metric="threshold",
        stage="lock",
        estimate=decision.threshold,
        n=len(truth),
        n_events=events,
        descriptive=True,
        phantom=run.study.phantom,
        detail=detail | ({"small": True} if min(events, len(truth) - events) < FEW else {}),
    )


def _weights(run: Run, fits: Sequence[FittedModel]) -> dict[str, Any]:
    """Return all tensors of the model: every CMAN fit, and the encoders it was fitted over."""
    from safetensors.torch import load_file

    tensors: dict[str, Any] = {}
    for fitted in fits:
        if fitted.model.variant is Variant.CMAN:
            prefix = f"fold{fitted.fold}/member{fitted.member}/"
            found = load_file(fitted.stage.folder / WEIGHTS)
            tensors |= {prefix + name: value for name, value in found.items()}
    if run.study.training.mode == "frozen":
        from huizhen.train.features import frozen_encoder

        for modality in run.study.image_modalities:
            state = frozen_encoder(modality, run.study.seed).state_dict()
            tensors |= {f"encoder/{modality.name}/{name}": value for name, value in state.items()}
    return tensors


def _card(run: Run, cohort: OpenCohort, decisions: Decisions) -> dict[str, Any]:
    """Return the model's card as plain values."""
    study = run.study
    train = cohort.within(Part.TRAIN, Part.TUNE)
    flat = {
        f"{name}/fold{fold}": decision
        for name, by_fold in decisions.items()
        if name.startswith("cman")
        for fold, decision in by_fold.items()
    }
    return {
        "name": study.name,
        "version": "1",
        "study_digest": study.digest,
        "task": study.task.model_dump(mode="json"),
        "network": study.network.model_dump(mode="json"),
        "modalities": [m.model_dump(mode="json") for m in study.modality],
        "preprocessing": _preprocessing(run, cohort),
        "thresholds": {name: decision.threshold for name, decision in flat.items()},
        "calibration": {
            name: {"method": "logistic", "slope": d.platt.slope, "intercept": d.platt.intercept}
            for name, d in flat.items()
        },
        "training": {
            "sites": [s.name for s in study.site if s.role is Role.DEVELOPMENT],
            "n": len(train),
            "n_events": sum(case.outcome == 1 for case in train),
            **_division(cohort),
            "seed": study.seed,
        },
        "intended_use": f"Research: {study.question}",
        "limits": model_limits(run),
        "phantom": study.phantom,
    }


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


def _preprocessing(run: Run, cohort: OpenCohort) -> dict[str, dict[str, Any]]:
    """Return what turns each modality's payload into the network's input."""
    found: dict[str, dict[str, Any]] = {}
    encodings = [encodings_of(run, cohort.cases, fold) for fold in cohort.folds]
    for modality in run.study.modality:
        if isinstance(modality, ImageModality):
            found[modality.name] = {
                "letterbox": modality.size,
                "version": PREPROCESSING_VERSION,
                "mode": run.study.training.mode,
            }
        else:
            found[modality.name] = {
                f"fold{k}": by_modality[modality.name].to_json() for k, by_modality in enumerate(encodings)
            }
    return found


def model_limits(run: Run) -> list[str]:
    """Return the limits that hold for any model of this version, and those of this study."""
    limits = [
        "Not a medical device: not for decisions about a patient.",
        _where(run),
    ]
    if run.study.phantom:
        limits.append("Trained on simulated phantoms: no figure is clinical.")
    return limits


def _where(run: Run) -> str:
    """Return where the model was developed and tested."""
    development = sum(site.role is Role.DEVELOPMENT for site in run.study.site)
    further = len(run.study.site) - development
    sites = "site" if development == 1 else "sites"
    tested = f", tested at {further} further" if further else " and tested there"
    return f"Developed at {development} {sites}{tested}; elsewhere its performance is unknown."
