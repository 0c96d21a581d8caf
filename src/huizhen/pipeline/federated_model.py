"""The locked model of a federated study as a bundle at the lead: weights, preprocessing, thresholds, card.

The lead has seen no patient; what it knows for the card are the sites' counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from huizhen.core.study import Study, Variant
from huizhen.core.study_active import Annotator
from huizhen.models.bundle import save_bundle
from huizhen.models.card import Card, check_card
from huizhen.models.lesions import answering
from huizhen.pipeline.decisions import Decisions
from huizhen.pipeline.federated_plan import FederatedModel, folds_of
from huizhen.pipeline.federated_tables import TablePlan
from huizhen.pipeline.fit_stage import WEIGHTS, network_of
from huizhen.pipeline.labelling_evidence import SIMULATED
from huizhen.pipeline.model_bundle import MODEL, card_values, frozen_encoders, harmony_tensors
from huizhen.pipeline.stage import Run, Stage


def save_model(
    run: Run,
    folder: Path,
    fits: Mapping[FederatedModel, Stage],
    decisions: Decisions,
    sites: Sequence[str],
    counts: Mapping[str, int],
    plan: TablePlan,
) -> tuple[str, Card]:
    """Write the bundle of CMAN into `folder` and return its digest and card.

    `sites`: the development sites; `counts`: "train/0" and so on -> patients at all of them; `plan`: the
    tables' encodings. Raises `ModelError` when the parts don't fit together.
    """
    card = check_card(_card(run, decisions, sites, counts, plan), file="card.json")
    weights = _weights(run, plan, {m: s for m, s in fits.items() if m.planned.variant is Variant.CMAN})
    return save_bundle(folder / MODEL, weights=weights, card=card), card


def _weights(run: Run, plan: TablePlan, fits: Mapping[FederatedModel, Stage]) -> dict[str, Any]:
    """Return all tensors: every member's whole network, and the frozen encoders that its features are of."""
    from safetensors.torch import load_file

    tensors: dict[str, Any] = {}
    for model, fit in fits.items():
        network = network_of(run, model.planned, plan.encodings[model.fold], model.seed(run.study))
        state = answering({**network.state_dict(), **load_file(fit.folder / WEIGHTS)})
        tensors |= {f"fold{model.fold}/member{model.member}/{name}": value for name, value in state.items()}
    folds = {model.fold for model in fits}
    moved = {fold: plan.harmonies[fold] for fold in sorted(folds)} if plan.harmonies else {}
    return tensors | frozen_encoders(run.study) | harmony_tensors(moved)


def _card(
    run: Run,
    decisions: Decisions,
    sites: Sequence[str],
    counts: Mapping[str, int],
    plan: TablePlan,
) -> dict[str, Any]:
    """Return the model's card as plain values."""
    parts = ("train/", "tune/") if folds_of(run.study) == 1 else ("train/", "tune/", "test/")
    learnt = {cell: n for cell, n in counts.items() if cell.startswith(parts)}
    training = {
        "sites": list(sites),
        "n": sum(learnt.values()),
        "n_events": sum(n for cell, n in learnt.items() if cell.endswith("/1")),
        **_division(run.study, counts),
    }
    return card_values(run.study, decisions, plan.encodings, training=training, limits=_own_limits(run.study))


def _division(study: Study, counts: Mapping[str, int]) -> dict[str, int]:
    """Return how many trained and tuned, with events; nothing where folds take turns."""
    if folds_of(study) > 1 or study.active is not None:
        return {}
    found: dict[str, int] = {}
    for part in ("train", "tune"):
        found[f"n_{part}"] = sum(n for cell, n in counts.items() if cell.startswith(f"{part}/"))
        found[f"n_{part}_events"] = counts.get(f"{part}/1", 0)
    return found


def _own_limits(study: Study) -> list[str]:
    """Return the limits of a model whose sites kept some of its weights, or whose labels were simulated."""
    federation, active = study.federation, study.active
    found: list[str] = []
    if federation is not None and federation.site_specific:
        kept = ", ".join(federation.site_specific)
        found.append(f"Weights that stayed at their sites ({kept}) stand at their first values here.")
    if active is not None and active.annotator is Annotator.ORACLE:
        found.append(f"{SIMULATED[:1].upper()}{SIMULATED[1:]}.")
    return found
