"""What the bundle of a locked model holds, wherever it was trained: its card, and the encoders below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from huizhen.core.files import write_json, write_text
from huizhen.core.study import ImageModality, Role, Study, Variant
from huizhen.data.preprocess import PREPROCESSING_VERSION
from huizhen.data.tables import TableEncoding
from huizhen.models.card import Card, model_card_markdown
from huizhen.pipeline.decisions import Decisions
from huizhen.pipeline.stage import ARTEFACTS
from huizhen.train.harmony import Harmony

__all__ = ["HARMONY", "MODEL", "card_values", "frozen_encoders", "harmony_tensors", "write_card"]

MODEL = "model"
HARMONY = "harmony"
"""The bundle's folder within the lock's."""


def card_values(
    study: Study,
    decisions: Decisions,
    encodings: Sequence[Mapping[str, TableEncoding]],
    *,
    training: Mapping[str, Any],
    limits: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the card of CMAN as plain values.

    `decisions` may be of other models too; `encodings`: each fold's, by table modality; `training`: whose
    data it learnt from, without the seed; `limits`: those beside the ones of every model of the study.
    """
    named = {
        f"{name}/fold{fold}": decision
        for name, by_fold in decisions.items()
        if name.partition("|")[0] == Variant.CMAN.value
        for fold, decision in by_fold.items()
    }
    return {
        "name": study.name,
        "version": str(study.version),
        "study_digest": study.digest,
        "task": study.task.model_dump(mode="json"),
        "network": study.network.model_dump(mode="json"),
        "modalities": [m.model_dump(mode="json") for m in study.modality],
        "preprocessing": _preprocessing(study, encodings),
        "thresholds": {name: decision.threshold for name, decision in named.items()},
        "calibration": {
            name: {"method": "logistic", "slope": d.platt.slope, "intercept": d.platt.intercept}
            for name, d in named.items()
        },
        "training": {**training, "seed": study.seed},
        "intended_use": f"Research: {study.question}",
        "limits": [*_limits(study), *limits],
        "phantom": study.phantom,
    }


def write_card(folder: Path, card: Card) -> None:
    """Write a card into a stage's artefacts, for programs and for people."""
    write_json(folder / ARTEFACTS / "model_card.json", card.model_dump(mode="json"))
    write_text(folder / ARTEFACTS / "model_card.md", model_card_markdown(card))


def frozen_encoders(study: Study) -> dict[str, Any]:
    """Return the tensors of the encoders that features are of; none where encoders are trained themselves."""
    if study.training.mode != "frozen":
        return {}
    from huizhen.train.features import frozen_encoder

    return {
        f"encoder/{modality.name}/{name}": value
        for modality in study.image_modalities
        for name, value in frozen_encoder(modality, study.seed).state_dict().items()
    }


def harmony_tensors(folds: Mapping[int, Mapping[str, Harmony]]) -> dict[str, Any]:
    """Return the pooled part of each fold's harmonies as tensors; no site's own shift goes along."""
    import torch

    return {
        f"{HARMONY}/{modality}/fold{fold}/{name}": torch.from_numpy(
            np.array(value, np.int64 if value.dtype.kind == "i" else np.float32)
        )
        for fold, found in folds.items()
        for modality, harmony in found.items()
        for name, value in harmony.shared().to_arrays().items()
    }


def _preprocessing(
    study: Study, encodings: Sequence[Mapping[str, TableEncoding]]
) -> dict[str, dict[str, Any]]:
    """Return what turns each modality's payload into the network's input."""
    found: dict[str, dict[str, Any]] = {}
    for modality in study.modality:
        if isinstance(modality, ImageModality):
            found[modality.name] = {
                "letterbox": modality.size,
                "version": PREPROCESSING_VERSION,
                "mode": study.training.mode,
            }
            if study.harmonisation is not None:
                found[modality.name]["harmonisation"] = study.harmonisation.model_dump(mode="json")
        else:
            found[modality.name] = {f"fold{k}": e[modality.name].to_json() for k, e in enumerate(encodings)}
    return found


def _limits(study: Study) -> list[str]:
    """Return the limits that hold for any model of this version, and those of this study."""
    limits = ["Not a medical device: not for decisions about a patient.", _where(study)]
    if study.phantom:
        limits.append("Trained on simulated phantoms: no figure is clinical.")
    return limits


def _where(study: Study) -> str:
    """Return where the model was developed and tested."""
    development = sum(site.role is Role.DEVELOPMENT for site in study.site)
    further = len(study.site) - development
    sites = "site" if development == 1 else "sites"
    tested = f", tested at {further} further" if further else " and tested there"
    return f"Developed at {development} {sites}{tested}; elsewhere its performance is unknown."
