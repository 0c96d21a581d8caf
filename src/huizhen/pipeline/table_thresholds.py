"""Thresholds of scores that were made elsewhere: fixed in the plan, or chosen on another table.

Never on the tested one: a threshold that was chosen where it is judged looks better than it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from huizhen.core.digests import digest_file
from huizhen.core.evidence import Evidence
from huizhen.core.files import write_json
from huizhen.core.study import Study, ThresholdRule
from huizhen.core.study_predictions import key_name
from huizhen.data.readers.paths import find_path
from huizhen.errors import DataError, LeakageError, NotEstimableError
from huizhen.pipeline.cohort_stage import SEALED
from huizhen.pipeline.decisions import chosen_by, threshold_evidence
from huizhen.pipeline.prediction_table import GivenPredictions, Score, given_of, read_predictions_of
from huizhen.pipeline.risk_levels import fixed_levels, levels_evidence
from huizhen.pipeline.stage import ARTEFACTS, Made, Run, Stage, study_part
from huizhen.pipeline.tuned import attained
from huizhen.pipeline.tuning_file import TUNING, Tuned, write_tuning
from huizhen.validate.thresholds import choose_threshold
from huizhen.validate.triage.levels import RiskLevels

__all__ = ["Cuts", "cut_of", "cuts_of", "levels_of", "thresholds_stage", "tuned_again"]

CUTS, LEVELS = "cuts.json", "levels.json"
FORM = 1

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cuts:
    """Model -> the score, on the table's own scale, from which a decision is positive."""

    at: Mapping[str, float]

    def called(self, model: str, raw: Floats) -> NDArray[np.bool_]:
        """Return the decisions (n,) of `raw` (n,); none is positive where there is no score.

        >>> Cuts(at={"model": 0.5}).called("model", np.array([0.5, 0.2, np.nan])).tolist()
        [True, False, False]
        """
        with np.errstate(invalid="ignore"):
            return np.asarray(raw >= self.at[model], dtype=np.bool_)


def cut_of(outcome: NDArray[np.bool_], raw: Floats, rule: ThresholdRule) -> float:
    """Return the score that `rule` chooses from tuning patients, on any scale.

    `outcome` (n,), `raw` (n,) without NaN. The rule sees ranks, since thresholds depend on no more. Raises
    as `choose_threshold`.

    >>> outcome, raw = np.array([True, True, False, False]), np.array([9.0, 4.0, 6.0, -1.0])
    >>> cut_of(outcome, raw, ThresholdRule(rule="sensitivity", target=0.9))
    4.0
    """
    ranks = rankdata(raw) / raw.size
    chosen = choose_threshold(outcome, ranks, rule)
    if np.any(equal := ranks == chosen):
        return float(raw[equal][0])
    return float(np.nextafter(raw[ranks < chosen].max(), np.inf))


def thresholds_stage(run: Run, table: Stage) -> Stage:
    """Lock the thresholds: those of the plan, or those that its rule chooses on the table `tune`."""
    given = given_of(run.study)
    path = find_path(given.tune, run.roots, field="predictions.tune") if given.tune else None
    parts = ("predictions", "threshold", *(("triage",) if run.study.triage is not None else ()))
    made_from = {**study_part(run.study, *parts), "table": table.digest}
    if path is not None:
        made_from["tuning table"] = digest_file(path)

    def body(folder: Path) -> Made:
        cuts, evidence = _chosen(run, path, table, folder) if path is not None else _fixed(run)
        write_json(folder / CUTS, cuts)
        lock: dict[str, Any] = {"study_digest": run.study.digest, "table": table.digest, "thresholds": cuts}
        if levels := _locked_levels(evidence):
            write_json(folder / LEVELS, dict(levels))
            lock["risk_levels"] = dict(levels)
        return Made(evidence=evidence, entries=[("lock", lock)])

    inputs = [table.digest, run.study.digest, str(made_from.get("tuning table", "")), FORM]
    return run.stage("lock", inputs, body, made_from=made_from)


def cuts_of(locked: Stage) -> Cuts:
    """Return what a lock fixed."""
    return Cuts(at=locked.read(CUTS))


def _fixed(run: Run) -> tuple[dict[str, float], list[Evidence]]:
    """Return the plan's thresholds, each as evidence."""
    given = given_of(run.study)
    cuts = {} if given.threshold is None else {given.model: given.threshold}
    cuts |= {key_name(name): cut for name, cut in given.compare_thresholds.items()}
    evidence = [threshold_evidence(run.study, f"threshold/{name}/fixed", cut) for name, cut in cuts.items()]
    nobody = np.zeros(0)
    if run.study.triage is not None:
        levels = fixed_levels(run.study, nobody, nobody > 0)
        evidence.append(levels_evidence(run.study, f"risk_levels/{given.model}/fixed", levels, None))
    return cuts, evidence


def _locked_levels(evidence: Sequence[Evidence]) -> Mapping[str, Any] | None:
    """Return the cut points of risk levels that the evidence of a lock holds, if any."""
    found = [item.detail for item in evidence if item.metric == "risk_levels" and item.detail]
    return found[0] if found else None


def levels_of(locked: Stage) -> RiskLevels | None:
    """Return the risk levels that a lock fixed, on the table's own scale; None where it fixed none."""
    return RiskLevels.from_json(locked.read(LEVELS)) if (locked.folder / LEVELS).exists() else None


# --- chosen on another table ---------------------------------------------------------------------------


def _chosen(run: Run, path: Path, table: Stage, folder: Path) -> tuple[dict[str, float], list[Evidence]]:
    """Return the thresholds that the rule chooses on the tuning table; its scores are kept beside."""
    tuning = read_predictions_of(run.study, path, secret=run.key.derive_secret("pseudonyms"))
    _check_other_patients(run, path, table, tuning)
    tuned = [_tuned(tuning, score) for score in tuning.scores]
    write_tuning(folder / ARTEFACTS / TUNING, tuned, phantom=run.study.phantom, column="score")
    evidence = tuned_again(run.study, tuned)
    cuts = {e.key.split("/")[1]: e.estimate for e in evidence if e.estimate is not None}
    return cuts, evidence


def tuned_again(study: Study, tuned: Sequence[Tuned]) -> list[Evidence]:
    """Return the threshold of each score that the study's rule chooses, or why there is none."""
    found: list[Evidence] = []
    for one in tuned:
        key = f"threshold/{one.model}/tuned"
        try:
            cut = cut_of(one.outcome, one.log_odds, study.threshold)
            found.append(_told(study, key, cut, one))
        except NotEstimableError as error:
            found.append(
                Evidence.not_assessed(
                    key=key, metric="threshold", stage="lock", reason=error.message, phantom=study.phantom
                )
            )
        if study.triage is not None and one.model == study.main:
            n = len(one.outcome) if study.triage.cuts == "tune" else None
            levels = fixed_levels(study, one.log_odds, one.outcome)
            found.append(levels_evidence(study, f"risk_levels/{one.model}/tuned", levels, n))
    return found


def _check_other_patients(run: Run, path: Path, table: Stage, tuning: GivenPredictions) -> None:
    """Refuse a tuning table that is the tested one, or shares patients with it."""
    given = given_of(run.study)
    if digest_file(path) == digest_file(find_path(given.table, run.roots, field="predictions.table")):
        raise DataError(
            "the tuning table is the tested table",
            remedy="choose the threshold on other patients, or fix it beforehand with --threshold",
            field="predictions.tune",
            file=path.name,
        )
    if given.patient is None:
        raise DataError(
            "without a column of patients nobody can tell tuning patients from tested ones",
            remedy="name the column with --patient, or fix the threshold beforehand with --threshold",
            field="predictions.patient",
            file=path.name,
        )
    tested = {name.partition(".")[0] for name in table.read(SEALED)}
    names = tuning.patient if tuning.cluster is None else tuning.cluster
    if both := tested.intersection(names.tolist()):
        raise LeakageError(
            f"{len(both)} patients of the tuning table stand in the tested table too",
            remedy="choose the threshold on other patients",
            field="predictions.tune",
            file=path.name,
        )


def _told(study: Study, key: str, cut: float, tuned: Tuned) -> Evidence:
    """Return a threshold as evidence, with what it attained where it was chosen."""
    n, events, reached = attained(tuned.log_odds >= cut, tuned.outcome)
    detail = {**chosen_by(study, n), **reached}
    return threshold_evidence(study, key, cut, n=n, n_events=events, detail=detail)


def _tuned(tuning: GivenPredictions, score: Score) -> Tuned:
    known = ~np.isnan(score.raw)
    return Tuned(
        model=score.name,
        fold=0,
        patient=tuning.patient[known].tolist(),
        outcome=tuning.outcome[known],
        log_odds=score.raw[known],
    )
