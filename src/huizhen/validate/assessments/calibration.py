"""Claims of calibration: slope, intercept and Brier score of every full model, and cman's curve."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.evidence import Evidence
from huizhen.validate.assessments.interface import EVERYONE, Evaluation, Measured, sample_notes
from huizhen.validate.calibration import brier, in_the_large, observed_expected, recalibrate
from huizhen.validate.calibration_curve import calibration_curve, expected_calibration_error
from huizhen.validate.estimates import Estimate
from huizhen.validate.metric_table import metric_table

BINS, FEW_BINS, MANY = 10, 5, 100
"""Bins of the curve, those under `MANY` patients: a share of fewer than 20 patients says little."""

Measure = Callable[[NDArray[np.bool_], NDArray[np.float64]], tuple[Estimate, dict[str, Any]]]
"""From outcomes and risks (n,) to an estimate and what to say beside it."""


def calibration(evaluation: Evaluation) -> list[Evidence]:
    """Return slope, intercept and Brier score of every full model over all, and cman's calibration curve."""
    found = [
        evaluation.evidence(
            f"{metric}/{model}/{evaluation.cohort}/{EVERYONE}",
            metric,
            partial(_measured, evaluation, model, metric),
        )
        for metric in MEASURES
        for model in evaluation.full_models
    ]
    key = f"calibration_curve/{evaluation.main}/{evaluation.cohort}"
    return [*found, evaluation.evidence(key, "calibration_curve", partial(_curve, evaluation))]


def _measured(evaluation: Evaluation, model: str, metric: str) -> Measured:
    """Return `metric` of `model` on the patients that it answers."""
    evaluation.check_risks(model)
    everyone = evaluation.everyone()
    kept = evaluation.answered(everyone, model)
    outcome, risk = evaluation.predictions.outcome[kept], evaluation.predictions.risk[model][kept]
    cluster = evaluation.clusters(kept)
    if cluster is None:
        found, beside = MEASURES[metric](outcome, risk)
    else:
        found, beside = _over_patients(evaluation, metric, (outcome, risk, cluster))
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
    """Return the intercept beside that slope, with calibration-in-the-large and observed over expected."""
    found = recalibrate(outcome, risk)
    return found.intercept, {
        "in_the_large": _plain(in_the_large(outcome, risk)),
        "observed_expected": _plain(observed_expected(outcome, risk)),
    }


def _brier(outcome: NDArray[np.bool_], risk: NDArray[np.float64]) -> tuple[Estimate, dict[str, Any]]:
    """Return the Brier score, and that of answering the prevalence for everybody."""
    return brier(outcome, risk), {"of_prevalence": float(outcome.mean() * (1 - outcome.mean()))}


MEASURES: Mapping[str, Measure] = {
    "calibration_slope": _slope,
    "calibration_intercept": _intercept,
    "brier": _brier,
}


def _over_patients(
    evaluation: Evaluation,
    metric: str,
    rows: tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.str_]],
) -> tuple[Estimate, dict[str, Any]]:
    """Return a measure of rows (n,) with its interval from resampled patients, and what to say beside it."""
    outcome, risk, cluster = rows
    found = metric_table(
        outcome,
        risk,
        threshold=0.5,
        cluster=cluster,
        resamples=evaluation.study.evaluation.resamples,
        seed=evaluation.study.seed,
    )
    beside: dict[str, Any] = {"patients": np.unique(cluster).size}
    if metric == "calibration_intercept":
        beside["in_the_large"] = _plain(found["calibration_in_the_large"])
        beside["observed_expected"] = _plain(found["observed_expected"])
    return found[metric], beside


def _plain(estimate: Estimate) -> dict[str, float]:
    """Return an estimate as plain values for `detail`."""
    return {"estimate": estimate.value, "low": estimate.interval.low, "high": estimate.interval.high}


def _curve(evaluation: Evaluation) -> Measured:
    """Return cman's calibration curve in bins of equal size, with its expected calibration error."""
    evaluation.check_risks(evaluation.main)
    evaluation.check_single("the calibration curve")
    everyone = evaluation.everyone()
    kept = evaluation.answered(everyone, evaluation.main)
    outcome, risk = evaluation.predictions.outcome[kept], evaluation.predictions.risk[evaluation.main][kept]
    bins = BINS if outcome.size >= MANY else FEW_BINS
    curve = calibration_curve(outcome, risk, bins=bins)
    return Measured(
        n=outcome.size,
        n_events=int(np.count_nonzero(outcome)),
        detail={
            "predicted": curve.predicted.tolist(),
            "observed": curve.observed.tolist(),
            "low": curve.low.tolist(),
            "high": curve.high.tolist(),
            "n": curve.n.tolist(),
            "n_events": curve.n_events.tolist(),
            "bins": bins,
            "expected_calibration_error": expected_calibration_error(curve),
            **sample_notes(everyone, kept, evaluation.predictions.outcome),
        },
    )
