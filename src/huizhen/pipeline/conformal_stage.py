"""The conformal stage: how often the prediction sets that were fixed with the lock hold the outcome."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from huizhen.core.cohort import Part
from huizhen.core.evidence import Evidence
from huizhen.core.files import write_text
from huizhen.core.predictions import Predictions
from huizhen.core.study import Variant
from huizhen.data.splits import Fold
from huizhen.pipeline.conformal_cuts import CONFORMAL, POOLED
from huizhen.pipeline.lock_stage import Locked
from huizhen.pipeline.opened import COHORT_WORDS, Opened
from huizhen.pipeline.stage import ARTEFACTS, Made, Run, Stage, study_part
from huizhen.validate.assessments.conformal import conformal
from huizhen.validate.assessments.interface import Evaluation
from huizhen.validate.conformal import Cuts, PredictionSets, mean_cuts, prediction_sets

__all__ = ["conformal_stage"]

CMAN = Variant.CMAN.value

SiteCuts = Mapping[int, Mapping[str, Cuts]]
"""Fold -> site (or `POOLED`) -> its cuts, on the scale of calibrated log-odds."""


def conformal_stage(run: Run, opened: Opened, locked: Locked) -> Stage | None:
    """Measure the locked sets on every tested cohort; None without [conformal] or without a locked model."""
    plan = run.study.conformal
    if plan is None or CMAN not in locked.decisions:
        return None

    def body(folder: Path) -> Made:
        cuts = _read(locked.stage)
        evidence: list[Evidence] = []
        for part, table in opened.predictions.items():
            sets, used = _sets(table, opened.cohort.folds, cuts)
            path = folder / ARTEFACTS / f"conformal_{COHORT_WORDS[part]}.csv"
            _write_sets(path, table, sets, used, phantom=run.study.phantom)
            evaluation = Evaluation(predictions=table, study=run.study, phantom=run.study.phantom)
            evidence += conformal(evaluation, sets, plan.level, used)
        return Made(evidence=evidence)

    made_from = {
        opened.stage.name: opened.stage.digest,
        "lock": locked.stage.digest,
        **study_part(run.study, "conformal"),
    }
    inputs = [opened.stage.digest, locked.stage.digest, plan.level]
    return run.stage("conformal", inputs, body, made_from=made_from)


def _read(locked: Stage) -> SiteCuts:
    """Return the cuts that were fixed with the lock."""
    return {
        int(fold): {site: Cuts.from_json(record) for site, record in by_site.items()}
        for fold, by_site in locked.read(CONFORMAL).items()
    }


def _sets(
    table: Predictions, folds: Sequence[Fold], cuts: SiteCuts
) -> tuple[PredictionSets, NDArray[np.str_]]:
    """Return every patient's set, and whose cuts were used; who isn't answered has both classes."""
    odds = logit(np.clip(np.nan_to_num(table.risk[CMAN], nan=0.5), 1e-12, 1 - 1e-12))
    event, other = np.ones(len(odds), bool), np.ones(len(odds), bool)
    used: list[str] = []
    groups: dict[tuple[tuple[int, ...], str], list[int]] = defaultdict(list)
    for row, (patient, site) in enumerate(zip(table.patient.tolist(), table.site.tolist(), strict=True)):
        tested = tuple(f.index for f in folds if f.parts.get(patient) is table.part and f.index in cuts)
        own = table.part is Part.TEST and all(site in cuts[fold] for fold in tested)
        used.append(site if own else POOLED)
        groups[tested, used[-1]].append(row)
    for (tested, name), rows in groups.items():
        if not tested:
            continue
        found = prediction_sets(odds[rows], mean_cuts([cuts[fold][name] for fold in tested]))
        event[rows], other[rows] = found.event, found.other
    return PredictionSets(event=event, other=other), np.array(used)


def _write_sets(
    path: Path, table: Predictions, sets: PredictionSets, used: NDArray[np.str_], *, phantom: bool
) -> None:
    """Write each patient's set, so that coverage can be counted again."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["patient", *(["phantom"] if phantom else []), "outcome", "event", "other", "cuts"])
    for row in zip(table.patient, table.outcome, sets.event, sets.other, used, strict=True):
        marks = ["1"] if phantom else []
        writer.writerow([row[0], *marks, *(int(v) for v in row[1:4]), row[4]])
    write_text(path, text.getvalue())
