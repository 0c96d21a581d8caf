"""Claims of calibration of every full model: slope, intercept, in the large, O/E and Brier scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.evidence import Evidence
from huizhen.validate.assessments.interface import EVERYONE, Evaluation, Measured, sample_notes
from huizhen.validate.calibration import (
    brier,
    in_the_large,
    observed_expected,
    recalibrate,
    scaled_brier,
)
from huizhen.validate.estimates import Estimate
from huizhen.validate.metric_table import metric_table

Measure = Callable[[NDArray[np.bool_], NDArray[np.float64]], tuple[Estimate, dict[str, Any]]]
"""From outcomes and risks (n,) to an estimate and what to say beside it."""


def calibration(evaluation: Evaluation) -> list[Evidence]:
    """Return `MEASURES` of every full model over all."""
    found: list[Evidence] = []
    for model in evaluation.full_models:
        of_rows = _over_patients(evaluation, model)
        for metric in MEASURES:
            key = f"{metric}/{model}/{evaluation.cohort}/{EVERYONE}"
            found.append(
                evaluation.evidence(key, metric, partial(_measured, evaluation, model, metric, of_rows))
            )
    return sorted(found, key=lambda e: list(MEASURES).index(e.metric))


def _measured(
    evaluation: Evaluation, model: str, metric: str, of_rows: Callable[[], Mapping[str, Estimate]]
) -> Measured:
    """Return `metric` of `model` on the patients that it answers."""
    evaluation.check_risks(model)
    everyone = evaluation.everyone()
    kept = evaluation.answered(everyone, model)
    outcome, risk = evaluation.predictions.outcome[kept], evaluation.predictions.risk[model][kept]
    cluster = evaluation.clusters(kept)
    if cluster is None:
        found, beside = MEASURES[metric](outcome, risk)
    else:
        found, beside = of_rows()[metric], {"patients": np.unique(cluster).size}
    return Measured(
        estimate=found.value,
        interval=found.interval,
        n=outcome.size,
        n_events=int(np.count_nonzero(outcome)),
        detail=beside | sample_notes(everyone, kept, evaluation.predictions.outcome),
    )


def _slope(outcome: NDArray[np.bool_], risk: NDArray[np.float64]) -> tuple[Estimate, dict[str, Any]]:
    """Return the calibration slope, and how many risks of 0 or 1 were moved inside."""
    found = recalibrate(outcome, risk)
    return found.slope, {"clipped": found.clipped} if found.clipped else {}


def _intercept(outcome: NDArray[np.bool_], risk: NDArray[np.float64]) -> tuple[Estimate, dict[str, Any]]:
    """Return the intercept beside that slope."""
    return recalibrate(outcome, risk).intercept, {}


def _in_the_large(outcome: NDArray[np.bool_], risk: NDArray[np.float64]) -> tuple[Estimate, dict[str, Any]]:
    """Return calibration-in-the-large: the intercept with the slope held at 1."""
    return in_the_large(outcome, risk), {}


def _ratio(outcome: NDArray[np.bool_], risk: NDArray[np.float64]) -> tuple[Estimate, dict[str, Any]]:
    """Return observed over expected events, with both shares."""
    shares = {"observed": float(outcome.mean()), "expected": float(risk.mean())}
    return observed_expected(outcome, risk), shares


def _brier(outcome: NDArray[np.bool_], risk: NDArray[np.float64]) -> tuple[Estimate, dict[str, Any]]:
    """Return the Brier score, and that of answering the prevalence for everybody."""
    return brier(outcome, risk), {"of_prevalence": float(outcome.mean() * (1 - outcome.mean()))}


def _scaled(outcome: NDArray[np.bool_], risk: NDArray[np.float64]) -> tuple[Estimate, dict[str, Any]]:
    """Return the Brier score on a scale from 0, answering the prevalence, to 1."""
    return scaled_brier(outcome, risk), {}


MEASURES: Mapping[str, Measure] = {
    "calibration_slope": _slope,
    "calibration_intercept": _intercept,
    "calibration_in_the_large": _in_the_large,
    "observed_expected": _ratio,
    "brier": _brier,
    "scaled_brier": _scaled,
}


def _over_patients(evaluation: Evaluation, model: str) -> Callable[[], Mapping[str, Estimate]]:
    """Return what gives all measures of a model's rows, their intervals over patients, reckoned once."""

    @cache
    def reckoned() -> Mapping[str, Estimate]:
        kept = evaluation.answered(evaluation.everyone(), model)
        return metric_table(
            evaluation.predictions.outcome[kept],
            evaluation.predictions.risk[model][kept],
            threshold=0.5,
            cluster=evaluation.clusters(kept),
            resamples=evaluation.study.evaluation.resamples,
            seed=evaluation.study.seed,
        )

    return reckoned
