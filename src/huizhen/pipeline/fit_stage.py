"""The fit stages: one for every model, fold and member; each keeps its weights and its tuning log-odds."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.cohort import Part
from huizhen.core.digests import Digest, digest_value
from huizhen.core.evidence import Evidence
from huizhen.core.files import write_bytes, write_json
from huizhen.core.streams import stream_seed
from huizhen.core.study import Variant
from huizhen.data.splits import Fold
from huizhen.data.tables import TableEncoding
from huizhen.models.build import build_network
from huizhen.models.network import Network
from huizhen.pipeline.cohort_stage import OpenCohort
from huizhen.pipeline.harmonise_stage import harmonise_stage, read_harmonies
from huizhen.pipeline.material import Columns, Material, cases_digest, encodings_of, slices_of
from huizhen.pipeline.plan import PlannedModel, planned_models, subsets
from huizhen.pipeline.stage import Made, Run, Stage
from huizhen.pipeline.subset_logits import subset_logits
from huizhen.train.arrays import CaseData
from huizhen.train.checkpoints import History
from huizhen.train.fit import Fit
from huizhen.train.floor import lay_floor
from huizhen.train.table_regression import TableRegression, fit_table_regression, table_features

WEIGHTS, TUNE, REGRESSION = "weights.safetensors", "tune.json", "regression.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedModel:
    """One finished fit: which model, fold and member, and its stage."""

    model: PlannedModel
    fold: int
    member: int
    stage: Stage
    harmony: Stage | None = None
    """What its image features were harmonised by."""


@dataclass(frozen=True)
class Development:
    """Everything that fits may see: training and tuning patients (with folds, every development patient)."""

    run: Run
    cohort: OpenCohort
    harmony: Stage | None = None
    """What image features are harmonised by, where the study asks for it."""

    @cached_property
    def material(self) -> Material:
        """The development cases and their columns, made once when the first fit needs them."""
        cases = self.cohort.within(Part.TRAIN, Part.TUNE)
        return Material(run=self.run, cases=cases, columns=Columns(self.run, cases, augmented=True))

    @cached_property
    def digest(self) -> Digest:
        """The digest of what may be learned from."""
        return cases_digest(self.cohort.within(Part.TRAIN, Part.TUNE))

    def rows(self, fold: Fold, part: Part, data: CaseData, names: tuple[str, ...]) -> NDArray[np.int64]:
        """Return the rows of a fold's part that have at least one of the modalities `names`.

        In the cohort's order, not by pseudonym: another signing key names patients otherwise, and the same
        study must give the same model under it.
        """
        place = self.material.place
        rows = np.array(sorted(place[p] for p in fold.members(part) if p in place), np.int64)
        return rows[data.answerable(names)[rows]]


def fit_stages(run: Run, cohort: OpenCohort) -> list[FittedModel]:
    """Return every fit that the study plans, in order, fitting those that aren't there."""
    development = Development(run, cohort, harmonise_stage(run, cohort))
    return [
        FittedModel(
            model=model,
            fold=fold.index,
            member=member,
            stage=_fit_stage(development, model, fold, member),
            harmony=development.harmony,
        )
        for model in planned_models(run.study)
        for fold in cohort.folds
        for member in range(run.study.training.members if model.variant is not Variant.TABLE_LR else 1)
    ]


def _fit_stage(development: Development, model: PlannedModel, fold: Fold, member: int) -> Stage:
    """Return the stage of one fit."""
    run = development.run
    study = run.study
    settings = study.model_dump(mode="json", include={"task", "modality", "network", "training", "seed"})
    settings["network"].pop("variants")
    parts = {p: part.value for p, part in fold.parts.items() if part in (Part.TRAIN, Part.TUNE)}
    about = f"{model.name} {fold.index + 1}/{len(development.cohort.folds)}"
    inputs = [settings, development.digest, digest_value(parts), model.name, member]
    harmony = development.harmony
    inputs += [harmony.digest] if harmony else []
    checkpoint = run.folder / "checkpoints" / f"{digest_value(inputs)[:16]}.safetensors"

    def body(folder: Path) -> Made:
        if model.variant is Variant.TABLE_LR:
            return _fit_regression(development, model, fold, folder)
        return _fit_network(development, model, fold, member, folder, checkpoint, about)

    made_from = {
        "study: task, modality, network (without variants), training, seed": digest_value(settings),
        "cohort": development.cohort.stage.digest,
        "development cases": development.digest,
        "parts of the fold": digest_value(parts),
        **({harmony.name: harmony.digest} if harmony else {}),
    }
    name = f"fit/{model.name}/fold{fold.index}/member{member}"
    stage = run.stage(name, inputs, body, made_from=made_from)
    checkpoint.unlink(missing_ok=True)  # only now: a run killed before the stage was whole still needs it
    return stage


def _fit_network(
    development: Development,
    model: PlannedModel,
    fold: Fold,
    member: int,
    folder: Path,
    checkpoint: Path,
    about: str,
) -> Made:
    """Fit one network into `folder`."""
    from safetensors.torch import save

    run = development.run
    material = development.material
    encodings = encodings_of(run, material.cases, fold)
    data = material.data(encodings, read_harmonies(development.harmony, fold.index))
    seed = stream_seed(run.study.seed, "fit", model.name, fold.index, member)
    network = network_of(run, model, encodings, seed)
    tune = development.rows(fold, Part.TUNE, data, model.modalities)
    fit = Fit(
        study=run.study,
        data=data,
        names=model.modalities,
        train=development.rows(fold, Part.TRAIN, data, model.modalities),
        tune=tune,
        seed=seed,
    )
    lay_floor(network, data, fit.train, seed)
    fitted = fit.run(network, checkpoint, progress=run.progress, about=about)
    network.load_state_dict(dict(fitted.weights))
    write_bytes(folder / WEIGHTS, save({name: value.contiguous() for name, value in fitted.weights.items()}))
    keeps = {model.name: None, **subset_names(run, model)}
    logits = subset_logits(network, data, tune, model.modalities, keeps)
    _write_tune(folder, material, tune, logits, data)
    return Made(evidence=[_training_evidence(run, model, fold, member, fitted.history, len(fit.train))])


def _fit_regression(development: Development, model: PlannedModel, fold: Fold, folder: Path) -> Made:
    """Fit the clinical regression into `folder`."""
    material = development.material
    data = material.data(encodings_of(development.run, material.cases, fold))
    train = development.rows(fold, Part.TRAIN, data, model.modalities)
    tune = development.rows(fold, Part.TUNE, data, model.modalities)
    seed = stream_seed(development.run.study.seed, "fit", model.name, fold.index)
    regression = fit_table_regression(data, train, seed)
    write_json(
        folder / REGRESSION, {"weights": regression.weights.tolist(), "intercept": regression.intercept}
    )
    _write_tune(folder, material, tune, {model.name: regression.logits(table_features(data, tune))}, data)
    return Made()


def subset_names(run: Run, model: PlannedModel) -> dict[str, tuple[str, ...]]:
    """Return the subsets that a full CMAN is also asked with: name -> modalities shown."""
    if model.variant is not Variant.CMAN:
        return {}
    return {f"{model.name}|{'+'.join(some)}": some for some in subsets(run.study)}


def _write_tune(
    folder: Path,
    material: Material,
    tune: NDArray[np.int64],
    logits: Mapping[str, NDArray[np.float64]],
    data: CaseData,
) -> None:
    """Keep the tuning log-odds: name -> pseudonym -> log-odds, of those who have all that is shown."""
    names = [material.cases[row].pseudonym for row in tune]
    kept: dict[str, dict[str, float]] = {}
    for name, values in logits.items():
        shown = name.partition("|")[2].split("+") if "|" in name else []
        complete = data.complete(shown)[tune]
        kept[name] = {
            p: float(v)
            for p, v, whole in zip(names, values, complete, strict=True)
            if whole and math.isfinite(v)
        }
    write_json(folder / TUNE, kept)


def _training_evidence(
    run: Run, model: PlannedModel, fold: Fold, member: int, history: History, n: int
) -> Evidence:
    """Return the training curve as evidence."""
    detail = {
        "epoch": list(range(1, len(history.loss) + 1)),
        "loss": [round(v, 6) for v in history.loss],
        "tune_auc": [None if v is None else round(v, 6) for v in history.tune_auc],
        "member": member,
        "kept_epoch": history.kept_epoch,
    }
    return Evidence(
        key=f"training/{model.name}/fold{fold.index}/member{member}",
        metric="training",
        stage="fit",
        n=n,
        descriptive=True,
        phantom=run.study.phantom,
        seed=run.study.seed,
        detail=detail,
    )


def network_of(run: Run, model: PlannedModel, encodings: Mapping[str, TableEncoding], seed: int) -> Network:
    """Return a fresh network of `model`."""
    return build_network(
        run.study,
        model.variant,
        model.modalities,
        slices_of(encodings),
        frozen=run.study.training.mode == "frozen",
        seed=seed,
    )


def load_network(run: Run, fitted: FittedModel, encodings: Mapping[str, TableEncoding]) -> Network:
    """Return a fitted network with its weights."""
    from safetensors.torch import load_file

    network = network_of(run, fitted.model, encodings, 0)
    network.load_state_dict(load_file(fitted.stage.folder / WEIGHTS))
    return network.eval()


def load_regression(fitted: FittedModel) -> TableRegression:
    """Return a fitted clinical regression."""
    record: dict[str, Any] = json.loads((fitted.stage.folder / REGRESSION).read_text(encoding="utf-8"))
    return TableRegression(weights=np.array(record["weights"]), intercept=record["intercept"])
