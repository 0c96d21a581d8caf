"""Prediction, then unsealing: every locked model answers once, its answers are fixed, outcomes opened.

Predictions are made from cases whose outcomes are sealed, and their digest is entered. Only then what was
committed to when the cohort was made is checked and opened.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from huizhen.core.cohort import Part
from huizhen.core.digests import digest_file
from huizhen.core.predictions import Predictions, with_single_specialists
from huizhen.core.study import Study, Variant
from huizhen.data.flow import outcomes_evidence
from huizhen.data.tables import TableEncoding
from huizhen.errors import StageError
from huizhen.pipeline.cohort_stage import SALT, SEALED, OpenCohort, commitments, digests, read_cohort
from huizhen.pipeline.decisions import Decision
from huizhen.pipeline.fit_stage import FittedModel, load_network, load_regression, subset_names
from huizhen.pipeline.harmonise_stage import harmonised_tests, read_harmonies
from huizhen.pipeline.lock_stage import Locked
from huizhen.pipeline.material import Columns, Material, encodings_of
from huizhen.pipeline.opened import Opened
from huizhen.pipeline.predictions_file import read_predictions, write_predictions
from huizhen.pipeline.risk_levels import level_over_folds
from huizhen.pipeline.stage import ARTEFACTS, Made, Run, Stage, study_part
from huizhen.pipeline.subset_logits import subset_logits
from huizhen.train.arrays import CaseData
from huizhen.train.table_regression import table_features
from huizhen.validate.grouping import groups_of

Logits = NDArray[np.float64]


def predict_stage(run: Run, cohort: OpenCohort, fits: Sequence[FittedModel], locked: Locked) -> Opened:
    """Predict internal test and external patients, fix the answers, then open the sealed outcomes.

    Raises `StageError` before the lock, or when the sealed outcomes are not those that were committed to.
    """
    lock_entry = max((e.index for e in run.log.entries if e.kind == "lock"), default=None)
    if lock_entry is None:
        raise StageError("the model isn't locked", remedy="run the stages in order")
    blind = _predicted(run, cohort, fits, locked)
    return _unsealed(run, cohort, blind, lock_entry)


def _parts(cohort: OpenCohort) -> list[Part]:
    """Return the parts that somebody is tested in."""
    tested = (Part.TEST, Part.EXTERNAL)
    return [part for part in tested if any(part in fold.parts.values() for fold in cohort.folds)]


def _predicted(run: Run, cohort: OpenCohort, fits: Sequence[FittedModel], locked: Locked) -> Stage:
    """Return the stage of the answers, made and entered before any sealed outcome is read."""

    harmony = harmonised_tests(run, cohort, next((f.harmony for f in fits), None))

    def body(folder: Path) -> Made:
        parts = _parts(cohort)
        tested = cohort.within(*parts)
        material = Material(run=run, cases=tested, columns=Columns(run, tested, augmented=False))
        answers = _answers(run, cohort, material, fits, harmony)
        for part in parts:
            predictions = _predictions(run, cohort, material, part, answers, locked)
            write_predictions(folder / file_name(part), predictions, phantom=run.study.phantom, outcome=False)
        return Made(entries=[("predictions", {"without_outcomes": _digests(folder, parts)})])

    subgroups = run.study.model_dump(mode="json", include={"subgroup"})
    made_from = {
        **study_part(run.study, "subgroup"),
        "lock": locked.stage.digest,
        "cohort": cohort.stage.digest,
        **({harmony.name: harmony.digest} if harmony else {}),
        **{f.stage.name: f.stage.digest for f in fits},
    }
    inputs = [locked.stage.digest, cohort.stage.digest, subgroups]
    return run.stage("predict", inputs, body, made_from=made_from)


def file_name(part: Part) -> str:
    """Return the name of a part's table of predictions."""
    return f"predictions_{part.value}.csv"


def _digests(folder: Path, parts: Sequence[Part]) -> dict[str, str]:
    return {file_name(part): digest_file(folder / file_name(part)) for part in parts}


def _unsealed(run: Run, cohort: OpenCohort, blind: Stage, lock_entry: int) -> Opened:
    """Check what was committed to, open the sealed outcomes and set them beside the answers."""
    parts = _parts(cohort)
    opened = {
        "lock_entry": lock_entry,
        "commit_entry": _entry_with(run, "commit", "commitments", commitments(cohort.stage.folder)),
        "predictions_entry": _entry_with(
            run, "predictions", "without_outcomes", _digests(blind.folder, parts)
        ),
        "sealed_outcomes": digest_file(cohort.stage.folder / SEALED),
        "salt": cohort.stage.read(SALT)["salt"],
        "opened": digests(cohort.stage.folder),
    }
    cohort = read_cohort(cohort.stage, unsealed=True)

    def body(folder: Path) -> Made:
        outcomes = {case.pseudonym: int(case.outcome == 1) for case in cohort.cases}
        for part in parts:
            table = read_predictions(blind.folder / file_name(part), part, outcomes)
            write_predictions(folder / ARTEFACTS / file_name(part), table, phantom=run.study.phantom)
        events = outcomes_evidence(cohort.cases, cohort.folds)
        return Made(entries=[("unseal", opened)], evidence=[events])

    made_from = {
        "predict": blind.digest,
        "cohort": cohort.stage.digest,
        "sealed outcomes": digest_file(cohort.stage.folder / SEALED),
    }
    stage = run.stage("unseal", [blind.digest, cohort.stage.digest], body, made_from=made_from)
    return Opened(
        stage=stage,
        cohort=cohort,
        predictions={
            part: read_predictions(stage.folder / ARTEFACTS / file_name(part), part) for part in parts
        },
    )


def _entry_with(run: Run, kind: str, field: str, value: Mapping[str, str]) -> int:
    """Return the newest entry of `kind` whose `field` is `value`. Raises `StageError` without one."""
    found = [e.index for e in run.log.entries if e.kind == kind and dict(e.body[field]) == dict(value)]
    if not found:
        raise StageError(
            f"the files of the run are not those that the ledger's {kind} entry fixed",
            remedy="put the run's folder back from a backup; what was fixed can't be changed",
            field=kind,
        )
    return max(found)


def _answers(
    run: Run,
    cohort: OpenCohort,
    material: Material,
    fits: Sequence[FittedModel],
    harmony: Stage | None,
) -> dict[tuple[str, int], Logits]:
    """Return (model name, fold) -> mean log-odds over that fold's members; NaN for whom it doesn't test."""
    found: dict[tuple[str, int], list[Logits]] = defaultdict(list)
    with run.progress.track("predict", len(fits)) as advance:
        for fold in cohort.folds:
            encodings = encodings_of(run, cohort.cases, fold)
            data = material.data(encodings, read_harmonies(harmony, fold.index))
            tested = [fold.parts[c.pseudonym] in (Part.TEST, Part.EXTERNAL) for c in material.cases]
            rows = np.flatnonzero(tested)
            for fitted in (f for f in fits if f.fold == fold.index):
                for name, logits in _asked(run, fitted, data, encodings, rows).items():
                    everyone = np.full(len(data), np.nan)
                    everyone[rows] = logits
                    found[name, fold.index].append(everyone)
                advance(1)
    return {key: np.mean(values, axis=0) for key, values in found.items()}


def _asked(
    run: Run,
    fitted: FittedModel,
    data: CaseData,
    encodings: Mapping[str, TableEncoding],
    rows: NDArray[np.int64],
) -> dict[str, Logits]:
    """Return what one fit says of the cases `rows`, by name; CMAN is asked with every subset too.

    A subset's answer, and a specialist's, counts only where every modality of it is present.
    """
    names = fitted.model.modalities
    able = data.answerable(names)[rows]
    if fitted.model.variant is Variant.TABLE_LR:
        logits = load_regression(fitted).logits(table_features(data, rows))
        return {fitted.model.name: np.where(able, logits, np.nan)}
    network = load_network(run, fitted, encodings)
    shown = subset_names(run, fitted.model)
    found = subset_logits(network, data, rows, names, {fitted.model.name: None, **shown})
    if fitted.model.variant is Variant.SPECIALIST:
        found = {fitted.model.name: np.where(data.complete(names)[rows], found[fitted.model.name], np.nan)}
    for name, some in shown.items():
        found[name] = np.where(data.complete(some)[rows], found[name], np.nan)
    return found


def _predictions(
    run: Run,
    cohort: OpenCohort,
    material: Material,
    part: Part,
    answers: Mapping[tuple[str, int], Logits],
    locked: Locked,
) -> Predictions:
    """Return the calibrated risks and decisions of one part's patients."""
    n = len(material.cases)
    risk: dict[str, NDArray[np.float64]] = {}
    decision: dict[str, NDArray[np.bool_]] = {}
    for model, by_fold in locked.decisions.items():
        odds, cut = np.zeros(n), np.zeros(n)
        asked = np.zeros(n)
        for fold in cohort.folds:
            if fold.index not in by_fold:
                continue
            here = np.array([fold.parts[c.pseudonym] is part for c in material.cases])
            odds += np.where(here, _calibrated(answers[model, fold.index], by_fold[fold.index]), 0)
            cut += np.where(here, log_odds(by_fold[fold.index].threshold), 0)
            asked += here
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = odds / asked
            risk[model] = expit(mean)
            decision[model] = mean >= cut / asked
    level = _levels(run.study, locked, risk, cohort, material, part)
    chosen = [
        row for row, c in enumerate(material.cases) if any(f.parts[c.pseudonym] is part for f in cohort.folds)
    ]
    cases = [material.cases[row] for row in chosen]
    table = Predictions(
        patient=np.array([c.pseudonym for c in cases]),
        site=np.array([c.site for c in cases]),
        part=part,
        outcome=np.array([c.outcome == 1 for c in cases]),
        risk={name: values[chosen] for name, values in risk.items()},
        decision={name: values[chosen] for name, values in decision.items()},
        level={name: values[chosen] for name, values in level.items()},
        present={m.name: np.array([m.name in c.modalities for c in cases]) for m in run.study.modality},
        groups={
            one.column: groups_of(np.array([c.groups.get(one.column, "") for c in cases], np.str_), one)
            for one in run.study.subgroup
            if one.source in ("table", "scanner") and run.study.federation is None
        },
    )
    return with_single_specialists(table)


def _levels(
    study: Study,
    locked: Locked,
    risk: Mapping[str, NDArray[np.float64]],
    cohort: OpenCohort,
    material: Material,
    part: Part,
) -> dict[str, NDArray[np.int64]]:
    """Return the main model's risk level of everybody, where the lock holds cut points in every fold."""
    by_fold = locked.decisions.get(study.main, {})
    levels = {fold: decision.levels for fold, decision in by_fold.items() if decision.levels is not None}
    if not levels or len(levels) < len(by_fold):
        return {}
    tested = [
        [fold.parts[c.pseudonym] is part for c in material.cases]
        for fold in cohort.folds
        if fold.index in levels
    ]
    found = [levels[fold.index] for fold in cohort.folds if fold.index in levels]
    return {study.main: level_over_folds(logit(risk[study.main]), found, np.array(tested, dtype=np.bool_))}


def _calibrated(logits: Logits, decision: Decision) -> Logits:
    return decision.platt.intercept + decision.platt.slope * logits


def log_odds(threshold: float) -> float:
    """Return a threshold of risk as log-odds, finite also for 0 and 1."""
    return float(logit(np.clip(threshold, 1e-12, 1 - 1e-12)))
