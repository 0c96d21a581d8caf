"""The evidence of disturbances and of prediction sets, made again from the tables that a dossier holds."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from huizhen.core.cohort import Part
from huizhen.core.evidence import Evidence
from huizhen.core.predictions import Predictions
from huizhen.core.study import Study, Variant
from huizhen.core.study_robustness import TABLE_DISTURBANCES
from huizhen.pipeline.opened import COHORT_WORDS
from huizhen.pipeline.robustness_file import DisturbedRisks, read_risks
from huizhen.pipeline.site_telling_file import read_tellings, told_again
from huizhen.validate.assessments.conformal import conformal
from huizhen.validate.assessments.interface import Evaluation
from huizhen.validate.assessments.robustness import disturbed, tried_of, undisturbed
from huizhen.validate.conformal import PredictionSets

__all__ = ["robustness_again"]

CMAN = Variant.CMAN.value


def robustness_again(files: Path, study: Study, predictions: Mapping[Part, Predictions]) -> list[Evidence]:
    """Return the evidence of [robustness], [conformal] and [harmonisation] that the tables in `files` give.

    Shortcuts are not among it: features and blanked images leave no table.
    """
    told = told_again(read_tellings(files), study)
    return [*_disturbed(files, study, predictions), *_sets(files, study, predictions), *told]


def _disturbed(files: Path, study: Study, predictions: Mapping[Part, Predictions]) -> Iterator[Evidence]:
    bases: set[str] = set()
    for kind in study.robustness.kinds if study.robustness and Part.TEST in predictions else ():
        found = read_risks(files, kind.value)
        if found is None:
            continue
        whole = predictions[Part.TEST]
        evaluation = _evaluation(found, study, whole)
        domain = "tables" if kind in TABLE_DISTURBANCES else "images"
        if domain not in bases:
            bases.add(domain)
            rows = _rows(found, whole)
            locked = whole.risk[CMAN][rows]
            yield undisturbed(evaluation, domain, sampled_from=len(whole.patient), locked=locked)
        steps = {step: risk for step, risk in found.risks.items() if step}
        yield from disturbed(evaluation, tried_of(kind, steps, found.notes))


def _rows(found: DisturbedRisks, whole: Predictions) -> list[int]:
    """Return where the sampled patients stand in the table of all."""
    place = {str(name): row for row, name in enumerate(whole.patient)}
    return [place[str(name)] for name in found.patient]


def _evaluation(found: DisturbedRisks, study: Study, whole: Predictions) -> Evaluation:
    table = Predictions(
        patient=found.patient,
        site=whole.site[_rows(found, whole)],
        part=Part.TEST,
        outcome=found.outcome,
        risk={CMAN: found.risks[0]},
    )
    return Evaluation(predictions=table, study=study, phantom=study.phantom)


def _sets(files: Path, study: Study, predictions: Mapping[Part, Predictions]) -> Iterator[Evidence]:
    """Yield the coverage that is counted from the patients' sets."""
    if study.conformal is None:
        return
    for part, table in predictions.items():
        path = files / f"conformal_{COHORT_WORDS[part]}.csv"
        if path.exists():
            with path.open(encoding="utf-8", newline="") as stream:
                by_patient = {row["patient"]: row for row in csv.DictReader(stream)}
            rows = [by_patient[str(name)] for name in table.patient]
            event, other = (np.array([row[name] == "1" for row in rows], bool) for name in ("event", "other"))
            evaluation = Evaluation(predictions=table, study=study, phantom=study.phantom)
            sets, used = PredictionSets(event=event, other=other), np.array([row["cuts"] for row in rows])
            yield from conformal(evaluation, sets, study.conformal.level, used)
